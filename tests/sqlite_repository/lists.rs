//! Holds that have lapsed, tickets that are free, pages, and what is purged.

use std::time::Duration;

use ticket_reservation::domain::{
    AreaId, BlockReason, Lapsed, LapsedOf, Lines, Place, Pool, PoolId, Record, RecordKey, Reservation, ReservationId,
    ReservationState, Ticket, TicketId, TicketState,
};
use ticket_reservation::ports::{
    ChangesError, LoadRequest, PAGE_MAX, PoolQuery, Purged, Repository, ReservationQuery, TicketQuery,
};

use crate::fixture::{
    NOW, a_pool, a_reservation, an_event, applied, at, commit, customer, event_id, fixture, held_until, load,
    operation_id, place, pool_id, reservation_id, standing, ticket_id, write,
};

#[tokio::test]
async fn the_oldest_expired_holds_come_with_their_pool_and_their_customer_up_to_the_bound() {
    let f = fixture();
    let mut writes = vec![
        write(RecordKey::Event, 0, an_event(Some(500))),
        write(RecordKey::Pool(pool_id()), 0, a_pool(500, 100, 0)),
    ];
    for number in 0..100 {
        // Deadlines fall as numbers rise; the last thirty are still alive.
        let until = NOW + 30 - i64::from(number);
        let record = a_reservation(number, "ann", standing(1), held_until(until));
        writes.push(write(RecordKey::Reservation(reservation_id(number)), 0, record));
    }
    commit(&f.repository, writes).await;
    let keys = vec![RecordKey::Pool(pool_id()), RecordKey::Allowance(customer("ann"))];
    let oldest: Vec<ReservationId> = (36..100).rev().map(reservation_id).collect();
    let of = [LapsedOf::Pool(pool_id()), LapsedOf::Customer(customer("ann"))];

    let snapshot = load(&f.repository, keys.clone()).await;
    for of in &of {
        assert_eq!(snapshot.lapsed(of), Some(&Lapsed { reservations: oldest.clone(), more: true }));
    }
    assert!(oldest.iter().all(|id| snapshot.get(&RecordKey::Reservation(*id)).unwrap().version == 1));
    let all = f.repository.lapsed(PAGE_MAX).await.unwrap();
    assert_eq!(all.len(), 70);
    assert_eq!(all[..64].iter().map(|(_, id)| *id).collect::<Vec<_>>(), oldest);

    // Those that are settled do not count any more; a hold ends at its deadline, not after it.
    let settle = (37..100)
        .map(|number| {
            let record = a_reservation(number, "ann", standing(1), ReservationState::Expired);
            write(RecordKey::Reservation(reservation_id(number)), 1, record)
        })
        .collect();
    commit(&f.repository, settle).await;
    let snapshot = load(&f.repository, keys).await;
    let left: Vec<ReservationId> = (30..37).rev().map(reservation_id).collect();
    for of in &of {
        assert_eq!(snapshot.lapsed(of), Some(&Lapsed { reservations: left.clone(), more: false }));
    }
}

#[tokio::test]
async fn every_pool_and_allowance_of_an_expired_hold_comes_with_its_own_expired_holds() {
    let f = fixture();
    let bar = PoolId::new("bar").unwrap();
    let both = Lines::merge([], [(pool_id(), 1), (bar.clone(), 1)]).unwrap();
    let in_bar = Lines::merge([], [(bar.clone(), 1)]).unwrap();
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(Some(9))),
            write(RecordKey::Pool(pool_id()), 0, a_pool(9, 1, 0)),
            write(RecordKey::Pool(bar.clone()), 0, a_pool(9, 2, 0)),
            write(RecordKey::Reservation(reservation_id(1)), 0, a_reservation(1, "ann", both, held_until(NOW))),
            write(RecordKey::Reservation(reservation_id(2)), 0, a_reservation(2, "bob", in_bar, held_until(NOW - 1))),
        ],
    )
    .await;
    let snapshot = load(&f.repository, vec![RecordKey::Pool(pool_id())]).await;
    let lapsed = |of| snapshot.lapsed(&of).map(|lapsed: &Lapsed| lapsed.reservations.clone());
    assert_eq!(lapsed(LapsedOf::Pool(pool_id())), Some(vec![reservation_id(1)]));
    assert_eq!(lapsed(LapsedOf::Customer(customer("ann"))), Some(vec![reservation_id(1)]));
    assert_eq!(lapsed(LapsedOf::Pool(bar)), Some([2, 1].map(reservation_id).to_vec()));
}

#[tokio::test]
async fn the_free_tickets_of_an_area_are_those_available_at_the_stores_clock() {
    let f = fixture();
    let held = |until| TicketState::Held { reservation: reservation_id(1), until: at(until) };
    let states = [
        ("free", TicketState::Available),
        ("lapsed", held(NOW)),
        ("held", held(NOW + 1)),
        ("booked", TicketState::Booked { reservation: reservation_id(1) }),
        ("blocked", TicketState::Blocked { reason: BlockReason::new("x").unwrap() }),
    ];
    let mut writes = vec![write(RecordKey::Event, 0, an_event(None))];
    for (number, (id, state)) in (0..).zip(states) {
        let ticket = Ticket { place: place(1, number), state };
        writes.push(write(RecordKey::Ticket(ticket_id(id)), 0, Record::Ticket(ticket)));
    }
    let elsewhere = Place { area: AreaId::new("B").unwrap(), row: 1, number: 1 };
    writes.push(write(RecordKey::Ticket(ticket_id("else")), 0, Record::Ticket(Ticket::available(elsewhere))));
    commit(&f.repository, writes).await;
    let area = AreaId::new("A").unwrap();
    let request = LoadRequest { event: event_id(), records: Vec::new(), free_in: vec![area.clone()] };
    let snapshot = f.repository.load(&request).await.unwrap();
    assert_eq!(snapshot.free(&area), Some(&[ticket_id("free"), ticket_id("lapsed")][..]));
    assert!(snapshot.get(&RecordKey::Ticket(ticket_id("lapsed"))).is_some());
    f.clock.set(NOW + 1);
    let snapshot = f.repository.load(&request).await.unwrap();
    assert_eq!(snapshot.free(&area).unwrap().len(), 3);
}

#[tokio::test]
async fn lists_come_in_pages_ordered_by_id() {
    let f = fixture();
    let mut writes =
        vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(9, 0, 0))];
    for number in 0..6_u16 {
        let area = AreaId::new(if number % 2 == 0 { "A" } else { "B" }).unwrap();
        let ticket = Ticket::available(Place { area, row: 1, number: number.into() });
        writes.push(write(RecordKey::Ticket(ticket_id(&format!("t{number}"))), 0, Record::Ticket(ticket)));
        let who = if number % 2 == 0 { "ann" } else { "bob" };
        let record = a_reservation(number, who, standing(1), held_until(NOW + i64::from(100 - number)));
        writes.push(write(RecordKey::Reservation(reservation_id(number)), 0, record));
    }
    commit(&f.repository, writes).await;

    let mut query = TicketQuery { event: event_id(), area: None, only_available: false, after: None, limit: 4 };
    let ids = |page: Vec<(TicketId, u64, Ticket)>| page.iter().map(|(id, ..)| id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t0", "t1", "t2", "t3"]);
    query.after = Some(ticket_id("t3"));
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t4", "t5"]);
    query.area = Some(AreaId::new("B").unwrap());
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t5"]);

    let mut query = ReservationQuery { event: Some(event_id()), customer: None, state: None, after: None, limit: 4 };
    let ids = |page: Vec<(u64, Reservation)>| page.iter().map(|(_, found)| found.id).collect::<Vec<_>>();
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [0, 1, 2, 3].map(reservation_id));
    query.after = Some(reservation_id(3));
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [4, 5].map(reservation_id));
    query = ReservationQuery { customer: Some(customer("ann")), after: Some(reservation_id(0)), ..query };
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [2, 4].map(reservation_id));

    let mut query = PoolQuery { event: event_id(), after: None, limit: 1 };
    assert_eq!(f.repository.pools(&query).await.unwrap(), [(pool_id(), 1, Pool::with_capacity(9))]);
    query.after = Some(pool_id());
    assert_eq!(f.repository.pools(&query).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_purged_is_refused_or_truncated_and_what_is_young_stays() {
    let f = fixture();
    let pool = |version| write(RecordKey::Pool(pool_id()), version, a_pool(9, 0, 0));
    let operation =
        |made_at, number| write(RecordKey::Operation(operation_id(made_at, number)), 0, applied(event_id(), None));
    commit(&f.repository, vec![write(RecordKey::Event, 0, an_event(None)), pool(0), operation(NOW, 1)]).await;
    commit(&f.repository, vec![operation(NOW + 1_000, 2), operation(NOW + 9_000_000, 3)]).await;
    let mut late = pool(1);
    late.decided_at = at(NOW + 9_000_000);
    commit(&f.repository, vec![late]).await;
    let retention = Duration::from_secs(1);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), Purged::default());
    let before = load(&f.repository, Vec::new()).await.operations_purged_before();
    assert_eq!(before, at(i64::MIN));

    f.clock.set(NOW + 5_000_000);
    let one = Purged { operations: 1, changes: 1 };
    assert_eq!(f.repository.purge(retention, 1).await.unwrap(), one);
    assert!(matches!(
        f.repository.changes(&event_id(), 0, 10).await,
        Err(ChangesError::Truncated { purged_through: 1 })
    ));
    assert_eq!(f.repository.changes(&event_id(), 1, 10).await.unwrap().len(), 2);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), one);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), Purged::default());
    let changes = f.repository.changes(&event_id(), 2, 10).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [3]);

    let keys = [(NOW, 1), (NOW + 1_000, 2), (NOW + 9_000_000, 3)]
        .map(|(made_at, number)| RecordKey::Operation(operation_id(made_at, number)));
    let snapshot = load(&f.repository, keys.to_vec()).await;
    assert_eq!(keys.map(|key| snapshot.get(&key).unwrap().version), [0, 0, 1]);
    assert_eq!(snapshot.operations_purged_before(), at(NOW + 4_000_000));

    // A clock that steps back lowers nothing, and the feed goes on where it was.
    f.clock.set(NOW);
    f.repository.purge(retention, 10).await.unwrap();
    assert_eq!(load(&f.repository, Vec::new()).await.operations_purged_before(), at(NOW + 4_000_000));
    commit(&f.repository, vec![pool(2)]).await;
    assert_eq!(f.repository.changes(&event_id(), 3, 10).await.unwrap()[0].sequence, 4);
}
