use super::error::Fault;
use super::store::Store;
use super::versions::EventHead;
use crate::domain::{EventId, RecordKey, Timestamp};
use crate::ports::{Group, GroupOutcome, Write};

impl Store<'_> {
    /// Writes the groups whose records are as they were read, in one transaction.
    pub(super) fn commit(&mut self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, Fault> {
        self.transactions.begin_write()?;
        match self.write_groups(event, groups) {
            Ok(outcomes) if outcomes.contains(&GroupOutcome::Committed) => {
                self.transactions.commit()?;
                Ok(outcomes)
            }
            nothing => self.transactions.undo(nothing),
        }
    }

    fn write_groups(&mut self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, Fault> {
        let head = self.versions.event_head(event)?;
        // No group writes what another one reads or writes, so all can be checked before any is written.
        let purged_before = self.reads.operations_purged_before()?.unwrap_or(Timestamp::from_micros(i64::MIN));
        let check = |group| self.check(event, head, purged_before, group);
        let checked = groups.iter().map(check).collect::<Result<Vec<_>, Fault>>()?;
        let first = head.map_or(0, |head| head.change_sequence);
        let mut last = first;
        let mut outcomes = Vec::with_capacity(groups.len());
        for (group, checked) in groups.iter().zip(checked) {
            if !checked.stale.is_empty() {
                outcomes.push(GroupOutcome::Conflict { stale: checked.stale });
                continue;
            }
            for write in &group.writes {
                let write = checked.shifted.iter().find(|shifted| shifted.key == write.key).unwrap_or(write);
                self.writes.write(event, write)?;
                if self.feed.append(event, last + 1, write)? {
                    last += 1;
                }
            }
            outcomes.push(GroupOutcome::Committed);
        }
        if last > first {
            self.feed.move_sequence(event, first, last)?;
        }
        Ok(outcomes)
    }

    /// Compares every record of a group with the version it was read with. The write lock keeps the answer true.
    fn check(
        &mut self,
        event: &EventId,
        head: Option<EventHead>,
        purged_before: Timestamp,
        group: &Group,
    ) -> Result<Checked, Fault> {
        let mut checked = Checked::default();
        let purged: Vec<&RecordKey> = group.purged(purged_before).collect();
        let written = group.writes.iter().map(|Write { key, version, .. }| (key, *version));
        for (key, expected) in group.reads.iter().map(|(key, version)| (key, *version)).chain(written) {
            if self.versions.of(event, head, key)? == expected && !purged.contains(&key) {
                continue;
            }
            match self.shifted(event, key, group)? {
                Some(write) => checked.shifted.push(write),
                None => checked.stale.push(RecordKey::clone(key)),
            }
        }
        Ok(checked)
    }

    /// A pool that others have counted in since, and this group does too.
    fn shifted(&mut self, event: &EventId, key: &RecordKey, group: &Group) -> Result<Option<Write>, Fault> {
        match key {
            RecordKey::Pool(id) if !group.shifts.is_empty() => Ok(group.shifted(id, &self.reads.record(event, key)?)),
            _ => Ok(None),
        }
    }
}

/// What has become of a group's records since they were read.
#[derive(Debug, Default)]
struct Checked {
    stale: Vec<RecordKey>,
    /// Pools that are moved on top of what they are by now.
    shifted: Vec<Write>,
}
