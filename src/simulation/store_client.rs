//! A process's repository: the store's machine, and what can happen to a call on its way there and back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::clock::MachineClock;
use super::fault::Fault;
use super::store_server::{StoreServer, at_once};
use crate::adapters::memory::MemoryRepository;
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, BoxFuture, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

/// How long a process waits for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

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
        let mut arrives = there + self.server.slowness();
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
        let read = self.call(course, move |server| does(server.tables())).await;
        read.unwrap_or_else(|| Err(StoreError::transient("no answer")))
    }

    pub(super) async fn send_commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let (event, mut groups) = (event.clone(), groups.to_vec());
        if !self.counts_on() {
            groups.iter_mut().for_each(|group| group.shifts.clear());
        }
        self.write(move |server| server.commit(&event, &groups)).await
    }

    /// Whether it may count on in pools: where no call is carried out twice.
    fn counts_on(&self) -> bool {
        #[cfg(planted_bugs)]
        if crate::planted::is(crate::planted::Bug::RepeatedCallsCount) {
            return true;
        }
        !self.server.trouble.has(Fault::MessageDuplicated)
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
