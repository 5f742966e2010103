use super::super::bench::{
    RepositoryBench, Tx, commit, customer_id, ensure_conflict, event_id, new_reservation_id, pool_id, put,
    side_by_side, ticket, ticket_key,
};
use super::super::check::{Checked, ensure_eq};
use super::samples;
use crate::conformance::bench::blocked;
use crate::domain::{RecordKey, TicketState, Versioned};
use crate::ports::{BoxFuture, GroupOutcome, RuntimeExt};

pub(super) async fn what_does_not_exist_is_read_as_absent(bench: &RepositoryBench) -> Checked {
    let keys = [
        RecordKey::Event,
        ticket_key(0),
        RecordKey::Pool(pool_id("floor")),
        RecordKey::Allowance(customer_id("ada")),
        RecordKey::Reservation(new_reservation_id(&bench.runtime)),
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
            RecordKey::Operation(_) => super::super::bench::operation(&event, None),
            _ => ticket(9, blocked(&format!("decided without it, {n}"))),
        };
        let tx = bench.begin(&event, &[key.clone(), target.clone()]).await?;
        let before = tx.get(&target);
        let tx = tx.read(key.clone()).write(target.clone(), content);
        put(&*bench.store.open().await, &event, vec![(key.clone(), record)]).await?;
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
        put(&*bench.store.open().await, &event, vec![(key.clone(), record.clone())]).await?;
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

/// Losing an insert race is a conflict of that group, never an error.
pub(super) async fn of_many_that_create_the_same_record_one_wins(bench: &RepositoryBench) -> Checked {
    const RIVALS: u32 = 6;
    const ROUNDS: usize = 5;
    let event = event_id("concert");
    for round in 0..ROUNDS {
        for (key, record) in samples::created(&event, &bench.runtime) {
            if round > 0 && key == RecordKey::Event {
                continue;
            }
            let rivals_event = event.clone();
            // Other keys in each round, except reservations and operations, which are new anyway.
            let key = match key {
                RecordKey::Ticket(_) => ticket_key(100 + round as u32),
                RecordKey::Pool(_) => RecordKey::Pool(pool_id(&format!("pool {round}"))),
                RecordKey::Allowance(_) => RecordKey::Allowance(customer_id(format!("customer {round}"))),
                key => key,
            };
            let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
            for _ in 0..RIVALS {
                let repository = bench.store.open().await;
                let (event, key, record) = (rivals_event.clone(), key.clone(), record.clone());
                let tx = Tx::begin(&*repository, &event, std::slice::from_ref(&key)).await?;
                let group = tx.write(key, record).group();
                tasks.push(Box::pin(async move { commit(&*repository, &event, group).await }));
            }
            let outcomes = side_by_side(&bench.runtime, tasks).await?;
            let winners = outcomes.iter().filter(|outcome| **outcome == GroupOutcome::Committed).count();
            ensure_eq!(winners, 1, "how many created {key:?}");
            ensure_eq!(bench.get(&event, &key).await?.version, 1, "the version of {key:?}");
        }
    }
    Ok(())
}
