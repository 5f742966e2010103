//! Blocking and unblocking more tickets than a command takes: in commands, again, and with a report of what is not so.

mod common;

use std::sync::{Arc, Mutex};

use common::sim::simulate;
use common::stage::Fault;
use common::world::{Hall, area, event, refusal, reserved, seconds, ticket, tickets};
use ticket_reservation::booking::{BlockReport, BookingError, BookingService, Contention};
use ticket_reservation::domain::{BlockReason, LINES_MAX, Place, RecordKey, Rejection, TicketId, TicketState};

fn camera() -> BlockReason {
    BlockReason::new("camera").unwrap()
}

/// So many tickets more in the hall.
async fn stand(hall: &Hall, count: usize) -> Vec<TicketId> {
    let seat = |n: usize| (ticket(&format!("stand-{n:05}")), Place { area: area("stand"), row: 1, number: n as u32 });
    let inventory: Vec<_> = (0..count).map(seat).collect();
    hall.rival().import(&event(), inventory.clone(), Vec::new()).await.unwrap();
    inventory.into_iter().map(|(id, _)| id).collect()
}

async fn free_in_the_stand(service: &BookingService) -> u64 {
    let free = service.repository().availability(&event()).await.unwrap();
    free.areas.iter().find(|found| found.area == area("stand")).unwrap().available
}

fn refused(report: &BlockReport) -> Vec<(&str, Option<&TicketState>)> {
    report.refused.iter().map(|it| (it.ticket.as_str(), it.state.as_ref())).collect()
}

#[test]
fn a_large_area_is_blocked_in_commands_and_again_without_any_change() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let mut stand = stand(&hall, 2 * LINES_MAX + 5).await;
        let service = hall.service();
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (noted, is_ticket) = (sizes.clone(), |key: &RecordKey| matches!(key, RecordKey::Ticket(_)));
        hall.stage.before_commit(move |groups| {
            let written = groups.iter().flat_map(|group| &group.writes).filter(|write| is_ticket(&write.key));
            noted.lock().unwrap().push(written.count());
        });
        stand.push(stand[0].clone());
        stand.reverse();
        let report = service.block_many(&event(), stand.clone(), camera()).await.unwrap();
        assert_eq!((report.changed as usize, refused(&report)), (2 * LINES_MAX + 5, vec![]), "each once");
        assert_eq!(std::mem::take(&mut *sizes.lock().unwrap()), [LINES_MAX, LINES_MAX, 5]);
        assert_eq!(free_in_the_stand(&service).await, 0);

        let again = service.block_many(&event(), stand.clone(), camera()).await.unwrap();
        assert_eq!((again.changed, refused(&again)), (0, vec![]), "as asked for already");
        assert!(sizes.lock().unwrap().is_empty(), "nothing was written");

        let report = service.unblock_many(&event(), stand.clone()).await.unwrap();
        assert_eq!((report.changed as usize, refused(&report)), (2 * LINES_MAX + 5, vec![]));
        assert_eq!(free_in_the_stand(&service).await as usize, 2 * LINES_MAX + 5);
        let again = service.unblock_many(&event(), stand).await.unwrap();
        assert_eq!((again.changed, refused(&again)), (0, vec![]), "as asked for already");
        hall.audit();
    });
}

#[test]
fn what_is_taken_or_not_there_is_left_out_and_named_with_its_state() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let (held, sold, over) =
            (hall.hold("ann", &["A1"], &[]), hall.hold("bob", &["A2"], &[]), hall.hold("eve", &["A3"], &[]));
        reserved(service.submit(over).await);
        sim.sleep_for(seconds(24 * 3_600)).await;
        for command in [&held, &sold, &hall.confirm(&sold)] {
            reserved(service.submit(command.clone()).await);
        }
        let repair = TicketState::Blocked { reason: BlockReason::new("repair").unwrap() };
        service.block_many(&event(), tickets(&["A4"]), BlockReason::new("repair").unwrap()).await.unwrap();
        service.block_many(&event(), tickets(&["A5"]), camera()).await.unwrap();

        let all = tickets(&["A1", "A2", "A3", "A4", "A5", "A6", "nowhere"]);
        let report = service.block_many(&event(), all.clone(), camera()).await.unwrap();
        let (of_ann, of_bob) = (hall.ticket_state("A1"), hall.ticket_state("A2"));
        assert!(matches!((&of_ann, &of_bob), (TicketState::Held { .. }, TicketState::Booked { .. })));
        let (ann, bob) = (("A1", Some(&of_ann)), ("A2", Some(&of_bob)));
        assert_eq!(report.changed, 2, "the one whose hold is over, and the free one");
        assert_eq!(refused(&report), [ann, bob, ("A4", Some(&repair)), ("nowhere", None)]);
        for id in ["A3", "A5", "A6"] {
            assert_eq!(hall.ticket_state(id), TicketState::Blocked { reason: camera() }, "{id}");
        }

        let report = service.unblock_many(&event(), all).await.unwrap();
        assert_eq!((report.changed, refused(&report)), (4, vec![ann, bob, ("nowhere", None)]));
        hall.audit();
    });
}

#[test]
fn a_broken_call_is_started_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let stand = stand(&hall, 2 * LINES_MAX).await;
        let service = hall.service();
        hall.stage.faults([Fault::Pass, Fault::Permanent]);
        let failed = service.block_many(&event(), stand.clone(), camera()).await.unwrap_err();
        assert!(matches!(failed, BookingError::Failed(_)), "{failed:?}");
        assert_eq!(free_in_the_stand(&service).await as usize, LINES_MAX, "what was blocked stays so");
        let report = service.block_many(&event(), stand.clone(), camera()).await.unwrap();
        assert_eq!((report.changed as usize, refused(&report)), (LINES_MAX, vec![]), "the rest");

        // The answer of the first command is lost, and the service finds out what became of it.
        hall.stage.faults([Fault::Applied]);
        let report = service.unblock_many(&event(), stand).await.unwrap();
        assert_eq!((report.changed as usize, refused(&report)), (2 * LINES_MAX, vec![]));
        assert_eq!(free_in_the_stand(&service).await as usize, 2 * LINES_MAX);
    });
}

#[test]
fn what_others_take_meanwhile_is_left_out_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Reject));
        hall.stage.commit_gate.close();
        let (office, all) = (service.clone(), tickets(&["A1", "A2", "A3"]));
        let blocking = sim.start(async move { office.block_many(&event(), all, camera()).await });
        sim.idle().await;
        reserved(hall.rival().submit(hall.hold("ann", &["A2"], &[])).await);
        hall.stage.commit_gate.open();
        let report = blocking.answer().await.unwrap();
        assert_eq!((report.changed, refused(&report)), (2, vec![("A2", Some(&hall.ticket_state("A2")))]));
        hall.audit();
    });
}

#[test]
fn nothing_to_block_is_no_work_and_an_event_that_does_not_exist_has_nothing() {
    simulate(async |sim| {
        let hall = Hall::empty(&sim);
        let service = hall.service();
        assert_eq!(service.unblock_many(&event(), Vec::new()).await.unwrap(), BlockReport::default());
        assert_eq!(hall.stage.loads(), 0);
        let failed = service.block_many(&event(), tickets(&["A1"]), camera()).await.unwrap_err();
        assert_eq!(failed.rejection(), Some(&Rejection::UnknownEvent));
        assert_eq!(refusal(service.submit(hall.block(&["A1"])).await), Rejection::UnknownEvent);
    });
}
