use crate::booking::BookingError;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, Tx, blocked, commit, customer_id, ensure_committed, ensure_conflict, event_id, lines, literal,
    nth_ticket, operation, place, pool, pool_id, pool_key, side_by_side, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{
    Action, ActionKind, BlockReason, Command, CreateEvent, EventId, Import, Receipt, RecordKey, Rejection, TicketState,
    Transfer,
};
use crate::ports::{BoxFuture, GroupOutcome, RuntimeExt};

/// The operation's record guards everything beside it.
pub(super) async fn of_two_commits_under_one_operation_one_wins(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[], None).await?;
    let key = RecordKey::Operation(bench.runtime.operation_id());
    let mut groups = Vec::new();
    for n in 0..2 {
        let other = bench.open().await?;
        let tx = Tx::begin(&*other, &event, &[key.clone(), ticket_key(n)]).await?;
        let tx = tx.write(key.clone(), operation(&event, None)).write(ticket_key(n), ticket(n, blocked("x")));
        groups.push((other, tx.group()));
    }
    let (first, second) = (&groups[0], &groups[1]);
    ensure_committed(&commit(&*first.0, &event, first.1.clone()).await?, "the first commit of the operation")?;
    let outcome = commit(&*second.0, &event, second.1.clone()).await?;
    ensure_conflict(&outcome, std::slice::from_ref(&key), "the second commit of the operation")?;
    let expected = Some(ticket(1, TicketState::Available));
    ensure_eq!(bench.get(&event, &ticket_key(1)).await?.record, expected, "what the second commit would have changed");
    let outcome = commit(&*first.0, &event, first.1.clone()).await?;
    ensure!(outcome != GroupOutcome::Committed, "the very same group was committed twice");
    Ok(())
}

fn same(first: &Receipt, again: &Receipt) -> Checked {
    ensure!(again.repeated, "a repetition is not told to be one: {again:?}");
    let expected = Receipt { repeated: true, ..first.clone() };
    ensure_eq!(*again, expected, "the receipt of a repetition");
    Ok(())
}

/// One command of every kind, each of which succeeds after the ones before it.
fn one_of_each_kind(bench: &RepositoryBench, event: &EventId) -> Result<Vec<Command>, Failure> {
    let (ada, grace) = (customer_id("ada"), customer_id("grace"));
    let tickets: Vec<_> = (0..4).map(|n| (nth_ticket(n), place(n))).collect();
    let hold = service::hold(bench, event, "ada", lines(&[nth_ticket(0), nth_ticket(1)], &[("floor", 2)]));
    let other = service::hold(bench, event, "ada", lines(&[nth_ticket(2)], &[]));
    let (reservation, released) = (service::reservation_of(&hold)?, service::reservation_of(&other)?);
    let before = [
        Action::CreateEvent(CreateEvent { limit_per_customer: Some(9), ..CreateEvent::default() }),
        Action::Import(Import { tickets, pools: vec![(pool_id("floor"), 9)], last: true }),
    ];
    let after = [
        Action::Extend { reservation, customer: ada.clone(), ttl: None },
        Action::Confirm { reservation, customer: ada.clone() },
        Action::Transfer(Transfer { reservation, from: ada.clone(), to: grace.clone() }),
        Action::Cancel { reservation, customer: grace },
        Action::Release { reservation: released, customer: ada },
        Action::Block { tickets: vec![nth_ticket(3)], reason: literal(BlockReason::new("camera")) },
        Action::Unblock { tickets: vec![nth_ticket(3)] },
    ];
    let mut commands: Vec<Command> = before.map(|action| service::command(bench, event, action)).to_vec();
    commands.extend([hold, other]);
    commands.extend(after.map(|action| service::command(bench, event, action)));
    Ok(commands)
}

pub(super) async fn a_repeated_success_is_the_same_success(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let service = service::on(bench, bench.open().await?)?;
    let commands = one_of_each_kind(bench, &event)?;
    let mut receipts = Vec::new();
    for command in &commands {
        let receipt = service.submit(command.clone()).await;
        receipts.push(receipt.map_err(|error| Failure::from(error).at(&format!("{:?}", command.kind())))?);
    }
    for kind in ActionKind::ALL {
        ensure!(commands.iter().any(|command| command.kind() == kind), "no command is of kind {kind:?}");
    }
    let rows = bench.changes(&event).await?.len();
    // Later decisions have changed what they were about; and another instance answers as the first one does.
    let other = service::on(bench, bench.open().await?)?;
    for (command, receipt) in commands.iter().zip(&receipts) {
        for service in [&service, &other] {
            let again = service.submit(command.clone()).await;
            let again = again.map_err(|error| Failure::from(error).at(&format!("{:?} again", command.kind())))?;
            same(receipt, &again).map_err(|failure| failure.at(&format!("{:?}", command.kind())))?;
        }
    }
    ensure_eq!(bench.changes(&event).await?.len(), rows, "the number of changes: repeating changes nothing");
    audit::tables(bench, &event).await
}

pub(super) async fn a_repetition_finds_the_success_of_another_instance(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 9)], None).await?;
    let command = service::hold(bench, &event, "ada", lines(&[nth_ticket(0)], &[("floor", 2)]));
    let receipt = service::on(bench, bench.open().await?)?.submit(command.clone()).await?;
    for _ in 0..3 {
        let other = service::on(bench, bench.open().await?)?;
        same(&receipt, &other.submit(command.clone()).await?)?;
    }
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(9, 2, 0)), "the pool");
    Ok(())
}

pub(super) async fn other_content_under_the_same_id_is_refused(bench: &RepositoryBench) -> Checked {
    let events = ["here", "there"].map(event_id);
    for event in &events {
        bench.stage(event, 4, &[("floor", 9)], None).await?;
    }
    let service = service::on(bench, bench.open().await?)?;
    let command = service::hold(bench, &events[0], "ada", lines(&[nth_ticket(0)], &[]));
    let _ = service.submit(command.clone()).await?;
    let mut others = Vec::new();
    for (event, customer, n) in [(0, "ada", 1), (0, "grace", 0), (1, "ada", 0), (1, "grace", 2)] {
        let mut other = service::hold(bench, &events[event], customer, lines(&[nth_ticket(n)], &[]));
        other.operation = command.operation;
        others.push(other);
    }
    for other in others {
        match service.submit(other.clone()).await {
            Err(BookingError::Rejected(Rejection::OperationReused)) => {}
            answer => return Err(Failure::new(format!("{other:?} under an id that was used: {answer:?}"))),
        }
    }
    for event in &events {
        for n in 1..3 {
            let expected = Some(ticket(n, TicketState::Available));
            ensure_eq!(bench.get(event, &ticket_key(n)).await?.record, expected, "ticket {n}");
        }
    }
    Ok(())
}

pub(super) async fn the_same_request_many_times_at_once_happens_once(bench: &RepositoryBench) -> Checked {
    const INSTANCES: usize = 4;
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 100)], None).await?;
    let mut services = Vec::new();
    for _ in 0..INSTANCES {
        services.push(service::on(bench, bench.open().await?)?);
    }
    for round in 0..5_u32 {
        let command = service::hold(bench, &event, "ada", lines(&[], &[("floor", 3)]));
        let mut tasks: Vec<BoxFuture<'static, Result<Receipt, Failure>>> = Vec::new();
        for n in 0..INSTANCES * 3 {
            let (service, command) = (services[n % INSTANCES].clone(), command.clone());
            tasks.push(Box::pin(async move { Ok(service.submit(command).await?) }));
        }
        let receipts = side_by_side(&bench.runtime, tasks).await?;
        let first = receipts.iter().filter(|receipt| !receipt.repeated).count();
        ensure!(first <= 1, "{first} of {} answers say that they are the first", receipts.len());
        for receipt in &receipts {
            let expected = Receipt { repeated: receipt.repeated, ..receipts[0].clone() };
            ensure_eq!(*receipt, expected, "the receipt of the same request");
        }
        let held = 3 * (round + 1);
        ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(100, held, 0)), "the pool");
    }
    audit::tables(bench, &event).await
}

pub(super) async fn a_refusal_is_decided_again(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[], None).await?;
    let service = service::on(bench, bench.open().await?)?;
    bench.put(&event, vec![(ticket_key(0), ticket(0, blocked("camera")))]).await?;
    let command = service::hold(bench, &event, "ada", lines(&[nth_ticket(0), nth_ticket(1)], &[]));
    let rows = bench.changes(&event).await?.len();
    match service.submit(command.clone()).await {
        Err(BookingError::Rejected(Rejection::Unavailable { tickets })) => {
            ensure_eq!(tickets, vec![nth_ticket(0)], "the tickets that are not available");
        }
        other => return Err(Failure::new(format!("a hold of a blocked ticket: {other:?}"))),
    }
    ensure_eq!(bench.changes(&event).await?.len(), rows, "the number of changes: a refusal changes nothing");
    let found = bench.get(&event, &RecordKey::Operation(command.operation)).await?;
    ensure_eq!(found.version, 0, "the version of a refused operation: it is not recorded");
    bench.put(&event, vec![(ticket_key(0), ticket(0, TicketState::Available))]).await?;
    let receipt = service.submit(command).await?;
    ensure!(!receipt.repeated, "a hold that was refused before is told to be a repetition");
    audit::tables(bench, &event).await
}
