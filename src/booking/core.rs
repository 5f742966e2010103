use std::sync::Arc;

use super::config::{Contention, Limits, LockOutage, LockPolicy};
use super::registry::Registry;
use crate::domain::Policies;
use crate::ports::{Lock, Observation, Observer, Repository, Runtime};

/// What the service's parts share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) lock: Option<Arc<dyn Lock>>,
    pub(super) lock_policy: LockPolicy,
    pub(super) lock_outage: LockOutage,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) policies: Policies,
    pub(super) contention: Contention,
    pub(super) limits: Limits,
    pub(super) registry: Registry,
}

impl Core {
    pub(super) fn observe(&self, observation: &Observation<'_>) {
        self.observer.observe(observation);
    }
}

/// Something that a shutdown waits for, from [`Task::start`] until it is dropped.
#[derive(Debug)]
pub(super) struct Task(Arc<Core>);

impl Task {
    pub(super) fn start(core: &Arc<Core>) -> Self {
        core.registry.task_started();
        Self(Arc::clone(core))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.registry.task_ended();
    }
}
