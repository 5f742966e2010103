use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::booking::BookingError;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, blocked, customer_id, event_id, lines, load, nth_ticket, pool_key, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::contest::Dice;
use crate::conformance::faults::{ClockOffset, SkewedClock};
use crate::conformance::service;
use crate::domain::{Action, Record, Rejection, ReservationId, TicketState, Timestamp};

const HOUR_MICROS: i64 = 3_600_000_000;

pub(super) async fn all_handles_share_one_clock_that_runs(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let other = bench.open().await?;
    let first = bench.clock().await?;
    for _ in 0..5 {
        let here = bench.clock().await?;
        let there = load(&*other, &event, &[]).await?.clock();
        let again = bench.clock().await?;
        let slack = Duration::from_millis(5);
        let between = here.before(slack) <= there && there <= again.after(slack);
        ensure!(between, "two handles on one store do not share a clock: {here}, {there}, {again}");
    }
    bench.wait_until(first.after(Duration::from_millis(20))).await
}

/// What was decided at a time stays decided: who lost a hold to its deadline does not get it back.
pub(super) async fn a_clock_stepping_back_revives_no_hold(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 2)], Some(4)).await?;
    let offset = ClockOffset::new();
    let service = service::on(bench, Arc::new(SkewedClock::new(bench.open().await?, offset.clone())))?;
    let of_ada = service::hold(bench, &event, "ada", lines(&[nth_ticket(0), nth_ticket(1)], &[]));
    let _ = service.submit(of_ada.clone()).await?;
    offset.set_micros(HOUR_MICROS);
    let of_grace = service::hold(bench, &event, "grace", lines(&[nth_ticket(0)], &[]));
    let held = service.submit(of_grace.clone()).await.map_err(|error| Failure::from(error).at("after the deadline"))?;
    offset.set_micros(0);
    let late = service::confirm(bench, &event, "ada", service::reservation_of(&of_ada)?);
    match service.submit(late).await {
        Err(BookingError::Rejected(Rejection::HoldExpired)) => {}
        other => return Err(Failure::new(format!("a hold that others have taken over is confirmed: {other:?}"))),
    }
    let third = service::hold(bench, &event, "mary", lines(&[nth_ticket(0)], &[]));
    match service.submit(third).await {
        Err(BookingError::Rejected(Rejection::Unavailable { .. })) => {}
        other => return Err(Failure::new(format!("a ticket held by another one: {other:?}"))),
    }
    let confirm = service::confirm(bench, &event, "grace", service::reservation_of(&of_grace)?);
    let booked = service.submit(confirm).await?;
    ensure!(
        booked.at >= held.at,
        "a later decision on the same records has an earlier time: {} < {}",
        booked.at,
        held.at
    );
    match bench.get(&event, &ticket_key(0)).await?.record {
        Some(Record::Ticket(found)) => {
            ensure_eq!(found.owner(), Some(service::reservation_of(&of_grace)?), "the owner of the ticket");
        }
        other => return Err(Failure::new(format!("expected a ticket, found {other:?}"))),
    }
    Ok(())
}

pub(super) async fn a_clock_stepping_back_and_forth_sells_nothing_twice(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 6, &[("floor", 8)], Some(6)).await?;
    let offset = ClockOffset::new();
    let service = service::on(bench, Arc::new(SkewedClock::new(bench.open().await?, offset.clone())))?;
    let mut dice = Dice::new(bench.common.seed);
    let mut open: Vec<(ReservationId, String)> = Vec::new();
    let mut booked = 0_u32;
    for _ in 0..200 {
        offset.set_micros((i64::from(dice.below(5)) - 2) * HOUR_MICROS);
        let n = dice.below(6);
        if dice.below(2) == 0 || open.is_empty() {
            let customer = format!("customer {}", dice.below(4));
            let of_some = lines(&[nth_ticket(n)], &[("floor", 1 + dice.below(3))]);
            let command = service::hold(bench, &event, &customer, of_some);
            let id = service::reservation_of(&command)?;
            if service::settled(service.submit(command).await)?.is_some() {
                open.push((id, customer));
            }
        } else {
            let (reservation, customer) = open[dice.below(open.len() as u32) as usize].clone();
            let customer = customer_id(customer);
            let action = match dice.below(8) {
                0 => Action::Release { reservation, customer },
                1 => Action::Extend { reservation, customer, ttl: None },
                2 | 3 => Action::Cancel { reservation, customer },
                _ => Action::Confirm { reservation, customer },
            };
            let confirms = matches!(action, Action::Confirm { .. });
            let done = service::settled(service.submit(service::command(bench, &event, action)).await)?;
            booked += u32::from(confirms && done.is_some());
        }
    }
    bench.note(format!("{booked} bookings"));
    ensure!(booked > 0, "nobody booked anything, which proves nothing");
    let mut latest: BTreeMap<_, Timestamp> = BTreeMap::new();
    for change in bench.changes(&event).await? {
        let before = latest.insert(change.key.clone(), change.decided_at);
        ensure!(
            before.is_none_or(|before| before <= change.decided_at),
            "the time of {:?} went back from {before:?} to {}",
            change.key,
            change.decided_at
        );
    }
    audit::bookings_and_pools(bench, &event).await?;
    audit::feed(bench, &event).await
}

pub(super) async fn the_time_of_a_decision_is_kept(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[("floor", 2)], None).await?;
    for micros in [1_999_999_999_999_999, 1_000_000_000_000_001, 1_000_000_000_000_000] {
        let decided_at = Timestamp::from_micros(micros);
        let tx = bench.begin(&event, &[ticket_key(0), pool_key("floor")]).await?.decided_at(decided_at);
        let state = if micros % 2 == 0 { TicketState::Available } else { blocked("x") };
        bench.commit(&event, tx.read(pool_key("floor")).write(ticket_key(0), ticket(0, state)).group()).await?;
        ensure_eq!(bench.get(&event, &ticket_key(0)).await?.decided_at, decided_at, "the time of the decision");
        let last = bench.changes(&event).await?.pop().map(|change| change.decided_at);
        ensure_eq!(last, Some(decided_at), "the time of the decision in the feed");
    }
    Ok(())
}
