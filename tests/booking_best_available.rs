//! Neighbouring places that the library chooses: in which order, and against others who want them too.

mod common;

use common::sim::simulate;
use common::spy_lock::SpyLock;
use common::stage::Fault;
use common::world::{Hall, area, customer, event, lines, record, refusal, reserved, touch};
use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{Limits, LockPolicy, LockScope};
use ticket_reservation::domain::{
    Hold, Lines, Record, RecordKey, Rejection, Reservation, ReservationId, Ticket, TicketId, TicketState,
};
use ticket_reservation::ports::{Group, LoadRequest, Repository, RuntimeExt, TicketQuery, Write};

fn names(reservation: &Reservation) -> Vec<&str> {
    reservation.lines.tickets().iter().map(|id| id.as_str()).collect()
}

fn free_tickets(store: &MemoryRepository) -> usize {
    let query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: 100 };
    let rows = store.tickets(&query).now_or_never().unwrap().unwrap();
    rows.iter().filter(|(_, _, ticket)| ticket.state == TicketState::Available).count()
}

#[test]
fn the_best_row_comes_first_and_in_it_the_tightest_gap() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        assert_eq!(names(&reserved(service.submit(hall.best("ann", 3)).await)), ["A1", "A2", "A3"]);
        // Leaves A4 to A6, A8 and A9 free in the first row.
        service.submit(hall.block(&["A7", "A10"])).await.unwrap();
        assert_eq!(names(&reserved(service.submit(hall.best("bob", 2)).await)), ["A8", "A9"]);
        assert_eq!(names(&reserved(service.submit(hall.best("cat", 2)).await)), ["A4", "A5"]);
        assert_eq!(names(&reserved(service.submit(hall.best("dan", 2)).await)), ["B1", "B2"]);
        assert_eq!(names(&reserved(service.submit(hall.best("eve", 1)).await)), ["A6"]);
        let refused = refusal(service.submit(hall.best("fay", 9)).await);
        assert_eq!(refused, Rejection::NoNeighbours { area: area("A"), wanted: 9, free: 8 });
        hall.audit();
    });
}

#[test]
fn chosen_places_add_to_named_lines_and_never_repeat_them() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 3)]).await;
        let service = hall.service();
        let hold = Hold::new(sim.reservation_id(), customer("ann"), lines(&["A1"], &[("floor", 2)]));
        let command = hall.hold_of(hold.with_best_available(area("A"), 2));
        let reservation = reserved(service.submit(command.clone()).await);
        assert_eq!(reservation.lines, lines(&["A1", "A2", "A3"], &[("floor", 2)]));
        let again = service.submit(command).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.outcome.reservation().unwrap().lines, reservation.lines);
        hall.audit();
    });
}

#[test]
fn those_who_wait_together_get_different_places() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.load_gate.close();
        let started: Vec<_> = (0..11).map(|_| hall.send(&service, &hall.best("ann", 2))).collect();
        sim.idle().await;
        hall.stage.load_gate.open();
        let mut refused = 0;
        for started in started {
            match started.answer().await {
                Ok(receipt) => assert_eq!(receipt.outcome.reservation().unwrap().lines.places(), 2),
                Err(error) => {
                    let none = Rejection::NoNeighbours { area: area("A"), wanted: 2, free: 0 };
                    assert_eq!(error.rejection(), Some(&none));
                    refused += 1;
                }
            }
        }
        assert_eq!((refused, hall.stage.commits()), (1, 1));
        hall.audit();
    });
}

#[test]
fn a_conflict_chooses_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let (service, rival) = (hall.service(), hall.rival());
        hall.stage.commit_gate.close();
        let choosing = hall.send(&service, &hall.best("ann", 2));
        sim.idle().await;
        reserved(rival.submit(hall.hold("rex", &["A2"], &[])).await);
        hall.stage.commit_gate.open();
        assert_eq!(names(&reserved(choosing.answer().await)), ["A3", "A4"]);
        hall.audit();
    });
}

#[test]
fn another_place_of_the_area_taken_meanwhile_is_no_conflict() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let (service, rival) = (hall.service(), hall.rival());
        hall.stage.commit_gate.close();
        let choosing = hall.send(&service, &hall.best("ann", 2));
        sim.idle().await;
        reserved(rival.submit(hall.hold("rex", &["A3", "B1"], &[])).await);
        hall.stage.commit_gate.open();
        assert_eq!(names(&reserved(choosing.answer().await)), ["A1", "A2"]);
        assert_eq!(hall.stage.commits(), 1);
    });
}

#[test]
fn choosing_again_is_bounded() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().conflict_retries_max(4)));
        let store = hall.store.clone();
        hall.stage.before_commit(move |groups| {
            let chosen = groups.iter().flat_map(|group| &group.writes).map(|write| &write.key);
            chosen.filter(|key| **key == record("A1")).for_each(|key| touch(&store, key));
        });
        assert!(matches!(refusal(service.submit(hall.best("ann", 2)).await), Rejection::Contended { .. }));
        assert_eq!(hall.stage.commits(), 5);
        assert_eq!(free_tickets(&hall.store), 20);
    });
}

#[test]
fn sold_out_is_said_only_of_what_is_committed() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let most: Vec<String> = (1..=10).flat_map(|n| [format!("A{n}"), format!("B{n}")]).collect();
        let most: Vec<&str> = most.iter().map(String::as_str).collect();
        hall.stage.commit_gate.close();
        let all = hall.send(&service, &hall.hold("ann", &most, &[]));
        let mut choosing = hall.send(&service, &hall.best("bob", 2));
        sim.idle().await;
        assert!(choosing.is_waiting(), "that all are taken is not committed");
        touch(&hall.store, &record("B5"));
        reserved(hall.rival().submit(hall.hold("rex", &["A9"], &[])).await);
        hall.stage.commit_gate.open();
        assert_eq!(refusal(all.answer().await), common::world::unavailable(&["A9"]));
        assert_eq!(names(&reserved(choosing.answer().await)), ["A1", "A2"]);
        hall.audit();
    });
}

#[test]
fn sold_out_is_not_said_of_what_was_given_back_just_before() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let row: Vec<String> = (1..=10).map(|n| format!("A{n}")).collect();
        let row: Vec<&str> = row.iter().map(String::as_str).collect();
        let other: Vec<String> = (1..=10).map(|n| format!("B{n}")).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        let hold = hall.hold("ann", &row, &[]);
        reserved(service.submit(hold.clone()).await);
        service.submit(hall.block(&other)).await.unwrap();
        hall.stage.load_gate.close();
        let release = hall.send(&service, &hall.release(&hold));
        let choosing = hall.send(&service, &hall.best("bob", 2));
        sim.idle().await;
        hall.stage.load_gate.open();
        reserved(release.answer().await);
        assert_eq!(reserved(choosing.answer().await).lines.places(), 2, "it was asked for after the release");
    });
}

#[test]
fn an_expired_hold_is_chosen_from() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1", "A2"], &[])).await);
        assert_eq!(names(&reserved(service.submit(hall.best("bob", 1)).await)), ["A3"]);
        hall.clock.step_seconds(600);
        assert_eq!(names(&reserved(service.submit(hall.best("cat", 3)).await)), ["A1", "A2", "A3"]);
        hall.audit();
    });
}

#[test]
fn an_area_that_does_not_exist_has_no_places() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let hold = Hold::new(sim.reservation_id(), customer("ann"), Lines::default());
        let command = hall.hold_of(hold.with_best_available(area("roof"), 1));
        let none = Rejection::NoNeighbours { area: area("roof"), wanted: 1, free: 0 };
        assert_eq!(refusal(hall.service().submit(command).await), none);
    });
}

#[test]
fn what_was_chosen_is_kept_through_an_unknown_outcome() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Applied]);
        let reservation = reserved(service.submit(hall.best("ann", 2)).await);
        assert_eq!(names(&reservation), ["A1", "A2"]);
        assert_eq!(free_tickets(&hall.store), 18);
        hall.audit();
    });
}

#[test]
fn chosen_places_are_locked_before_they_are_taken_and_chosen_again_when_lost() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service =
            hall.service_with(|builder| builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket)));
        hall.stage.load_gate.close();
        hall.stage.load_gate.let_one();
        let choosing = hall.send(&service, &hall.best("ann", 2));
        sim.idle().await;
        assert_eq!(hall.stage.load_gate.waiting(), 1, "the places are chosen and locked, not yet taken");
        reserved(hall.rival().submit(hall.hold("rex", &["A2"], &[])).await);
        hall.stage.load_gate.open();
        assert_eq!(names(&reserved(choosing.answer().await)), ["A3", "A4"]);
        let locks = |ids: [&str; 2]| ids.map(|id| format!("ticket:3:gig:{id}")).to_vec();
        assert_eq!(lock.asked(), [locks(["A1", "A2"]), locks(["A3", "A4"])]);
        hall.audit();
    });
}

#[test]
fn choosing_again_under_locks_is_bounded_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| {
            let limits = Limits::default().conflict_retries_max(3);
            let lock = SpyLock::new(&sim);
            builder.lock(lock).lock_policy(LockPolicy::Always(LockScope::Ticket)).limits(limits)
        });
        // Whatever was chosen is gone when it is looked at again.
        let (store, rival) = (hall.store.clone(), Rival::new(&hall));
        hall.stage.before_load(move |request| {
            let chosen = request.records.iter().find(|key| matches!(key, RecordKey::Ticket(_)));
            if let Some(RecordKey::Ticket(id)) = chosen {
                rival.takes(&store, id);
            }
        });
        assert!(matches!(refusal(service.submit(hall.best("ann", 1)).await), Rejection::Contended { .. }));
        assert_eq!((hall.stage.commits(), free_tickets(&hall.store)), (0, 16));
    });
}

/// Books a ticket by writing it, as a process without locks does.
struct Rival(ReservationId);

impl Rival {
    fn new(hall: &Hall) -> Self {
        Self(hall.sim.reservation_id())
    }

    fn takes(&self, store: &MemoryRepository, id: &TicketId) {
        let key = RecordKey::Ticket(id.clone());
        let request = LoadRequest { event: event(), records: vec![key.clone()], free_in: Vec::new() };
        let snapshot = store.load(&request).now_or_never().unwrap().unwrap();
        let read = snapshot.get(&key).unwrap();
        let Some(Record::Ticket(ticket)) = read.record.clone() else { panic!("no ticket {id}") };
        let record = Record::Ticket(Ticket { state: TicketState::Booked { reservation: self.0 }, ..ticket });
        let write = Write { key, version: read.version, decided_at: read.decided_at, record };
        let group = Group { reads: Vec::new(), writes: vec![write], ..Group::default() };
        store.commit(&event(), &[group]).now_or_never().unwrap().unwrap();
    }
}
