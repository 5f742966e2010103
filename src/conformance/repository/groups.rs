use crate::conformance::bench::{
    RepositoryBench, blocked, commit_all, ensure_committed, ensure_conflict, event_id, lines, nth_ticket, operation,
    pool, pool_key, reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::domain::{RecordKey, ReservationState, TicketState};
use crate::ports::{Group, GroupOutcome, RuntimeExt};

/// One stale record, wherever it stands in the group, keeps all the others from being written.
pub(super) async fn a_group_is_written_whole_or_not_at_all(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 8, &[("floor", 50)], None).await?;
    for stale in [ticket_key(0), ticket_key(3), ticket_key(7), pool_key("floor")] {
        let id = bench.runtime.reservation_id();
        let operation_key = RecordKey::Operation(bench.runtime.operation_id());
        let mut keys: Vec<RecordKey> = (0..8).map(ticket_key).collect();
        keys.extend([pool_key("floor"), RecordKey::Reservation(id), operation_key.clone()]);
        let mut tx = bench.begin(&event, &keys).await?;
        let until = tx.get(&ticket_key(0)).decided_at;
        for n in 0..8 {
            tx = tx.write(ticket_key(n), ticket(n, TicketState::Held { reservation: id, until }));
        }
        let tickets: Vec<_> = (0..8).map(nth_ticket).collect();
        let of_all = lines(&tickets, &[("floor", 1)]);
        let held = reservation(id, &event, "ada", of_all, ReservationState::Held { until });
        tx = tx.write(pool_key("floor"), pool(50, 1, 0)).write(RecordKey::Reservation(id), held);
        tx = tx.write(operation_key, operation(&event, Some(id)));
        let record = match &stale {
            RecordKey::Pool(_) => pool(50, 0, 1),
            _ => ticket(keys.iter().position(|key| *key == stale).unwrap_or(0) as u32, blocked("meanwhile")),
        };
        bench.put(&event, vec![(stale.clone(), record)]).await?;
        let before = bench.load(&event, &keys).await?;
        let outcome = bench.commit(&event, tx.group()).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&stale), "a group with one stale record")?;
        let after = bench.load(&event, &keys).await?;
        for key in &keys {
            ensure_eq!(after.get(key), before.get(key), "{key:?}, in a group in which {stale:?} was stale");
        }
    }
    Ok(())
}

pub(super) async fn good_and_conflicting_groups_are_told_apart(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 40, &[("floor", 9)], None).await?;
    let reserve = |n: u32| {
        let id = bench.runtime.reservation_id();
        let booked = TicketState::Booked { reservation: id };
        let of_one = reservation(id, &event, "ada", lines(&[nth_ticket(n)], &[]), ReservationState::Booked);
        (RecordKey::Reservation(id), of_one, ticket(n, booked))
    };
    let mut groups: Vec<Group> = Vec::new();
    let mut stale: Vec<Option<u32>> = Vec::new();
    // Good, stale write, good, stale read, good, created meanwhile, good, read as absent and created meanwhile, good.
    for n in 0..9 {
        let (reservation_key, record, of_ticket) = reserve(n);
        let shaky = match n {
            1 | 3 => Some(20 + n),
            5 | 7 => Some(60 + n),
            _ => None,
        };
        let mut keys = vec![ticket_key(n), reservation_key.clone(), pool_key("floor")];
        keys.extend(shaky.map(ticket_key));
        let mut tx = bench.begin(&event, &keys).await?.read(pool_key("floor"));
        tx = tx.write(ticket_key(n), of_ticket).write(reservation_key, record);
        tx = match (n, shaky) {
            (1 | 5, Some(shaky)) => tx.write(ticket_key(shaky), ticket(shaky, blocked("mine"))),
            (3 | 7, Some(shaky)) => tx.read(ticket_key(shaky)),
            _ => tx,
        };
        groups.push(tx.group());
        stale.push(shaky);
    }
    for shaky in stale.iter().flatten().copied() {
        bench.put(&event, vec![(ticket_key(shaky), ticket(shaky, blocked("meanwhile")))]).await?;
    }
    let rows = bench.changes(&event).await?.len();
    let outcomes = commit_all(&*bench.repository, &event, &groups).await?;
    let mut written = 0;
    for (n, (outcome, stale)) in outcomes.iter().zip(&stale).enumerate() {
        let found = bench.get(&event, &ticket_key(n as u32)).await?;
        match stale {
            Some(shaky) => {
                ensure_conflict(outcome, &[ticket_key(*shaky)], &format!("group {n}"))?;
                ensure_eq!(found.version, 1, "the version of a record of group {n}, which conflicts");
            }
            None => {
                ensure_committed(outcome, &format!("group {n}, which nothing contradicts"))?;
                ensure_eq!(found.version, 2, "the version of a record of group {n}, which was committed");
                written += 2;
            }
        }
    }
    for shaky in stale.iter().flatten().copied() {
        let expected = Some(ticket(shaky, blocked("meanwhile")));
        ensure_eq!(
            bench.get(&event, &ticket_key(shaky)).await?.record,
            expected,
            "ticket {shaky}, which others changed"
        );
    }
    let more = bench.changes(&event).await?.len() - rows;
    ensure_eq!(more, written, "the number of new changes");
    ensure_eq!(bench.reservations(&event).await?.len(), 5, "the number of reservations");
    Ok(())
}

pub(super) async fn groups_share_what_they_only_read(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 5, &[("floor", 9)], None).await?;
    let absent = pool_key("nowhere");
    let mut groups = Vec::new();
    for n in 0..5 {
        let keys = [RecordKey::Event, pool_key("floor"), absent.clone(), ticket_key(n)];
        let tx = bench.begin(&event, &keys).await?;
        let tx = keys[..3].iter().fold(tx, |tx, key| tx.read(key.clone()));
        groups.push(tx.write(ticket_key(n), ticket(n, blocked("x"))).group());
    }
    for (n, outcome) in commit_all(&*bench.repository, &event, &groups).await?.iter().enumerate() {
        ensure_committed(outcome, &format!("group {n}, which reads what the others read too"))?;
    }
    Ok(())
}

pub(super) async fn no_groups_are_no_work(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    ensure_eq!(bench.repository.commit(&event, &[]).await?, Vec::<GroupOutcome>::new(), "no groups, no outcomes");
    ensure_eq!(bench.changes(&event).await?.len(), 0, "the number of changes");
    Ok(())
}

pub(super) async fn hundreds_of_groups_share_a_commit(bench: &RepositoryBench) -> Checked {
    const GROUPS: u32 = 600;
    let event = event_id("concert");
    bench.stage(&event, GROUPS * 2, &[], None).await?;
    let keys: Vec<RecordKey> = (0..GROUPS * 2).map(ticket_key).collect();
    let mut groups = Vec::new();
    for n in 0..GROUPS {
        let pair = [keys[2 * n as usize].clone(), keys[2 * n as usize + 1].clone()];
        let tx = bench.begin(&event, &pair).await?;
        let tx = tx.write(pair[0].clone(), ticket(2 * n, blocked("x"))).read(pair[1].clone());
        groups.push(tx.group());
    }
    // Every third one loses what it has read.
    let others = (0..GROUPS).step_by(3).map(|n| 2 * n + 1);
    bench.put(&event, others.map(|n| (ticket_key(n), ticket(n, blocked("meanwhile")))).collect()).await?;
    let outcomes = commit_all(&*bench.repository, &event, &groups).await?;
    for (n, outcome) in outcomes.iter().enumerate() {
        let lost = n % 3 == 0;
        ensure!(lost != (*outcome == GroupOutcome::Committed), "group {n} of {GROUPS}: {outcome:?}");
    }
    let snapshot = bench.load(&event, &keys).await?;
    for n in 0..GROUPS {
        let version = snapshot.get(&ticket_key(2 * n)).map(|it| it.version);
        ensure_eq!(version, Some(if n % 3 == 0 { 1 } else { 2 }), "the version of what group {n} writes");
    }
    Ok(())
}
