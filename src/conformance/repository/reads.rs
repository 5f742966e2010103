use super::samples;
use crate::conformance::bench::{
    RepositoryBench, blocked, customer_id, ensure_committed, ensure_conflict, event_id, pool_key, ticket, ticket_key,
};
use crate::conformance::check::{Checked, ensure_eq};
use crate::domain::{RecordKey, TicketState};

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
        bench.put_elsewhere(&event, vec![(sample.key.clone(), sample.after)]).await?;
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
