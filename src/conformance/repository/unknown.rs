//! Commits whose answers get lost, and which happen sooner or later, or not at all.

use std::sync::Arc;
use std::time::Duration;

use crate::booking::BookingError;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, Tx, blocked, customer_id, event_id, lines, nth_ticket, pool, pool_key, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::faults::{ClockOffset, FailsInPassing, Landing, LateCommit, SkewedClock};
use crate::conformance::service;
use crate::conformance::stepped::SteppedRuntime;
use crate::domain::{Action, Policies, Record, RecordKey, Rejection, ReservationState};
use crate::ports::{GroupOutcome, NoObserver, Repository, Runtime, StoreErrorKind};

/// A hold, its confirmation and its cancellation, each of which loses its answer so many times in a row.
async fn each_happens_once(bench: &RepositoryBench, landing: Landing, times: usize) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 9)], Some(9)).await?;
    let late = LateCommit::new(bench.open().await?);
    let service = service::on(bench, Arc::new(late.clone()))?;
    let hold = service::hold(bench, &event, "ada", lines(&[nth_ticket(0), nth_ticket(1)], &[("floor", 2)]));
    let reservation = service::reservation_of(&hold)?;
    let confirm = service::confirm(bench, &event, "ada", reservation);
    let cancel = service::command(bench, &event, Action::Cancel { reservation, customer: customer_id("ada") });
    let mut rows = bench.changes(&event).await?.len();
    for (command, pool_after) in [(hold, pool(9, 2, 0)), (confirm, pool(9, 0, 2)), (cancel, pool(9, 0, 0))] {
        for _ in 0..times {
            late.arm(landing);
        }
        let what = format!("{:?} after {times} lost answers ({landing:?})", command.kind());
        let receipt = service.submit(command.clone()).await.map_err(|error| Failure::from(error).at(&what))?;
        ensure_eq!(receipt.operation, command.operation, "the operation of the receipt");
        for outcome in late.land().await? {
            ensure!(outcome != GroupOutcome::Committed, "{what}: it happened again when an old statement landed");
        }
        ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool_after), "the pool, {what}");
        let again = service.submit(command).await?;
        ensure_eq!(again.outcome, receipt.outcome, "the answer when asked again, {what}");
        // Two tickets, the pool, the allowance and the reservation change once.
        rows += 5;
        ensure_eq!(bench.changes(&event).await?.len(), rows, "the number of changes, {what}");
        audit::tables(bench, &event).await?;
    }
    audit::feed(bench, &event).await
}

pub(super) async fn a_statement_that_landed_before_its_answer_happens_once(bench: &RepositoryBench) -> Checked {
    each_happens_once(bench, Landing::BeforeTheAnswer, 1).await
}

pub(super) async fn a_statement_that_lands_after_the_next_read_happens_once(bench: &RepositoryBench) -> Checked {
    each_happens_once(bench, Landing::AfterLoads(1), 1).await
}

pub(super) async fn a_statement_that_lands_long_after_happens_once(bench: &RepositoryBench) -> Checked {
    each_happens_once(bench, Landing::OnDemand, 3).await
}

pub(super) async fn a_statement_that_never_lands_happens_once(bench: &RepositoryBench) -> Checked {
    each_happens_once(bench, Landing::Never, 2).await
}

/// A confirmation is lost on its way; when it is decided again, the hold has expired. Everything that the lost statement
/// rests on is as it was, and still it must not land after the "no".
pub(super) async fn a_refusal_after_an_unknown_outcome_is_final(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 9)], None).await?;
    let late = LateCommit::new(bench.open().await?);
    let offset = ClockOffset::new();
    let service = service::on(bench, Arc::new(SkewedClock::new(Arc::new(late.clone()), offset.clone())))?;
    let hold = service::hold(bench, &event, "ada", lines(&[nth_ticket(0)], &[("floor", 2)]));
    let reservation = service::reservation_of(&hold)?;
    let _ = service.submit(hold).await?;
    late.arm(Landing::OnDemand);
    late.after_unknown(move || offset.set_micros(3_600_000_000));
    let confirm = service::confirm(bench, &event, "ada", reservation);
    match service.submit(confirm.clone()).await {
        Err(BookingError::Rejected(Rejection::HoldExpired | Rejection::OperationVoided)) => {}
        other => return Err(Failure::new(format!("a confirmation after the deadline: {other:?}"))),
    }
    for outcome in late.land().await? {
        ensure!(outcome != GroupOutcome::Committed, "the lost confirmation was committed after it had been refused");
    }
    match bench.get(&event, &RecordKey::Reservation(reservation)).await?.record {
        Some(Record::Reservation(found)) => {
            ensure!(found.state != ReservationState::Booked, "a confirmation that was refused is booked");
        }
        other => return Err(Failure::new(format!("expected a reservation, found {other:?}"))),
    }
    match service.submit(confirm).await {
        Err(BookingError::Rejected(Rejection::OperationVoided)) => Ok(()),
        other => Err(Failure::new(format!("asked again after a final refusal: {other:?}"))),
    }
}

/// The instance that lost the confirmation is out of reach of the store until its caller's deadline; the caller resolves it
/// with another one, after the hold has expired.
pub(super) async fn an_outcome_resolved_by_another_instance_is_final(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 9)], None).await?;
    let late = LateCommit::new(bench.open().await?);
    let cut_off = Arc::new(FailsInPassing::new(Arc::new(late.clone())));
    // The caller's deadline passes when the answer is lost, and not before, however slow the machine is.
    let of_caller = SteppedRuntime::new(&bench.runtime);
    let runtime: Arc<dyn Runtime> = of_caller.clone();
    let observer = Arc::new(NoObserver);
    let service = service::observed(&runtime, cut_off.clone(), Policies::default(), observer)?;
    let hold = service::hold(bench, &event, "ada", lines(&[nth_ticket(0)], &[("floor", 2)]));
    let reservation = service::reservation_of(&hold)?;
    let _ = service.submit(hold).await?;
    late.arm(Landing::OnDemand);
    // Weak, because it is kept by what it cuts off.
    let cut_off = Arc::downgrade(&cut_off);
    late.after_unknown(move || {
        if let Some(cut_off) = cut_off.upgrade() {
            cut_off.fail_loads(usize::MAX);
        }
        of_caller.step(service::WAIT_MAX);
    });
    let confirm = service::confirm(bench, &event, "ada", reservation);
    match service.submit(confirm.clone()).await {
        Err(BookingError::OutcomeUnknown(_)) => {}
        other => return Err(Failure::new(format!("a confirmation whose answer was lost: {other:?}"))),
    }
    let offset = ClockOffset::new();
    offset.set_micros(3_600_000_000);
    let other = service::on(bench, Arc::new(SkewedClock::new(bench.open().await?, offset)))?;
    match other.resolve(confirm.clone()).await {
        Err(BookingError::Rejected(Rejection::HoldExpired)) => {}
        other => return Err(Failure::new(format!("resolved after the deadline: {other:?}"))),
    }
    for outcome in late.land().await? {
        ensure!(outcome != GroupOutcome::Committed, "the lost confirmation was committed after it had been resolved");
    }
    match other.submit(confirm).await {
        Err(BookingError::Rejected(Rejection::OperationVoided)) => Ok(()),
        other => Err(Failure::new(format!("asked again after a final refusal: {other:?}"))),
    }
}

pub(super) async fn a_failure_in_passing_is_retried(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 9)], None).await?;
    let failing = FailsInPassing::new(bench.open().await?);
    let service = service::on(bench, Arc::new(failing.clone()))?;
    for n in 0..3 {
        failing.fail_loads(n);
        failing.fail_commits(2 - n);
        let command = service::hold(bench, &event, "ada", lines(&[nth_ticket(n as u32)], &[("floor", 1)]));
        let receipt = service.submit(command).await?;
        ensure!(!receipt.repeated, "a hold that failed in passing, without an effect, is told to be a repetition");
    }
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(9, 3, 0)), "the pool");
    audit::tables(bench, &event).await
}

/// The store itself: a statement that lands late is judged by what the store has become, whole or not at all.
pub(super) async fn a_late_statement_is_judged_when_it_lands(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 9)], None).await?;
    for meanwhile in [false, true] {
        let late = LateCommit::new(bench.open().await?);
        let keys = [ticket_key(0), ticket_key(1), pool_key("floor")];
        let tx = Tx::begin(&late, &event, &keys).await?;
        let before = keys.iter().map(|key| tx.get(key)).collect::<Vec<_>>();
        let reason = format!("late, {meanwhile}");
        let tx =
            tx.write(keys[0].clone(), ticket(0, blocked(&reason))).write(keys[1].clone(), ticket(1, blocked(&reason)));
        late.arm(Landing::OnDemand);
        match late.commit(&event, &[tx.read(keys[2].clone()).group()]).await {
            Err(error) => ensure_eq!(error.kind(), StoreErrorKind::Unknown, "the kind of error"),
            Ok(outcomes) => return Err(Failure::new(format!("a lost answer came: {outcomes:?}"))),
        }
        let now = bench.load(&event, &keys).await?;
        for (key, before) in keys.iter().zip(&before) {
            ensure_eq!(now.get(key), Some(before), "{key:?} before the statement lands");
        }
        if meanwhile {
            bench.put(&event, vec![(keys[2].clone(), pool(9, 1, 0))]).await?;
        }
        bench.runtime.sleep(Duration::from_millis(1)).await;
        let landed = late.land().await?;
        ensure_eq!(landed.contains(&GroupOutcome::Committed), !meanwhile, "whether it was committed when it landed");
        for (n, before) in before.iter().take(2).enumerate() {
            let found = bench.get(&event, &ticket_key(n as u32)).await?.version;
            ensure_eq!(found, before.version + u64::from(!meanwhile), "the version of ticket {n}");
        }
    }
    Ok(())
}
