//! What becomes of answers to queries on their way to the caller.

use ticket_reservation::domain::EventId;
use ticket_reservation::ports::{Availability, PAGE_MAX, PoolQuery, StoreError};

use super::{Faulty, events};

impl Faulty {
    /// As with a sum over the expired holds of a pool that forgets whose pool it is.
    pub(super) async fn mix_availability(&self, event: &EventId, found: &mut Availability) -> Result<(), StoreError> {
        for other in events().filter(|other| other != event) {
            let shown = self.inner.availability(&other).await?;
            let all = PoolQuery { event: other.clone(), after: None, limit: PAGE_MAX };
            let kept = self.inner.pools(&all).await?;
            for (shown, (id, _, kept)) in shown.pools.iter().zip(kept) {
                for pool in found.pools.iter_mut().filter(|pool| pool.pool == id) {
                    let expired = (kept.held - shown.held).min(pool.held);
                    pool.held -= expired;
                    pool.available += expired;
                }
            }
        }
        Ok(())
    }
}
