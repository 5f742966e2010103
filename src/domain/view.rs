use super::event::Event;
use super::ids::{AreaId, CustomerId, EventId, OperationId, PoolId, ReservationId, TicketId};
use super::operation::OperationRecord;
use super::pool::{Allowance, Pool};
use super::record::{Record, Versioned};
use super::record_key::RecordKey;
use super::reservation::Reservation;
use super::snapshot::{LapsedOf, Snapshot};
use super::ticket::Ticket;
use super::time::Timestamp;

/// A snapshot through the eyes of one decision: it notes every record that is looked at, so that the commit can be
/// made to depend on each of them, and every record that the snapshot lacks.
///
/// ```
/// use ticket_reservation::domain::{EventId, PoolId, RecordKey, Snapshot, Timestamp, Versioned, View};
///
/// let (now, standing) = (Timestamp::from_micros(1_800_000_000_000_000), PoolId::new("standing")?);
/// let mut snapshot = Snapshot::new(EventId::new("gala")?, now);
/// snapshot.insert(RecordKey::Event, Versioned::ABSENT);
///
/// let mut view = View::new(&snapshot);
/// assert_eq!((view.event(), view.pool(&standing)), (None, None));
/// assert_eq!(view.touched(), [RecordKey::Event]); // It was read: there is none.
/// assert_eq!(view.missing(), [RecordKey::Pool(standing)]); // It was not read: nobody knows.
/// assert_eq!((view.event_id(), view.now()), (snapshot.event(), now));
/// assert_eq!(view.operations_purged_before(), snapshot.operations_purged_before());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct View<'s> {
    snapshot: &'s Snapshot,
    now: Timestamp,
    touched: Vec<RecordKey>,
    missing: Vec<RecordKey>,
    more_lapsed: Vec<LapsedOf>,
    picked: &'s [TicketId],
}

impl<'s> View<'s> {
    /// Looks at a snapshot.
    #[must_use]
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            now: snapshot.clock(),
            touched: Vec::new(),
            missing: Vec::new(),
            more_lapsed: Vec::new(),
            picked: &[],
        }
    }

    /// Decides best available for these tickets, which an earlier decision chose, instead of choosing anew. They are
    /// held only if they are still available.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let chosen = [seat];
    /// let mut view = View::new(&snapshot).with_picked(&chosen);
    /// assert_eq!(view.picked(), chosen);
    /// assert!(decide(&mut view, &command, &Policies::default()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_picked(mut self, picked: &'s [TicketId]) -> Self {
        self.picked = picked;
        self
    }

    /// The tickets that an earlier decision chose for best available; empty when there was none.
    #[must_use]
    pub fn picked(&self) -> &'s [TicketId] {
        self.picked
    }

    /// The event.
    #[must_use]
    pub fn event_id(&self) -> &'s EventId {
        self.snapshot.event()
    }

    /// The time of the decision: the store's clock, or the latest time at which a record looked at so far was
    /// decided, so that a clock stepping back revives no hold. Look at the records first.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The records looked at, each as often as it was.
    #[must_use]
    pub fn touched(&self) -> &[RecordKey] {
        &self.touched
    }

    /// The records looked at, leaving none.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let mut view = View::new(&snapshot);
    /// let _ = (view.event(), view.ticket(&seat));
    /// assert_eq!(view.into_touched(), [RecordKey::Event, RecordKey::Ticket(seat)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_touched(self) -> Vec<RecordKey> {
        self.touched
    }

    /// The records that the snapshot lacks. A decision made without them does not count.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// // The limit of a customer was not read.
    /// let mut view = View::new(&snapshot);
    /// let _ = view.allowance(&alice);
    /// assert_eq!(view.missing(), [RecordKey::Allowance(alice)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn missing(&self) -> &[RecordKey] {
        &self.missing
    }

    /// Whether expired holds were looked at of which the store has more. A refusal made without them does not count.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let lapsed = Lapsed { reservations: vec![reservation], more: true };
    /// snapshot.insert_lapsed(LapsedOf::Pool(standing.clone()), lapsed);
    /// let mut view = View::new(&snapshot);
    /// assert_eq!(view.lapsed(&LapsedOf::Pool(standing.clone())), [reservation]);
    /// assert!(view.has_more_lapsed());
    /// assert_eq!(view.more_lapsed(), [LapsedOf::Pool(standing)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_more_lapsed(&self) -> bool {
        !self.more_lapsed.is_empty()
    }

    /// Whose expired holds were looked at of which the store has more.
    #[must_use]
    pub fn more_lapsed(&self) -> &[LapsedOf] {
        &self.more_lapsed
    }

    /// Records of operations whose id was made before this may have been purged.
    #[must_use]
    pub fn operations_purged_before(&self) -> Timestamp {
        self.snapshot.operations_purged_before()
    }

    /// The event's record.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let mut view = View::new(&snapshot);
    /// assert_eq!(view.event_id(), &command.event);
    /// assert_eq!(view.event().map(|event| event.state), Some(EventState::OnSale));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event(&mut self) -> Option<&'s Event> {
        match self.look(RecordKey::Event) {
            Some(Record::Event(event)) => Some(event),
            _ => None,
        }
    }

    /// A ticket.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let mut view = View::new(&snapshot);
    /// assert!(view.ticket(&seat).is_some_and(|ticket| ticket.is_available(now)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ticket(&mut self, id: &TicketId) -> Option<&'s Ticket> {
        match self.look(RecordKey::Ticket(id.clone())) {
            Some(Record::Ticket(ticket)) => Some(ticket),
            _ => None,
        }
    }

    /// A pool.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let mut view = View::new(&snapshot);
    /// assert_eq!(view.pool(&standing).map(Pool::free), Some(200));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pool(&mut self, id: &PoolId) -> Option<&'s Pool> {
        match self.look(RecordKey::Pool(id.clone())) {
            Some(Record::Pool(pool)) => Some(pool),
            _ => None,
        }
    }

    /// What a customer has taken; nothing when there is no record.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// snapshot.insert(RecordKey::Allowance(alice.clone()), Versioned::ABSENT);
    /// assert_eq!(View::new(&snapshot).allowance(&alice).taken(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allowance(&mut self, customer: &CustomerId) -> Allowance {
        match self.look(RecordKey::Allowance(customer.clone())) {
            Some(Record::Allowance(allowance)) => allowance.clone(),
            _ => Allowance::default(),
        }
    }

    /// A reservation, of whichever event.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let changes = decide(&mut View::new(&snapshot), &command, &Policies::default())?;
    /// snapshot.apply(&changes);
    /// let mut view = View::new(&snapshot);
    /// assert!(view.reservation(reservation).is_some_and(|held| held.is_live_hold(now)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reservation(&mut self, id: ReservationId) -> Option<&'s Reservation> {
        match self.look(RecordKey::Reservation(id)) {
            Some(Record::Reservation(reservation)) => Some(reservation),
            _ => None,
        }
    }

    /// A recorded operation, of whichever event, and when it was decided.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// assert_eq!(View::new(&snapshot).operation(operation), None);
    /// let changes = decide(&mut View::new(&snapshot), &command, &Policies::default())?;
    /// snapshot.apply(&changes);
    /// assert!(View::new(&snapshot).operation(operation).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn operation(&mut self, id: OperationId) -> Option<(&'s OperationRecord, Timestamp)> {
        let key = RecordKey::Operation(id);
        let decided_at = self.snapshot.get(&key).map_or(Timestamp::EPOCH, |versioned| versioned.decided_at);
        match self.look(key) {
            Some(Record::Operation(operation)) => Some((operation, decided_at)),
            _ => None,
        }
    }

    /// The oldest expired holds of a pool or a customer. Where the snapshot has the record but not the list, the
    /// record is reported as missing: asking for it brings both.
    pub fn lapsed(&mut self, of: &LapsedOf) -> &'s [ReservationId] {
        let key = of.record_key();
        match self.snapshot.lapsed(of) {
            Some(lapsed) => {
                if lapsed.more && !self.more_lapsed.contains(of) {
                    self.more_lapsed.push(of.clone());
                }
                &lapsed.reservations
            }
            None => {
                // What did not exist when the snapshot was taken has no expired holds.
                if self.snapshot.get(&key).is_none_or(|versioned| versioned.version > 0) {
                    self.missing.push(key);
                }
                &[]
            }
        }
    }

    /// The free tickets of an area, best places first, without touching any of them: choosing among them depends on
    /// nothing but the tickets chosen.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let view = View::new(&snapshot);
    /// assert_eq!(view.free(&stalls), [seat.clone()]);
    /// assert!(view.peek_ticket(&seat).is_some());
    /// assert!(view.touched().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn free(&self, area: &AreaId) -> &'s [TicketId] {
        self.snapshot.free(area).unwrap_or_default()
    }

    /// Touches the tickets of an area that decisions have taken since the snapshot: a refusal for want of free places
    /// is true only if they are committed.
    ///
    /// ```
    #[doc = doc_snapshot!()]
    /// let changes = decide(&mut View::new(&snapshot), &command, &Policies::default())?;
    /// snapshot.apply(&changes);
    /// let mut view = View::new(&snapshot);
    /// view.touch_taken(&stalls);
    /// assert_eq!(view.touched(), [RecordKey::Ticket(seat)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn touch_taken(&mut self, area: &AreaId) {
        for id in self.snapshot.taken_since(area) {
            self.ticket(id);
        }
    }

    /// A ticket from [`View::free`], as it is now, without touching it.
    #[must_use]
    pub fn peek_ticket(&self, id: &TicketId) -> Option<(&'s Ticket, Timestamp)> {
        match self.snapshot.get(&RecordKey::Ticket(id.clone())) {
            Some(Versioned { record: Some(Record::Ticket(ticket)), decided_at, .. }) => Some((ticket, *decided_at)),
            _ => None,
        }
    }

    fn look(&mut self, key: RecordKey) -> Option<&'s Record> {
        let Some(versioned) = self.snapshot.get(&key) else {
            self.missing.push(key);
            return None;
        };
        let decided_at = versioned.decided_at;
        #[cfg(planted_bugs)]
        let decided_at = crate::planted::as_decided(decided_at);
        self.now = self.now.max(decided_at);
        // Many rules look at the event, one after another.
        if self.touched.last() != Some(&key) {
            self.touched.push(key);
        }
        versioned.record.as_ref()
    }
}
