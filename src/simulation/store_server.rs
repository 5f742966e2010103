//! A store on a machine of its own: the tables of the memory adapter, and what was ever written to them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;

use super::clock::MachineClock;
use super::executor::{Executor, ProcessId, locked};
use super::fault::Trouble;
use super::store_log::{StoreLog, Written};
use crate::adapters::memory::MemoryRepository;
use crate::domain::{EventId, Record, RecordKey, Timestamp};
use crate::ports::{Clock, Group, GroupOutcome, LoadRequest, Purged, Repository, StoreError, Write};

/// The machine of the store.
#[derive(Debug)]
pub(super) struct StoreServer {
    pub(super) executor: Executor,
    pub(super) process: ProcessId,
    clock: MachineClock,
    /// For how long operations are remembered, as was promised.
    retention: Duration,
    tables: MemoryRepository,
    pub(super) trouble: Arc<Trouble>,
    /// Every answer takes so much longer.
    slowness: Mutex<Duration>,
    log: Mutex<StoreLog>,
}

impl StoreServer {
    pub(super) fn new(
        executor: &Executor,
        clock: MachineClock,
        retention: Duration,
        trouble: Arc<Trouble>,
    ) -> Arc<Self> {
        let tables = MemoryRepository::with_clock(Arc::new(clock.clone()));
        Arc::new(Self {
            executor: executor.clone(),
            process: executor.process(),
            clock,
            retention,
            tables,
            trouble,
            slowness: Mutex::default(),
            log: Mutex::default(),
        })
    }

    /// The tables themselves, for whoever looks at what is there.
    pub(super) fn tables(&self) -> &MemoryRepository {
        &self.tables
    }

    pub(super) fn be_slow(&self, slowness: Duration) {
        *locked(&self.slowness) = slowness;
    }

    pub(super) fn slowness(&self) -> Duration {
        *locked(&self.slowness)
    }

    /// What it has ever written.
    pub(super) fn log(&self) -> StoreLog {
        locked(&self.log).clone()
    }

    /// What is older may be forgotten already.
    pub(super) fn forgets_before(&self) -> Timestamp {
        locked(&self.log).horizon_at(Duration::MAX).max(self.clock.unix_time().before(self.retention))
    }

    /// Writes over whatever is there, as an `UPDATE` without a version does.
    pub(super) fn overwrite(&self, event: &EventId, mut group: Group) -> Result<Vec<GroupOutcome>, StoreError> {
        forget_versions(&self.tables, event, &mut group);
        self.commit(event, &[group])
    }

    pub(super) fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        #[cfg(planted_bugs)]
        let groups = &super::planted_store::groups(&self.tables, event, groups);
        let outcomes = at_once(self.tables.commit(event, groups))?;
        if *event == super::hall::event() {
            let done = outcomes.iter().zip(groups).filter(|(outcome, _)| **outcome == GroupOutcome::Committed);
            self.write_down(event, done.flat_map(|(_, group)| &group.writes));
        }
        Ok(outcomes)
    }

    fn write_down<'w>(&self, event: &EventId, writes: impl Iterator<Item = &'w Write>) {
        let (mut log, when) = (locked(&self.log), self.executor.elapsed());
        let mut new = 0;
        for write in writes {
            if let (RecordKey::Operation(id), Record::Operation(record)) = (&write.key, &write.record) {
                log.operations.push(Written { id: *id, decided_at: write.decided_at, when, record: record.clone() });
            } else {
                new += 1;
            }
        }
        if new == 0 {
            return;
        }
        let last = log.commits.last().map_or(0, |(last, _)| *last);
        log.commits.push((last + new, when));
        let after = log.changes.last().map_or(0, |row| row.sequence);
        if let Some(Ok(rows)) = self.tables.changes(event, after, usize::MAX).now_or_never() {
            log.changes.extend(rows);
        }
    }

    pub(super) fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        locked(&self.log).purged(self.clock.unix_time().before(self.retention), self.executor.elapsed());
        at_once(self.tables.purge(retention, limit))
    }
}

/// What is written is written to what is there now.
pub(super) fn forget_versions(tables: &MemoryRepository, event: &EventId, group: &mut Group) {
    group.reads.clear();
    let records = group.writes.iter().map(|write| write.key.clone()).collect();
    let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
    let Ok(there) = at_once(tables.load(&request)) else { return };
    for write in &mut group.writes {
        write.version = there.get(&write.key).map_or(0, |read| read.version);
    }
}

/// What the memory adapter answers, which never waits.
pub(super) fn at_once<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    call.now_or_never().unwrap_or_else(|| Err(StoreError::permanent("the tables made somebody wait")))
}
