use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::error::Fault;
use super::feed;
use super::queries::page;
use super::store::Store;
use super::transaction::prepare;
use crate::domain::{EventId, Timestamp};
use crate::ports::{Change, Purged, Sequence};

/// At how many events' change feeds one purge step looks, at most. The next step goes on after them, and begins anew
/// after the last event of the file.
///
/// Each costs one lookup by the primary key, on the thread that serves bookings. An index over all feeds by age would
/// find the oldest row at once, and make every commit slower.
pub const PURGE_EVENTS_MAX: usize = 256;

/// What a purge step found to forget.
struct Old {
    /// Whether there are old operations.
    operations: bool,
    changes: Vec<OldChanges>,
    /// The last event of which nothing old is left then.
    done_with: Option<String>,
}

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
        self.transactions.undo(changes)
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
        let old = self.transactions.undo(found)?;
        let purged = if old.operations || !old.changes.is_empty() {
            self.transactions.begin_write()?;
            let purged = match self.forget(cutoff, limit, &old.changes) {
                Ok(purged) => purged,
                fault => return self.transactions.undo(fault),
            };
            self.transactions.commit()?;
            purged
        } else {
            Purged::default()
        };
        // Only now: a step that failed is made again.
        if let Some(event) = old.done_with {
            self.purged_last = event;
        }
        Ok(purged)
    }

    /// The events whose turn it is, in the order in which they have it.
    fn next_events(&self) -> Result<Vec<String>, Fault> {
        let mut events = Vec::new();
        for sql in [EVENTS_AFTER, EVENTS_UP_TO] {
            let left = PURGE_EVENTS_MAX - events.len();
            let mut statement = prepare(self.connection, sql)?;
            let mut rows = statement.query(params![self.purged_last, left as i64])?;
            while let Some(row) = rows.next()? {
                events.push(row.get(0)?);
            }
        }
        Ok(events)
    }

    fn find_old(&mut self, cutoff: Timestamp, limit: i64) -> Result<Old, Fault> {
        let operations = limit > 0
            && prepare(self.connection, "SELECT 1 FROM operation WHERE operation_id < ?1 LIMIT 1")?
                .exists([first_id_at(cutoff)])?;
        let mut oldest = prepare(self.connection, OLDEST_CHANGES)?;
        let mut old = Old { operations, changes: Vec::new(), done_with: None };
        let mut left = limit;
        for event in self.next_events()? {
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
                old.changes.push(OldChanges { event: event.clone(), through });
            }
            // An event at which the limit is reached may have more, and is the first one of the next step.
            if left == 0 {
                break;
            }
            old.done_with = Some(event);
        }
        Ok(old)
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

/// Events by id after one, and from the first one up to it.
pub(super) const EVENTS_AFTER: &str = "SELECT event_id FROM event WHERE event_id > ?1 ORDER BY event_id LIMIT ?2";
pub(super) const EVENTS_UP_TO: &str = "SELECT event_id FROM event WHERE event_id <= ?1 ORDER BY event_id LIMIT ?2";

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
    use rusqlite::Connection;

    use super::super::store::testing;
    use super::super::thread::Session as _;
    use super::*;
    use crate::domain::OperationId;
    use crate::ports::PAGE_MAX;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Adds an event with some rows that are two hours old.
    fn add_event(connection: &Connection, id: &str, rows: i64) {
        let decided_at = testing::NOW.before(2 * HOUR).as_micros();
        connection
            .execute(
                "INSERT INTO event (event_id, state, version, decided_at, change_sequence)
                 VALUES (?1, 'on_sale', 1, ?2, ?3)",
                params![id, decided_at, rows],
            )
            .unwrap();
        for sequence in 1..=rows {
            connection
                .execute(
                    "INSERT INTO change (event_id, sequence, decided_at, version, kind) VALUES (?1, ?2, ?3, 1, 'event')",
                    params![id, sequence, decided_at],
                )
                .unwrap();
        }
    }

    /// How many rows each of so many steps purges.
    fn purge(store: &mut Store<'_>, limit: usize, steps: usize) -> Vec<usize> {
        (0..steps).map(|_| store.purge(HOUR, limit).unwrap().changes).collect()
    }

    #[test]
    fn a_step_looks_at_no_more_events_than_it_may_and_the_next_one_goes_on_after_them() {
        let folder = tempfile::tempdir().unwrap();
        let session = testing::session(&folder);
        let connection = session.open().unwrap();
        let mut store = session.prepare(&connection).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        for number in 0..2 * PURGE_EVENTS_MAX + 10 {
            add_event(&connection, &format!("event {number:04}"), 1);
        }
        connection.execute_batch("COMMIT").unwrap();
        let max = PURGE_EVENTS_MAX;
        assert_eq!(purge(&mut store, PAGE_MAX, 4), [max, max, 10, 0]);
        // The round begins anew, wherever it stands when there is something to do again.
        add_event(&connection, "event", 3);
        add_event(&connection, "event 0400 again", 4);
        add_event(&connection, "last event", 5);
        assert_eq!(purge(&mut store, PAGE_MAX, 3).iter().sum::<usize>(), 12);
    }

    #[test]
    fn an_event_at_which_the_limit_is_reached_is_gone_on_with_before_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let session = testing::session(&folder);
        let connection = session.open().unwrap();
        let mut store = session.prepare(&connection).unwrap();
        for (id, rows) in [("a", 2), ("b", 7), ("c", 3)] {
            add_event(&connection, id, rows);
        }
        assert_eq!(purge(&mut store, 4, 5), [4, 4, 4, 0, 0]);
        let left: i64 = connection.query_row("SELECT count(*) FROM change", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
        assert_eq!(purge(&mut store, 0, 1), [0]);
    }

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
