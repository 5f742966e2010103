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
///
/// # One reader of the feed for all who watch
///
/// [`update`](Self::update) asks the store, so every map that calls it costs the store a read. Where many watch one event,
/// one task per process [follows](super::BookingService::follow) the feed and sends each row to all of them, and each of
/// them [applies](Self::apply) it to a map of its own, or to one that they share.
/// [docs/OPERATIONS.md](https://docs.rs/crate/ticket-reservation/latest/source/docs/OPERATIONS.md) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMap {
    event: EventId,
    tickets: BTreeMap<TicketId, (u64, Ticket)>,
    pools: BTreeMap<PoolId, (u64, Pool)>,
    through: Sequence,
}

/// How often a map is begun to be read.
const READS_MAX: usize = 8;

/// What [`SeatMap::apply`] made of a row of the change feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use]
pub enum Applied {
    /// It came next, and the ticket or the pool that it names is another one now.
    Changed,
    /// It came next, and nothing is drawn differently: it is about something else, or the map knew as much already.
    Unchanged,
    /// The map is past it: it is as it was.
    Old,
    /// Rows before it are missing: the map is as it was. [`SeatMap::update`] reads them from the store.
    Gap,
}

impl SeatMap {
    /// Reads an event's tables. Begins anew when a purge overtakes it.
    ///
    /// # Errors
    ///
    /// [`ChangesError::Store`] when the store fails; [`ChangesError::Truncated`] when purges have overtaken it eight times.
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
        let mut tries = READS_MAX;
        loop {
            tries -= 1;
            match Self::read_once(repository, event).await {
                Err(ChangesError::Truncated { .. }) if tries > 0 => {}
                read => return read,
            }
        }
    }

    async fn read_once(repository: &dyn Repository, event: &EventId) -> Result<Self, ChangesError> {
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
    /// Nothing is lost: the map may have moved on over rows that change nothing it shows.
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
            let news = page.into_iter().filter(|change| self.take_in(change));
            let changed: Vec<RecordKey> = news.map(|change| change.key).collect();
            // A page may tell of reservations alone.
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    /// Takes in a row of this event's change feed that somebody else has read. Rows are to come in the order of the feed: the
    /// one after [`through`](Self::through) is taken in, an older one is passed over, and for a later one rows are missing.
    /// A row does not say which event it is of, so a map must not be given those of another one.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # use futures_util::StreamExt;
    /// let mut map = SeatMap::read(service.repository(), &event).await?;
    /// let mut changes = service.follow(&event, map.through(), Duration::from_millis(100));
    /// # let hold = Hold::new(service.new_reservation_id(), alice, Lines::merge([ticket(1)?], [])?);
    /// # service.hold(&event, service.new_operation_id(), hold).await?;
    /// while let Some(change) = changes.next().await {
    ///     let change = change?;
    ///     match map.apply(&change) {
    ///         Applied::Changed => println!("{:?} has changed", change.key),
    ///         Applied::Gap => println!("{} others, too", map.update(service.repository()).await?.len()),
    ///         _ => {}
    ///     }
    /// #   if map.through() == 9 { break }
    /// }
    /// # assert!(!map.ticket(&ticket(1)?).expect("it is there").is_available(Timestamp::from_micros(0)));
    #[doc = doc_end!()]
    /// ```
    pub fn apply(&mut self, change: &Change) -> Applied {
        if change.sequence <= self.through {
            return Applied::Old;
        }
        if change.sequence - self.through > 1 {
            return Applied::Gap;
        }
        if self.take_in(change) { Applied::Changed } else { Applied::Unchanged }
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

    /// Takes a row of the feed in, unless the map knows a later version. Answers whether it is news.
    fn take_in(&mut self, change: &Change) -> bool {
        self.through = self.through.max(change.sequence);
        match (&change.key, &change.record) {
            (RecordKey::Ticket(id), Record::Ticket(ticket)) => put(&mut self.tickets, id, change.version, ticket),
            (RecordKey::Pool(id), Record::Pool(pool)) => put(&mut self.pools, id, change.version, pool),
            _ => false,
        }
    }
}

fn put<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, (u64, V)>, id: &K, version: u64, value: &V) -> bool {
    if map.get(id).is_some_and(|(known, _)| *known >= version) {
        return false;
    }
    map.insert(id.clone(), (version, value.clone()));
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
