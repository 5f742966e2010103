use std::time::Duration;

use thiserror::Error;

/// What happens when a confirmation arrives after the hold's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LatePayment {
    /// It is refused; the customer holds again.
    #[default]
    Refuse,
    /// It is booked if all of its places are still free, the event is on sale, and, where the hold was reclaimed meanwhile,
    /// the customer's limit allows it. Else it is refused, with what stands in its way.
    RebookIfFree,
}

/// What the host decides about holds, payments and how long operations are remembered. Give every process of a
/// deployment the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// How long a hold lasts when the command does not say.
    pub hold_ttl: Duration,
    /// How long a hold may last in all, extensions included, counted from the first hold.
    pub hold_ttl_max: Duration,
    /// What happens to a confirmation after the deadline.
    pub late_payment: LatePayment,
    /// How long operation records and change-feed rows are kept. An operation id older than this is refused.
    pub retention: Duration,
}

impl Default for Policies {
    /// Holds of 10 minutes, at most 30 with extensions; late payments refused; 7 days of retention.
    fn default() -> Self {
        Self {
            hold_ttl: Duration::from_secs(10 * 60),
            hold_ttl_max: Duration::from_secs(30 * 60),
            late_payment: LatePayment::Refuse,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Why a set of policies is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidPolicies {
    /// A hold must last at least a millisecond, and no longer than its maximum.
    #[error("hold_ttl must be between 1 ms and hold_ttl_max")]
    HoldTtl,
    /// A hold that outlives its operation record could be confirmed under an id that is refused.
    #[error("retention must be longer than hold_ttl_max")]
    Retention,
}

impl Policies {
    /// Whether the values go together.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicies`] when a value contradicts another.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::domain::{InvalidPolicies, Policies};
    ///
    /// let policies = Policies { hold_ttl: Duration::from_secs(60 * 60), ..Policies::default() };
    /// assert_eq!(policies.check(), Err(InvalidPolicies::HoldTtl));
    /// ```
    pub fn check(&self) -> Result<(), InvalidPolicies> {
        if self.hold_ttl < Duration::from_millis(1) || self.hold_ttl > self.hold_ttl_max {
            return Err(InvalidPolicies::HoldTtl);
        }
        if self.retention <= self.hold_ttl_max {
            return Err(InvalidPolicies::Retention);
        }
        Ok(())
    }
}
