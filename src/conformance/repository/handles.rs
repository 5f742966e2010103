use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select;

use super::samples;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, blocked, commit_all, ensure_committed, event_id, load, pool_key, put, side_by_side, ticket,
    ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::contest::Dice;
use crate::domain::{EventState, RecordKey, TicketState};
use crate::ports::{BoxFuture, LoadRequest, PAGE_MAX};

/// Nobody has opened the store before: all of them find it empty, and each writes.
pub(super) async fn ten_handles_open_one_fresh_store_at_once(bench: &RepositoryBench) -> Checked {
    ensure!(!bench.repository.is_open(), "the store was opened before, which proves nothing");
    let event = event_id("concert");
    let mut tasks: Vec<BoxFuture<'static, Result<(), Failure>>> = Vec::new();
    for (n, repository) in (0..10_u32).zip(bench.open_at_once(10).await?) {
        let event = event_id(&format!("event {n}"));
        tasks.push(Box::pin(async move {
            let record = samples::event(EventState::OnSale);
            put(&*repository, &event, vec![(RecordKey::Event, record)]).await?;
            put(&*repository, &event, vec![(ticket_key(n), ticket(n, TicketState::Available))]).await
        }));
    }
    side_by_side(&bench.runtime, tasks).await?;
    for n in 0..10 {
        let event = event_id(&format!("event {n}"));
        ensure_eq!(bench.get(&event, &ticket_key(n)).await?.version, 1, "the version of a ticket");
    }
    ensure_eq!(bench.tickets(&event).await?.len(), 0, "the number of tickets of another event");
    Ok(())
}

pub(super) async fn a_handle_opened_later_sees_everything(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    {
        let first = bench.open().await?;
        let record = samples::event(EventState::OnSale);
        put(&*first, &event, vec![(RecordKey::Event, record)]).await?;
        put(&*first, &event, vec![(ticket_key(0), ticket(0, blocked("x")))]).await?;
    }
    let later = bench.open().await?;
    let snapshot = load(&*later, &event, &[ticket_key(0)]).await?;
    let found = snapshot.get(&ticket_key(0)).and_then(|it| it.record.clone());
    ensure_eq!(found, Some(ticket(0, blocked("x"))), "what a handle that is closed had written");
    Ok(())
}

/// Calls are dropped after they were started once. Later calls work, and a dropped commit is whole or not at all.
pub(super) async fn dropped_calls_break_nothing(bench: &RepositoryBench) -> Checked {
    const DROPPED: u32 = 20;
    let event = event_id("concert");
    bench.stage(&event, 2 * DROPPED + 2, &[("floor", 9)], None).await?;
    let repository = &bench.repository;
    let mut dice = Dice::new(bench.common.seed);
    for n in 0..DROPPED {
        let pair = [ticket_key(2 * n), ticket_key(2 * n + 1)];
        let request = LoadRequest { event: event.clone(), records: pair.to_vec(), free_in: Vec::new() };
        let _ = repository.load(&request).now_or_never();
        let _ = repository.changes(&event, 0, PAGE_MAX).now_or_never();
        let _ = repository.lapsed(10).now_or_never();
        let tx = bench.begin(&event, &pair).await?;
        let tx = tx.write(pair[0].clone(), ticket(2 * n, blocked("dropped")));
        let tx = tx.write(pair[1].clone(), ticket(2 * n + 1, blocked("dropped")));
        let groups = [tx.group()];
        // Before it has begun, or after a while on its way.
        let commit = repository.commit(&event, &groups);
        if n % 2 == 0 {
            let _ = commit.now_or_never();
        } else {
            let soon = bench.runtime.sleep(Duration::from_micros(u64::from(dice.below(2_000))));
            drop(select(commit, soon).await);
        }
        let snapshot = bench.load(&event, &pair).await?;
        let versions = pair.each_ref().map(|key| snapshot.get(key).map(|it| it.version));
        ensure_eq!(versions[0], versions[1], "the versions of two records of one group that was dropped");
    }
    let tx = bench.begin(&event, &[ticket_key(2 * DROPPED), pool_key("floor")]).await?;
    let tx = tx.read(pool_key("floor")).write(ticket_key(2 * DROPPED), ticket(2 * DROPPED, blocked("after")));
    let outcomes = commit_all(&**repository, &event, &[tx.group()]).await?;
    ensure_committed(&outcomes[0], "a commit after others were dropped")?;
    let applied = bench.tickets(&event).await?.iter().filter(|(_, version, _)| *version == 2).count() / 2;
    bench.note(format!("{applied} of {DROPPED} dropped commits happened"));
    audit::feed(bench, &event).await
}
