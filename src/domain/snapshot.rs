use std::collections::HashMap;

use super::change_set::ChangeSet;
use super::free_list::FreeList;
use super::ids::{AreaId, CustomerId, EventId, PoolId, ReservationId, TicketId};
use super::pool::Pool;
use super::record::{Record, Versioned};
use super::record_key::RecordKey;
use super::reservation::{Reservation, ReservationState};
use super::ticket::{Place, Ticket, TicketState};
use super::time::Timestamp;

/// Whose expired holds a list of them is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LapsedOf {
    /// Those that count in a pool.
    Pool(PoolId),
    /// Those that count in a customer's allowance.
    Customer(CustomerId),
}

impl LapsedOf {
    /// The record that such holds count in.
    ///
    /// ```
    /// use ticket_reservation::domain::{LapsedOf, PoolId, RecordKey};
    ///
    /// let standing = PoolId::new("standing")?;
    /// assert_eq!(LapsedOf::Pool(standing.clone()).record_key(), RecordKey::Pool(standing));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn record_key(&self) -> RecordKey {
        match self {
            Self::Pool(id) => RecordKey::Pool(id.clone()),
            Self::Customer(id) => RecordKey::Allowance(id.clone()),
        }
    }
}

/// The oldest expired holds of a pool or a customer that have not been reclaimed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lapsed {
    /// Their reservations, the earliest deadline first.
    pub reservations: Vec<ReservationId>,
    /// Whether the store has more of them.
    pub more: bool,
}

/// What was read of one event at one moment, and what has been decided on top of it since.
///
/// ```
/// use ticket_reservation::domain::*;
///
/// let (now, stalls) = (Timestamp::from_micros(1_800_000_000_000_000), AreaId::new("stalls")?);
/// let seat = TicketId::new("A-12")?;
/// let place = Place { area: stalls.clone(), row: 1, number: 12 };
/// let mut snapshot = Snapshot::new(EventId::new("gala")?, now);
/// assert_eq!((snapshot.event().as_str(), snapshot.clock()), ("gala", now));
/// // Nothing was purged, until somebody says so.
/// assert!(snapshot.operations_purged_before() < Timestamp::EPOCH);
///
/// let ticket = Record::Ticket(Ticket::available(place.clone()));
/// snapshot.insert(RecordKey::Ticket(seat.clone()), Versioned::new(1, now, ticket));
/// snapshot.insert_free(stalls.clone(), [(seat.clone(), place)]);
///
/// assert_eq!(snapshot.free(&stalls), Some(&[seat.clone()][..]));
/// assert_eq!(snapshot.get(&RecordKey::Ticket(seat)).map(|read| read.version), Some(1));
/// assert_eq!(snapshot.get(&RecordKey::Event), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshot {
    event: EventId,
    clock: Timestamp,
    operations_purged_before: Timestamp,
    records: HashMap<RecordKey, Versioned>,
    free: HashMap<AreaId, FreeList>,
    lapsed: HashMap<LapsedOf, Lapsed>,
    /// Pools that were decided on since, as they were read.
    pools_read: HashMap<PoolId, Pool>,
}

impl Snapshot {
    /// An empty snapshot of `event`, taken when the store's clock said `clock`.
    #[must_use]
    pub fn new(event: EventId, clock: Timestamp) -> Self {
        Self {
            event,
            clock,
            operations_purged_before: Timestamp::from_micros(i64::MIN),
            records: HashMap::new(),
            free: HashMap::new(),
            lapsed: HashMap::new(),
            pools_read: HashMap::new(),
        }
    }

    /// The event it is of.
    #[must_use]
    pub fn event(&self) -> &EventId {
        &self.event
    }

    /// The store's clock when it was taken.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Sets the store's clock. For tests and wrappers that let a clock go wrong.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// snapshot.set_clock(now.before(Duration::from_secs(3_600)));
    /// // What was decided later than that is known, so a clock that steps back revives nothing.
    /// let mut view = View::new(&snapshot);
    /// assert!(view.pool(&standing).is_some());
    /// assert_eq!(view.now(), now);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_clock(&mut self, clock: Timestamp) {
        self.clock = clock;
    }

    /// Records of operations whose id was made before this may have been purged, and are not written any more.
    #[must_use]
    pub fn operations_purged_before(&self) -> Timestamp {
        self.operations_purged_before
    }

    /// Sets the time before which operation records may have been purged.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// snapshot.set_operations_purged_before(now.after(Duration::from_secs(1)));
    /// let answer = decide(&mut View::new(&snapshot), &command, &Policies::default());
    /// assert_eq!(answer, Err(Rejection::OperationTooOld));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_operations_purged_before(&mut self, before: Timestamp) {
        self.operations_purged_before = before;
    }

    /// Makes room for so many records more.
    pub(crate) fn reserve(&mut self, records: usize) {
        self.records.reserve(records);
    }

    /// Adds a record as it was read, or that there is none ([`Versioned::ABSENT`]).
    pub fn insert(&mut self, key: RecordKey, versioned: Versioned) {
        self.records.insert(key, versioned);
    }

    /// A record; `None` when it was not read.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// assert!(snapshot.get(&RecordKey::Operation(operation)).is_some_and(|read| *read == Versioned::ABSENT));
    /// assert_eq!(snapshot.get(&RecordKey::Allowance(alice)), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get(&self, key: &RecordKey) -> Option<&Versioned> {
        self.records.get(key)
    }

    /// Adds the list of an area's tickets that are free, with their places, complete at the moment of the snapshot
    /// and in any order. Insert the tickets' records too.
    pub fn insert_free(&mut self, area: AreaId, tickets: impl IntoIterator<Item = (TicketId, Place)>) {
        self.free.insert(area, FreeList::new(tickets));
    }

    /// The free tickets of an area, best places first; `None` when they were not read.
    #[must_use]
    pub fn free(&self, area: &AreaId) -> Option<&[TicketId]> {
        self.free.get(area).map(FreeList::tickets)
    }

    /// The tickets of an area that were free when the snapshot was taken, and that a decision has taken since.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let changes = decide(&mut View::new(&snapshot), &command, &Policies::default())?;
    /// snapshot.apply(&changes);
    /// assert_eq!(snapshot.taken_since(&stalls), [seat]);
    /// assert_eq!(snapshot.free(&stalls), Some(&[][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn taken_since(&self, area: &AreaId) -> &[TicketId] {
        self.free.get(area).map(FreeList::taken).unwrap_or_default()
    }

    /// Adds the oldest expired holds of a pool or a customer. Insert the reservations' records too.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let lapsed = Lapsed { reservations: vec![reservation], more: false };
    /// snapshot.insert_lapsed(LapsedOf::Pool(standing.clone()), lapsed.clone());
    /// assert_eq!(snapshot.lapsed(&LapsedOf::Pool(standing)), Some(&lapsed));
    /// assert_eq!(snapshot.all_lapsed().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_lapsed(&mut self, of: LapsedOf, lapsed: Lapsed) {
        self.lapsed.insert(of, lapsed);
    }

    /// The oldest expired holds of a pool or a customer; `None` when that was not read.
    #[must_use]
    pub fn lapsed(&self, of: &LapsedOf) -> Option<&Lapsed> {
        self.lapsed.get(of)
    }

    /// Every list of expired holds that was read. For tests and wrappers.
    pub fn all_lapsed(&self) -> impl Iterator<Item = (&LapsedOf, &Lapsed)> {
        self.lapsed.iter()
    }

    /// Chooses those of these records that are free tickets for nobody else: they are spoken for by a decision that
    /// waits for their locks. Says whether there were any.
    pub(crate) fn set_aside(&mut self, keys: &[RecordKey]) -> bool {
        let mut any = false;
        for key in keys {
            let (RecordKey::Ticket(id), Some(Record::Ticket(ticket))) =
                (key, self.records.get(key).and_then(|it| it.record.as_ref()))
            else {
                continue;
            };
            any = true;
            if let Some(free) = self.free.get_mut(&ticket.place.area) {
                free.take(id, &ticket.place);
            }
        }
        any
    }

    /// Carries a decision out on the snapshot, so that the next command is decided after it. Versions stay as they
    /// were read: the whole batch is committed against them.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let changes = decide(&mut View::new(&snapshot), &command, &Policies::default())?;
    /// snapshot.apply(&changes);
    /// let owner = View::new(&snapshot).ticket(&seat).and_then(Ticket::owner);
    /// assert_eq!(owner, Some(reservation));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&mut self, changes: &ChangeSet) {
        for (key, record) in &changes.writes {
            let versioned = self.records.entry(key.clone()).or_default();
            if let (RecordKey::Pool(id), Some(Record::Pool(read))) = (key, &versioned.record)
                && !self.pools_read.contains_key(id)
            {
                self.pools_read.insert(id.clone(), read.clone());
            }
            versioned.record = Some(record.clone());
            let decided_at = versioned.decided_at;
            #[cfg(planted_bugs)]
            let decided_at = crate::planted::as_decided(decided_at);
            versioned.decided_at = decided_at.max(changes.at);
            match (key, record) {
                (RecordKey::Ticket(id), Record::Ticket(ticket)) => self.move_in_free_list(id, ticket),
                (RecordKey::Reservation(_), Record::Reservation(reservation)) => self.forget_lapsed(reservation),
                _ => {}
            }
        }
    }

    /// A pool that was decided on, as it was read.
    pub(crate) fn pool_as_read(&self, id: &PoolId) -> Option<&Pool> {
        self.pools_read.get(id)
    }

    fn move_in_free_list(&mut self, id: &TicketId, ticket: &Ticket) {
        let Some(free) = self.free.get_mut(&ticket.place.area) else { return };
        match ticket.state {
            TicketState::Available => free.give_back(id, &ticket.place),
            _ => free.take(id, &ticket.place),
        }
    }

    /// Expired holds that were reclaimed are not looked at again by those who come later.
    fn forget_lapsed(&mut self, reservation: &Reservation) {
        if matches!(reservation.state, ReservationState::Held { .. }) || self.lapsed.is_empty() {
            return;
        }
        let pools = reservation.lines.pools().iter().map(|(pool, _)| LapsedOf::Pool(pool.clone()));
        for of in pools.chain([LapsedOf::Customer(reservation.customer.clone())]) {
            if let Some(lapsed) = self.lapsed.get_mut(&of) {
                lapsed.reservations.retain(|id| *id != reservation.id);
            }
        }
    }
}
