//! Rows of a load as records.

use ticket_reservation::domain::{
    ActionKind, Allowance, AreaId, BlockReason, Event, EventId, EventState, Fingerprint, Lapsed, LapsedOf, Lines,
    OperationRecord, Place, Pool, Record, RecordKey, Recorded, Reservation, ReservationState, SalesWindow, Ticket,
    TicketId, TicketState, Versioned,
};
use ticket_reservation::ports::{LAPSED_MAX, LoadRequest};

use super::answers::{
    ALLOWANCE, Columns, EVENT, LAPSED, LINE, OPERATION, POOL, RESERVATION, TICKET, begin, changed, event_row,
    load_answer, load_end, pool_row, table,
};
use super::rows::{
    allowance_row, at, customer, held_ticket_row, lapsed_row, line_row, loaded, null, number, of, operation_id,
    operation_row, reservation_id, reservation_row, stalls, ticket_row, uuid_of,
};
use super::scripted_tds::{Answer, Value};
use super::stage::{event, pool_id, ticket_id};

async fn read_as(kind: &str, columns: Columns, row: Vec<Value>, key: RecordKey) -> Option<Record> {
    let snapshot = loaded(&of(Vec::new()), load_answer([table(kind, columns, [row])])).await.expect("a snapshot");
    snapshot.get(&key).expect("it is there").record.clone()
}

#[tokio::test]
async fn an_event_is_read_with_its_window_and_its_limit() {
    let open = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
    assert_eq!(read_as("event", EVENT, event_row(), RecordKey::Event).await, Some(Record::Event(open)));
    let row = changed(EVENT, event_row(), "state", "preparing".into());
    let row = changed(EVENT, changed(EVENT, row, "opens_at", number(i64::MIN)), "closes_at", number(i64::MAX));
    let row = changed(EVENT, row, "limit_per_customer", number(u32::MAX.into()));
    let window = SalesWindow { opens: Some(at(i64::MIN)), closes: Some(at(i64::MAX)) };
    let closed = Event { state: EventState::Preparing, window, limit_per_customer: Some(u32::MAX) };
    assert_eq!(read_as("event", EVENT, row, RecordKey::Event).await, Some(Record::Event(closed)));
}

#[tokio::test]
async fn a_ticket_is_read_in_each_of_its_states() {
    let reservation = reservation_id(9);
    let held = held_ticket_row();
    let booked = changed(TICKET, changed(TICKET, held.clone(), "state", "booked".into()), "held_until", null());
    let blocked = changed(TICKET, ticket_row("A 2"), "state", "blocked".into());
    let blocked = changed(TICKET, blocked, "block_reason", "camera 🎥".into());
    let reason = BlockReason::new("camera 🎥").unwrap();
    for (row, state) in [
        (ticket_row("A 2"), TicketState::Available),
        (held, TicketState::Held { reservation, until: at(999) }),
        (booked, TicketState::Booked { reservation }),
        (blocked, TicketState::Blocked { reason }),
    ] {
        let expected = Ticket { place: Place { area: stalls(), row: 1, number: 2 }, state };
        let key = RecordKey::Ticket(ticket_id("A 2"));
        assert_eq!(read_as("ticket", TICKET, row, key).await, Some(Record::Ticket(expected)));
    }
}

#[tokio::test]
async fn the_largest_numbers_and_the_longest_ids_are_read_as_they_are() {
    let long = "🎫".repeat(16);
    let most = i64::from(u32::MAX);
    let row = changed(TICKET, changed(TICKET, ticket_row(&long), "row_rank", number(most)), "area_id", (&*long).into());
    let row = changed(TICKET, changed(TICKET, row, "place_number", number(most)), "version", number(i64::MAX));
    let row = changed(TICKET, row, "decided_at", number(i64::MIN));
    let snapshot = loaded(&of(Vec::new()), load_answer([table("ticket", TICKET, [row])])).await.expect("a snapshot");
    let place = Place { area: AreaId::new(&long).unwrap(), row: u32::MAX, number: u32::MAX };
    let record = Record::Ticket(Ticket::available(place));
    let expected = Versioned::new(i64::MAX.unsigned_abs(), at(i64::MIN), record);
    assert_eq!(snapshot.get(&RecordKey::Ticket(ticket_id(&long))), Some(&expected));
    let full = Pool { capacity: u32::MAX, held: 0, booked: u32::MAX };
    let key = RecordKey::Pool(pool_id("floor"));
    assert_eq!(read_as("pool", POOL, pool_row("floor", [most, 0, most]), key).await, Some(Record::Pool(full)));
}

#[tokio::test]
async fn a_reservation_is_read_with_the_lines_before_it() {
    let ticket_line = vec![uuid_of(9), "A 1".into(), null(), number(1)];
    let lines = table("line", LINE, [line_row(9), ticket_line, line_row(8)]);
    let cancelled = changed(RESERVATION, reservation_row(8), "state", "cancelled".into());
    let cancelled = changed(RESERVATION, cancelled, "held_until", null());
    let answer = load_answer([lines, table("reservation", RESERVATION, [reservation_row(9), cancelled])]);
    let (first, second) = (RecordKey::Reservation(reservation_id(9)), RecordKey::Reservation(reservation_id(8)));
    let snapshot = loaded(&of(vec![first.clone(), second.clone()]), answer).await.expect("a snapshot");
    let floor = (pool_id("floor"), 2);
    let held = Reservation {
        id: reservation_id(9),
        event: event(),
        customer: customer(),
        lines: Lines::merge([ticket_id("A 1")], [floor.clone()]).unwrap(),
        state: ReservationState::Held { until: at(999) },
        held_at: at(500),
    };
    assert_eq!(snapshot.get(&first), Some(&Versioned::new(6, at(400), Record::Reservation(held.clone()))));
    let (id, state) = (reservation_id(8), ReservationState::Cancelled);
    let cancelled = Reservation { id, state, lines: Lines::merge([], [floor]).unwrap(), ..held };
    assert_eq!(snapshot.get(&second), Some(&Versioned::new(6, at(400), Record::Reservation(cancelled))));
}

#[tokio::test]
async fn an_operation_is_read_as_it_was_recorded() {
    let recorded = Recorded::Applied {
        kind: ActionKind::from_name("hold").unwrap(),
        reservation: Some(reservation_id(9)),
        customer: Some(customer()),
        until: Some(at(999)),
        changed: 2,
    };
    let fingerprint = Fingerprint::from_bytes([3; 16]);
    let voided = ["reservation_id", "customer_id", "held_until"];
    let voided = voided.into_iter().fold(operation_row(), |row, column| changed(OPERATION, row, column, null()));
    let voided = changed(OPERATION, voided, "action", "voided".into());
    for (row, recorded) in [(operation_row(), recorded), (voided, Recorded::Voided)] {
        let expected = OperationRecord { event: event(), fingerprint, recorded };
        let key = RecordKey::Operation(operation_id());
        assert_eq!(read_as("operation", OPERATION, row, key).await, Some(Record::Operation(expected)));
    }
}

#[tokio::test]
async fn expired_holds_are_listed_by_deadline_and_counted_up_to_a_bound() {
    let one_too_many = (0..=u8::try_from(LAPSED_MAX).unwrap()).rev();
    let of_pool = one_too_many.map(|it| lapsed_row("floor", it, i64::from(it)));
    let answer = load_answer([
        table("pool", POOL, [pool_row("floor", [100, 2, 0]), pool_row("gallery", [100, 0, 0])]),
        table("allowance", ALLOWANCE, [allowance_row()]),
        table("lapsed in pool", LAPSED, of_pool),
        table("lapsed of customer", LAPSED, [lapsed_row("alice", 2, 20), lapsed_row("alice", 1, 10)]),
    ]);
    let snapshot = loaded(&of(Vec::new()), answer).await.expect("a snapshot");
    let first = (0..LAPSED_MAX).map(|it| reservation_id(u8::try_from(it).unwrap())).collect();
    let floor = LapsedOf::Pool(pool_id("floor"));
    assert_eq!(snapshot.lapsed(&floor), Some(&Lapsed { reservations: first, more: true }));
    assert_eq!(snapshot.lapsed(&LapsedOf::Pool(pool_id("gallery"))), Some(&Lapsed::default()));
    let both = Lapsed { reservations: vec![reservation_id(1), reservation_id(2)], more: false };
    assert_eq!(snapshot.lapsed(&LapsedOf::Customer(customer())), Some(&both));
    let allowance = Record::Allowance(Allowance { held: 2, booked: 1 });
    assert_eq!(snapshot.get(&RecordKey::Allowance(customer())), Some(&Versioned::new(5, at(600), allowance)));
}

#[tokio::test]
async fn free_tickets_are_listed_by_area_and_an_area_without_any_has_an_empty_list() {
    let gallery = AreaId::new("gallery").unwrap();
    let request = LoadRequest { free_in: vec![stalls(), gallery.clone()], ..of(Vec::new()) };
    let answer = load_answer([table("free", TICKET, [ticket_row("A 1"), held_ticket_row()])]);
    let snapshot = loaded(&request, answer).await.expect("a snapshot");
    let free: Vec<TicketId> = snapshot.free(&stalls()).expect("a list").to_vec();
    assert_eq!(free, [ticket_id("A 1"), ticket_id("A 2")]);
    assert_eq!(snapshot.free(&gallery), Some(&[][..]));
    assert!(snapshot.get(&RecordKey::Ticket(ticket_id("A 2"))).is_some(), "with their records");
}

#[tokio::test]
async fn what_was_asked_for_and_is_not_there_is_absent() {
    let keys = vec![
        RecordKey::Ticket(ticket_id("A 1")),
        RecordKey::Pool(pool_id("floor")),
        RecordKey::Allowance(customer()),
        RecordKey::Reservation(reservation_id(1)),
        RecordKey::Operation(operation_id()),
    ];
    let snapshot = loaded(&of(keys.clone()), load_answer([])).await.expect("a snapshot");
    for key in keys.iter().chain([&RecordKey::Event]) {
        assert_eq!(snapshot.get(key), Some(&Versioned::ABSENT), "{key:?}");
    }
    assert_eq!(snapshot.lapsed(&LapsedOf::Pool(pool_id("floor"))), None);
}

#[tokio::test]
async fn the_clock_and_what_may_be_purged_are_read() {
    let answer = |purged| Answer::rows(begin(i64::MAX, 7)).then_rows(load_end(7, purged));
    let snapshot = loaded(&of(Vec::new()), answer(Some(-5))).await.expect("a snapshot");
    assert_eq!((snapshot.clock(), snapshot.operations_purged_before()), (at(i64::MAX), at(-5)));
    let snapshot = loaded(&of(Vec::new()), answer(None)).await.expect("a snapshot");
    assert_eq!(snapshot.operations_purged_before(), at(i64::MIN));
}

/// A server sends rows so where many values are null.
#[tokio::test]
async fn rows_with_null_bitmaps_are_read_like_others() {
    let answer = load_answer([table("event", EVENT, [event_row()]).null_bitmaps()]);
    let snapshot = loaded(&of(Vec::new()), answer).await.expect("a snapshot");
    assert_eq!(snapshot.get(&RecordKey::Event).map(|read| read.version), Some(2));
}

/// A reservation's id names it in all events.
#[tokio::test]
async fn a_reservation_of_another_event_is_read_as_it_is() {
    let row = changed(RESERVATION, reservation_row(9), "event_id", "ball".into());
    let read = read_as("reservation", RESERVATION, row, RecordKey::Reservation(reservation_id(9))).await;
    let Some(Record::Reservation(found)) = read else { panic!("{read:?} is no reservation") };
    assert_eq!((found.event, found.lines), (EventId::new("ball").unwrap(), Lines::default()));
}
