//! How old an operation may be: it is remembered for as long as was promised, refused once it may be forgotten, never done twice, and
//! decided at a time that the store's clock told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, Findings};
use crate::domain::{OPERATION_CLOCK_SKEW_MAX, OperationId, Rejection};
use crate::simulation::history::{Call, Reply};
use crate::simulation::invariant::Invariant;
use crate::simulation::store_log::Written;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut written: BTreeMap<OperationId, Vec<&Written>> = BTreeMap::new();
    for operation in &evidence.log.operations {
        written.entry(operation.id).or_default().push(operation);
    }
    let horizon = evidence.log.horizon_at(Duration::MAX);
    for (id, records) in &written {
        findings.check(records.len() == 1, Invariant::DoneOnce, || format!("{id} was decided twice: {records:?}"));
        let is_kept = evidence.operations_left.contains(id) || id.made_at() < horizon;
        findings.check(is_kept, Invariant::AcknowledgedKept, || {
            format!("{id} is forgotten, and only operations from before {horizon} may be: {records:?}")
        });
    }
    feed_is_kept(evidence, findings);
    for call in evidence.calls.iter().chain(&evidence.reused) {
        if let Some((ended, reply)) = &call.ended {
            of_call(call, *ended, reply, evidence, findings);
        }
    }
}

/// What is left of the feed is its end, and only what is old is gone.
fn feed_is_kept(evidence: &Evidence, findings: &mut Findings) {
    let (purged_through, left) = &evidence.changes_left;
    let gone = evidence.log.changes.partition_point(|change| change.sequence <= *purged_through);
    let (gone, rest) = evidence.log.changes.split_at(gone);
    findings.check(
        rest.iter().map(|row| row.sequence).eq(left.iter().map(|row| row.sequence)),
        Invariant::FeedTellsAll,
        || format!("after {purged_through} the feed has {} rows, and had {}", left.len(), rest.len()),
    );
    let horizon = evidence.log.horizon_at(Duration::MAX);
    let young = gone.iter().find(|row| row.decided_at >= horizon);
    findings.check(young.is_none(), Invariant::FeedTellsAll, || format!("{young:?} is purged, and is not old"));
}

fn of_call(call: &Call, ended: Duration, reply: &Reply, evidence: &Evidence, findings: &mut Findings) {
    let made_at = call.command.operation.made_at();
    let (earliest, latest) = evidence.store_time.within(call.began, ended);
    let what = || {
        format!(
            "{} was made at {made_at}, asked for at {:?}, {earliest}, and answered at {ended:?}, {latest}: {reply:?}",
            call.command.operation, call.began
        )
    };
    match reply {
        Reply::Refused(Rejection::OperationTooOld) => {
            let is_old = made_at < latest.before(evidence.retention) || made_at < evidence.log.horizon_at(ended);
            findings.check(is_old, Invariant::Linearizable, what);
        }
        Reply::Refused(Rejection::OperationFromFuture) => {
            findings.check(made_at > earliest.after(OPERATION_CLOCK_SKEW_MAX), Invariant::Linearizable, what);
        }
        Reply::Done(receipt) if !receipt.repeated => {
            let is_old = made_at < earliest.before(evidence.retention) || made_at < evidence.log.horizon_at(call.began);
            findings.check(!is_old, Invariant::DoneOnce, what);
            findings.check(made_at <= latest.after(OPERATION_CLOCK_SKEW_MAX), Invariant::AsAsked, what);
            // A decision is never before one that it follows, whatever the clock says since.
            let (_, latest_ever) = evidence.store_time.within(Duration::ZERO, ended);
            let is_by_the_store = earliest <= receipt.at && receipt.at <= latest_ever;
            findings.check(is_by_the_store, Invariant::DeadlineKept, what);
        }
        _ => {}
    }
}
