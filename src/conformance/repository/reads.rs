use super::super::bench::{
    RepositoryBench, Tx, commit, customer_id, ensure_committed, ensure_conflict, event_id, pool, pool_key, put,
    side_by_side, ticket, ticket_key,
};
use super::super::check::{Checked, ensure, ensure_eq};
use super::samples;
use crate::conformance::bench::blocked;
use crate::domain::{Allowance, EventId, Record, RecordKey, TicketState};
use crate::ports::{BoxFuture, Group, GroupOutcome};

/// For every kind: it was read, then someone changes it; the decision that rests on it must not be written.
pub(super) async fn a_record_read_and_not_written_is_checked(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let samples = samples::changing(&event, &bench.runtime);
    for sample in &samples {
        bench.put(&event, vec![(sample.key.clone(), sample.before.clone())]).await?;
    }
    bench.put(&event, vec![(ticket_key(9), ticket(9, TicketState::Available))]).await?;
    for sample in samples {
        let tx = bench.begin(&event, &[sample.key.clone(), ticket_key(9)]).await?;
        let before = tx.get(&ticket_key(9));
        let tx = tx.read(sample.key.clone()).write(ticket_key(9), ticket(9, blocked("decided on old data")));
        put(&*bench.store.open().await, &event, vec![(sample.key.clone(), sample.after)]).await?;
        let outcome = bench.commit(&event, tx.group()).await?;
        let key = &sample.key;
        ensure_conflict(&outcome, std::slice::from_ref(key), &format!("after {key:?}, which was read, has changed"))?;
        ensure_eq!(bench.get(&event, &ticket_key(9)).await?, before, "what was decided on old data of {key:?}");
    }
    Ok(())
}

pub(super) async fn a_record_read_and_unchanged_is_no_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let created = samples::created(&event, &bench.runtime);
    let mut keys: Vec<RecordKey> = created.iter().map(|(key, _)| key.clone()).collect();
    bench.put(&event, created).await?;
    keys.extend([ticket_key(50), pool_key("nowhere"), RecordKey::Allowance(customer_id("nobody"))]);
    keys.push(ticket_key(9));
    let mut tx = bench.begin(&event, &keys).await?;
    for key in &keys {
        tx = tx.read(key.clone());
    }
    let tx = tx.write(ticket_key(9), ticket(9, blocked("x")));
    ensure_committed(&bench.commit(&event, tx.group()).await?, "nothing that was read has changed")?;
    ensure_eq!(bench.get(&event, &ticket_key(9)).await?.record, Some(ticket(9, blocked("x"))), "the write");
    Ok(())
}

pub(super) async fn reading_does_not_change_a_version(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let created = samples::created(&event, &bench.runtime);
    let keys: Vec<RecordKey> = created.iter().map(|(key, _)| key.clone()).collect();
    bench.put(&event, created).await?;
    for round in 1..=3_u64 {
        let mut all = keys.clone();
        all.push(ticket_key(9));
        let mut tx = bench.begin(&event, &all).await?;
        for key in &keys {
            tx = tx.read(key.clone());
        }
        let tx = tx.write(ticket_key(9), ticket(9, blocked("x")));
        ensure_committed(&bench.commit(&event, tx.group()).await?, "a group that reads all kinds")?;
        for key in &keys {
            ensure_eq!(bench.get(&event, key).await?.version, 1, "the version of {key:?}, which was only read");
        }
        ensure_eq!(bench.get(&event, &ticket_key(9)).await?.version, round, "the version of what was written");
    }
    let rows = bench.changes(&event).await?;
    ensure_eq!(rows.len(), keys.len() - 1 + 3, "the number of changes: reads are none");
    Ok(())
}

/// Commits both groups at the same time from two handles, and says how many were written.
async fn race(
    bench: &RepositoryBench,
    event: &EventId,
    groups: [Group; 2],
) -> Result<usize, super::super::check::Failure> {
    let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
    for group in groups {
        let (repository, event) = (bench.store.open().await, event.clone());
        tasks.push(Box::pin(async move { commit(&*repository, &event, group).await }));
    }
    let outcomes = side_by_side(&bench.runtime, tasks).await?;
    Ok(outcomes.iter().filter(|outcome| **outcome == GroupOutcome::Committed).count())
}

const RACES: u32 = 25;

/// Write skew: each reads both records and changes one of them. Both must not happen.
pub(super) async fn of_two_that_read_what_the_other_writes_one_wins(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, RACES * 2, &[], None).await?;
    for n in 0..RACES {
        let (left, right) = (ticket_key(2 * n), ticket_key(2 * n + 1));
        let both = [left.clone(), right.clone()];
        let tx = Tx::begin(&*bench.repository, &event, &both).await?;
        let to_left = tx.read(right.clone()).write(left.clone(), ticket(2 * n, blocked("left"))).group();
        let tx = Tx::begin(&*bench.repository, &event, &both).await?;
        let to_right = tx.read(left).write(right, ticket(2 * n + 1, blocked("right"))).group();
        let winners = race(bench, &event, [to_left, to_right]).await?;
        ensure!(winners <= 1, "race {n}: both were written although each had read what the other one changed");
        ensure!(winners == 1, "race {n}: neither was written, so each conflicts with what did not happen");
    }
    Ok(())
}

/// The same with records that do not exist yet.
pub(super) async fn of_two_that_find_the_others_record_absent_one_wins(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    let allowance = |held| Record::Allowance(Allowance { held, booked: 0 });
    for n in 0..RACES {
        let left = RecordKey::Allowance(customer_id(format!("left {n}")));
        let right = pool_key(&format!("right {n}"));
        let both = [left.clone(), right.clone()];
        let tx = Tx::begin(&*bench.repository, &event, &both).await?;
        let to_left = tx.read(right.clone()).write(left.clone(), allowance(n)).group();
        let tx = Tx::begin(&*bench.repository, &event, &both).await?;
        let to_right = tx.read(left).write(right, pool(n, 0, 0)).group();
        let winners = race(bench, &event, [to_left, to_right]).await?;
        ensure!(winners <= 1, "race {n}: both were created although each had read that the other one does not exist");
        ensure!(winners == 1, "race {n}: neither was created, so each conflicts with what did not happen");
    }
    Ok(())
}
