//! What may be written before the event's lock is waited for.

use crate::domain::RecordKey;
use crate::ports::{Group, Write};

/// Whether it pays to write what is new before the event's lock is waited for: a check that fails undoes it, so nothing may be in
/// the groups that others are likely to change first.
pub(in super::super) fn may_be_early(groups: &[Group]) -> bool {
    let writes = || groups.iter().flat_map(|group| &group.writes);
    let pools = writes().filter(|write| matches!(write.key, RecordKey::Pool(_))).count();
    let shifts: usize = groups.iter().map(|group| group.shifts.len()).sum();
    pools > 0
        && pools == shifts
        && writes().any(is_inserted_early)
        && !writes().any(|write| matches!(write.key, RecordKey::Event | RecordKey::Ticket(_)))
}

/// Others cannot have written these rows but in a race for the same id, which the insertion finds out.
pub(super) fn is_inserted_early(write: &Write) -> bool {
    write.version == 0 && matches!(write.key, RecordKey::Reservation(_) | RecordKey::Operation(_))
}
