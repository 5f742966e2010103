//! The store: it decides who gets a place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::group::{Group, GroupOutcome};
use super::queries::{Availability, Change, PoolQuery, ReservationQuery, Sequence, TicketQuery};
use super::store_error::{ChangesError, StoreError};
use crate::domain::{AreaId, EventId, Pool, PoolId, RecordKey, Reservation, ReservationId, Snapshot, Ticket, TicketId};

/// Most expired holds that one load returns for one pool or customer.
pub const LAPSED_MAX: usize = 64;

/// What to read of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The event.
    pub event: EventId,
    /// The records, each once.
    pub records: Vec<RecordKey>,
    /// Areas of which all free tickets are wanted.
    pub free_in: Vec<AreaId>,
}

/// How much one purge step removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Operation records.
    pub operations: usize,
    /// Rows of the change feed.
    pub changes: usize,
}

/// The Repository pattern over the crate's records, batch first.
///
/// # Contract
///
/// - Ids are compared byte by byte.
/// - [`load`](Repository::load) MUST be one consistent read: everything in the snapshot was true at one moment, and
///   the clock in it is the *store's* clock at about that moment, the same one for all processes.
/// - [`commit`](Repository::commit) MUST write a group only if *every* record in it still has the version it was read
///   with, reads as well as writes, judged by the write itself or under a lock that keeps it true until the commit. The one
///   exception is a pool that the group only counts in ([`PoolShift`](crate::ports::PoolShift)).
///   A group is written whole or not at all. Independent groups share the transaction; a conflict fails its own group
///   alone.
/// - An operation MUST NOT be written any more once it may have been purged, however late the commit arrives: a group that
///   writes one whose id was made before the time that [`load`](Repository::load) says
///   ([`Snapshot::operations_purged_before`]) is a conflict of that operation ([`Group::purged`]), also against a
///   [`purge`](Repository::purge) at the same time.
/// - An answer MUST be final: after a conflict, or an error other than `Unknown`, nothing of that group is written later either.
///   After a conflict, versions and [`Group::purged`] see to it, as versions never come back. Places of a pool do: so where a call may
///   be carried out more than once (a network, a proxy or a driver that repeats it) the store MUST NOT count on in pools
///   ([`PoolShift`](crate::ports::PoolShift)), or a hold that was refused for want of places appears when there are some again.
/// - Losing a race for the creation of a record is a conflict of that group alone. It MUST NOT fail the groups beside it.
/// - A write that cannot be right MUST be refused as `Permanent`, and nothing of the call is written: a record of another
///   kind than its key, a reservation under another id than its own, a reservation or an operation of another event than
///   the commit's, a pool that holds and books more than its capacity.
/// - `Committed` MUST be answered only when the group is as durable as the store can make it.
/// - Every commit MUST append one row per write, except operations, to the event's change feed in the same transaction,
///   with sequences that ascend in commit order without gaps: who reads the feed up to `n` misses nothing before `n`.
/// - Records MUST be read as they were written: every `u32`, every [`Timestamp`](crate::domain::Timestamp) from the first microsecond of its range
///   to the last (deadlines far in the future stop there), every valid id.
/// - A failed call MUST say what is known: see [`StoreErrorKind`](crate::ports::StoreErrorKind). `load` and the queries never answer `Unknown`.
/// - Every call MUST end, in a bounded time that the adapter documents, also when the store does not answer: the service
///   answers its callers at their deadlines, but an event whose call hangs takes no further batch.
///
/// # Cancellation
///
/// Dropping the future of `commit` leaves its outcome unknown, and that of `purge` leaves open whether the step was done.
/// Dropping any other future has no effect on the store. None MUST break later calls.
///
/// # Sharing
///
/// One repository is shared by many tasks behind an [`Arc`]; many repositories, in one process or in many, may be open on
/// one store.
///
/// # Example
///
/// What the service does with it for a batch of one command: load, decide, commit.
///
/// ```
/// # futures_util::future::FutureExt::now_or_never(async {
/// use ticket_reservation::adapters::memory::MemoryRepository;
/// use ticket_reservation::domain::*;
/// use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, Repository, Write};
///
/// let repository = MemoryRepository::new();
/// # use ticket_reservation::{adapters::SystemClock, ports::Clock};
/// # let operation = OperationId::from_parts(SystemClock.unix_time(), [2; 10]);
/// # let (event, action) = (EventId::new("gala")?, Action::CreateEvent(CreateEvent::default()));
/// # let command = Command { event: event.clone(), operation, action };
/// let request = LoadRequest { event: event.clone(), records: command.records(), free_in: vec![] };
/// let snapshot = repository.load(&request).await?;
/// let mut view = View::new(&snapshot);
/// let changes = decide(&mut view, &command, &Policies::default())?;
/// assert!(view.missing().is_empty());
///
/// let version = |key: &RecordKey| snapshot.get(key).map_or(0, |read| read.version);
/// let mut group = Group::default();
/// for (key, record) in changes.writes {
///     group.writes.push(Write { version: version(&key), key, decided_at: changes.at, record });
/// }
/// for key in view.into_touched() {
///     if group.writes.iter().all(|write| write.key != key) {
///         group.reads.push((key.clone(), version(&key)));
///     }
/// }
/// group.writes.sort_by(|left, right| left.key.cmp(&right.key));
/// group.reads.sort();
/// group.reads.dedup();
/// assert_eq!(repository.commit(&event, &[group]).await?, [GroupOutcome::Committed]);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
#[async_trait]
pub trait Repository: Send + Sync + fmt::Debug {
    /// Reads records of one event, all at one moment.
    ///
    /// The snapshot MUST contain every record asked for (absent ones as [`Versioned::ABSENT`](crate::domain::Versioned)),
    /// the time before which operation records may have been purged, and:
    ///
    /// - with a pool or an allowance that is asked for and exists: its [`Lapsed`](crate::domain::Lapsed) list, that is up to [`LAPSED_MAX`] holds
    ///   whose deadline is not after the store's clock and that are not reclaimed yet, oldest deadline first, and
    ///   their reservation records;
    /// - for each area of `free_in`: the complete list of its tickets that are
    ///   [available](crate::domain::Ticket::is_available), and their records. An unknown area has none.
    ///
    /// It SHOULD also contain what deciding needs next, so that it is not asked for in a second call: with an operation
    /// its reservation, with a reservation its tickets, pools and (where the event has a limit) its customer's
    /// allowance. More than that MAY be there.
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// The example [above](Repository) loads, decides and commits.
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError>;

    /// Writes groups of decisions about one event, each whole or not at all, and answers for each in the same order.
    ///
    /// The caller guarantees that no record that one group writes stands in another one, and that records are complete
    /// (a reservation's lines never change). What a record names exists or is written by the same group: a reservation's
    /// tickets and pools, a ticket's reservation. A group without writes is not passed. For an event without a record
    /// only operations and the event itself are written. Whether an event limits its customers never changes, and allowances are
    /// written only where it does.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. With `Transient` and `Permanent` no group was written; with `Unknown` each may have been, or may
    /// still be.
    ///
    /// # Cancellation
    ///
    /// The outcome is unknown, as after an error of kind `Unknown`.
    ///
    /// The example [above](Repository) commits a decision.
    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError>;

    /// Lists tickets in ascending order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let query = TicketQuery { event, area: Some(stalls), only_available: true, after: None, limit: 2 };
    /// let page = service.repository().tickets(&query).await?;
    /// let (last, ..) = page.last().ok_or("no ticket is available")?;
    /// let next = TicketQuery { after: Some(last.clone()), ..query };
    /// assert_eq!(service.repository().tickets(&next).await?.len(), 2);
    #[doc = doc_end!()]
    /// ```
    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError>;

    /// Lists pools with their versions, in ascending order of their ids.
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let mut query = PoolQuery { event, after: None, limit: 100 };
    /// loop {
    ///     let page = service.repository().pools(&query).await?;
    ///     let Some((last, ..)) = page.last() else { break };
    ///     query.after = Some(last.clone());
    ///     for (id, version, pool) in page {
    ///         println!("{id}: {} of {} free, version {version}", pool.free(), pool.capacity);
    ///     }
    /// }
    /// # assert_eq!(query.after, Some(standing));
    #[doc = doc_end!()]
    /// ```
    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError>;

    /// How much of an event is free: one consistent read. Of an unknown event nothing is. It MUST be complete, and is not
    /// paged: a row for each area and each pool, a few dozen bytes and their id each.
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let free = service.repository().availability(&event).await?;
    /// assert_eq!((free.areas[0].available, free.areas[0].tickets), (4, 4));
    /// assert_eq!((free.pools[0].available, free.pools[0].held), (198, 2));
    #[doc = doc_end!()]
    /// ```
    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError>;

    /// Lists reservations with their versions, in ascending order of their ids' bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let state = Some(ReservationFilter::Held);
    /// let query = ReservationQuery { event: Some(event), customer: Some(alice), state, after: None, limit: 100 };
    /// let page = service.repository().reservations(&query).await?;
    /// assert_eq!(page[0].1.id, reservation);
    #[doc = doc_end!()]
    /// ```
    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError>;

    /// Reads at most `limit` (up to [`PAGE_MAX`](crate::ports::PAGE_MAX)) rows of an event's change feed after position `after`.
    ///
    /// # Errors
    ///
    /// [`ChangesError::Truncated`] when rows after `after` are purged; [`ChangesError::Store`] when the store fails,
    /// never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let mut after = 0;
    /// loop {
    ///     let page = service.repository().changes(&event, after, 100).await?;
    ///     let Some(last) = page.last() else { break };
    ///     after = last.sequence;
    /// }
    /// # assert!(after > 0);
    #[doc = doc_end!()]
    /// ```
    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError>;

    /// Lists at most `limit` holds of all events whose deadline is not after the store's clock, oldest deadline first. It
    /// MAY list no more than [`PAGE_MAX`](crate::ports::PAGE_MAX).
    ///
    /// # Errors
    ///
    /// [`StoreError`], never of kind `Unknown`.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// // Alice's hold is live.
    /// assert!(service.repository().lapsed(100).await?.is_empty());
    #[doc = doc_end!()]
    /// ```
    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError>;

    /// One bounded step of forgetting: removes at most `limit` operation records whose *ids* were made more than `retention`
    /// before the store's clock, and at most `limit` feed rows, of all events together, that were decided longer ago than
    /// that. The oldest rows of an event go first, and a young one keeps those after it. A step MAY remove less; called
    /// again and again, it removes all.
    ///
    /// The time before which operations may have been purged MUST be raised in the same transaction that removes them,
    /// or earlier, and MUST never fall: a load that finds a record gone says that it may be.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. After `Unknown`, calling again is harmless.
    ///
    /// # Cancellation
    ///
    /// The step may be done or not; calling again is harmless.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let week = Duration::from_secs(7 * 24 * 60 * 60);
    /// assert_eq!(service.repository().purge(week, 1_000).await?, Purged::default());
    #[doc = doc_end!()]
    /// ```
    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError>;
}

#[async_trait]
impl<T: Repository + ?Sized> Repository for Arc<T> {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        (**self).load(request).await
    }
    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        (**self).commit(event, groups).await
    }
    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        (**self).tickets(query).await
    }
    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        (**self).pools(query).await
    }
    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        (**self).availability(event).await
    }
    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        (**self).reservations(query).await
    }
    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        (**self).changes(event, after, limit).await
    }
    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        (**self).lapsed(limit).await
    }
    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        (**self).purge(retention, limit).await
    }
}
