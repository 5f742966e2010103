use std::collections::BTreeMap;

use crate::domain::{EventId, Pool, PoolId, Record, RecordKey, Ticket, TicketId};
use crate::ports::{Change, ChangesError, PAGE_MAX, PoolQuery, Repository, Sequence, TicketQuery};

/// An event's tickets and pools, kept up to date by its change feed: what a host draws a seat map from.
///
/// Every row has its version, so it does not matter that tables and feed are read at different moments, nor that a row of
/// the feed is seen twice. Whether a hold's deadline has come is for whoever draws to judge: see
/// [`Ticket::is_available`].
///
/// ```
/// # use ticket_reservation::adapters::memory::MemoryRepository;
/// # use ticket_reservation::domain::EventId;
/// use ticket_reservation::booking::SeatMap;
///
/// # futures_util::future::FutureExt::now_or_never(async {
/// # let (repository, event) = (MemoryRepository::new(), EventId::new("gala")?);
/// let mut map = SeatMap::read(&repository, &event).await?;
/// // Now and then, or after each commit that an observer reports:
/// for changed in map.update(&repository).await? {
///     println!("{changed:?} has changed");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMap {
    event: EventId,
    tickets: BTreeMap<TicketId, (u64, Ticket)>,
    pools: BTreeMap<PoolId, (u64, Pool)>,
    through: Sequence,
}

impl SeatMap {
    /// Reads an event's tables.
    ///
    /// # Errors
    ///
    /// [`ChangesError::Store`] when the store fails.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let map = SeatMap::read(service.repository(), &event).await?;
    /// assert_eq!((map.tickets().count(), map.pools().count()), (4, 1));
    #[doc = doc_end!()]
    /// ```
    pub async fn read(repository: &dyn Repository, event: &EventId) -> Result<Self, ChangesError> {
        // The end of the feed is read first: from there on it tells of everything that happens while the tables are read.
        let through = feed_end(repository, event).await?;
        let mut map = Self { event: event.clone(), tickets: BTreeMap::new(), pools: BTreeMap::new(), through };
        map.read_tables(repository).await?;
        // Up to what had happened by then, however fast others go on.
        let end = feed_end(repository, event).await?;
        while map.through < end && !map.update(repository).await?.is_empty() {}
        Ok(map)
    }

    /// Reads on in the change feed, at most [`PAGE_MAX`] rows. Answers which tickets and pools have changed; none when the
    /// map is up to date.
    ///
    /// # Errors
    ///
    /// [`ChangesError::Truncated`] when the map was not updated for so long that rows it has not seen are purged:
    /// [`read`](Self::read) a new one. [`ChangesError::Store`] when the store fails.
    ///
    /// # Cancellation
    ///
    /// Harmless: the map is as it was.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let mut map = SeatMap::read(service.repository(), &event).await?;
    /// let hold = Hold::new(service.new_reservation_id(), alice, Lines::merge([ticket(1)?], [])?);
    /// service.hold(&event, service.new_operation_id(), hold).await?;
    /// assert_eq!(map.update(service.repository()).await?, [RecordKey::Ticket(ticket(1)?)]);
    /// assert!(map.update(service.repository()).await?.is_empty());
    #[doc = doc_end!()]
    /// ```
    pub async fn update(&mut self, repository: &dyn Repository) -> Result<Vec<RecordKey>, ChangesError> {
        loop {
            let page = repository.changes(&self.event, self.through, PAGE_MAX).await?;
            if page.is_empty() {
                return Ok(Vec::new());
            }
            let changed: Vec<RecordKey> = page.into_iter().filter_map(|change| self.apply(change)).collect();
            // A page may tell of reservations alone.
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    /// The tickets in ascending order of their ids.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let map = SeatMap::read(service.repository(), &event).await?;
    /// for (id, ticket) in map.tickets() {
    ///     println!("{id}: row {}, {:?}", ticket.place.row, ticket.state);
    /// }
    #[doc = doc_end!()]
    /// ```
    pub fn tickets(&self) -> impl Iterator<Item = (&TicketId, &Ticket)> {
        self.tickets.iter().map(|(id, (_, ticket))| (id, ticket))
    }

    /// The pools in ascending order of their ids.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let map = SeatMap::read(service.repository(), &event).await?;
    /// let free: u32 = map.pools().map(|(_, pool)| pool.free()).sum();
    /// assert_eq!(free, 200);
    #[doc = doc_end!()]
    /// ```
    pub fn pools(&self) -> impl Iterator<Item = (&PoolId, &Pool)> {
        self.pools.iter().map(|(id, (_, pool))| (id, pool))
    }

    /// A ticket.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let map = SeatMap::read(service.repository(), &event).await?;
    /// let state = map.ticket(&ticket(1)?).map(|ticket| &ticket.state);
    /// assert_eq!(state, Some(&TicketState::Available));
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn ticket(&self, id: &TicketId) -> Option<&Ticket> {
        self.tickets.get(id).map(|(_, ticket)| ticket)
    }

    /// The position in the change feed up to which the map is true.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let map = SeatMap::read(service.repository(), &event).await?;
    /// let news = service.repository().changes(&event, map.through(), 100).await?;
    /// assert!(news.is_empty());
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn through(&self) -> Sequence {
        self.through
    }

    async fn read_tables(&mut self, repository: &dyn Repository) -> Result<(), ChangesError> {
        loop {
            let after = self.pools.last_key_value().map(|(id, _)| id.clone());
            let query = PoolQuery { event: self.event.clone(), after, limit: PAGE_MAX };
            let page = repository.pools(&query).await?;
            if page.is_empty() {
                break;
            }
            self.pools.extend(page.into_iter().map(|(id, version, pool)| (id, (version, pool))));
        }
        loop {
            let after = self.tickets.last_key_value().map(|(id, _)| id.clone());
            let event = self.event.clone();
            let query = TicketQuery { event, area: None, only_available: false, after, limit: PAGE_MAX };
            let page = repository.tickets(&query).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.tickets.extend(page.into_iter().map(|(id, version, ticket)| (id, (version, ticket))));
        }
    }

    /// Takes a row of the feed in, unless the map knows a later version.
    fn apply(&mut self, change: Change) -> Option<RecordKey> {
        self.through = self.through.max(change.sequence);
        let version = change.version;
        let is_news = match (&change.key, change.record) {
            (RecordKey::Ticket(id), Record::Ticket(ticket)) => put(&mut self.tickets, id, version, ticket),
            (RecordKey::Pool(id), Record::Pool(pool)) => put(&mut self.pools, id, version, pool),
            _ => false,
        };
        is_news.then_some(change.key)
    }
}

fn put<K: Ord + Clone, V>(map: &mut BTreeMap<K, (u64, V)>, id: &K, version: u64, value: V) -> bool {
    if map.get(id).is_some_and(|(known, _)| *known >= version) {
        return false;
    }
    map.insert(id.clone(), (version, value));
    true
}

/// The last position of the feed, or one that it had a moment ago. Found by doubling steps and halving them again, which
/// takes a few short reads however long the feed is.
async fn feed_end(repository: &dyn Repository, event: &EventId) -> Result<Sequence, ChangesError> {
    let mut end = match repository.changes(event, 0, 1).await {
        Ok(_) => 0,
        Err(ChangesError::Truncated { purged_through }) => purged_through,
        Err(error) => return Err(error),
    };
    let mut step: Sequence = 1;
    loop {
        let is_row = |sequence: Sequence| async move {
            let page = repository.changes(event, sequence.saturating_sub(1), 1).await?;
            Ok::<bool, ChangesError>(!page.is_empty())
        };
        if is_row(end.saturating_add(step)).await? {
            end = end.saturating_add(step);
            step = step.saturating_mul(2);
        } else if step > 1 {
            step /= 2;
        } else {
            return Ok(end);
        }
    }
}
