use super::samples;
use crate::conformance::bench::{
    RepositoryBench, blocked, ensure_committed, ensure_conflict, event_id, pool, pool_key, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure_eq};
use crate::domain::{RecordKey, TicketState};

pub(super) async fn a_write_on_an_old_version_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for sample in samples::changing(&event, &bench.runtime) {
        bench.put(&event, vec![(sample.key.clone(), sample.before.clone())]).await?;
        let late = bench.begin(&event, std::slice::from_ref(&sample.key)).await?;
        bench.put_elsewhere(&event, vec![(sample.key.clone(), sample.after.clone())]).await?;
        let late = late.write(sample.key.clone(), sample.before);
        let outcome = bench.commit(&event, late.group()).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&sample.key), "a write on an old version")?;
        let found = bench.get(&event, &sample.key).await?;
        ensure_eq!(found.version, 2, "the version of {:?}", sample.key);
        ensure_eq!(found.record, Some(sample.after), "the content of {:?}", sample.key);
    }
    Ok(())
}

pub(super) async fn a_write_on_a_future_version_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for sample in samples::changing(&event, &bench.runtime) {
        bench.put(&event, vec![(sample.key.clone(), sample.before.clone())]).await?;
        let tx = bench.begin(&event, std::slice::from_ref(&sample.key)).await?;
        let mut group = tx.write(sample.key.clone(), sample.after).group();
        group.writes[0].version = 2;
        let outcome = bench.commit(&event, group).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&sample.key), "a write on a version that is not there yet")?;
        ensure_eq!(bench.get(&event, &sample.key).await?.record, Some(sample.before), "{:?}", sample.key);
    }
    Ok(())
}

/// Neither in the tables, nor in the feed, nor in later sequences.
pub(super) async fn a_conflict_leaves_no_trace(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 5, &[("floor", 5)], None).await?;
    let created = samples::created(&event, &bench.runtime);
    let operation = created.into_iter().find(|(key, _)| matches!(key, RecordKey::Operation(_)));
    let (operation_key, operation) = operation.ok_or_else(|| Failure::new("no sample"))?;
    bench.put(&event, vec![(pool_key("floor"), pool(5, 1, 0))]).await?;
    let rows = bench.changes(&event).await?;
    for _ in 0..3 {
        let tx = bench.begin(&event, &[ticket_key(1), ticket_key(2), operation_key.clone()]).await?;
        let tx = tx
            .write(ticket_key(1), ticket(1, blocked("never")))
            .write(ticket_key(2), ticket(2, blocked("never")))
            .write(operation_key.clone(), operation.clone());
        let mut group = tx.group();
        group.reads = vec![(pool_key("floor"), 1)];
        let outcome = bench.commit(&event, group).await?;
        ensure_conflict(&outcome, &[pool_key("floor")], "a group that read an old version")?;
    }
    ensure_eq!(bench.changes(&event).await?, rows, "the feed after conflicts");
    ensure_eq!(bench.get(&event, &operation_key).await?.version, 0, "the version of the operation");
    for n in [1, 2] {
        let found = bench.get(&event, &ticket_key(n)).await?;
        ensure_eq!(found.record, Some(ticket(n, TicketState::Available)), "ticket {n}");
        ensure_eq!(found.version, 1, "the version of ticket {n}");
    }
    bench.put(&event, vec![(ticket_key(3), ticket(3, blocked("x")))]).await?;
    let last = bench.changes(&event).await?.last().map(|change| change.sequence);
    ensure_eq!(last, Some(rows.len() as u64 + 1), "the sequence of the next commit");
    Ok(())
}

pub(super) async fn a_retry_after_a_conflict_succeeds(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[], None).await?;
    let late = bench.begin(&event, &[ticket_key(0), ticket_key(1)]).await?;
    bench.put(&event, vec![(ticket_key(0), ticket(0, blocked("first")))]).await?;
    let late = late.read(ticket_key(0)).write(ticket_key(1), ticket(1, blocked("second")));
    ensure_conflict(&bench.commit(&event, late.group()).await?, &[ticket_key(0)], "the first attempt")?;
    let again = bench.begin(&event, &[ticket_key(0), ticket_key(1)]).await?;
    let again = again.read(ticket_key(0)).write(ticket_key(1), ticket(1, blocked("second")));
    ensure_committed(&bench.commit(&event, again.group()).await?, "the same on fresh data")
}
