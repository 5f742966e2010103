use super::error::Fault;
use super::store::Store;
use super::versions::EventHead;
use crate::domain::{EventId, RecordKey};
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
        let outcomes = groups.iter().map(|group| self.check(event, head, group)).collect::<Result<Vec<_>, Fault>>()?;
        let first = head.map_or(0, |head| head.change_sequence);
        let mut last = first;
        for (group, _) in groups.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == GroupOutcome::Committed) {
            for write in &group.writes {
                self.writes.write(event, write)?;
                if self.feed.append(event, last + 1, write)? {
                    last += 1;
                }
            }
        }
        if last > first {
            self.feed.move_sequence(event, first, last)?;
        }
        Ok(outcomes)
    }

    /// Compares every record of a group with the version it was read with. The write lock keeps the answer true.
    fn check(&mut self, event: &EventId, head: Option<EventHead>, group: &Group) -> Result<GroupOutcome, Fault> {
        let mut stale = Vec::new();
        let written = group.writes.iter().map(|Write { key, version, .. }| (key, *version));
        for (key, expected) in group.reads.iter().map(|(key, version)| (key, *version)).chain(written) {
            if self.versions.of(event, head, key)? != expected {
                stale.push(RecordKey::clone(key));
            }
        }
        Ok(if stale.is_empty() { GroupOutcome::Committed } else { GroupOutcome::Conflict { stale } })
    }
}
