//! A store on a machine of its own: the tables of the memory adapter, and what can happen to a call on its way there and back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::clock::MachineClock;
use super::executor::{Executor, ProcessId, locked};
use super::fault::{Fault, Trouble};
use super::store_log::{StoreLog, Written};
use crate::adapters::memory::MemoryRepository;
use crate::domain::{
    EventId, Pool, PoolId, Record, RecordKey, Reservation, ReservationId, Snapshot, Ticket, TicketId, Timestamp,
};
use crate::ports::{
    Availability, BoxFuture, Change, ChangesError, Clock, Group, GroupOutcome, LoadRequest, PoolQuery, Purged,
    Repository, ReservationQuery, Sequence, StoreError, TicketQuery, Write,
};

/// How long a process waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The machine of the store.
#[derive(Debug)]
pub(super) struct StoreServer {
    pub(super) executor: Executor,
    pub(super) process: ProcessId,
    clock: MachineClock,
    /// For how long operations are remembered, as was promised.
    retention: Duration,
    tables: MemoryRepository,
    trouble: Arc<Trouble>,
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

    fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
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

    fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
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

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// When it arrives, if it does.
    arrives: Option<Duration>,
    /// It arrives once more, so much later.
    again: Option<Duration>,
    /// How long its answer takes, if it comes.
    returns: Option<Duration>,
    /// When the caller stops waiting.
    gives_up: Duration,
}

/// One process's repository.
#[derive(Debug, Clone)]
pub(super) struct StoreClient {
    pub(super) server: Arc<StoreServer>,
    #[cfg(planted_bugs)]
    pub(super) clock: MachineClock,
}

impl StoreClient {
    #[cfg_attr(not(planted_bugs), expect(unused_variables, reason = "the store's clock is the one that counts"))]
    pub(super) fn new(server: &Arc<StoreServer>, clock: &MachineClock) -> Self {
        Self {
            server: Arc::clone(server),
            #[cfg(planted_bugs)]
            clock: clock.clone(),
        }
    }

    fn usual(&self) -> Course {
        let trouble = &self.server.trouble;
        let (there, back) = trouble.with_dice(|dice| (dice.millis(0, 2), dice.millis(0, 2)));
        let mut arrives = there + *locked(&self.server.slowness);
        if trouble.strikes(Fault::MessageDelayed) {
            arrives += trouble.with_dice(|dice| dice.millis(20, 1_500));
        }
        let is_doubled = trouble.strikes(Fault::MessageDuplicated);
        let again = is_doubled.then(|| trouble.with_dice(|dice| dice.millis(0, 3_000)));
        Course { arrives: Some(arrives), again, returns: Some(back), gives_up: CALL_TIMEOUT }
    }

    /// A call that changes something. An error is one that says that nothing was sent.
    fn course_of_write(&self) -> Result<Course, StoreError> {
        let trouble = &self.server.trouble;
        let soon = |course: Course| Course { gives_up: course.arrives.unwrap_or_default() * 2, ..course };
        if trouble.strikes(Fault::StoreRefused) {
            return Err(StoreError::transient("the store refuses"));
        }
        if trouble.strikes(Fault::LostBeforeCommit) {
            return Err(StoreError::transient("there is no connection"));
        }
        let course = self.usual();
        if trouble.strikes(Fault::StoreUnknownNotDone) {
            return Ok(Course { arrives: None, ..course });
        }
        if trouble.strikes(Fault::StoreUnknownDone) {
            return Ok(Course { returns: None, ..course });
        }
        if trouble.strikes(Fault::StoreUnknownDoneLate) {
            let late = trouble.with_dice(|dice| {
                let longest = *dice.one_of(&[500, 20_000, 20_000]);
                dice.millis(0, longest)
            });
            return Ok(Course { arrives: Some(CALL_TIMEOUT + late), ..course });
        }
        if trouble.strikes(Fault::LostInCommit) {
            let arrives = course.arrives.filter(|_| trouble.with_dice(|dice| dice.per_mille(500)));
            return Ok(soon(Course { arrives, returns: None, ..course }));
        }
        if trouble.strikes(Fault::LostAfterCommit) {
            return Ok(soon(Course { returns: None, ..course }));
        }
        Ok(course)
    }

    fn course_of_read(&self) -> Result<Course, StoreError> {
        let trouble = &self.server.trouble;
        if trouble.strikes(Fault::StoreRefused) {
            return Err(StoreError::transient("the store refuses"));
        }
        let course = self.usual();
        if trouble.strikes(Fault::LostInLoad) {
            return Ok(Course { returns: None, gives_up: course.arrives.unwrap_or_default(), ..course });
        }
        Ok(course)
    }

    /// Does something on the server, which does it whatever becomes of the caller. `None` is no answer.
    async fn call<T: Send + 'static>(
        &self,
        course: Course,
        does: impl Fn(&StoreServer) -> T + Send + Sync + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let (server, does) = (Arc::clone(&self.server), Arc::new(does));
        if let Some(arrives) = course.arrives {
            let task: BoxFuture<'static, ()> = Box::pin(async move {
                server.executor.sleep(arrives).await;
                let done = does(&server);
                if let Some(later) = course.again {
                    let (again, doubled) = (Arc::clone(&server), Arc::clone(&does));
                    let arrives_again = async move {
                        again.executor.sleep(later).await;
                        let _ = doubled(&again);
                    };
                    server.executor.spawn(server.process, 0, Box::pin(arrives_again));
                }
                if let Some(returns) = course.returns {
                    server.executor.sleep(returns).await;
                    let _ = answer.send(done);
                } else {
                    // The other side hears nothing, which is not the same as an end.
                    server.executor.sleep(course.gives_up).await;
                }
            });
            self.server.executor.spawn(self.server.process, 0, task);
        }
        let gives_up = course.gives_up;
        #[cfg(planted_bugs)]
        let gives_up = super::planted_store::patience(gives_up);
        match select(answered, self.server.executor.sleep(gives_up)).await {
            Either::Left((Ok(done), _)) => Some(done),
            Either::Left((Err(oneshot::Canceled), patience)) => {
                patience.await;
                None
            }
            Either::Right(_) => None,
        }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        does: impl Fn(&MemoryRepository) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let course = self.course_of_read()?;
        let read = self.call(course, move |server| does(&server.tables)).await;
        read.unwrap_or_else(|| Err(StoreError::transient("no answer")))
    }

    pub(super) async fn send_commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let (event, groups) = (event.clone(), groups.to_vec());
        self.write(move |server| server.commit(&event, &groups)).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        does: impl Fn(&StoreServer) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let course = self.course_of_write()?;
        self.call(course, does).await.unwrap_or_else(|| Err(StoreError::unknown("no answer")))
    }
}

#[async_trait]
impl Repository for StoreClient {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let request = request.clone();
        #[cfg(planted_bugs)]
        let asked = request.records.clone();
        let snapshot = self.read(move |tables| at_once(tables.load(&request))).await;
        #[cfg(planted_bugs)]
        let snapshot = snapshot.map(|snapshot| super::planted_store::snapshot(snapshot, self, &asked));
        snapshot
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        #[cfg(planted_bugs)]
        if let Some(outcomes) = super::planted_store::commit(self, event, groups).await {
            return outcomes;
        }
        self.send_commit(event, groups).await
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        let query = query.clone();
        self.read(move |tables| at_once(tables.tickets(&query))).await
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        let query = query.clone();
        self.read(move |tables| at_once(tables.pools(&query))).await
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let event = event.clone();
        self.read(move |tables| at_once(tables.availability(&event))).await
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let query = query.clone();
        self.read(move |tables| at_once(tables.reservations(&query))).await
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let event = event.clone();
        #[cfg(planted_bugs)]
        let after = super::planted_store::position(self.server.tables(), &event, after);
        self.read(move |tables| match tables.changes(&event, after, limit).now_or_never() {
            Some(Err(ChangesError::Store(error))) => Err(error),
            Some(read) => Ok(read),
            None => Err(StoreError::permanent("the tables made somebody wait")),
        })
        .await?
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.read(move |tables| at_once(tables.lapsed(limit))).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        #[cfg(planted_bugs)]
        let retention = super::planted_store::retention(retention);
        self.write(move |server| server.purge(retention, limit)).await
    }
}
