use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::samples;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, Tx, blocked, commit, customer_id, event_id, lines, nth_ticket, pool, pool_key, reservation,
    side_by_side, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{Action, RecordKey, ReservationState, TicketState, Timestamp};
use crate::ports::{BoxFuture, Change, GroupOutcome, PAGE_MAX, RuntimeExt, Sequence};

pub(super) async fn every_write_but_operations_is_a_row(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let mut expected: Vec<Change> = Vec::new();
    for (round, after) in [false, true].into_iter().enumerate() {
        let mut samples = samples::created(&event, &bench.runtime);
        if after {
            samples = samples::changing(&event, &bench.runtime).into_iter().map(|it| (it.key, it.after)).collect();
            samples.retain(|(key, _)| !matches!(key, RecordKey::Reservation(_)));
        }
        for (n, (key, record)) in samples.into_iter().enumerate() {
            let decided_at = Timestamp::from_micros(1_700_000_000_000_000 + (round * 100 + n) as i64);
            let tx = bench.begin(&event, std::slice::from_ref(&key)).await?.decided_at(decided_at);
            let version = tx.get(&key).version + 1;
            let tx = tx.write(key.clone(), record.clone());
            ensure_eq!(bench.commit(&event, tx.group()).await?, GroupOutcome::Committed, "a commit without rivals");
            if !matches!(key, RecordKey::Operation(_)) {
                let sequence = expected.len() as Sequence + 1;
                expected.push(Change { sequence, decided_at, version, key, record });
            }
        }
    }
    ensure_eq!(bench.changes(&event).await?, expected, "the feed");
    Ok(())
}

pub(super) async fn pages_continue_where_the_last_one_ended(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 30, &[], None).await?;
    let all = bench.changes(&event).await?;
    ensure_eq!(all.len(), 31, "the number of changes");
    for (n, change) in all.iter().enumerate() {
        ensure_eq!(change.sequence, n as Sequence + 1, "the sequence of change {n}");
    }
    for limit in [1, 7, 31, 1_000] {
        let mut found: Vec<Change> = Vec::new();
        loop {
            let page = bench.repository.changes(&event, found.len() as Sequence, limit).await?;
            ensure!(page.len() <= limit, "a page of {} changes, and {limit} are the limit", page.len());
            if page.is_empty() {
                break;
            }
            found.extend(page);
            ensure!(found.len() <= all.len(), "more changes than there are");
        }
        ensure_eq!(found, all, "all changes, {limit} a page");
    }
    for after in [31, 32, 1_000_000] {
        ensure_eq!(bench.repository.changes(&event, after, PAGE_MAX).await?, Vec::new(), "the changes after {after}");
    }
    Ok(())
}

pub(super) async fn what_was_not_committed_is_not_in_the_feed(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[], None).await?;
    let mut groups = Vec::new();
    for n in 0..4 {
        groups.push(
            bench.begin(&event, &[ticket_key(n)]).await?.write(ticket_key(n), ticket(n, blocked("mine"))).group(),
        );
    }
    for n in [0, 2] {
        bench.put(&event, vec![(ticket_key(n), ticket(n, blocked("meanwhile")))]).await?;
    }
    let before = bench.changes(&event).await?.len();
    bench.repository.commit(&event, &groups).await?;
    let rows = bench.changes(&event).await?.split_off(before);
    let mut found: Vec<RecordKey> = rows.iter().map(|change| change.key.clone()).collect();
    found.sort_unstable();
    ensure_eq!(found, vec![ticket_key(1), ticket_key(3)], "what a commit with conflicts added to the feed");
    let sequences: Vec<Sequence> = rows.iter().map(|change| change.sequence).collect();
    let next = before as Sequence + 1;
    ensure_eq!(sequences, vec![next, next + 1], "the sequences, without gaps");
    Ok(())
}

pub(super) async fn each_event_has_its_own_sequence(bench: &RepositoryBench) -> Checked {
    let events = ["here", "there"].map(event_id);
    for event in &events {
        bench.stage(event, 2, &[], None).await?;
    }
    for n in 0..6 {
        let event = &events[n % 2];
        bench.put(event, vec![(ticket_key(0), ticket(0, blocked(&format!("step {n}"))))]).await?;
    }
    for event in &events {
        let sequences: Vec<Sequence> = bench.changes(event).await?.iter().map(|change| change.sequence).collect();
        ensure_eq!(sequences, (1..=6).collect::<Vec<_>>(), "the sequences of event {event}");
    }
    Ok(())
}

/// A reader follows the feed while several handles write. What it has read up to a position stays as it was: nothing
/// appears later before that position.
pub(super) async fn the_order_of_sequences_is_the_order_of_commits(bench: &RepositoryBench) -> Checked {
    const WRITERS: usize = 4;
    const COMMITS: usize = 40;
    let event = event_id("concert");
    bench.stage(&event, WRITERS as u32, &[], None).await?;
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let mut tasks: Vec<BoxFuture<'static, Result<Vec<Change>, Failure>>> = Vec::new();
    for n in 0..WRITERS as u32 {
        let (repository, event, writing) = (bench.open().await?, event.clone(), Arc::clone(&writing));
        tasks.push(Box::pin(async move {
            let mut result = Ok(Vec::new());
            for step in 0..COMMITS {
                let written = async {
                    let tx = Tx::begin(&*repository, &event, &[ticket_key(n)]).await?;
                    let tx = tx.write(ticket_key(n), ticket(n, blocked(&format!("step {step}"))));
                    let outcome = commit(&*repository, &event, tx.group()).await?;
                    ensure_eq!(outcome, GroupOutcome::Committed, "a commit without rivals");
                    Ok(())
                };
                if let Err(failure) = written.await {
                    result = Err(failure);
                    break;
                }
            }
            writing.fetch_sub(1, Ordering::AcqRel);
            result
        }));
    }
    let (reader, of_reader) = (bench.open().await?, event.clone());
    tasks.push(Box::pin(async move {
        let mut tail: Vec<Change> = Vec::new();
        loop {
            let over = writing.load(Ordering::Acquire) == 0;
            let position = tail.len() as Sequence;
            let page = reader.changes(&of_reader, position, 50).await?;
            for (n, change) in page.iter().enumerate() {
                ensure_eq!(change.sequence, position + n as Sequence + 1, "the next sequence for who follows the feed");
            }
            if page.is_empty() && over {
                return Ok(tail);
            }
            tail.extend(page);
        }
    }));
    let tail = side_by_side(&bench.runtime, tasks).await?.pop().unwrap_or_default();
    ensure_eq!(tail.len(), WRITERS + 1 + WRITERS * COMMITS, "the number of changes read on the way");
    ensure_eq!(bench.changes(&event).await?, tail, "the feed, read again from its start");
    let mut versions: BTreeMap<&RecordKey, u64> = BTreeMap::new();
    for change in &tail {
        let version = versions.entry(&change.key).or_insert(0);
        ensure_eq!(change.version, *version + 1, "the next version of {:?} in the feed", change.key);
        *version += 1;
    }
    Ok(())
}

pub(super) async fn the_feed_rebuilds_the_tables(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 12, &[("floor", 40), ("balcony", 9)], Some(20)).await?;
    let service = service::on(bench, bench.open().await?)?;
    for n in 0..10_u32 {
        let customer = format!("customer {}", n % 3);
        let of_some = lines(&[nth_ticket(n), nth_ticket(n + 1)], &[("floor", 1 + n % 3)]);
        let command = service::hold(bench, &event, &customer, of_some);
        let reservation = service::reservation_of(&command)?;
        let held = service::settled(service.submit(command).await)?;
        if held.is_none() {
            continue;
        }
        let customer = customer_id(&customer);
        let steps = match n % 4 {
            0 => vec![Action::Confirm { reservation, customer }],
            1 => vec![Action::Release { reservation, customer }],
            2 => vec![
                Action::Confirm { reservation, customer: customer.clone() },
                Action::Cancel { reservation, customer },
            ],
            _ => Vec::new(),
        };
        for action in steps {
            let _ = service.submit(service::command(bench, &event, action)).await?;
        }
    }
    let id = bench.runtime.reservation_id();
    let of_one = reservation(id, &event, "mary", lines(&[nth_ticket(11)], &[]), ReservationState::Cancelled);
    bench.put(&event, vec![(RecordKey::Reservation(id), of_one), (ticket_key(11), ticket(11, blocked("x")))]).await?;
    bench
        .put(&event, vec![(pool_key("balcony"), pool(9, 0, 9)), (ticket_key(11), ticket(11, TicketState::Available))])
        .await?;
    audit::feed(bench, &event).await
}
