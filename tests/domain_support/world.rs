//! The store that the rules run on, beside the model that watches them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{
    Action, ChangeSet, Command, EventId, LatePayment, OperationId, Policies, Receipt, Record, RecordKey, Rejection,
    ReservationId, ReservationState, Snapshot, TicketId, Timestamp, View, decide, expire, void,
};
use ticket_reservation::ports::{Clock, Group, GroupOutcome, LoadRequest, Repository, Sequence, Write};

use super::checks::check_changes;
use super::hall::{START, Terms, areas};
use super::judge::{At, subject};
use super::model::Model;
use super::tally::Tally;

/// More loads than any decision needs.
const LOADS_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct ManualClock(pub(crate) AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct World {
    pub(crate) repository: MemoryRepository,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) terms: Terms,
    pub(crate) model: Model,
    /// What was asked for, the first time under each id.
    pub(crate) asked: Vec<Command>,
    pub(crate) operations_made: u64,
    pub(crate) reservations_made: u64,
    pub(crate) tally: Tally,
    /// What the second of a race meets.
    pub(crate) meeting: Option<Action>,
    /// How far each event's change feed is read, and the time of each record then.
    pub(crate) feeds: BTreeMap<EventId, (Sequence, BTreeMap<RecordKey, Timestamp>)>,
}

/// Something to decide on a snapshot.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    Ask { command: Command, picked: Vec<TicketId> },
    Expire(Vec<ReservationId>),
    Void(Command),
}

/// What decisions on one snapshot come to: nothing of it has happened until it is committed.
pub(crate) struct Decided {
    pub(crate) touched: BTreeSet<RecordKey>,
    pub(crate) writes: BTreeMap<RecordKey, (Timestamp, Record)>,
    pub(crate) model: Model,
    pub(crate) tally: Tally,
    pub(crate) successes: Vec<(Command, Receipt, Timestamp)>,
}

/// The memory store answers at once.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory store never waits")
}

impl World {
    pub(crate) fn new(terms: Terms) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(START.as_micros())));
        let late_payment = if terms.books_late_payments { LatePayment::RebookIfFree } else { LatePayment::Refuse };
        // The shortest that is allowed in whole minutes: purges come often.
        let retention = Duration::from_secs(31 * 60);
        let policies = Policies { late_payment, retention, ..Policies::default() };
        assert_eq!(policies.check(), Ok(()));
        Self {
            repository: MemoryRepository::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            terms,
            model: Model::new(policies, START),
            asked: Vec::new(),
            operations_made: 0,
            reservations_made: 0,
            tally: Tally::default(),
            meeting: None,
            feeds: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.unix_time()
    }

    pub(crate) fn load(&self, event: &EventId, records: &BTreeSet<RecordKey>) -> Snapshot {
        let records = records.iter().cloned().collect();
        let request = LoadRequest { event: event.clone(), records, free_in: areas() };
        at_once(self.repository.load(&request)).expect("the memory store does not fail")
    }

    /// Decides all of it on one snapshot, one after another, and commits it together.
    pub(crate) fn batch(&mut self, event: &EventId, jobs: &[Job]) -> TestCaseResult {
        let (snapshot, mut decided) = self.load_and_decide(event, &[jobs])?;
        let decided = decided.remove(0);
        let outcome = self.commit(event, &snapshot, &decided)?;
        prop_assert_eq!(outcome, GroupOutcome::Committed, "nobody else has changed anything");
        self.carry_out(decided);
        Ok(())
    }

    /// Loads what all of these decisions need in one snapshot, and makes each of them on that snapshot alone.
    pub(crate) fn load_and_decide(
        &self,
        event: &EventId,
        of_each: &[&[Job]],
    ) -> Result<(Snapshot, Vec<Decided>), TestCaseError> {
        let mut records: BTreeSet<RecordKey> = of_each.iter().flat_map(|jobs| jobs.iter()).flat_map(start_of).collect();
        for _ in 0..LOADS_MAX {
            let snapshot = self.load(event, &records);
            let known = records.len();
            let mut decided = Vec::new();
            for jobs in of_each {
                match self.decide_all(&snapshot, jobs)? {
                    Ok(done) => decided.push(done),
                    Err(missing) => records.extend(missing),
                }
            }
            if decided.len() == of_each.len() {
                return Ok((snapshot, decided));
            }
            prop_assert!(records.len() > known, "a decision lacks records that were loaded");
        }
        Err(TestCaseError::fail("decisions still lack records after many loads"))
    }

    fn decide_all(&self, snapshot: &Snapshot, jobs: &[Job]) -> Result<Result<Decided, Vec<RecordKey>>, TestCaseError> {
        let mut snapshot = snapshot.clone();
        let mut all = Decided {
            touched: BTreeSet::new(),
            writes: BTreeMap::new(),
            model: self.model.clone(),
            tally: Tally::default(),
            successes: Vec::new(),
        };
        for job in jobs {
            let mut view = View::new(&snapshot);
            let decided = match job {
                Job::Ask { command, picked } => {
                    view = view.with_picked(picked);
                    decide(&mut view, command, &self.model.policies)
                }
                Job::Expire(ids) => Ok(expire(&mut view, ids)),
                Job::Void(command) => Ok(void(&mut view, command)),
            };
            if !view.missing().is_empty() {
                return Ok(Err(view.missing().to_vec()));
            }
            prop_assert!(!view.has_more_lapsed(), "so few reservations fit into one list");
            let now = view.now();
            let seen: BTreeSet<RecordKey> = view.into_touched().into_iter().collect();
            if let Ok(changes) = &decided {
                check_changes(&snapshot, changes, &seen)?;
            }
            self.watch(&mut all, &snapshot, job, &decided, now)?;
            all.model.latest = all.model.latest.max(now);
            if let Ok(changes) = decided {
                snapshot.apply(&changes);
                all.writes.extend(changes.writes.into_iter().map(|(key, record)| (key, (changes.at, record))));
            }
            all.touched.extend(seen);
        }
        Ok(Ok(all))
    }

    /// Compares a decision with what the model says, and carries it out on the model.
    fn watch(
        &self,
        all: &mut Decided,
        snapshot: &Snapshot,
        job: &Job,
        decided: &Result<ChangeSet, Rejection>,
        now: Timestamp,
    ) -> TestCaseResult {
        let recorded = |operation: OperationId| {
            snapshot.get(&RecordKey::Operation(operation)).is_some_and(|versioned| versioned.record.is_some())
        };
        let Job::Ask { command, picked } = job else {
            if let Job::Void(command) = job
                && !recorded(command.operation)
            {
                all.model.voided.insert(command.operation, Rc::new(command.clone()));
                all.tally.count("voided");
            }
            return Ok(());
        };
        let answer = match decided {
            Ok(changes) => Ok(changes.receipt.as_ref().expect("a command that takes effect has a receipt")),
            Err(rejection) => Err(rejection),
        };
        let at = At { clock: snapshot.clock(), now, picked };
        all.tally.count(match answer {
            Ok(receipt) if receipt.repeated => "a repeated success".to_owned(),
            Ok(receipt) => format!("{} succeeds", receipt.kind.name()),
            Err(rejection) => format!("{} refused: {}", command.kind().name(), rejection.kind()),
        });
        if at.clock < all.model.latest {
            all.tally.count("decided on a clock that has stepped back");
        }
        if recorded(command.operation) {
            if all.model.done.get(&command.operation).is_some_and(|_| !self.model.done.contains_key(&command.operation))
            {
                all.tally.count("a success repeated in its own batch");
            }
            return all.model.check_repetition(command, answer);
        }
        all.model.check_answer(command, answer, at)?;
        if all.model.done.contains_key(&command.operation) {
            all.tally.count("a success that was purged is asked for again");
        }
        if let Ok(receipt) = answer {
            all.count_success(snapshot, command, now);
            all.model.apply(command, receipt)?;
            all.successes.push((command.clone(), receipt.clone(), now));
        }
        Ok(())
    }

    pub(crate) fn commit(
        &self,
        event: &EventId,
        snapshot: &Snapshot,
        decided: &Decided,
    ) -> Result<GroupOutcome, TestCaseError> {
        if decided.writes.is_empty() {
            return Ok(GroupOutcome::Committed);
        }
        let version = |key: &RecordKey| snapshot.get(key).map_or(0, |versioned| versioned.version);
        let reads = decided.touched.iter().filter(|key| !decided.writes.contains_key(*key));
        let write = |(key, (decided_at, record)): (&RecordKey, &(Timestamp, Record))| Write {
            key: key.clone(),
            version: version(key),
            decided_at: *decided_at,
            record: record.clone(),
        };
        let group = Group {
            reads: reads.map(|key| (key.clone(), version(key))).collect(),
            writes: decided.writes.iter().map(write).collect(),
            ..Group::default()
        };
        match at_once(self.repository.commit(event, &[group])) {
            Ok(mut outcomes) if outcomes.len() == 1 => Ok(outcomes.remove(0)),
            other => Err(TestCaseError::fail(format!("the store refuses what the rules allow: {other:?}"))),
        }
    }

    pub(crate) fn carry_out(&mut self, decided: Decided) {
        self.model = decided.model;
        self.tally.add(decided.tally);
    }
}

impl Decided {
    fn count_success(&mut self, snapshot: &Snapshot, command: &Command, now: Timestamp) {
        if command.area().is_some() {
            self.tally.count("best available succeeds");
        }
        let Some((id, _)) = subject(&command.action) else { return };
        let Some(Record::Reservation(before)) =
            snapshot.get(&RecordKey::Reservation(id)).and_then(|it| it.record.as_ref())
        else {
            return;
        };
        let kind = command.kind().name();
        let limited = self.model.sales[&command.event].terms.limit_per_customer.is_some();
        match before.state {
            ReservationState::Expired => self.tally.count(format!("{kind} after the hold was reclaimed")),
            ReservationState::Held { until } if until <= now => {
                self.tally.count(format!("{kind} after the deadline"));
            }
            ReservationState::Held { until } if now.after(Duration::from_micros(1)) == until => {
                self.tally.count(format!("{kind} in the last microsecond"));
            }
            ReservationState::Booked if limited => self.tally.count(format!("{kind} of a booking under a limit")),
            _ => {}
        }
    }
}

/// The records that deciding starts from.
fn start_of(job: &Job) -> Vec<RecordKey> {
    match job {
        Job::Ask { command, .. } | Job::Void(command) => command.records(),
        Job::Expire(ids) => ids.iter().map(|id| RecordKey::Reservation(*id)).collect(),
    }
}
