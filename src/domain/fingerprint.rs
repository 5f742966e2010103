use std::time::Duration;

use twox_hash::XxHash3_128;
use uuid::Uuid;

use super::command::{Action, Command, Hold, distinct};
use super::ids::TicketId;
use super::time::Timestamp;

/// A digest of what a command asks for: equal content, equal fingerprint, on every machine and in every version.
///
/// XXH3 of 128 bits (seed 0, big-endian; the format that XXH3 guarantees since its version 0.8.0) over an unambiguous
/// encoding of the command. It tells a repetition from an accident; it is no protection against someone who forges
/// collisions.
///
/// ```
/// use ticket_reservation::domain::{Action, Command, CreateEvent, EventId, Fingerprint, OperationId, Timestamp};
///
/// let (event, operation) = (EventId::new("gala")?, OperationId::from_parts(Timestamp::EPOCH, [8; 10]));
/// let command = Command { event, operation, action: Action::CreateEvent(CreateEvent::default()) };
/// let kept: [u8; 16] = *Fingerprint::of(&command).as_bytes();
/// assert_eq!(Fingerprint::from_bytes(kept), Fingerprint::of(&command));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The digest of everything that a command asks for, whatever its operation id.
    #[must_use]
    pub fn of(command: &Command) -> Self {
        let mut text = Encoder(Vec::with_capacity(128));
        text.text(command.event.as_str());
        text.text(command.kind().name());
        encode_action(&mut text, &command.action);
        Self(XxHash3_128::oneshot(&text.0).to_be_bytes())
    }

    /// From the bytes that a store kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn encode_action(to: &mut Encoder, action: &Action) {
    match action {
        Action::CreateEvent(terms) => {
            to.optional(terms.window.opens.map(Timestamp::as_micros));
            to.optional(terms.window.closes.map(Timestamp::as_micros));
            to.optional(terms.limit_per_customer.map(i64::from));
        }
        Action::Import(import) => {
            to.number(import.tickets.len() as i64);
            for (ticket, place) in &import.tickets {
                to.text(ticket.as_str());
                to.text(place.area.as_str());
                to.number(i64::from(place.row));
                to.number(i64::from(place.number));
            }
            to.number(import.pools.len() as i64);
            for (pool, capacity) in &import.pools {
                to.text(pool.as_str());
                to.number(i64::from(*capacity));
            }
            to.number(i64::from(import.last));
        }
        Action::Hold(hold) => encode_hold(to, hold),
        Action::Extend { reservation, customer, ttl } => {
            to.uuid(reservation.as_uuid());
            to.text(customer.as_str());
            to.ttl(*ttl);
        }
        Action::Confirm { reservation, customer }
        | Action::Release { reservation, customer }
        | Action::Cancel { reservation, customer } => {
            to.uuid(reservation.as_uuid());
            to.text(customer.as_str());
        }
        Action::Transfer(transfer) => {
            to.uuid(transfer.reservation.as_uuid());
            to.text(transfer.from.as_str());
            to.text(transfer.to.as_str());
        }
        Action::Block { tickets, reason } => {
            to.texts(distinct(tickets));
            to.text(reason.as_str());
        }
        Action::Unblock { tickets } => to.texts(distinct(tickets)),
    }
}

fn encode_hold(to: &mut Encoder, hold: &Hold) {
    to.uuid(hold.reservation.as_uuid());
    to.text(hold.customer.as_str());
    to.texts(hold.lines.tickets());
    to.number(hold.lines.pools().len() as i64);
    for (pool, quantity) in hold.lines.pools() {
        to.text(pool.as_str());
        to.number(i64::from(*quantity));
    }
    match &hold.best_available {
        Some(best) => {
            to.number(1);
            to.text(best.area.as_str());
            to.number(i64::from(best.quantity));
        }
        None => to.number(0),
    }
    to.ttl(hold.ttl);
}

/// Every text is preceded by its length and every list by its count, so that no two commands encode alike.
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t TicketId, IntoIter: ExactSizeIterator>) {
        let texts = texts.into_iter();
        self.number(texts.len() as i64);
        for text in texts {
            self.text(text.as_str());
        }
    }

    fn uuid(&mut self, uuid: &Uuid) {
        self.0.extend_from_slice(uuid.as_bytes());
    }

    fn optional(&mut self, number: Option<i64>) {
        self.number(i64::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    fn ttl(&mut self, ttl: Option<Duration>) {
        self.optional(ttl.map(|ttl| i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX)));
    }
}
