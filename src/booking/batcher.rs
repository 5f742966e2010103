use std::sync::Arc;

use super::backoff::{Backoff, Stall};
use super::core::Core;
use super::decisions::{Decision, decide_all};
use super::error::BookingError;
use super::grouping::group;
use super::lock_plan::Guard;
use super::locks::Locks;
use super::queue::EventQueue;
use super::request::Request;
use super::slots::Slots;
use crate::domain::{AreaId, Record, RecordKey, Rejection, Snapshot, Timestamp};
use crate::ports::{BoxFuture, LoadRequest, Observation, RuntimeExt, StoreError, StoreErrorKind, yield_once};

/// Most loads of one round: one, and one more for each link in a chain of records that the first did not bring.
const LOADS_MAX: usize = 16;

/// How many batches' worth of requests may wait for locks while others go on, and how many may in any case.
const PARKED_BATCHES_MAX: usize = 4;
const PARKED_MIN: usize = 64;

/// Into how many parts at most a batch is divided that cannot be loaded as a whole.
const PARTS_MAX: usize = 64;

/// Takes what waits for one event out of its queue, batch after batch, until nothing waits. The caller has counted it
/// as a task of the registry.
pub(super) fn run(core: Arc<Core>, queue: Arc<EventQueue>) -> BoxFuture<'static, ()> {
    // Made here, so that it also ends a task that is dropped before it ran.
    let ended = Ended { core: Arc::clone(&core), queue: Arc::clone(&queue), normally: false };
    Box::pin(async move {
        let mut locks = Locks::new(Arc::clone(&core), Arc::clone(&queue));
        let mut batcher = Batcher {
            core,
            queue,
            carried: Vec::new(),
            backoff: Backoff::default(),
            stall: None,
            has_progressed: false,
        };
        while let Some(batch) = batcher.next_batch() {
            batcher.round(batch, &mut locks).await;
            locks.give_up(&batcher.carried);
            // Callers that were just answered ask for the next thing before the next batch is taken.
            yield_once().await;
        }
        drop(locks);
        ended.normally();
    })
}

fn sort_out<T: Ord>(items: &mut Vec<T>) {
    items.sort_unstable();
    items.dedup();
}

/// When a batcher ends before its time (a panicking adapter, a runtime that stops), those who wait are told.
struct Ended {
    core: Arc<Core>,
    queue: Arc<EventQueue>,
    normally: bool,
}

impl Ended {
    fn normally(mut self) {
        self.normally = true;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.normally {
            for request in self.queue.stop() {
                let answer = request.undecided(BookingError::Failed(StoreError::transient("the event's task ended")));
                request.answer(answer);
            }
        }
        self.core.registry.task_ended();
    }
}

pub(super) struct Batcher {
    pub(super) core: Arc<Core>,
    pub(super) queue: Arc<EventQueue>,
    /// Requests to decide again, in arrival order.
    pub(super) carried: Vec<Request>,
    backoff: Backoff,
    /// What kept requests of this round from being answered.
    pub(super) stall: Option<Stall>,
    /// In this round something was committed, or a request was found to need locks that it had not asked for yet.
    pub(super) has_progressed: bool,
}

impl Batcher {
    fn next_batch(&mut self) -> Option<Vec<Request>> {
        let most = self.core.limits.batch_max;
        if self.carried.is_empty() {
            return self.queue.take_or_stop(most);
        }
        let mut batch = std::mem::take(&mut self.carried);
        batch.sort_by_key(|request| request.arrival);
        // Those who wait for locks do not keep others from going on.
        let parked = batch.iter().filter(|request| request.is_parked).count();
        if parked < most.saturating_mul(PARKED_BATCHES_MAX).max(PARKED_MIN) {
            batch.extend(self.queue.take(most.saturating_sub(batch.len() - parked)));
        }
        Some(batch)
    }

    /// One batch from load to answer. What is to be decided again is carried into the next round.
    async fn round(&mut self, batch: Vec<Request>, locks: &mut Locks) {
        let batch = self.drop_overdue(batch);
        if batch.is_empty() {
            return;
        }
        let before = batch.len();
        locks.begin_round(&batch).await;
        let batch = self.set_aside_unlocked(batch, locks);
        if !batch.is_empty() {
            locks.keep_during(self.decide_and_commit(locks, batch)).await;
        }
        self.pause_after(before, locks).await;
    }

    /// Requests whose locks are held elsewhere wait for the next round, or are refused if they do not wait for others.
    fn set_aside_unlocked(&mut self, batch: Vec<Request>, locks: &Locks) -> Vec<Request> {
        let mut ready = Vec::with_capacity(batch.len());
        for mut request in batch {
            // Of one whose outcome is unknown a look may be enough. If it is not, it is held back when it is decided.
            request.is_parked = !locks.cover(&request) && !request.is_uncertain();
            if !request.is_parked && ready.len() < self.core.limits.batch_max {
                ready.push(request);
            } else if request.is_parked && request.rejects_contention {
                self.refuse_contended(request);
            } else {
                self.stall = Some(Stall::Lock);
                self.carried.push(request);
            }
        }
        ready
    }

    /// A round that answered nobody is followed by a short pause, which others use.
    async fn pause_after(&mut self, before: usize, locks: &mut Locks) {
        let stall = self.stall.take().unwrap_or(Stall::Conflict);
        let has_progressed = std::mem::take(&mut self.has_progressed);
        if self.carried.len() < before || has_progressed {
            return self.backoff.reset();
        }
        // A store that is out of reach here may not be for others: they shall not wait for this process's locks.
        match stall {
            Stall::Store => locks.give_up_all(),
            Stall::Conflict | Stall::Lock => locks.give_up(&self.carried),
        }
        let pause = self.core.runtime.jittered(self.backoff.next(stall));
        self.core.runtime.sleep(pause).await;
    }

    fn drop_overdue(&self, batch: Vec<Request>) -> Vec<Request> {
        let now = self.core.runtime.now();
        let refuses_waiting = self.core.registry.refuses_waiting();
        let mut kept = Vec::with_capacity(batch.len());
        for request in batch {
            if request.is_abandoned() {
                continue;
            }
            if !refuses_waiting && request.deadline > now {
                kept.push(request);
                continue;
            }
            let refusal = if refuses_waiting { Rejection::ShuttingDown } else { Rejection::DeadlinePassed };
            let answer = request.undecided(refusal);
            request.answer(answer);
        }
        kept
    }

    // ---- load and decide

    /// A batch that cannot be loaded as a whole is divided: one record that cannot be read must not take those with
    /// it who do not ask for it.
    async fn decide_and_commit(&mut self, locks: &Locks, batch: Vec<Request>) {
        let mut parts = vec![batch];
        let mut divided = 1;
        while let Some(mut part) = parts.pop() {
            match self.load_and_decide(&part, &locks.guard()).await {
                Ok((snapshot, decisions)) => self.settle_batch(part, &snapshot, decisions).await,
                Err(error) if error.kind() == StoreErrorKind::Permanent && part.len() > 1 && divided < PARTS_MAX => {
                    divided += 1;
                    part.iter().for_each(Request::wait_again);
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                }
                Err(error) => self.store_failed(part, &error),
            }
        }
    }

    async fn settle_batch(&mut self, batch: Vec<Request>, snapshot: &Snapshot, decisions: Vec<Decision>) {
        let mut groups = group(&decisions, snapshot);
        let mut slots = Slots::new(batch, decisions);
        // What changes nothing is true already: the snapshot was one consistent read.
        let (unchanged, changed): (Vec<_>, Vec<_>) = groups.drain(..).partition(|group| group.group.writes.is_empty());
        for group in unchanged {
            self.finish(&mut slots, &group.members);
        }
        #[cfg(planted_bugs)]
        if crate::planted::is(crate::planted::Bug::RefusalBeforeCommit) {
            for group in &changed {
                self.refuse_early(&mut slots, &group.members);
            }
        }
        if !changed.is_empty() {
            self.commit(&mut slots, changed).await;
        }
        self.carry(slots);
    }

    async fn load_and_decide(
        &self,
        batch: &[Request],
        guard: &Guard<'_>,
    ) -> Result<(Snapshot, Vec<Decision>), StoreError> {
        let mut request = self.first_load(batch);
        for _ in 0..LOADS_MAX {
            let started = self.core.runtime.now();
            let mut snapshot = self.core.repository.load(&request).await?;
            self.core.observe(&Observation::Loaded {
                event: self.queue.event(),
                requests: batch.len(),
                records: request.records.len(),
                took: self.core.runtime.now().saturating_duration_since(started),
            });
            if let Some(Record::Event(event)) = snapshot.get(&RecordKey::Event).and_then(|it| it.record.as_ref()) {
                self.queue.set_has_limit(event.limit_per_customer.is_some());
            }
            match decide_all(&mut snapshot, batch, &self.core.policies, guard) {
                Ok(decisions) => return Ok((snapshot, decisions)),
                Err(missing) => {
                    let before = request.records.len();
                    request.records.extend(missing);
                    sort_out(&mut request.records);
                    if request.records.len() == before {
                        return Err(StoreError::permanent(
                            "the repository does not return the records it is asked for",
                        ));
                    }
                }
            }
        }
        // Others change what is needed faster than it can be read: the next round begins with a fresh look.
        Ok((Snapshot::new(self.queue.event().clone(), Timestamp::EPOCH), Vec::new()))
    }

    /// Everything that the requests of a batch name, each once and in order.
    fn first_load(&self, batch: &[Request]) -> LoadRequest {
        let mut records: Vec<RecordKey> = batch.iter().flat_map(Request::records).collect();
        if self.queue.has_limit() {
            let customers = batch.iter().filter_map(|request| request.command.receiving_customer());
            records.extend(customers.cloned().map(RecordKey::Allowance));
        }
        let mut free_in: Vec<AreaId> = batch.iter().filter_map(|request| request.command.area().cloned()).collect();
        sort_out(&mut records);
        sort_out(&mut free_in);
        LoadRequest { event: self.queue.event().clone(), records, free_in }
    }
}
