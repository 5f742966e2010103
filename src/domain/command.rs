use std::collections::BTreeSet;
use std::time::Duration;

use super::action_kind::ActionKind;
use super::best_available::BestAvailable;
use super::event::SalesWindow;
use super::ids::{AreaId, BlockReason, CustomerId, EventId, OperationId, PoolId, ReservationId, TicketId};
use super::lines::{InvalidLines, LINES_MAX, Lines};
use super::record_key::RecordKey;
use super::ticket::Place;

/// Most tickets and pools of one [`Import`] chunk.
pub const IMPORT_CHUNK_MAX: usize = 10_000;

/// One request to change what is sold: what to do, to which event, under which idempotency key.
///
/// ```
/// use ticket_reservation::domain::*;
///
/// let (reservation, alice) = (ReservationId::from_parts(Timestamp::EPOCH, [7; 10]), CustomerId::new("alice")?);
/// let hold = Hold::new(reservation, alice.clone(), Lines::default()).with_best_available(AreaId::new("stalls")?, 2);
/// let operation = OperationId::from_parts(Timestamp::EPOCH, [8; 10]);
/// let command = Command { event: EventId::new("gala")?, operation, action: Action::Hold(hold) };
///
/// assert_eq!(command.kind(), ActionKind::Hold);
/// assert_eq!(command.receiving_customer(), Some(&alice));
/// assert_eq!(command.area(), Some(&AreaId::new("stalls")?));
/// let read_first = [RecordKey::Event, RecordKey::Operation(operation), RecordKey::Reservation(reservation)];
/// assert_eq!(command.records(), read_first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The event that everything in the command belongs to.
    pub event: EventId,
    /// The idempotency key, made by the caller. Repeat the whole command under it and its effect happens once.
    pub operation: OperationId,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Creates an event that has no inventory yet.
    CreateEvent(CreateEvent),
    /// Adds inventory to an event; the last chunk puts it on sale.
    Import(Import),
    /// Keeps places for a customer until a deadline.
    Hold(Hold),
    /// Moves the deadline of a live hold to `ttl` from now, within the policy's maximum; never to an earlier one.
    Extend {
        /// Which reservation.
        reservation: ReservationId,
        /// Whose it is.
        customer: CustomerId,
        /// How long from now; `None` is the policy's hold TTL.
        ttl: Option<Duration>,
    },
    /// Books what is held.
    Confirm {
        /// Which reservation.
        reservation: ReservationId,
        /// Whose it is.
        customer: CustomerId,
    },
    /// Gives a live hold back.
    Release {
        /// Which reservation.
        reservation: ReservationId,
        /// Whose it is.
        customer: CustomerId,
    },
    /// Gives back what is booked.
    Cancel {
        /// Which reservation.
        reservation: ReservationId,
        /// Whose it is.
        customer: CustomerId,
    },
    /// Hands a live hold or a booking to another customer.
    Transfer(Transfer),
    /// Takes available tickets off sale, all or none.
    Block {
        /// Which tickets, at most [`LINES_MAX`].
        tickets: Vec<TicketId>,
        /// Why.
        reason: BlockReason,
    },
    /// Puts blocked tickets on sale again, all or none.
    Unblock {
        /// Which tickets, at most [`LINES_MAX`].
        tickets: Vec<TicketId>,
    },
}

/// The terms of a new event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateEvent {
    /// When places may be held.
    pub window: SalesWindow,
    /// How many places one customer may hold and book together; `None` is "any number".
    pub limit_per_customer: Option<u32>,
}

/// One chunk of an event's inventory. Importing what is already there, at the same place and capacity, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    /// Numbered places.
    pub tickets: Vec<(TicketId, Place)>,
    /// Counted areas with their capacities.
    pub pools: Vec<(PoolId, u32)>,
    /// Whether this is the last chunk, which puts the event on sale.
    pub last: bool,
}

/// Places to keep for a customer, all or nothing.
///
/// ```
/// use std::time::Duration;
/// use ticket_reservation::domain::{AreaId, CustomerId, Hold, Lines, ReservationId, Timestamp};
///
/// let reservation = ReservationId::from_parts(Timestamp::EPOCH, [7; 10]);
/// let hold = Hold::new(reservation, CustomerId::new("alice")?, Lines::default())
///     .with_best_available(AreaId::new("stalls")?, 2)
///     .with_ttl(Duration::from_secs(5 * 60));
/// assert_eq!(hold.best_available.map(|wish| wish.quantity), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The id of the new reservation.
    pub reservation: ReservationId,
    /// Whose it will be.
    pub customer: CustomerId,
    /// Named tickets and pool quantities.
    pub lines: Lines,
    /// Neighbouring places of an area, chosen by the library, in addition to the lines.
    pub best_available: Option<BestAvailable>,
    /// How long; `None` is the policy's hold TTL.
    pub ttl: Option<Duration>,
}

/// A change of customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Which reservation.
    pub reservation: ReservationId,
    /// Whose it is.
    pub from: CustomerId,
    /// Whose it becomes.
    pub to: CustomerId,
}

impl Hold {
    /// A hold of named tickets and pool quantities.
    #[must_use]
    pub fn new(reservation: ReservationId, customer: CustomerId, lines: Lines) -> Self {
        Self { reservation, customer, lines, best_available: None, ttl: None }
    }

    /// Adds neighbouring places chosen by the library.
    #[must_use]
    pub fn with_best_available(mut self, area: AreaId, quantity: u32) -> Self {
        self.best_available = Some(BestAvailable { area, quantity });
        self
    }

    /// Lasts `ttl` instead of the policy's hold TTL.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl Command {
    /// The kind of its action.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match &self.action {
            Action::CreateEvent(_) => ActionKind::CreateEvent,
            Action::Import(_) => ActionKind::Import,
            Action::Hold(_) => ActionKind::Hold,
            Action::Extend { .. } => ActionKind::Extend,
            Action::Confirm { .. } => ActionKind::Confirm,
            Action::Release { .. } => ActionKind::Release,
            Action::Cancel { .. } => ActionKind::Cancel,
            Action::Transfer(_) => ActionKind::Transfer,
            Action::Block { .. } => ActionKind::Block,
            Action::Unblock { .. } => ActionKind::Unblock,
        }
    }

    /// Refuses what no store needs to be asked about. Tickets named twice are asked for once.
    ///
    /// # Errors
    ///
    /// [`InvalidLines`] when nothing or too much is asked for.
    ///
    /// # Example
    ///
    /// ```
    /// use ticket_reservation::domain::{Action, Command, EventId, InvalidLines, OperationId, Timestamp};
    ///
    /// let operation = OperationId::from_parts(Timestamp::EPOCH, [8; 10]);
    /// let nothing = Action::Unblock { tickets: vec![] };
    /// let command = Command { event: EventId::new("gala")?, operation, action: nothing };
    /// assert_eq!(command.check(), Err(InvalidLines::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self) -> Result<(), InvalidLines> {
        match &self.action {
            Action::Hold(hold) => match &hold.best_available {
                Some(best) if best.quantity == 0 => Err(InvalidLines::ZeroQuantity),
                Some(best) => {
                    check_count(hold.lines.tickets().len() + hold.lines.pools().len(), best.quantity)?;
                    hold.lines.places().checked_add(best.quantity).map(drop).ok_or(InvalidLines::Overflow)
                }
                None => hold.lines.check_not_empty(),
            },
            Action::Block { tickets, .. } | Action::Unblock { tickets } if tickets.is_empty() => {
                Err(InvalidLines::Empty)
            }
            Action::Block { tickets, .. } | Action::Unblock { tickets } => check_count(distinct(tickets).len(), 0),
            Action::Import(import) => {
                let lines = import.tickets.len() + import.pools.len();
                if lines > IMPORT_CHUNK_MAX { Err(InvalidLines::ImportTooLarge { lines }) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// How many tickets and pools it names or asks for: what deciding it costs.
    pub(crate) fn size(&self) -> usize {
        match &self.action {
            Action::Import(import) => import.tickets.len() + import.pools.len(),
            Action::Hold(hold) => {
                let picked = hold.best_available.as_ref().map_or(0, |best| best.quantity as usize);
                hold.lines.tickets().len() + hold.lines.pools().len() + picked
            }
            Action::Block { tickets, .. } | Action::Unblock { tickets } => tickets.len(),
            _ => 1,
        }
    }

    /// The records that deciding this command starts from. What it needs beyond them, [`View`](super::View) asks for.
    ///
    /// ```
    /// use ticket_reservation::domain::*;
    ///
    /// let (reservation, alice) = (ReservationId::from_parts(Timestamp::EPOCH, [7; 10]), CustomerId::new("alice")?);
    /// let operation = OperationId::from_parts(Timestamp::EPOCH, [8; 10]);
    /// let action = Action::Confirm { reservation, customer: alice };
    /// let command = Command { event: EventId::new("gala")?, operation, action };
    /// let first = [RecordKey::Event, RecordKey::Operation(operation), RecordKey::Reservation(reservation)];
    /// assert_eq!(command.records(), first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn records(&self) -> Vec<RecordKey> {
        let mut keys = vec![RecordKey::Event, RecordKey::Operation(self.operation)];
        match &self.action {
            Action::CreateEvent(_) => {}
            Action::Import(import) => {
                keys.extend(import.tickets.iter().map(|(ticket, _)| RecordKey::Ticket(ticket.clone())));
                keys.extend(import.pools.iter().map(|(pool, _)| RecordKey::Pool(pool.clone())));
            }
            Action::Hold(hold) => {
                keys.push(RecordKey::Reservation(hold.reservation));
                keys.extend(hold.lines.tickets().iter().cloned().map(RecordKey::Ticket));
                keys.extend(hold.lines.pools().iter().map(|(pool, _)| RecordKey::Pool(pool.clone())));
            }
            Action::Extend { reservation, .. }
            | Action::Confirm { reservation, .. }
            | Action::Release { reservation, .. }
            | Action::Cancel { reservation, .. }
            | Action::Transfer(Transfer { reservation, .. }) => {
                keys.push(RecordKey::Reservation(*reservation));
            }
            Action::Block { tickets, .. } | Action::Unblock { tickets } => {
                keys.extend(distinct(tickets).into_iter().cloned().map(RecordKey::Ticket));
            }
        }
        keys
    }

    /// The customer who gets places by this command, and whose allowance it needs where the event limits them.
    #[must_use]
    pub fn receiving_customer(&self) -> Option<&CustomerId> {
        match &self.action {
            Action::Hold(hold) => Some(&hold.customer),
            Action::Transfer(transfer) => Some(&transfer.to),
            _ => None,
        }
    }

    /// The area whose free tickets best available chooses from.
    #[must_use]
    pub fn area(&self) -> Option<&AreaId> {
        match &self.action {
            Action::Hold(hold) => hold.best_available.as_ref().map(|best| &best.area),
            _ => None,
        }
    }
}

/// Naming a ticket twice asks for it once.
pub(super) fn distinct(tickets: &[TicketId]) -> BTreeSet<&TicketId> {
    tickets.iter().collect()
}

fn check_count(lines: usize, more: u32) -> Result<(), InvalidLines> {
    let lines = lines.saturating_add(more as usize);
    if lines > LINES_MAX { Err(InvalidLines::TooMany { lines }) } else { Ok(()) }
}
