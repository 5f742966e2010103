//! What becomes of answers to queries on their way to the caller.

use std::sync::PoisonError;

use ticket_reservation::domain::EventId;
use ticket_reservation::ports::{Availability, PAGE_MAX, PoolQuery, StoreError};

use super::{Faulty, Page, events};

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

    /// As with a connection that answers in turn, on which the answer to a caller who has gone is still to come.
    pub(super) async fn first_unread(&self, page: Page) -> Page {
        let unread = || self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread().push_back(page);
        tokio::task::yield_now().await;
        unread().pop_front().expect("whoever asks has put a page in")
    }
}
