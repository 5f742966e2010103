//! What becomes of a batch once it is decided: committed and answered, or carried into the next round.

use std::time::Duration;

use super::backoff::Stall;
use super::batcher::Batcher;
use super::decisions::{Again, Verdict};
use super::error::BookingError;
use super::grouping::DecisionGroup;
use super::request::Request;
use super::slots::{Decided, Slots};
use crate::domain::Rejection;
use crate::ports::{Group, GroupOutcome, Observation, RuntimeExt, StoreError, StoreErrorKind};

/// What a request that does not wait for others is told to wait before it asks again: a few commits of theirs.
const RETRY_AFTER: Duration = Duration::from_millis(8);

impl Batcher {
    pub(super) async fn commit(&mut self, slots: &mut Slots, groups: Vec<DecisionGroup>) {
        let (members, groups): (Vec<Vec<usize>>, Vec<Group>) =
            groups.into_iter().map(|group| (group.members, group.group)).unzip();
        match self.commit_groups(slots, &members, &groups).await {
            Ok(outcomes) => self.settle(slots, &members, &outcomes),
            // One group that cannot be written must not take the others down with it.
            Err(error)
                if groups.len() > 1
                    && match error.kind() {
                        StoreErrorKind::Permanent => true,
                        StoreErrorKind::Transient => slots.have_failed_before(&members),
                        StoreErrorKind::Unknown => false,
                    } =>
            {
                self.commit_singly(slots, &members, &groups).await;
            }
            Err(error) => members.iter().for_each(|members| self.commit_failed(slots, members, &error)),
        }
    }

    /// Commits one group after the other. When two in a row fail in passing it is not their fault: the rest waits.
    async fn commit_singly(&mut self, slots: &mut Slots, members: &[Vec<usize>], groups: &[Group]) {
        let mut failed_in_a_row = 0;
        for (members, group) in members.iter().zip(groups) {
            if failed_in_a_row == 2 {
                let waiting = members.iter().filter_map(|index| slots.take(*index));
                waiting.for_each(|decided| self.carry_one(decided.request));
                continue;
            }
            let (one, group) = (std::slice::from_ref(members), std::slice::from_ref(group));
            match self.commit_groups(slots, one, group).await {
                Ok(outcomes) => {
                    failed_in_a_row = 0;
                    self.settle(slots, one, &outcomes);
                }
                Err(error) => {
                    failed_in_a_row += u32::from(error.kind() != StoreErrorKind::Permanent);
                    self.commit_failed(slots, members, &error);
                }
            }
        }
    }

    async fn commit_groups(
        &self,
        slots: &Slots,
        members: &[Vec<usize>],
        groups: &[Group],
    ) -> Result<Vec<GroupOutcome>, StoreError> {
        let event = self.queue.event();
        let requests = members.iter().map(|members| slots.count_requests(members)).sum();
        self.core.observe(&Observation::Committing { event, groups: groups.len(), requests });
        let started = self.core.runtime.now();
        let outcomes = self.core.repository.commit(event, groups).await?;
        let took = self.core.runtime.now().saturating_duration_since(started);
        let (mut committed, mut requests) = (0, 0);
        for (members, outcome) in members.iter().zip(&outcomes) {
            if *outcome == GroupOutcome::Committed {
                committed += 1;
                requests += slots.count_requests(members);
            }
        }
        let conflicts = outcomes.len() - committed;
        self.core.observe(&Observation::Committed { event, committed, conflicts, requests, took });
        Ok(outcomes)
    }

    fn settle(&mut self, slots: &mut Slots, members: &[Vec<usize>], outcomes: &[GroupOutcome]) {
        self.queue.adaptive().committed(members, outcomes);
        for (members, outcome) in members.iter().zip(outcomes) {
            match outcome {
                GroupOutcome::Committed => {
                    self.has_progressed = true;
                    self.finish(slots, members);
                }
                GroupOutcome::Conflict { stale } => {
                    let (event, requests) = (self.queue.event(), slots.count_requests(members));
                    self.core.observe(&Observation::Conflict { event, stale, requests });
                    for index in members {
                        if let Some(decided) = slots.take(*index) {
                            self.decide_after_conflict(decided.request);
                        }
                    }
                }
            }
        }
        let adapted = self.queue.adaptive().adapt();
        if let Some((locking, conflict_share)) = adapted {
            self.core.observe(&Observation::Adapted { event: self.queue.event(), locking, conflict_share });
        }
    }

    /// Everything that these decisions depend on is durable: their answers are true.
    pub(super) fn finish(&mut self, slots: &mut Slots, members: &[usize]) {
        for index in members {
            let Some(Decided { request, verdict, .. }) = slots.take(*index) else { continue };
            match verdict {
                Verdict::Answer(answer) => request.answer(*answer),
                Verdict::Again(again) => self.decide_again(request, again),
            }
        }
    }

    #[cfg(planted_bugs)]
    pub(super) fn refuse_early(&mut self, slots: &mut Slots, members: &[usize]) {
        for index in members {
            if let Some(rejection) = slots.refusal(*index)
                && let Some(decided) = slots.take(*index)
            {
                decided.request.answer(Err(rejection.into()));
            }
        }
    }

    fn decide_again(&mut self, mut request: Request, again: Again) {
        match again {
            // What it needed to lock for making room it need not keep locked.
            Again::MoreLapsed => request.lock_keys.clear(),
            Again::Turn => {}
            Again::Locks(keys, _) if keys == request.lock_keys => self.stall = Some(Stall::Lock),
            Again::Locks(keys, picked) => {
                self.has_progressed = true;
                request.lock_keys = keys;
                request.picked = picked;
            }
            // Others were faster: as good as a conflict.
            Again::Picks => return self.decide_after_conflict(request),
        }
        self.carry_one(request);
    }

    /// Another process was faster: it is decided anew, and what was picked for it is picked anew, a bounded number of
    /// times.
    fn decide_after_conflict(&mut self, mut request: Request) {
        request.conflicts += 1;
        if !request.picked.is_empty() {
            request.picked.clear();
            request.lock_keys.clear();
        }
        let gives_up = request.rejects_contention || request.conflicts > self.core.limits.conflict_retries_max;
        if gives_up && !request.is_uncertain() {
            self.refuse_contended(request);
        } else {
            self.carry_one(request);
        }
    }

    pub(super) fn refuse_contended(&self, request: Request) {
        let retry_after = self.core.runtime.jittered(RETRY_AFTER);
        request.answer(Err(Rejection::Contended { retry_after }.into()));
    }

    fn commit_failed(&mut self, slots: &mut Slots, members: &[usize], error: &StoreError) {
        let decided: Vec<Decided> = members.iter().filter_map(|index| slots.take(*index)).collect();
        let unknown = error.kind() == StoreErrorKind::Unknown;
        // A mere refusal sent nothing: whatever became of the commit, it has not happened.
        let (sent, refused): (Vec<_>, Vec<_>) = decided.into_iter().partition(|decided| !unknown || decided.writes);
        refused.into_iter().for_each(|decided| self.carry_one(decided.request));
        self.store_failed(sent.into_iter().map(|decided| decided.request).collect(), error);
    }

    pub(super) fn store_failed(&mut self, requests: Vec<Request>, error: &StoreError) {
        self.stall = Some(Stall::Store);
        self.core.observe(&Observation::StoreFailed { event: self.queue.event(), error });
        for mut request in requests {
            request.store_failures += 1;
            if error.kind() == StoreErrorKind::Unknown {
                request.become_uncertain(error.clone());
            }
            let retries = error.kind() != StoreErrorKind::Permanent;
            if retries && (request.is_uncertain() || request.store_failures <= self.core.limits.store_retries_max) {
                self.carry_one(request);
            } else {
                let answer = request.undecided(BookingError::Failed(error.clone()));
                request.answer(answer);
            }
        }
    }

    // ---- carried on

    fn carry_one(&mut self, request: Request) {
        request.wait_again();
        self.carried.push(request);
    }

    /// Requests that were not decided at all (their callers took them back) end here.
    pub(super) fn carry(&mut self, slots: Slots) {
        for request in slots.into_rest() {
            if !request.is_abandoned() {
                self.carry_one(request);
            }
        }
    }
}
