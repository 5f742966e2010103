use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt, unfold};

use super::service::BookingService;
use crate::domain::EventId;
use crate::ports::{Change, ChangesError, PAGE_MAX, Sequence};

/// Where a stream of changes stands.
struct Following {
    service: BookingService,
    event: EventId,
    after: Sequence,
    every: Duration,
    page: VecDeque<Change>,
    has_failed: bool,
}

impl BookingService {
    /// The rows of an event's change feed after position `after`, those that are there and then those that come, as a
    /// stream that ends with its first error. Where there is nothing new, the store is asked again after `every`, which is
    /// at least a millisecond.
    ///
    /// Each row is a record as a commit left it, with its version. [`SeatMap::apply`](super::SeatMap::apply) keeps an event's
    /// tickets and pools up to date with them. Each stream asks the store by itself: where many subscribe to an event, one
    /// task per process follows it, and sends the rows to all of them.
    ///
    /// # Errors
    ///
    /// An item is [`ChangesError::Truncated`] when rows after `after` are purged, [`ChangesError::Store`] when the store
    /// fails; then the stream is over. To go on, follow from the last row that came.
    ///
    /// # Cancellation
    ///
    /// Dropping the stream, or a future that waits for its next item, is harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # use futures_util::StreamExt;
    /// let mut changes = service.follow(&event, 0, Duration::from_millis(100));
    /// while let Some(change) = changes.next().await {
    ///     let change = change?;
    ///     println!("{}: {:?} is {:?} now", change.sequence, change.key, change.record);
    /// #   break;
    /// }
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn follow(
        &self,
        event: &EventId,
        after: Sequence,
        every: Duration,
    ) -> BoxStream<'static, Result<Change, ChangesError>> {
        let (service, event) = (self.clone(), event.clone());
        let every = every.max(Duration::from_millis(1));
        let following = Following { service, event, after, every, page: VecDeque::new(), has_failed: false };
        unfold(following, Following::next).boxed()
    }
}

impl Following {
    async fn next(mut self) -> Option<(Result<Change, ChangesError>, Self)> {
        if self.has_failed {
            return None;
        }
        loop {
            if let Some(change) = self.page.pop_front() {
                self.after = change.sequence;
                return Some((Ok(change), self));
            }
            match self.service.repository().changes(&self.event, self.after, PAGE_MAX).await {
                Ok(page) if page.is_empty() => self.service.sleep(self.every).await,
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    self.has_failed = true;
                    return Some((Err(error), self));
                }
            }
        }
    }
}
