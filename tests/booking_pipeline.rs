//! What each command does through the booking service.

mod common;

use common::sim::simulate;
use common::world::{
    Hall, area, customer, event, lines, places, pool, refusal, reserved, seconds, ticket, tickets, unavailable,
};
use ticket_reservation::domain::{
    Action, ActionKind, Command, EventId, Import, LINES_MAX, Outcome, Place, Rejection, ReservationState, TicketState,
};

#[test]
fn a_hold_keeps_tickets_and_pool_places_until_its_deadline() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 10)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1", "A2"], &[("floor", 3)]);
        let receipt = service.submit(hold.clone()).await.unwrap();
        assert_eq!((receipt.kind, receipt.operation, receipt.repeated), (ActionKind::Hold, hold.operation, false));
        let reservation = receipt.outcome.reservation().unwrap();
        let until = receipt.at.after(seconds(600));
        assert_eq!(reservation.state, ReservationState::Held { until });
        assert_eq!(reservation.lines, lines(&["A1", "A2"], &[("floor", 3)]));
        assert_eq!(hall.ticket_state("A1"), TicketState::Held { reservation: reservation.id, until });
        assert_eq!(hall.ticket_state("A2"), TicketState::Held { reservation: reservation.id, until });
        assert_eq!((hall.pool_row("floor").held, hall.pool_row("floor").booked), (3, 0));
        hall.audit();
    });
}

#[test]
fn a_confirmed_hold_is_booked_and_a_cancelled_booking_is_free_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 10)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[("floor", 3)]);
        let held = reserved(service.submit(hold.clone()).await);
        let booked = reserved(service.submit(hall.confirm(&hold)).await);
        assert_eq!((booked.id, booked.state), (held.id, ReservationState::Booked));
        assert_eq!(hall.ticket_state("A1"), TicketState::Booked { reservation: held.id });
        assert_eq!((hall.pool_row("floor").held, hall.pool_row("floor").booked), (0, 3));
        hall.audit();
        let cancelled = reserved(service.submit(hall.cancel(&hold)).await);
        assert_eq!(cancelled.state, ReservationState::Cancelled);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        assert_eq!((hall.pool_row("floor").held, hall.pool_row("floor").booked), (0, 0));
        hall.audit();
    });
}

#[test]
fn a_released_hold_is_free_again_at_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 2)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        service.submit(hold.clone()).await.unwrap();
        let released = reserved(service.submit(hall.release(&hold)).await);
        assert_eq!(released.state, ReservationState::Released);
        reserved(service.submit(hall.hold("bob", &["A1"], &[("floor", 2)])).await);
        hall.audit();
    });
}

#[test]
fn an_extended_hold_lasts_until_its_new_deadline_and_no_longer_than_the_maximum() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        let held_at = service.submit(hold.clone()).await.unwrap().at;
        hall.clock.step_seconds(300);
        let extended = service.submit(hall.extend(&hold, Some(seconds(900)))).await.unwrap();
        let until = extended.at.after(seconds(900));
        assert_eq!(reserved(Ok(extended)).state, ReservationState::Held { until });
        assert!(matches!(hall.ticket_state("A1"), TicketState::Held { until: of_ticket, .. } if of_ticket == until));
        hall.clock.step_seconds(890);
        let extended = reserved(service.submit(hall.extend(&hold, Some(seconds(1800)))).await);
        let latest = held_at.after(seconds(1800));
        assert_eq!(extended.state, ReservationState::Held { until: latest });
        let refused = refusal(service.submit(hall.extend(&hold, None)).await);
        assert_eq!(refused, Rejection::ExtensionLimit { until: latest });
    });
}

#[test]
fn a_transferred_reservation_obeys_its_new_customer_alone() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        service.submit(hold.clone()).await.unwrap();
        let transferred = reserved(service.submit(hall.transfer(&hold, "bob")).await);
        assert_eq!(transferred.customer, customer("bob"));
        assert!(matches!(transferred.state, ReservationState::Held { .. }));
        assert_eq!(refusal(service.submit(hall.confirm(&hold)).await), Rejection::NotOwner);
        let by_bob = Action::Confirm { reservation: transferred.id, customer: customer("bob") };
        assert_eq!(reserved(service.submit(hall.command(by_bob)).await).state, ReservationState::Booked);
        hall.audit();
    });
}

#[test]
fn blocked_tickets_are_off_sale_until_they_are_unblocked() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let receipt = service.submit(hall.block(&["A1", "A2", "A1"])).await.unwrap();
        assert_eq!(receipt.outcome, Outcome::Inventory { changed: 2 });
        let refused = refusal(service.submit(hall.hold("ann", &["A1", "A3"], &[])).await);
        assert_eq!(refused, unavailable(&["A1"]));
        let refused = refusal(service.submit(hall.unblock(&["A2", "A3"])).await);
        assert_eq!(refused, Rejection::NotBlocked { tickets: tickets(&["A3"]) });
        assert!(matches!(hall.ticket_state("A2"), TicketState::Blocked { .. }), "all or none");
        service.submit(hall.unblock(&["A1", "A2"])).await.unwrap();
        reserved(service.submit(hall.hold("ann", &["A1", "A2"], &[])).await);
        hall.audit();
    });
}

#[test]
fn a_block_takes_all_tickets_or_none() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A2"], &[])).await);
        assert_eq!(refusal(service.submit(hall.block(&["A1", "A2"])).await), unavailable(&["A2"]));
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
    });
}

#[test]
fn a_block_that_names_a_ticket_twice_names_it_once_in_its_refusal() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(refusal(service.submit(hall.block(&["A1", "A1"])).await), unavailable(&["A1"]));
        let refused = refusal(service.submit(hall.block(&["Z9", "Z9"])).await);
        assert_eq!(refused, Rejection::UnknownTickets { tickets: tickets(&["Z9"]) });
    });
}

#[test]
fn duplicates_of_a_block_do_not_count_against_its_bound() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let many = vec!["A1"; LINES_MAX + 1];
        let receipt = service.submit(hall.block(&many)).await.unwrap();
        assert_eq!(receipt.outcome, Outcome::Inventory { changed: 1 });
    });
}

#[test]
fn duplicates_of_a_hold_are_merged_before_anything_is_checked() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1", "A1", "A2"], &[("floor", 2), ("floor", 3)]);
        let reservation = reserved(service.submit(hold).await);
        assert_eq!(reservation.lines, lines(&["A1", "A2"], &[("floor", 5)]));
        assert_eq!(reservation.lines.places(), 7);
        assert_eq!(hall.pool_row("floor").held, 5);
        hall.audit();
    });
}

#[test]
fn a_hold_takes_everything_or_nothing() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 2), ("gallery", 9)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1", "A2"], &[("floor", 3), ("gallery", 1)]);
        let refused = refusal(service.submit(hold.clone()).await);
        assert_eq!(refused, Rejection::Insufficient { pool: pool("floor"), wanted: 3, free: 2 });
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        assert_eq!((hall.pool_row("floor").held, hall.pool_row("gallery").held), (0, 0));
        assert_eq!(hall.reservation(&hold), None);
        reserved(service.submit(hall.hold("bob", &["A2"], &[])).await);
        let refused = refusal(service.submit(hall.hold("ann", &["A1", "A2"], &[("floor", 1)])).await);
        assert_eq!(refused, unavailable(&["A2"]));
        assert_eq!((hall.ticket_state("A1"), hall.pool_row("floor").held), (TicketState::Available, 0));
        hall.audit();
    });
}

#[test]
fn importing_again_adds_what_is_new_and_refuses_what_differs() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1"], &[("floor", 2)])).await);
        let added = service.import(&event(), places(), vec![(pool("floor"), 5), (pool("roof"), 1)]).await;
        assert_eq!(added.unwrap(), 1);
        assert!(matches!(hall.ticket_state("A1"), TicketState::Held { .. }), "what is there keeps its state");
        assert_eq!(hall.pool_row("floor").held, 2);
        let elsewhere = Place { area: area("A"), row: 9, number: 9 };
        let import = Import { tickets: vec![(ticket("A2"), elsewhere)], pools: vec![(pool("floor"), 6)], last: true };
        let refused = refusal(service.submit(hall.command(Action::Import(import))).await);
        let mismatch = Rejection::InventoryMismatch { tickets: tickets(&["A2"]), pools: vec![pool("floor")] };
        assert_eq!(refused, mismatch);
        hall.audit();
    });
}

#[test]
fn an_operation_id_repeats_its_answer_and_refuses_other_content() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        let first = service.submit(hold.clone()).await.unwrap();
        service.submit(hall.confirm(&hold)).await.unwrap();
        hall.clock.step_seconds(5);
        let again = service.submit(hold.clone()).await.unwrap();
        assert!(again.repeated);
        assert_eq!((again.at, &again.outcome), (first.at, &first.outcome), "the answer is what it was then");
        let other = Command { operation: hold.operation, ..hall.hold("ann", &["A2"], &[]) };
        assert_eq!(refusal(service.submit(other).await), Rejection::OperationReused);
        let elsewhere = Command { event: EventId::new("other").unwrap(), ..hold };
        assert_eq!(refusal(service.submit(elsewhere).await), Rejection::OperationReused);
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
    });
}

#[test]
fn a_refused_operation_is_decided_again_when_it_is_asked_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let first = hall.hold("ann", &["A1"], &[]);
        service.submit(first.clone()).await.unwrap();
        let second = hall.hold("bob", &["A1"], &[]);
        assert_eq!(refusal(service.submit(second.clone()).await), unavailable(&["A1"]));
        service.submit(hall.release(&first)).await.unwrap();
        let receipt = service.submit(second).await.unwrap();
        assert!(!receipt.repeated);
    });
}
