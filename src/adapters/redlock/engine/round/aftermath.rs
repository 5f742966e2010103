//! What single nodes are still to be told after a decision.

use std::sync::Arc;

use super::super::super::server::{Answer, Ask, Link};
use super::super::cleanup::{Cleanup, Heal};
use super::super::node::{Owed, Reply};
use super::{Progress, Round};

impl Round {
    /// The node has missed what was to be given back.
    pub(super) fn owe_releases(&self, node: usize) {
        self.engine.nodes[node].owe(Owed::missed(self.asks.iter().filter(|ask| is_release(ask)).cloned()));
    }

    /// The node did not do what was to be given back.
    pub(super) fn owe_what_was_refused(&self, node: usize, answers: &[Answer]) {
        let refused = |(ask, answer): &(&Ask, &Answer)| is_release(ask) && matches!(answer, Answer::Refused(_));
        let refused = self.asks.iter().zip(answers).filter(refused).map(|(ask, _)| ask.clone());
        self.engine.nodes[node].owe(Owed::missed(refused));
    }

    /// The node may set keys that nobody wants any more, or may have set them, and nobody will hear of it.
    pub(super) fn owe_what_is_in_doubt(&self, node: usize) {
        let releases = (0..self.asks.len()).flat_map(|ask| self.releases_in_doubt(ask));
        self.engine.nodes[node].owe(Owed::in_doubt(releases));
    }

    /// The same of an ask that was decided later.
    pub(super) fn owe_ask_in_doubt(&self, node: usize, ask: usize) {
        self.engine.nodes[node].owe(Owed::in_doubt(self.releases_in_doubt(ask)));
    }

    /// What of an acquisition is wanted no more: what it holds is not taken from it.
    fn releases_in_doubt(&self, ask: usize) -> Vec<Ask> {
        match (&self.asks[ask], &self.progress[ask]) {
            (Ask::Acquire { keys, .. }, Progress::Decided { holds: false, .. }) => releases(&self.asks[ask], keys),
            (Ask::Acquire { token, .. }, Progress::Decided { holds: true, .. }) => {
                releases(&self.asks[ask], &self.engine.unsettled.released_of(token))
            }
            _ => Vec::new(),
        }
    }

    /// The ask was decided without this node.
    pub(super) fn answered_late(&mut self, node: usize, ask: usize, answer: &Answer, reply: &Reply) {
        let Progress::Decided { holds, .. } = self.progress[ask] else { return };
        match (&self.asks[ask], answer) {
            (Ask::Acquire { keys, .. }, Answer::Done) if !holds => {
                self.in_vain[node].extend(releases(&self.asks[ask], keys));
            }
            // What was released meanwhile was released after it was acquired, if on the same connection, and if the acquisition
            // did not wait for that connection together with the release; else perhaps before.
            (Ask::Acquire { token, .. }, Answer::Done)
                if !reply.was_sent_at_once || self.engine.nodes[node].generation() != Some(reply.generation) =>
            {
                let released = self.engine.unsettled.released_of(token);
                self.in_vain[node].extend(releases(&self.asks[ask], &released));
            }
            (Ask::Extend { .. }, Answer::Absent) if holds => self.heal(node, ask, Arc::clone(&reply.link)),
            _ => {}
        }
    }

    /// A majority has confirmed a lease that one node has forgotten: it gets it back, for as long as it lasts elsewhere.
    pub(super) fn heal(&self, node: usize, ask: usize, link: Arc<dyn Link>) {
        let Ask::Extend { key, token, ttl } = &self.asks[ask] else { return };
        let heal = Heal { key: Arc::clone(key), token: *token, until: self.started + *ttl, node, link };
        heal.spawn(&self.engine);
    }

    pub(super) fn release_what_was_granted_in_vain(&mut self) {
        for node in 0..self.in_vain.len() {
            if self.in_vain[node].is_empty() {
                continue;
            }
            let asks = std::mem::take(&mut self.in_vain[node]);
            #[cfg(planted_bugs)]
            if crate::planted::is(crate::planted::Bug::LosersKeep) {
                continue;
            }
            if let Some(link) = &self.links[node] {
                Cleanup { node, link: Arc::clone(link), asks: Arc::from(asks) }.spawn(&self.engine);
            }
        }
    }
}

/// Releases of an ask's keys.
pub(super) fn releases(ask: &Ask, keys: &[Arc<str>]) -> Vec<Ask> {
    keys.iter().map(|key| Ask::Release { key: Arc::clone(key), token: *ask.token() }).collect()
}

fn is_release(ask: &Ask) -> bool {
    matches!(ask, Ask::Release { .. })
}
