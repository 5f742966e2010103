//! Write skew: each of two reads what the other one changes, and changes something else. Both must not happen.

use std::sync::Arc;

use crate::conformance::bench::{
    RepositoryBench, Tx, blocked, commit, customer_id, event_id, lines, nth_ticket, operation, place, pool, pool_key,
    reservation, side_by_side, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure};
use crate::domain::{
    Allowance, EventId, EventState, Record, RecordKey, ReservationState, Ticket, TicketState, Timestamp,
};
use crate::ports::{BoxFuture, GroupOutcome, Repository, RuntimeExt};

use super::samples;

/// How often each kind is raced.
const RACES: u32 = 8;

/// A record that one of two creates or changes.
#[derive(Clone)]
struct Target {
    key: RecordKey,
    before: Record,
    after: Record,
}

impl Target {
    fn new(key: RecordKey, before: Record, after: Record) -> Self {
        Self { key, before, after }
    }
}

/// The kinds of which an event has many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ticket,
    Pool,
    Allowance,
    Reservation,
    Operation,
}

fn target(bench: &RepositoryBench, event: &EventId, kind: Kind, n: u32) -> Target {
    match kind {
        Kind::Ticket => {
            let n = 100 + n;
            Target::new(ticket_key(n), Record::Ticket(Ticket::available(place(n))), ticket(n, blocked("mine")))
        }
        Kind::Pool => Target::new(pool_key(&format!("pool {n}")), pool(9, 0, 0), pool(9, 1, 0)),
        Kind::Allowance => {
            let allowance = |held| Record::Allowance(Allowance { held, booked: 0 });
            Target::new(RecordKey::Allowance(customer_id(format!("customer {n}"))), allowance(0), allowance(1))
        }
        Kind::Reservation => {
            let id = bench.runtime.reservation_id();
            let until = Timestamp::from_micros(4_000_000_000_000_000);
            let record = |state| reservation(id, event, "ada", lines(&[nth_ticket(0)], &[]), state);
            let before = record(ReservationState::Held { until });
            Target::new(RecordKey::Reservation(id), before, record(ReservationState::Booked))
        }
        Kind::Operation => {
            let record = operation(event, None);
            Target::new(RecordKey::Operation(bench.runtime.operation_id()), record.clone(), record)
        }
    }
}

/// Each of two handles reads the other one's record and writes its own, both at the same time.
async fn race(
    bench: &RepositoryBench,
    handles: &[Arc<dyn Repository>; 2],
    event: &EventId,
    [left, right]: [(RecordKey, Record); 2],
) -> Checked {
    let keys = [left.0.clone(), right.0.clone()];
    let what = format!("{:?} and {:?}", keys[0], keys[1]);
    let mut tasks: Vec<BoxFuture<'static, Result<GroupOutcome, Failure>>> = Vec::new();
    for (handle, (own, record), other) in [(&handles[0], left, &keys[1]), (&handles[1], right, &keys[0])] {
        let tx = Tx::begin(&**handle, event, &keys).await?.read(other.clone()).write(own, record);
        let (handle, event) = (Arc::clone(handle), event.clone());
        tasks.push(Box::pin(async move { commit(&*handle, &event, tx.group()).await }));
    }
    let outcomes = side_by_side(&bench.runtime, tasks).await?;
    let winners = outcomes.iter().filter(|outcome| **outcome == GroupOutcome::Committed).count();
    ensure!(winners <= 1, "{what}: both were written although each had read what the other one changed");
    ensure!(winners == 1, "{what}: neither was written, so each conflicts with what did not happen");
    Ok(())
}

async fn two_handles(bench: &RepositoryBench) -> Result<[Arc<dyn Repository>; 2], Failure> {
    Ok([bench.open().await?, bench.open().await?])
}

/// Records that exist, of every kind that changes.
pub(super) async fn of_two_that_read_what_the_other_writes_one_wins(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let handles = two_handles(bench).await?;
    for kind in [Kind::Ticket, Kind::Pool, Kind::Allowance, Kind::Reservation] {
        for n in 0..RACES {
            let pair = [target(bench, &event, kind, 2 * n), target(bench, &event, kind, 2 * n + 1)];
            bench.put(&event, pair.iter().map(|it| (it.key.clone(), it.before.clone())).collect()).await?;
            race(bench, &handles, &event, pair.map(|it| (it.key, it.after))).await?;
        }
    }
    // An event has one record of its own: it is raced with a ticket.
    for n in 0..RACES {
        let (event, ticket) = (event_id(&format!("event {n}")), (ticket_key(0), ticket(0, blocked("mine"))));
        bench.stage(&event, 1, &[], None).await?;
        let of_event = (RecordKey::Event, samples::event(EventState::OnSale));
        race(bench, &handles, &event, if n % 2 == 0 { [of_event, ticket] } else { [ticket, of_event] }).await?;
    }
    Ok(())
}

/// Records that do not exist yet, of every kind.
pub(super) async fn of_two_that_find_the_others_record_absent_one_wins(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let handles = two_handles(bench).await?;
    for kind in [Kind::Ticket, Kind::Pool, Kind::Allowance, Kind::Reservation, Kind::Operation] {
        for n in 0..RACES {
            let pair = [target(bench, &event, kind, 2 * n), target(bench, &event, kind, 2 * n + 1)];
            race(bench, &handles, &event, pair.map(|it| (it.key, it.before))).await?;
        }
    }
    // Before there is an event, only an operation can be written beside it.
    for n in 0..RACES {
        let event = event_id(&format!("event {n}"));
        let of_event = (RecordKey::Event, samples::event(EventState::Preparing));
        let of_operation = (RecordKey::Operation(bench.runtime.operation_id()), operation(&event, None));
        let pair = if n % 2 == 0 { [of_event, of_operation] } else { [of_operation, of_event] };
        race(bench, &handles, &event, pair).await?;
    }
    Ok(())
}

/// Who only reads loses against every kind of write, and the writer never loses against who only reads.
pub(super) async fn a_reader_loses_to_a_writer(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let handles = two_handles(bench).await?;
    for kind in [Kind::Ticket, Kind::Pool, Kind::Allowance, Kind::Reservation] {
        for n in 0..RACES {
            let it = target(bench, &event, kind, n);
            bench.put(&event, vec![(it.key.clone(), it.before)]).await?;
            let keys = [it.key.clone(), ticket_key(0)];
            let state = if n % 2 == 0 { blocked("read it") } else { TicketState::Available };
            let reads = Tx::begin(&*handles[0], &event, &keys).await?;
            let version = reads.get(&ticket_key(0)).version;
            let reads = reads.read(it.key.clone()).write(ticket_key(0), ticket(0, state)).group();
            let writes = Tx::begin(&*handles[1], &event, &keys).await?.write(it.key.clone(), it.after).group();
            let mut tasks: Vec<BoxFuture<'static, Result<GroupOutcome, Failure>>> = Vec::new();
            for (handle, group) in handles.iter().zip([reads, writes]) {
                let (handle, event) = (Arc::clone(handle), event.clone());
                tasks.push(Box::pin(async move { commit(&*handle, &event, group).await }));
            }
            let outcomes = side_by_side(&bench.runtime, tasks).await?;
            ensure!(outcomes[1] == GroupOutcome::Committed, "{:?} was only read by others: {:?}", it.key, outcomes[1]);
            let was_written = bench.get(&event, &ticket_key(0)).await?.version > version;
            let is_committed = outcomes[0] == GroupOutcome::Committed;
            ensure!(was_written == is_committed, "answered {:?}, written: {was_written}", outcomes[0]);
        }
    }
    Ok(())
}
