//! Holds whose deadline has passed, and that still count in a pool or an allowance.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, SOON, customer_id, event_id, lines, nth_ticket, pool, pool_id, pool_key, reservation, ticket,
    ticket_key, too_slow,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{
    Allowance, EventId, Lapsed, LapsedOf, Record, RecordKey, ReservationId, ReservationState, TicketState, Timestamp,
};
use crate::ports::{LAPSED_MAX, RuntimeExt};

fn of_floor() -> LapsedOf {
    LapsedOf::Pool(pool_id("floor"))
}

fn allowance(customer: &str, held: u32) -> (RecordKey, Record) {
    (RecordKey::Allowance(customer_id(customer)), Record::Allowance(Allowance { held, booked: 0 }))
}

/// The lapsed holds of a pool or customer, with the clock that they were judged by.
async fn lapsed(bench: &RepositoryBench, event: &EventId, of: &LapsedOf) -> Result<(Lapsed, Timestamp), Failure> {
    let snapshot = bench.load(event, &[of.record_key()]).await?;
    let Some(lapsed) = snapshot.lapsed(of) else {
        return Err(Failure::new(format!(
            "{of:?} was asked for, and its list of expired holds is not in the snapshot"
        )));
    };
    for id in &lapsed.reservations {
        match snapshot.get(&RecordKey::Reservation(*id)).and_then(|versioned| versioned.record.as_ref()) {
            Some(Record::Reservation(found)) => {
                ensure!(found.is_lapsed(snapshot.clock()), "{id} is listed as expired and is {:?}", found.state);
                ensure_eq!(found.event, *event, "the event of an expired hold");
            }
            other => return Err(Failure::new(format!("{id} is listed as expired, its record is {other:?}"))),
        }
    }
    Ok((lapsed.clone(), snapshot.clock()))
}

/// A reservation of `floor` places, held until some time.
fn held(
    bench: &RepositoryBench,
    event: &EventId,
    customer: &str,
    quantity: u32,
    until: Timestamp,
) -> (ReservationId, (RecordKey, Record)) {
    let id = bench.runtime.reservation_id();
    let of_floor = lines(&[], &[("floor", quantity)]);
    let record = reservation(id, event, customer, of_floor, ReservationState::Held { until });
    (id, (RecordKey::Reservation(id), record))
}

/// A pool full of single places, the first one held longest ago. In the order of their deadlines.
async fn full_of_lapsed(bench: &RepositoryBench, event: &EventId, count: u32) -> Result<Vec<ReservationId>, Failure> {
    let past = bench.clock().await?.before(Duration::from_secs(3_600));
    let mut ids = Vec::new();
    let mut records = vec![(pool_key("floor"), pool(count, count, 0))];
    for n in 0..count {
        let until = past.after(Duration::from_micros(u64::from(n) * 7));
        let (id, record) = held(bench, event, &format!("customer {n}"), 1, until);
        ids.push(id);
        records.push(record);
    }
    // The order of ids must not be the order of deadlines by chance.
    records.reverse();
    bench.put(event, records).await?;
    Ok(ids)
}

pub(super) async fn a_hold_is_lapsed_from_its_deadline_on(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[("floor", 5)], Some(9)).await?;
    bench.put(&event, vec![allowance("ada", 0)]).await?;
    let ada = LapsedOf::Customer(customer_id("ada"));
    for of in [of_floor(), ada.clone()] {
        ensure_eq!(lapsed(bench, &event, &of).await?.0, Lapsed::default(), "the expired holds when there are none");
    }
    let (id, (key, _)) = held(bench, &event, "ada", 2, Timestamp::EPOCH);
    for ttl in SOON {
        let until = bench.clock().await?.after(ttl);
        let of_two = lines(&[], &[("floor", 2)]);
        let record = reservation(id, &event, "ada", of_two, ReservationState::Held { until });
        bench.put(&event, vec![(key.clone(), record), (pool_key("floor"), pool(5, 2, 0)), allowance("ada", 2)]).await?;
        let looked_before = AtomicBool::new(false);
        bench
            .wait_for("the hold is over", || async {
                let mut over = true;
                for of in [of_floor(), ada.clone()] {
                    let (found, clock) = lapsed(bench, &event, &of).await?;
                    over &= until <= clock;
                    let reservations = if until <= clock { vec![id] } else { Vec::new() };
                    let expected = Lapsed { reservations, more: false };
                    ensure_eq!(found, expected, "the expired holds of {of:?} at {clock}, one is held until {until}");
                }
                looked_before.fetch_or(!over, Ordering::Relaxed);
                Ok(over.then_some(()))
            })
            .await?;
        if looked_before.into_inner() {
            return Ok(());
        }
    }
    Err(too_slow())
}

pub(super) async fn the_oldest_come_first_and_their_number_is_bounded(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 500)], None).await?;
    let ids = full_of_lapsed(bench, &event, LAPSED_MAX as u32 + 9).await?;
    let (found, _) = lapsed(bench, &event, &of_floor()).await?;
    ensure_eq!(found.reservations, ids[..LAPSED_MAX].to_vec(), "the expired holds, the oldest first");
    ensure!(found.more, "the store has more expired holds and does not say so");
    Ok(())
}

pub(super) async fn exactly_as_many_as_fit_are_all(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 500)], None).await?;
    let ids = full_of_lapsed(bench, &event, LAPSED_MAX as u32).await?;
    let (found, _) = lapsed(bench, &event, &of_floor()).await?;
    ensure_eq!(found, Lapsed { reservations: ids, more: false }, "the expired holds");
    Ok(())
}

pub(super) async fn what_was_settled_is_not_listed(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 500), ("balcony", 500)], Some(9)).await?;
    bench.put(&event, vec![allowance("ada", 9)]).await?;
    let clock = bench.clock().await?;
    let (past, future) = (clock.before(Duration::from_secs(60)), clock.after(Duration::from_secs(3_600)));
    let ada = LapsedOf::Customer(customer_id("ada"));
    let settled = [
        ReservationState::Expired,
        ReservationState::Released,
        ReservationState::Booked,
        ReservationState::Cancelled,
        ReservationState::Held { until: future },
    ];
    let mut left = Vec::new();
    for state in settled {
        let ids = [bench.runtime.reservation_id(), bench.runtime.reservation_id()];
        let of_both = lines(&[], &[("floor", 2), ("balcony", 1)]);
        let record = |id, state| (RecordKey::Reservation(id), reservation(id, &event, "ada", of_both.clone(), state));
        bench.put(&event, ids.map(|id| record(id, ReservationState::Held { until: past })).to_vec()).await?;
        bench.put(&event, vec![record(ids[0], state)]).await?;
        left.push(ids[1]);
        left.sort_unstable();
        for of in [of_floor(), LapsedOf::Pool(pool_id("balcony")), ada.clone()] {
            let (mut found, _) = lapsed(bench, &event, &of).await?;
            found.reservations.sort_unstable();
            ensure_eq!(found.reservations, left, "the expired holds of {of:?} after one has become {state:?}");
        }
        let mut found: Vec<ReservationId> =
            bench.repository.lapsed(1_000).await?.into_iter().map(|(_, id)| id).collect();
        found.sort_unstable();
        ensure_eq!(found, left, "the expired holds for the sweeper after one has become {state:?}");
    }
    Ok(())
}

pub(super) async fn a_customers_list_follows_transfers(bench: &RepositoryBench) -> Checked {
    let (event, other) = (event_id("concert"), event_id("other"));
    let past = bench.clock().await?.before(Duration::from_secs(60));
    for event in [&event, &other] {
        bench.stage(event, 0, &[("floor", 500)], Some(9)).await?;
        bench.put(event, vec![allowance("ada", 1), allowance("grace", 1)]).await?;
    }
    let (elsewhere, record) = held(bench, &other, "ada", 1, past);
    bench.put(&other, vec![record]).await?;
    let (id, record) = held(bench, &event, "ada", 1, past);
    bench.put(&event, vec![record]).await?;
    let list = async |event: &EventId, customer: &str| {
        lapsed(bench, event, &LapsedOf::Customer(customer_id(customer))).await.map(|(found, _)| found.reservations)
    };
    ensure_eq!(list(&event, "ada").await?, vec![id], "the expired holds of ada, in this event alone");
    let record = reservation(id, &event, "grace", lines(&[], &[("floor", 1)]), ReservationState::Held { until: past });
    bench.put(&event, vec![(RecordKey::Reservation(id), record)]).await?;
    ensure_eq!(list(&event, "ada").await?, Vec::new(), "the expired holds of ada after the transfer");
    ensure_eq!(list(&event, "grace").await?, vec![id], "the expired holds of grace after the transfer");
    ensure_eq!(list(&other, "ada").await?, vec![elsewhere], "the expired holds of ada in the other event");
    Ok(())
}

/// Two events with pools of the same name, and customers of the same name.
pub(super) async fn a_list_is_of_one_event(bench: &RepositoryBench) -> Checked {
    let past = bench.clock().await?.before(Duration::from_secs(60));
    let mut expected = Vec::new();
    for (n, event) in ["here", "there", "elsewhere"].map(event_id).into_iter().enumerate() {
        bench.stage(&event, 0, &[("floor", 500)], Some(9)).await?;
        bench.put(&event, vec![(pool_key("floor"), pool(500, 2, 0)), allowance("ada", 2)]).await?;
        let mut ids = Vec::new();
        for (m, customer) in ["ada", "ada"].into_iter().enumerate() {
            // Their deadlines are mixed over the events.
            let until = past.after(Duration::from_millis((10 * m + n) as u64));
            let (id, record) = held(bench, &event, customer, 1, until);
            bench.put(&event, vec![record]).await?;
            ids.push(id);
        }
        expected.push((event, ids));
    }
    for (event, ids) in expected {
        for of in [of_floor(), LapsedOf::Customer(customer_id("ada"))] {
            let found = lapsed(bench, &event, &of).await?.0;
            let expected = Lapsed { reservations: ids.clone(), more: false };
            ensure_eq!(found, expected, "the expired holds of {of:?} of event {event}");
        }
    }
    Ok(())
}

pub(super) async fn all_events_are_listed_for_the_sweeper(bench: &RepositoryBench) -> Checked {
    let clock = bench.clock().await?;
    let mut expected = Vec::new();
    for n in 0..12_u64 {
        let event = event_id(&format!("event {}", n % 3));
        if n < 3 {
            bench.stage(&event, 20, &[("floor", 500)], None).await?;
        }
        let until = clock.before(Duration::from_secs(60 + n));
        let (id, mut record) = held(bench, &event, "ada", 1, until);
        let mut records = Vec::new();
        if n % 2 == 0 {
            // A hold of tickets alone counts in no pool; the sweeper settles it all the same.
            let of_ticket = lines(&[nth_ticket(n as u32)], &[]);
            record.1 = reservation(id, &event, "ada", of_ticket, ReservationState::Held { until });
            let of_ticket = ticket(n as u32, TicketState::Held { reservation: id, until });
            records.push((ticket_key(n as u32), of_ticket));
        }
        records.push(record);
        let (_, live) = held(bench, &event, "ada", 1, clock.after(Duration::from_secs(3_600)));
        records.push(live);
        bench.put(&event, records).await?;
        expected.insert(0, (event, id));
    }
    for limit in [1, 5, 12, 1_000] {
        let found = bench.repository.lapsed(limit).await?;
        ensure_eq!(found, expected[..limit.min(12)].to_vec(), "the expired holds of all events, at most {limit}");
    }
    Ok(())
}

/// More expired holds than one load returns: they are settled step by step, without a sweeper, and none is in the way.
pub(super) async fn a_pool_full_of_expired_holds_can_be_sold_at_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let count = 3 * LAPSED_MAX as u32 + 5;
    bench.stage(&event, 0, &[("floor", count)], None).await?;
    let ids = full_of_lapsed(bench, &event, count).await?;
    let service = service::on(bench, bench.open().await?)?;
    let command = service::hold(bench, &event, "grace", lines(&[], &[("floor", count)]));
    let receipt = service.submit(command).await.map_err(|error| Failure::from(error).at("all places of the pool"))?;
    ensure!(receipt.outcome.reservation().is_some_and(|it| it.is_live_hold(receipt.at)), "{receipt:?}");
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(count, count, 0)), "the pool");
    for id in ids {
        match bench.get(&event, &RecordKey::Reservation(id)).await?.record {
            Some(Record::Reservation(found)) => {
                ensure_eq!(found.state, ReservationState::Expired, "an expired hold whose place was sold");
            }
            other => return Err(Failure::new(format!("expected a reservation, found {other:?}"))),
        }
    }
    Ok(())
}

pub(super) async fn an_allowance_full_of_expired_holds_can_be_used_at_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let count = LAPSED_MAX as u32 + 6;
    bench.stage(&event, 3, &[("floor", 1_000)], Some(count)).await?;
    let past = bench.clock().await?.before(Duration::from_secs(60));
    let ada = RecordKey::Allowance(customer_id("ada"));
    let mut records: Vec<_> = (0..count).map(|_| held(bench, &event, "ada", 1, past).1).collect();
    records.push((pool_key("floor"), pool(1_000, count, 0)));
    records.push((ada.clone(), Record::Allowance(Allowance { held: count, booked: 0 })));
    bench.put(&event, records).await?;
    let service = service::on(bench, bench.open().await?)?;
    let all = lines(&[nth_ticket(0), nth_ticket(2)], &[("floor", count - 2)]);
    let command = service::hold(bench, &event, "ada", all);
    let _ = service.submit(command).await.map_err(|error| Failure::from(error).at("as many as the limit allows"))?;
    let expected = Record::Allowance(Allowance { held: count, booked: 0 });
    ensure_eq!(bench.get(&event, &ada).await?.record, Some(expected), "the allowance");
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(1_000, count - 2, 0)), "the pool");
    Ok(())
}
