//! What was answered, beside what is there.

use std::collections::BTreeMap;

use super::{Evidence, Findings};
use crate::domain::{Action, Command, CustomerId, OperationId, Receipt, Recorded, Rejection, ReservationId};
use crate::simulation::history::{Call, Reply};
use crate::simulation::invariant::Invariant;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut by_operation: BTreeMap<OperationId, Vec<&Call>> = BTreeMap::new();
    for call in &evidence.calls {
        by_operation.entry(call.command.operation).or_default().push(call);
    }
    for (operation, calls) in &by_operation {
        of_operation(*operation, calls, evidence, findings);
    }
    nothing_unasked(evidence, findings);
    reuse_is_told(evidence, findings);
}

fn reuse_is_told(evidence: &Evidence, findings: &mut Findings) {
    for call in &evidence.reused {
        if let Some((_, reply)) = &call.ended {
            findings.check(is_told_of_reuse(reply), Invariant::SameAnswer, || {
                format!(
                    "the id of another operation was used for {:?}, and that was answered with {reply:?}",
                    call.command
                )
            });
        }
    }
}

/// An answer to somebody who uses the id of what was done for something else. Its record may be purged by then; the id is not free.
fn is_told_of_reuse(reply: &Reply) -> bool {
    match reply {
        Reply::Done(_) => false,
        Reply::Refused(Rejection::OperationReused | Rejection::OperationTooOld) | Reply::Failed | Reply::Unknown => {
            true
        }
        Reply::Refused(rejection) => says_nothing(rejection),
    }
}

fn of_operation(operation: OperationId, calls: &[&Call], evidence: &Evidence, findings: &mut Findings) {
    let applied = match evidence.operations.get(&operation).map(|(_, it)| &it.recorded) {
        Some(Recorded::Applied { kind, reservation, .. }) => Some((*kind, *reservation)),
        _ => None,
    };
    let mut done: Option<&Receipt> = None;
    for call in calls {
        match &call.ended {
            Some((_, Reply::Done(receipt))) => {
                let there = (receipt.kind, receipt.outcome.reservation().map(|it| it.id));
                findings.check(applied == Some(there), Invariant::AcknowledgedKept, || {
                    format!("{operation} was acknowledged as {there:?}, and there is {applied:?}")
                });
                let first = *done.get_or_insert(receipt);
                let is_same = (first.kind, first.at, &first.outcome) == (receipt.kind, receipt.at, &receipt.outcome);
                findings.check(is_same, Invariant::SameAnswer, || {
                    format!("{operation} was answered with {first:?}, and with {receipt:?}")
                });
            }
            Some((_, Reply::Refused(rejection))) if call.resolves => {
                findings.check(applied.is_none(), Invariant::RefusedDidNothing, || {
                    format!("{operation} was refused for good ({rejection}), and there is {applied:?}")
                });
            }
            Some(_) | None => {}
        }
    }
    let may_happen = |call: &&Call| matches!(call.ended, None | Some((_, Reply::Unknown | Reply::Done(_))));
    let is_over = !calls.iter().any(may_happen);
    findings.check(!is_over || applied.is_none(), Invariant::RefusedDidNothing, || {
        format!("nobody was told that {operation} may happen, and there is {applied:?}")
    });
    let acknowledged = calls.iter().filter_map(|call| match &call.ended {
        Some((at, Reply::Done(_))) => Some(*at),
        _ => None,
    });
    let Some(acknowledged) = acknowledged.min() else { return };
    for call in calls.iter().filter(|call| call.began > acknowledged) {
        if let Some((_, Reply::Refused(rejection))) = &call.ended {
            // Whether it is so old is looked at for itself.
            let is_old = *rejection == Rejection::OperationTooOld;
            findings.check(is_old || says_nothing(rejection), Invariant::SameAnswer, || {
                format!("{operation} was acknowledged, and asked again it is refused: {rejection}")
            });
        }
    }
}

/// Refusals of a request that was not decided.
fn says_nothing(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::Contended { .. } | Rejection::Overloaded | Rejection::DeadlinePassed | Rejection::ShuttingDown
    )
}

fn nothing_unasked(evidence: &Evidence, findings: &mut Findings) {
    let mut holds: BTreeMap<ReservationId, &Command> = BTreeMap::new();
    let mut receivers: BTreeMap<ReservationId, Vec<&CustomerId>> = BTreeMap::new();
    for call in &evidence.calls {
        match &call.command.action {
            Action::Hold(hold) => {
                holds.insert(hold.reservation, &call.command);
                receivers.entry(hold.reservation).or_default().push(&hold.customer);
            }
            Action::Transfer(transfer) => receivers.entry(transfer.reservation).or_default().push(&transfer.to),
            _ => {}
        }
    }
    for (id, (_, reservation)) in &evidence.reservations {
        let is_asked_for = holds.get(id).is_some_and(|command| match &command.action {
            Action::Hold(hold) => hold.best_available.is_some() || hold.lines == reservation.lines,
            _ => false,
        });
        let is_somebodys = receivers.get(id).is_some_and(|names| names.contains(&&reservation.customer));
        findings.check(is_asked_for && is_somebodys, Invariant::NothingUnasked, || {
            format!("nobody asked for {reservation:?}")
        });
    }
}
