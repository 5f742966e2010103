use super::decisions::{Decision, Verdict};
use super::request::Request;

/// The requests of a batch beside their decisions: each is taken out once, when it is answered or carried on.
pub(super) struct Slots {
    requests: Vec<Option<Request>>,
    decisions: Vec<Option<Decision>>,
}

/// A decided request.
pub(super) struct Decided {
    pub(super) request: Request,
    pub(super) verdict: Verdict,
    /// Whether the decision changes something; a refusal that shares a group with others does not.
    pub(super) writes: bool,
}

impl Slots {
    pub(super) fn new(requests: Vec<Request>, decisions: Vec<Decision>) -> Self {
        Self {
            requests: requests.into_iter().map(Some).collect(),
            decisions: decisions.into_iter().map(Some).collect(),
        }
    }

    /// Takes out what was decided at `index`; `None` for what no caller asked for.
    pub(super) fn take(&mut self, index: usize) -> Option<Decided> {
        let decision = self.decisions.get_mut(index)?.take()?;
        let (request, verdict) = decision.request?;
        let request = self.requests.get_mut(request)?.take()?;
        Some(Decided { request, verdict, writes: !decision.written.is_empty() })
    }

    /// Whether the store has failed for one of these decisions' requests before.
    pub(super) fn have_failed_before(&self, members: &[Vec<usize>]) -> bool {
        members.iter().flatten().filter_map(|index| self.request(*index)).any(|request| request.store_failures > 0)
    }

    /// How many of these decisions are about requests.
    pub(super) fn count_requests(&self, members: &[usize]) -> usize {
        members.iter().filter(|index| self.request(**index).is_some()).count()
    }

    fn request(&self, index: usize) -> Option<&Request> {
        let (request, _) = self.decisions.get(index)?.as_ref()?.request.as_ref()?;
        self.requests.get(*request)?.as_ref()
    }

    /// What was decided at `index`, if that is a refusal.
    #[cfg(planted_bugs)]
    pub(super) fn refusal(&self, index: usize) -> Option<crate::domain::Rejection> {
        let (_, Verdict::Answer(answer)) = self.decisions.get(index)?.as_ref()?.request.as_ref()? else { return None };
        answer.as_ref().as_ref().err()?.rejection().cloned()
    }

    pub(super) fn into_rest(self) -> impl Iterator<Item = Request> {
        self.requests.into_iter().flatten()
    }
}
