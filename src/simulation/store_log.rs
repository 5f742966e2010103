//! What the store has ever written, also of what is purged since.

use std::time::Duration;

use crate::domain::{OperationId, OperationRecord, Timestamp};
use crate::ports::{Change, Sequence};

/// A record of an operation.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) id: OperationId,
    pub(super) decided_at: Timestamp,
    /// When it was committed.
    pub(super) when: Duration,
    pub(super) record: OperationRecord,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StoreLog {
    /// Every row of the sale's change feed.
    pub(super) changes: Vec<Change>,
    /// Where the feed stood after each commit that changed something, in order, and when that was: there, everything is whole.
    pub(super) commits: Vec<(Sequence, Duration)>,
    pub(super) operations: Vec<Written>,
    /// After each purge, the time before which operations and rows of the feed may be gone.
    pub(super) horizons: Vec<(Duration, Timestamp)>,
}

impl StoreLog {
    /// The time before which operations may have been gone at some moment.
    pub(super) fn horizon_at(&self, when: Duration) -> Timestamp {
        let purges = self.horizons.partition_point(|(at, _)| *at <= when);
        self.horizons[..purges].last().map_or(Timestamp::EPOCH, |(_, horizon)| *horizon)
    }

    /// A purge of what was made before that.
    pub(super) fn purged(&mut self, before: Timestamp, when: Duration) {
        let horizon = self.horizons.last().map_or(before, |(_, last)| before.max(*last));
        self.horizons.push((when, horizon));
    }
}
