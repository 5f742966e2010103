use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::error::Fault;
use super::feed;
use super::queries::page;
use super::store::Store;
use super::transaction::prepare;
use crate::domain::{EventId, Timestamp};
use crate::ports::{Change, Purged, Sequence};

/// Part of an event's feed that is old enough to be forgotten.
struct OldChanges {
    event: String,
    through: i64,
}

impl Store<'_> {
    /// A page of an event's change feed; the last purged position if rows after `after` are purged.
    pub(super) fn changes(
        &mut self,
        event: &EventId,
        after: Sequence,
        limit: usize,
    ) -> Result<Result<Vec<Change>, Sequence>, Fault> {
        self.transactions.begin_read()?;
        let changes = self.changes_in_transaction(event, after, limit);
        self.transactions.rollback()?;
        changes
    }

    fn changes_in_transaction(
        &mut self,
        event: &EventId,
        after: Sequence,
        limit: usize,
    ) -> Result<Result<Vec<Change>, Sequence>, Fault> {
        // No position is beyond the largest number of a column.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let purged_through: Option<i64> =
            prepare(self.connection, "SELECT changes_purged_through FROM event WHERE event_id = ?1")?
                .query_row([event.as_str()], |row| row.get(0))
                .optional()?;
        match purged_through {
            Some(purged) if after < purged => return Ok(Err(Sequence::try_from(purged).unwrap_or_default())),
            Some(_) => {}
            None => return Ok(Ok(Vec::new())),
        }
        let mut statement = prepare(self.connection, &feed::page_sql())?;
        let mut rows = statement.query(params![event.as_str(), after, page(limit)])?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next()? {
            changes.push(feed::change(row)?);
        }
        Ok(Ok(changes))
    }

    /// One bounded step of forgetting. Asks for the write lock only when there is something to forget.
    pub(super) fn purge(&mut self, retention: Duration, limit: usize) -> Result<Purged, Fault> {
        let cutoff = self.clock.unix_time().before(retention);
        let limit = page(limit);
        self.transactions.begin_read()?;
        let found = self.find_old(cutoff, limit);
        self.transactions.rollback()?;
        let (operations, changes) = found?;
        if !operations && changes.is_empty() {
            return Ok(Purged::default());
        }
        self.transactions.begin_write()?;
        match self.forget(cutoff, limit, &changes) {
            Ok(purged) => {
                self.transactions.commit()?;
                Ok(purged)
            }
            Err(fault) => {
                // The fault is what matters; a rollback that fails is tried again before the next transaction.
                drop(self.transactions.rollback());
                Err(fault)
            }
        }
    }

    fn find_old(&mut self, cutoff: Timestamp, limit: i64) -> Result<(bool, Vec<OldChanges>), Fault> {
        let operations = limit > 0
            && prepare(self.connection, "SELECT 1 FROM operation WHERE operation_id < ?1 LIMIT 1")?
                .exists([first_id_at(cutoff)])?;
        let mut events = prepare(self.connection, "SELECT event_id FROM event")?;
        let mut oldest = prepare(self.connection, OLDEST_CHANGES)?;
        let (mut left, mut changes) = (limit, Vec::new());
        let mut rows = events.query([])?;
        while let Some(row) = rows.next()? {
            if left == 0 {
                break;
            }
            let event: String = row.get(0)?;
            let mut through = None;
            let mut feed = oldest.query(params![event, left])?;
            while let Some(row) = feed.next()? {
                let (sequence, decided_at): (i64, i64) = (row.get(0)?, row.get(1)?);
                // Rows leave in order of their sequence only: a young one keeps those after it.
                if decided_at >= cutoff.as_micros() {
                    break;
                }
                through = Some(sequence);
                left -= 1;
            }
            if let Some(through) = through {
                changes.push(OldChanges { event, through });
            }
        }
        Ok((operations, changes))
    }

    fn forget(&mut self, cutoff: Timestamp, limit: i64, changes: &[OldChanges]) -> Result<Purged, Fault> {
        let mut purged = Purged {
            operations: prepare(self.connection, DELETE_OPERATIONS)?.execute(params![first_id_at(cutoff), limit])?,
            changes: 0,
        };
        if purged.operations > 0 {
            prepare(self.connection, RAISE_OPERATIONS_PURGED_BEFORE)?.execute([cutoff.as_micros()])?;
        }
        let mut delete = prepare(self.connection, "DELETE FROM change WHERE event_id = ?1 AND sequence <= ?2")?;
        let mut raise = prepare(
            self.connection,
            "UPDATE event SET changes_purged_through = ?2 WHERE event_id = ?1 AND changes_purged_through < ?2",
        )?;
        for OldChanges { event, through } in changes {
            purged.changes += delete.execute(params![event, through])?;
            raise.execute(params![event, through])?;
        }
        Ok(purged)
    }
}

/// The oldest rows of one event's feed.
pub(super) const OLDEST_CHANGES: &str =
    "SELECT sequence, decided_at FROM change WHERE event_id = ?1 ORDER BY sequence LIMIT ?2";

pub(super) const DELETE_OPERATIONS: &str = "DELETE FROM operation WHERE operation_id IN (
         SELECT operation_id FROM operation WHERE operation_id < ?1 ORDER BY operation_id LIMIT ?2)";

const RAISE_OPERATIONS_PURGED_BEFORE: &str =
    "UPDATE store SET operations_purged_before = max(coalesce(operations_purged_before, ?1), ?1)";

/// Ids made before `time` sort before these bytes: the first 48 bits of a UUID of version 7 are its milliseconds
/// (RFC 9562, section 5.7).
fn first_id_at(time: Timestamp) -> [u8; 16] {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    let millis = micros.div_ceil(1_000);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OperationId;

    #[test]
    fn an_id_sorts_before_the_first_id_of_a_time_exactly_when_it_was_made_before() {
        for micros in [0, 999, 1_000, 1_001, 1_999, 2_000, 1_700_000_000_000_000, 1_700_000_000_000_001] {
            for millis in [0, 1, 2, 3, 1_699_999_999_999, 1_700_000_000_000, 1_700_000_000_001] {
                for random in [[0; 10], [255; 10]] {
                    let id = OperationId::from_parts(Timestamp::from_micros(millis * 1_000), random);
                    let before = *id.as_uuid().as_bytes() < first_id_at(Timestamp::from_micros(micros));
                    assert_eq!(before, id.made_at() < Timestamp::from_micros(micros), "{millis} ms, {micros} us");
                }
            }
        }
    }
}
