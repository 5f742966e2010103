use super::decisions::{Again, Decision, Verdict};
use super::request::Request;

/// The requests of a batch beside their decisions: each is taken out once, when it is answered or carried on.
pub(super) struct Slots {
    requests: Vec<Option<Request>>,
    decisions: Vec<Option<Decision>>,
}

impl Slots {
    pub(super) fn new(requests: Vec<Request>, decisions: Vec<Decision>) -> Self {
        Self {
            requests: requests.into_iter().map(Some).collect(),
            decisions: decisions.into_iter().map(Some).collect(),
        }
    }

    /// The verdict and the request of the decision at `index`; no request for what no caller asked for.
    pub(super) fn take(&mut self, index: usize) -> (Verdict, Option<Request>) {
        match self.decisions.get_mut(index).and_then(Option::take) {
            Some(Decision { request, verdict, .. }) => {
                (verdict, request.and_then(|request| self.requests.get_mut(request).and_then(Option::take)))
            }
            None => (Verdict::Again(Again::MoreLapsed), None),
        }
    }

    pub(super) fn into_rest(self) -> impl Iterator<Item = Request> {
        self.requests.into_iter().flatten()
    }
}
