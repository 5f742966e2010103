//! Wrappers that let a store or a lock go wrong in the ways that real ones do, for hosts' own tests.

/// A repository around `inner` that does something else with loads and commits, and nothing with queries.
macro_rules! wrapper {
    ($name:ident { $($methods:tt)+ }) => {
        #[async_trait::async_trait]
        impl $crate::ports::Repository for $name {
            $($methods)+

            async fn tickets(
                &self,
                query: &$crate::ports::TicketQuery,
            ) -> Result<Vec<($crate::domain::TicketId, u64, $crate::domain::Ticket)>, $crate::ports::StoreError> {
                self.inner.tickets(query).await
            }

            async fn pools(
                &self,
                query: &$crate::ports::PoolQuery,
            ) -> Result<Vec<($crate::domain::PoolId, u64, $crate::domain::Pool)>, $crate::ports::StoreError> {
                self.inner.pools(query).await
            }

            async fn availability(
                &self,
                event: &$crate::domain::EventId,
            ) -> Result<$crate::ports::Availability, $crate::ports::StoreError> {
                self.inner.availability(event).await
            }

            async fn reservations(
                &self,
                query: &$crate::ports::ReservationQuery,
            ) -> Result<Vec<(u64, $crate::domain::Reservation)>, $crate::ports::StoreError> {
                self.inner.reservations(query).await
            }

            async fn changes(
                &self,
                event: &$crate::domain::EventId,
                after: $crate::ports::Sequence,
                limit: usize,
            ) -> Result<Vec<$crate::ports::Change>, $crate::ports::ChangesError> {
                self.inner.changes(event, after, limit).await
            }

            async fn lapsed(
                &self,
                limit: usize,
            ) -> Result<Vec<($crate::domain::EventId, $crate::domain::ReservationId)>, $crate::ports::StoreError> {
                self.inner.lapsed(limit).await
            }

            async fn purge(
                &self,
                retention: std::time::Duration,
                limit: usize,
            ) -> Result<$crate::ports::Purged, $crate::ports::StoreError> {
                self.inner.purge(retention, limit).await
            }
        }
    };
}
pub(super) use wrapper;

mod clock;
mod late;
mod lock;
mod transient;

pub use clock::{ClockOffset, SkewedClock};
pub use late::{Landing, LateCommit};
pub use lock::GrantsAll;
pub use transient::FailsInPassing;
