//! What a commit is made of: groups of writes, each whole or not at all.

use crate::domain::{Pool, PoolId, Record, RecordKey, Timestamp, Versioned};

/// One record's new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which record.
    pub key: RecordKey,
    /// The version it was read with; 0 when it did not exist. The commit writes `version + 1`.
    pub version: u64,
    /// When the new content was decided.
    pub decided_at: Timestamp,
    /// The new content.
    pub record: Record,
}

/// Decisions that depend on one another: they are committed together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Records that were read and do not change, with the versions they were read with (0: did not exist), in
    /// ascending order of their keys.
    pub reads: Vec<(RecordKey, u64)>,
    /// Records that change, in ascending order of their keys. No key stands in `reads` too.
    pub writes: Vec<Write>,
    /// Pools among `writes` that the group only counts in, see [`PoolShift`].
    pub shifts: Vec<PoolShift>,
}

/// By how much a group moves the counters of a pool that it writes.
///
/// The group rests on the pool having places enough, and on nothing else of it: nobody in it was refused for want of places, and
/// the capacity stays. So where others have counted in the pool since it was read, a store MAY count on instead of answering with a
/// conflict, as [`Group::shifted`] says. It spares the processes that sell one pool from deciding the same again and again. A store
/// that compares the version alone is as right; one whose calls may be carried out more than once MUST do so: a group that finds no
/// places, and is a conflict, could find some when its call is carried out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolShift {
    /// The pool.
    pub pool: PoolId,
    /// Places more, or fewer, that are held.
    pub held: i64,
    /// Places more, or fewer, that are booked.
    pub booked: i64,
}

impl Group {
    /// The write of a pool on top of what the store has by now, in place of the one in `writes`: the next version, both counters
    /// moved, the capacity that is there, a decision time that does not go back. `None` where the group does not only count in
    /// the pool, where places are wanting, and where a counter would fall below 0: then it is a conflict.
    ///
    /// For stores, under what keeps others from writing the pool until the commit.
    ///
    /// ```
    /// use ticket_reservation::domain::{Pool, PoolId, Record, RecordKey, Timestamp, Versioned};
    /// use ticket_reservation::ports::{Group, PoolShift, Write};
    ///
    /// // Two places are held, of a pool that was empty when it was read.
    /// let (standing, at) = (PoolId::new("standing")?, Timestamp::from_micros(1_800_000_000_000_000));
    /// let held = |held, capacity| Record::Pool(Pool { held, ..Pool::with_capacity(capacity) });
    /// let write = Write { key: RecordKey::Pool(standing.clone()), version: 1, decided_at: at, record: held(2, 100) };
    /// let shifts = vec![PoolShift { pool: standing.clone(), held: 2, booked: 0 }];
    /// let group = Group { reads: vec![], writes: vec![write], shifts };
    ///
    /// // Others have held 97 meanwhile, and then one more.
    /// let shifted = group.shifted(&standing, &Versioned::new(7, at, held(97, 100))).ok_or("places enough")?;
    /// assert_eq!((shifted.version, shifted.record), (7, held(99, 100)));
    /// assert_eq!(group.shifted(&standing, &Versioned::new(8, at, held(99, 100))), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shifted(&self, pool: &PoolId, found: &Versioned) -> Option<Write> {
        let shift = self.shifts.iter().find(|shift| shift.pool == *pool)?;
        let write = self.writes.iter().find(|write| matches!(&write.key, RecordKey::Pool(id) if id == pool))?;
        let Some(Record::Pool(found_pool)) = &found.record else { return None };
        let moved = |counter: u32, by: i64| u32::try_from(i64::from(counter).checked_add(by)?).ok();
        let (held, booked) = (moved(found_pool.held, shift.held)?, moved(found_pool.booked, shift.booked)?);
        let has_room = held.checked_add(booked).is_some_and(|taken| taken <= found_pool.capacity);
        #[cfg(planted_bugs)]
        let has_room = has_room || crate::planted::is(crate::planted::Bug::RoomNotLookedAt);
        if !has_room {
            return None;
        }
        let record = Record::Pool(Pool { capacity: found_pool.capacity, held, booked });
        let decided_at = write.decided_at.max(found.decided_at);
        Some(Write { key: write.key.clone(), version: found.version, decided_at, record })
    }

    /// Operations among `writes` that may have been done and forgotten: their ids were made before the time before which
    /// operations are purged. They are a conflict, whatever their versions.
    ///
    /// ```
    /// use ticket_reservation::domain::{EventId, Fingerprint, OperationId, OperationRecord, Record, RecordKey, Recorded, Timestamp};
    /// use ticket_reservation::ports::{Group, Write};
    ///
    /// let made_at = Timestamp::from_micros(1_800_000_000_000_000);
    /// let key = RecordKey::Operation(OperationId::from_parts(made_at, [2; 10]));
    /// # let (event, fingerprint) = (EventId::new("gala")?, Fingerprint::from_bytes([0; 16]));
    /// let record = Record::Operation(OperationRecord { event, fingerprint, recorded: Recorded::Voided });
    /// let write = Write { key: key.clone(), version: 0, decided_at: made_at, record };
    /// let group = Group { writes: vec![write], ..Group::default() };
    /// assert_eq!(group.purged(made_at).count(), 0);
    /// let later = Timestamp::from_micros(made_at.as_micros() + 1);
    /// assert_eq!(group.purged(later).collect::<Vec<_>>(), [&key]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purged(&self, operations_purged_before: Timestamp) -> impl Iterator<Item = &RecordKey> {
        #[cfg(planted_bugs)]
        let operations_purged_before = crate::planted::purged_before(operations_purged_before);
        let is_purged =
            move |key: &&RecordKey| matches!(key, RecordKey::Operation(id) if id.made_at() < operations_purged_before);
        self.writes.iter().map(|write| &write.key).filter(is_purged)
    }
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupOutcome {
    /// All of its writes are durable.
    Committed,
    /// None of its writes happened, and none will: these records have other versions than they were read with, or are operations that
    /// may have been purged ([`Group::purged`]).
    Conflict {
        /// The records. At least one; not necessarily all.
        stale: Vec<RecordKey>,
    },
}
