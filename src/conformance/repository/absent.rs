use std::sync::Arc;

use super::samples;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, Tx, blocked, commit, commit_all, customer_id, ensure_committed, ensure_conflict, event_id,
    operation, pool_id, side_by_side, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure_eq};
use crate::domain::{RecordKey, TicketState, Versioned};
use crate::ports::{BoxFuture, GroupOutcome, Repository, RuntimeExt};

pub(super) async fn what_does_not_exist_is_read_as_absent(bench: &RepositoryBench) -> Checked {
    let keys = [
        RecordKey::Event,
        ticket_key(0),
        RecordKey::Pool(pool_id("floor")),
        RecordKey::Allowance(customer_id("ada")),
        RecordKey::Reservation(bench.runtime.reservation_id()),
        RecordKey::Operation(bench.runtime.operation_id()),
    ];
    let event = event_id("concert");
    for exists in [false, true] {
        if exists {
            bench.stage(&event, 0, &[], None).await?;
        }
        let snapshot = bench.load(&event, &keys).await?;
        for key in keys.iter().skip(usize::from(exists)) {
            ensure_eq!(snapshot.get(key), Some(&Versioned::ABSENT), "{key:?}");
        }
    }
    Ok(())
}

/// For every kind: it was read as absent, then someone creates it; the decision made without it must not be written.
pub(super) async fn an_absent_record_that_was_read_is_checked(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for (n, (key, record)) in samples::created(&event, &bench.runtime).into_iter().enumerate() {
        // The event's own absence can only be read before there is anything in it.
        let target =
            if key == RecordKey::Event { RecordKey::Operation(bench.runtime.operation_id()) } else { ticket_key(9) };
        let content = match target {
            RecordKey::Operation(_) => operation(&event, None),
            _ => ticket(9, blocked(&format!("decided without it, {n}"))),
        };
        let tx = bench.begin(&event, &[key.clone(), target.clone()]).await?;
        let before = tx.get(&target);
        let tx = tx.read(key.clone()).write(target.clone(), content);
        bench.put_elsewhere(&event, vec![(key.clone(), record)]).await?;
        let outcome = bench.commit(&event, tx.group()).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&key), &format!("after {key:?} was created"))?;
        ensure_eq!(bench.get(&event, &target).await?, before, "what was decided without {key:?}");
        if n == 0 {
            bench.put(&event, vec![(ticket_key(9), ticket(9, TicketState::Available))]).await?;
        }
    }
    Ok(())
}

pub(super) async fn creating_what_exists_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let samples = samples::created(&event, &bench.runtime);
    for (key, record) in &samples {
        let late = bench.begin(&event, std::slice::from_ref(key)).await?.write(key.clone(), record.clone());
        bench.put_elsewhere(&event, vec![(key.clone(), record.clone())]).await?;
        let first = bench.get(&event, key).await?;
        let rows = bench.changes(&event).await?.len();
        let outcome = bench.commit(&event, late.group()).await?;
        ensure_conflict(&outcome, std::slice::from_ref(key), "creating what exists")?;
        ensure_eq!(bench.get(&event, key).await?, first, "{key:?} after someone tried to create it again");
        ensure_eq!(bench.changes(&event).await?.len(), rows, "the number of changes");
    }
    Ok(())
}

pub(super) async fn changing_what_does_not_exist_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for (n, sample) in samples::changing(&event, &bench.runtime).into_iter().enumerate() {
        if n == 1 {
            bench.stage(&event, 0, &[], None).await?;
        }
        let tx = bench.begin(&event, std::slice::from_ref(&sample.key)).await?;
        let mut group = tx.write(sample.key.clone(), sample.after).group();
        group.writes[0].version = 3;
        let outcome = bench.commit(&event, group).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&sample.key), "changing what does not exist")?;
        ensure_eq!(bench.get(&event, &sample.key).await?, Versioned::ABSENT, "{:?}", sample.key);
    }
    Ok(())
}

/// Other keys in each round, except reservations and operations, which are new anyway.
fn of_round(key: RecordKey, round: u32) -> RecordKey {
    match key {
        RecordKey::Ticket(_) => ticket_key(100 + round),
        RecordKey::Pool(_) => RecordKey::Pool(pool_id(&format!("pool {round}"))),
        RecordKey::Allowance(_) => RecordKey::Allowance(customer_id(format!("customer {round}"))),
        key => key,
    }
}

const RIVALS: usize = 6;
const ROUNDS: u32 = 5;

async fn rivals(bench: &RepositoryBench) -> Result<Vec<Arc<dyn Repository>>, Failure> {
    let mut handles = Vec::new();
    for _ in 0..RIVALS {
        handles.push(bench.open().await?);
    }
    Ok(handles)
}

/// Losing an insert race is a conflict of that group, never an error.
pub(super) async fn of_many_that_create_the_same_record_one_wins(bench: &RepositoryBench) -> Checked {
    let handles = rivals(bench).await?;
    for round in 0..ROUNDS {
        let event = event_id(&format!("concert {round}"));
        for (key, record) in samples::created(&event, &bench.runtime) {
            let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
            for handle in &handles {
                let tx = Tx::begin(&**handle, &event, std::slice::from_ref(&key)).await?;
                let group = tx.write(key.clone(), record.clone()).group();
                let (handle, event) = (Arc::clone(handle), event.clone());
                tasks.push(Box::pin(async move { commit(&*handle, &event, group).await }));
            }
            let outcomes = side_by_side(&bench.runtime, tasks).await?;
            let winners = outcomes.iter().filter(|outcome| **outcome == GroupOutcome::Committed).count();
            ensure_eq!(winners, 1, "how many created {key:?}");
            ensure_eq!(bench.get(&event, &key).await?.version, 1, "the version of {key:?}");
        }
    }
    Ok(())
}

/// The same in a batch, between groups that nothing contradicts: those are written, whoever wins the race.
pub(super) async fn losing_an_insert_race_fails_its_own_group_alone(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let count = ROUNDS * RIVALS as u32 * 2;
    bench.stage(&event, count, &[("floor", 9)], None).await?;
    let handles = rivals(bench).await?;
    for round in 0..ROUNDS {
        // Without an event nothing can stand beside its creation but operations.
        let created = samples::created(&event, &bench.runtime).into_iter().skip(1);
        for (n, (key, record)) in created.enumerate() {
            let key = of_round(key, count + round);
            let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
            for (rival, handle) in handles.iter().enumerate() {
                let own = [0, 1].map(|side| 2 * (round * RIVALS as u32 + rival as u32) + side);
                let mut groups = Vec::new();
                for ticket_of in own {
                    let reason = blocked(&format!("round {round}, kind {n}"));
                    let tx = Tx::begin(&**handle, &event, &[ticket_key(ticket_of)]).await?;
                    groups.push(tx.write(ticket_key(ticket_of), ticket(ticket_of, reason)).group());
                }
                let tx = Tx::begin(&**handle, &event, std::slice::from_ref(&key)).await?;
                groups.insert(1, tx.write(key.clone(), record.clone()).group());
                let (handle, event) = (Arc::clone(handle), event.clone());
                tasks.push(Box::pin(async move { commit_all(&*handle, &event, &groups).await }));
            }
            let batches = side_by_side(&bench.runtime, tasks).await?;
            let mut winners = 0;
            for (rival, outcomes) in batches.iter().enumerate() {
                for good in [&outcomes[0], &outcomes[2]] {
                    ensure_committed(good, &format!("a group beside the creation of {key:?}, by rival {rival}"))?;
                }
                match &outcomes[1] {
                    GroupOutcome::Committed => winners += 1,
                    lost => ensure_conflict(lost, std::slice::from_ref(&key), "creating what others create")?,
                }
            }
            ensure_eq!(winners, 1, "how many created {key:?}, in batches");
            ensure_eq!(bench.get(&event, &key).await?.version, 1, "the version of {key:?}");
        }
    }
    audit::feed(bench, &event).await
}
