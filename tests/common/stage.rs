//! A repository in front of the memory store that a test can hold up, let fail, and count.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{
    EventId, LapsedOf, Pool, PoolId, Record, RecordKey, Reservation, ReservationId, Snapshot,
};
use ticket_reservation::domain::{Ticket, TicketId};
use ticket_reservation::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, StoreErrorKind, TicketQuery,
};

/// What happens to one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Pass,
    /// Nothing is written, and the caller learns it.
    Transient,
    Permanent,
    /// Nothing is written, and the answer is lost.
    Lost,
    /// It is written, and the answer is lost.
    Applied,
    /// The answer is lost, and the statement lands when the test says so.
    Zombie,
    Panic,
}

/// Holds up whoever passes while it is closed.
#[derive(Default)]
pub(crate) struct Gate(Mutex<GateState>);

#[derive(Default)]
struct GateState {
    closed: bool,
    permits: usize,
    waiting: usize,
    wakers: Vec<Waker>,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.closed = false;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Lets one through and stays closed for the others.
    pub(crate) fn let_one(&self) {
        let mut state = self.state();
        state.permits += 1;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many stand in front of it.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    async fn pass(&self) {
        let mut counted = false;
        poll_fn(|context| {
            let mut state = self.state();
            if state.closed && state.permits == 0 {
                state.waiting += usize::from(!std::mem::replace(&mut counted, true));
                state.wakers.push(context.waker().clone());
                return Poll::Pending;
            }
            state.permits = state.permits.saturating_sub(usize::from(state.closed));
            state.waiting -= usize::from(counted);
            Poll::Ready(())
        })
        .await;
    }
}

type CommitHook = Box<dyn FnMut(&[Group]) + Send>;
type LoadHook = Box<dyn FnMut(&LoadRequest) + Send>;
type ChangesHook = Box<dyn FnMut() + Send>;

pub(crate) struct Stage {
    store: MemoryRepository,
    pub(crate) commit_gate: Gate,
    pub(crate) load_gate: Gate,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loads: Vec<LoadRequest>,
    commits: Vec<Vec<Group>>,
    faults: VecDeque<Fault>,
    load_faults: VecDeque<Fault>,
    out_of_reach: bool,
    zombies: Vec<(EventId, Vec<Group>)>,
    fails_on: Option<(RecordKey, Fault)>,
    bare: bool,
    withheld: Option<RecordKey>,
    unreadable: Option<RecordKey>,
    before_commit: Option<CommitHook>,
    before_load: Option<LoadHook>,
    before_changes: Option<ChangesHook>,
}

impl Stage {
    pub(crate) fn new(store: MemoryRepository) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { store, commit_gate: Gate::default(), load_gate: Gate::default(), state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many commits were asked for.
    pub(crate) fn commits(&self) -> usize {
        self.state().commits.len()
    }

    /// What the commits consisted of.
    pub(crate) fn committed(&self) -> Vec<Vec<Group>> {
        self.state().commits.clone()
    }

    /// How many loads were asked for.
    pub(crate) fn loads(&self) -> usize {
        self.state().loads.len()
    }

    /// What happens to the next commits, one after another.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// What happens to the next loads, one after another.
    pub(crate) fn load_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().load_faults.extend(faults);
    }

    /// Every load fails in passing as long as this is so.
    pub(crate) fn out_of_reach(&self, out_of_reach: bool) {
        self.state().out_of_reach = out_of_reach;
    }

    /// What happens to every commit that writes this record.
    pub(crate) fn fails_on(&self, key: RecordKey, fault: Fault) {
        self.state().fails_on = Some((key, fault));
    }

    /// Brings no more records than it must.
    pub(crate) fn bare(&self) {
        self.state().bare = true;
    }

    /// Never returns this record, nor more records than it must.
    pub(crate) fn withhold(&self, key: RecordKey) {
        self.state().withheld = Some(key);
    }

    /// Fails for good whenever it is asked for this record.
    pub(crate) fn unreadable(&self, key: RecordKey) {
        self.state().unreadable = Some(key);
    }

    /// Called before each commit. It must not ask this stage for anything.
    pub(crate) fn before_commit(&self, hook: impl FnMut(&[Group]) + Send + 'static) {
        self.state().before_commit = Some(Box::new(hook));
    }

    /// Called before each load. It must not ask this stage for anything.
    pub(crate) fn before_load(&self, hook: impl FnMut(&LoadRequest) + Send + 'static) {
        self.state().before_load = Some(Box::new(hook));
    }

    /// Called before each read of the change feed. It must not ask this stage for anything.
    pub(crate) fn before_changes(&self, hook: impl FnMut() + Send + 'static) {
        self.state().before_changes = Some(Box::new(hook));
    }

    /// The statements that were on their way arrive, and whether each group was written.
    pub(crate) fn land_zombies(&self) -> Vec<bool> {
        let zombies = std::mem::take(&mut self.state().zombies);
        let land = |(event, groups): (EventId, Vec<Group>)| {
            self.store.commit(&event, &groups).now_or_never().unwrap().unwrap()
        };
        zombies.into_iter().flat_map(land).map(|outcome| outcome == GroupOutcome::Committed).collect()
    }
}

fn failure(kind: StoreErrorKind) -> StoreError {
    match kind {
        StoreErrorKind::Permanent => StoreError::permanent("staged"),
        StoreErrorKind::Unknown => StoreError::unknown("staged"),
        _ => StoreError::transient("staged"),
    }
}

/// Nothing but what the port's contract demands, and of that not `withheld`.
fn strip(full: &Snapshot, request: &LoadRequest, withheld: Option<&RecordKey>) -> Snapshot {
    let mut snapshot = Snapshot::new(request.event.clone(), full.clock());
    snapshot.set_operations_purged_before(full.operations_purged_before());
    let mut keys = request.records.clone();
    for area in &request.free_in {
        let free = full.free(area).unwrap_or_default();
        keys.extend(free.iter().cloned().map(RecordKey::Ticket));
        let place = |id: &TicketId| match &full.get(&RecordKey::Ticket(id.clone()))?.record {
            Some(Record::Ticket(ticket)) => Some((id.clone(), ticket.place.clone())),
            _ => None,
        };
        snapshot.insert_free(area.clone(), free.iter().filter_map(place));
    }
    for key in &request.records {
        let of = match key {
            RecordKey::Pool(id) => LapsedOf::Pool(id.clone()),
            RecordKey::Allowance(id) => LapsedOf::Customer(id.clone()),
            _ => continue,
        };
        if let Some(lapsed) = full.lapsed(&of) {
            keys.extend(lapsed.reservations.iter().copied().map(RecordKey::Reservation));
            snapshot.insert_lapsed(of, lapsed.clone());
        }
    }
    for key in keys.into_iter().filter(|key| Some(key) != withheld) {
        snapshot.insert(key.clone(), full.get(&key).cloned().expect("the store returns what it is asked for"));
    }
    snapshot
}

#[async_trait]
impl Repository for Stage {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let (fault, bare, withheld) = {
            let mut state = self.state();
            state.loads.push(request.clone());
            if let Some(hook) = &mut state.before_load {
                hook(request);
            }
            let fault = state.load_faults.pop_front().unwrap_or(Fault::Pass);
            let is_unreadable = state.unreadable.as_ref().is_some_and(|key| request.records.contains(key));
            let fault = if is_unreadable { Fault::Permanent } else { fault };
            let fault = if state.out_of_reach { Fault::Transient } else { fault };
            (fault, state.bare, state.withheld.clone())
        };
        self.load_gate.pass().await;
        match fault {
            Fault::Pass => {}
            Fault::Permanent => return Err(failure(StoreErrorKind::Permanent)),
            Fault::Panic => panic!("staged: the load panics"),
            _ => return Err(failure(StoreErrorKind::Transient)),
        }
        let full = self.store.load(request).await?;
        if bare || withheld.is_some() { Ok(strip(&full, request, withheld.as_ref())) } else { Ok(full) }
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let fault = {
            let mut state = self.state();
            state.commits.push(groups.to_vec());
            if let Some(hook) = &mut state.before_commit {
                hook(groups);
            }
            let fault = state.faults.pop_front().unwrap_or(Fault::Pass);
            let mut written = groups.iter().flat_map(|group| &group.writes);
            match &state.fails_on {
                Some((key, fault)) if written.any(|write| write.key == *key) => *fault,
                _ => fault,
            }
        };
        self.commit_gate.pass().await;
        match fault {
            Fault::Pass => self.store.commit(event, groups).await,
            Fault::Transient => Err(failure(StoreErrorKind::Transient)),
            Fault::Permanent => Err(failure(StoreErrorKind::Permanent)),
            Fault::Lost => Err(failure(StoreErrorKind::Unknown)),
            Fault::Applied => {
                self.store.commit(event, groups).await?;
                Err(failure(StoreErrorKind::Unknown))
            }
            Fault::Zombie => {
                self.state().zombies.push((event.clone(), groups.to_vec()));
                Err(failure(StoreErrorKind::Unknown))
            }
            Fault::Panic => panic!("staged: the commit panics"),
        }
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        self.store.tickets(query).await
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        self.store.pools(query).await
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        self.store.availability(event).await
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        self.store.reservations(query).await
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        if let Some(hook) = &mut self.state().before_changes {
            hook();
        }
        self.store.changes(event, after, limit).await
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.store.lapsed(limit).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.store.purge(retention, limit).await
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}
