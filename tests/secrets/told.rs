//! Who is told of observations.

use ticket_reservation::adapters::tracing::TracingObserver;
use ticket_reservation::ports::{Observation, Observer};

use super::collector::Collector;

/// Writes every observation down, and passes it on to `tracing`.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) &'static Collector);

impl Observer for Told {
    fn observe(&self, observation: &Observation<'_>) {
        self.0.debug("an observation", observation);
        if let Observation::LockFailed { error } | Observation::LockNodeDown { error, .. } = observation {
            self.0.error("an observation", *error);
        }
        TracingObserver.observe(observation);
    }
}
