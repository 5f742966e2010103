//! What becomes of an ask, on its way to the caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::error::Vote;
use super::super::server::Ask;
use super::Engine;

/// The decision of all nodes together.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Acquired until the deadline.
    Granted { deadline: Instant, votes: Vec<Vote> },
    /// Not acquired: others hold it.
    Contended { retry_after: Duration, votes: Vec<Vote> },
    /// Not acquired: too few nodes took part.
    NoQuorum { votes: Vec<Vote> },
    /// Acquired when nothing of the TTL was left, and given back.
    TooLate { took: Duration },
    /// Extended until the deadline.
    Extended { deadline: Instant },
    /// Released.
    Released,
    /// Not extended or released: it had ended.
    Absent,
    /// Not extended or released: others hold it.
    NotOwner,
    /// Whether it was extended or released is not known.
    Unknown,
}

/// The verdicts on one caller's asks. Dropped before they were taken, it gives back what was acquired: its caller has gone.
#[derive(Debug)]
pub(super) struct Answered {
    engine: Arc<Engine>,
    verdicts: Vec<(Ask, Verdict)>,
}

impl Answered {
    pub(super) fn new(engine: Arc<Engine>, verdicts: Vec<(Ask, Verdict)>) -> Self {
        Self { engine, verdicts }
    }

    /// The verdicts, as the caller sees them now: what has ended by then, however late its nodes or its caller were, is given
    /// back. It is the one place where that is looked at.
    pub(super) fn take(mut self) -> Vec<(Ask, Verdict)> {
        let now = self.engine.runtime.now();
        let mut ended = Vec::new();
        for (ask, verdict) in &mut self.verdicts {
            match (&*ask, &*verdict) {
                (Ask::Acquire { ttl, .. }, Verdict::Granted { deadline, .. }) if *deadline <= now => {
                    let took = now.saturating_duration_since(*deadline) + self.engine.validity(*ttl);
                    ended.extend(releases(ask));
                    *verdict = Verdict::TooLate { took };
                }
                (_, Verdict::Extended { deadline }) if *deadline <= now => *verdict = Verdict::Unknown,
                _ => {}
            }
        }
        if !ended.is_empty() {
            self.engine.release_in_background(ended);
        }
        std::mem::take(&mut self.verdicts)
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let is_granted = |(_, verdict): &&(Ask, Verdict)| matches!(verdict, Verdict::Granted { .. });
        let abandoned: Vec<Ask> = self.verdicts.iter().filter(is_granted).flat_map(|(ask, _)| releases(ask)).collect();
        if !abandoned.is_empty() {
            self.engine.release_in_background(abandoned);
        }
    }
}

fn releases(ask: &Ask) -> impl Iterator<Item = Ask> {
    ask.keys().iter().map(|key| Ask::Release { key: Arc::clone(key), token: *ask.token() })
}
