use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::config::{Contention, Limits, LockOutage, LockPolicy};
use super::core::Core;
use super::registry::Registry;
use super::service::BookingService;
use crate::domain::{InvalidPolicies, Policies};
use crate::ports::{Lock, NoObserver, Observer, Repository, Runtime};

/// Why a service cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The policies contradict each other.
    #[error(transparent)]
    Policies(#[from] InvalidPolicies),
    /// A lock policy needs a lock.
    #[error("this lock policy needs a lock")]
    NoLock,
}

/// Puts a [`BookingService`] together. Everything but the repository and the runtime has a default.
///
/// Its setters, all at once:
///
/// ```
#[doc = doc_on_sale!()]
/// # use ticket_reservation::adapters::memory::MemoryLock;
/// let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime.clone())
///     .lock(Arc::new(MemoryLock::new(runtime)))
///     .lock_policy(LockPolicy::Always(LockScope::Area))
///     .lock_outage(LockOutage::Wait)
///     .observer(Arc::new(NoObserver))
///     .policies(Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() })
///     .contention(Contention::Wait(Duration::from_secs(3)))
///     .limits(Limits::default().queue_max(20_000))
///     .build()?;
/// # let _ = service;
#[doc = doc_end!()]
/// ```
#[derive(Debug)]
#[must_use]
pub struct BookingServiceBuilder {
    repository: Arc<dyn Repository>,
    runtime: Arc<dyn Runtime>,
    lock: Option<Arc<dyn Lock>>,
    lock_policy: Option<LockPolicy>,
    lock_outage: LockOutage,
    observer: Arc<dyn Observer>,
    policies: Policies,
    contention: Contention,
    limits: Limits,
}

impl BookingServiceBuilder {
    pub(super) fn new(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            repository,
            runtime,
            lock: None,
            lock_policy: None,
            lock_outage: LockOutage::default(),
            observer: Arc::new(NoObserver),
            policies: Policies::default(),
            contention: Contention::Wait(Duration::from_secs(10)),
            limits: Limits::default(),
        }
    }

    /// A lock that shares out the work between processes. Default: none.
    pub fn lock(mut self, lock: Arc<dyn Lock>) -> Self {
        self.lock = Some(lock);
        self
    }

    /// When locks are taken. Default: [`LockPolicy::Adaptive`] with a lock, [`LockPolicy::Never`] without.
    pub fn lock_policy(mut self, policy: LockPolicy) -> Self {
        self.lock_policy = Some(policy);
        self
    }

    /// What happens while the lock's store is out of reach. Default: the sale goes on without the lock.
    pub fn lock_outage(mut self, outage: LockOutage) -> Self {
        self.lock_outage = outage;
        self
    }

    /// Who is told what happens. Default: nobody.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// What the host decides about holds and payments. Default: [`Policies::default`].
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// What happens to requests that others get in the way of. Default: they wait up to 10 s.
    pub fn contention(mut self, contention: Contention) -> Self {
        self.contention = contention;
        self
    }

    /// Bounds. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Builds the service. Nothing is started: tasks are spawned when requests come.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] when the parts do not fit together.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let builder = BookingService::builder(Arc::new(MemoryRepository::new()), runtime);
    /// let refused = builder.lock_policy(LockPolicy::Adaptive).build();
    /// assert_eq!(refused.unwrap_err(), InvalidConfig::NoLock);
    #[doc = doc_end!()]
    /// ```
    pub fn build(self) -> Result<BookingService, InvalidConfig> {
        self.policies.check()?;
        let needs_lock = matches!(self.lock_policy, Some(LockPolicy::Always(_) | LockPolicy::Adaptive));
        if needs_lock && self.lock.is_none() {
            return Err(InvalidConfig::NoLock);
        }
        let default_policy = if self.lock.is_some() { LockPolicy::Adaptive } else { LockPolicy::Never };
        Ok(BookingService::new(Core {
            repository: self.repository,
            runtime: self.runtime,
            lock: self.lock,
            lock_policy: self.lock_policy.unwrap_or(default_policy),
            lock_outage: self.lock_outage,
            observer: self.observer,
            policies: self.policies,
            contention: self.contention,
            limits: self.limits,
            registry: Registry::default(),
        }))
    }
}
