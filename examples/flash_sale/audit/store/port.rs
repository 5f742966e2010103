//! Reads a store that lives in this process through the crate's repository port: there is no other way in.

use ticket_reservation::domain::{
    self, CustomerId, EventId, EventState, OperationId, RecordKey, Recorded, ReservationId, Timestamp,
};
use ticket_reservation::ports::{
    ChangesError, LoadRequest, PAGE_MAX, PoolQuery, Repository, ReservationQuery, StoreError, TicketQuery,
};

use super::super::books::*;
use super::super::journal::Journal;
use super::super::lines::Lines;

/// How many records are loaded at once.
const LOAD_MAX: usize = 1_000;

/// Reads the event's tables. Nobody can list operations and allowances here: those of the logs are looked up.
pub(super) async fn read(repository: &dyn Repository, event: &EventId, journal: &Journal) -> Result<Books, StoreError> {
    let mut keys = vec![RecordKey::Event];
    keys.extend(pools(repository, event).await?);
    keys.extend(tickets(repository, event).await?);
    keys.extend(reservations(repository, event).await?);
    keys.extend(journal.operations().filter_map(|id| OperationId::try_from(id).ok()).map(RecordKey::Operation));
    keys.extend(journal.customers().into_iter().filter_map(|id| CustomerId::new(id).ok()).map(RecordKey::Allowance));
    let mut books = Books::default();
    for keys in keys.chunks(LOAD_MAX) {
        let request = LoadRequest { event: event.clone(), records: keys.to_vec(), free_in: Vec::new() };
        let snapshot = repository.load(&request).await?;
        for (key, found) in keys.iter().filter_map(|key| Some((key, snapshot.get(key)?))) {
            if let Some(record) = &found.record {
                books.enter(event, key, found.version, found.decided_at, record);
            }
        }
    }
    books.changes = changes(repository, event).await?;
    Ok(books)
}

async fn pools(repository: &dyn Repository, event: &EventId) -> Result<Vec<RecordKey>, StoreError> {
    let mut all = Vec::new();
    let mut query = PoolQuery { event: event.clone(), after: None, limit: PAGE_MAX };
    loop {
        let page = repository.pools(&query).await?;
        let Some((last, ..)) = page.last() else { return Ok(all) };
        query.after = Some(last.clone());
        all.extend(page.into_iter().map(|(id, ..)| RecordKey::Pool(id)));
    }
}

async fn tickets(repository: &dyn Repository, event: &EventId) -> Result<Vec<RecordKey>, StoreError> {
    let mut all = Vec::new();
    let mut query =
        TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit: PAGE_MAX };
    loop {
        let page = repository.tickets(&query).await?;
        let Some((last, ..)) = page.last() else { return Ok(all) };
        query.after = Some(last.clone());
        all.extend(page.into_iter().map(|(id, ..)| RecordKey::Ticket(id)));
    }
}

async fn reservations(repository: &dyn Repository, event: &EventId) -> Result<Vec<RecordKey>, StoreError> {
    let mut all = Vec::new();
    let mut query =
        ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit: PAGE_MAX };
    loop {
        let page = repository.reservations(&query).await?;
        let Some((_, last)) = page.last() else { return Ok(all) };
        query.after = Some(last.id);
        all.extend(page.into_iter().map(|(_, reservation)| RecordKey::Reservation(reservation.id)));
    }
}

async fn changes(repository: &dyn Repository, event: &EventId) -> Result<Vec<Change>, StoreError> {
    let mut all = Vec::new();
    let mut through = 0;
    loop {
        let page = match repository.changes(event, through, PAGE_MAX).await {
            Ok(page) => page,
            Err(ChangesError::Store(error)) => return Err(error),
            Err(error) => return Err(StoreError::permanent(error.to_string())),
        };
        let Some(last) = page.last() else { return Ok(all) };
        through = last.sequence;
        all.extend(page.iter().map(|change| Change {
            sequence: number(change.sequence),
            record: record(&change.key, change.version, change.decided_at, &change.record),
        }));
    }
}

impl Books {
    fn enter(&mut self, event: &EventId, key: &RecordKey, version: u64, at: Timestamp, found: &domain::Record) {
        if let domain::Record::Operation(operation) = found {
            if let (true, RecordKey::Operation(id)) = (operation.event == *event, key) {
                self.operations.insert(*id.as_uuid(), recorded(&operation.recorded, at));
            }
            return;
        }
        match record(key, version, at, found) {
            Record::Event(row) => self.event = Some(row),
            Record::Ticket(id, row) => drop(self.tickets.insert(id, row)),
            Record::Pool(id, row) => drop(self.pools.insert(id, row)),
            Record::Allowance(id, row) => drop(self.allowances.insert(id, row)),
            Record::Reservation(id, row) => drop(self.reservations.insert(id, row)),
            Record::Odd(_) => {}
        }
    }
}

fn record(key: &RecordKey, version: u64, decided_at: Timestamp, record: &domain::Record) -> Record {
    let (version, decided_at) = (number(version), decided_at.as_micros());
    match (key, record) {
        (RecordKey::Event, domain::Record::Event(found)) => {
            Record::Event(Row { version, decided_at, content: event(found) })
        }
        (RecordKey::Ticket(id), domain::Record::Ticket(found)) => {
            Record::Ticket(id.to_string(), Row { version, decided_at, content: ticket(found) })
        }
        (RecordKey::Pool(id), domain::Record::Pool(found)) => {
            let (capacity, held, booked) = (found.capacity.into(), found.held.into(), found.booked.into());
            Record::Pool(id.to_string(), Row { version, decided_at, content: Pool { capacity, held, booked } })
        }
        (RecordKey::Allowance(id), domain::Record::Allowance(found)) => {
            let content = Allowance { held: found.held.into(), booked: found.booked.into() };
            Record::Allowance(id.to_string(), Row { version, decided_at, content })
        }
        (RecordKey::Reservation(id), domain::Record::Reservation(found)) => {
            Record::Reservation(*id.as_uuid(), Row { version, decided_at, content: reservation(found) })
        }
        (key, _) => Record::Odd(format!("{key:?}")),
    }
}

fn event(found: &domain::Event) -> Event {
    let state = if found.state == EventState::OnSale { "on_sale" } else { "preparing" };
    Event {
        state: state.to_owned(),
        opens_at: found.window.opens.map(Timestamp::as_micros),
        closes_at: found.window.closes.map(Timestamp::as_micros),
        limit_per_customer: found.limit_per_customer.map(i64::from),
    }
}

fn ticket(found: &domain::Ticket) -> Ticket {
    let domain::Place { area, row, number } = &found.place;
    let place = Place { area: area.to_string(), row: i64::from(*row), number: i64::from(*number) };
    let (state, by, until, reason) = match &found.state {
        domain::TicketState::Available => ("available", None, None, None),
        domain::TicketState::Held { reservation, until } => ("held", Some(reservation), Some(until.as_micros()), None),
        domain::TicketState::Booked { reservation } => ("booked", Some(reservation), None, None),
        domain::TicketState::Blocked { reason } => ("blocked", None, None, Some(reason.to_string())),
        _ => ("unknown", None, None, None),
    };
    let state = TicketState::of(state.to_owned(), by.map(|id| *id.as_uuid()), until, reason);
    Ticket { place, state }
}

fn reservation(found: &domain::Reservation) -> Reservation {
    let until = match found.state {
        domain::ReservationState::Held { until } => Some(until.as_micros()),
        _ => None,
    };
    let pools = found.lines.pools().iter().map(|(id, quantity)| (id.to_string(), i64::from(*quantity)));
    Reservation {
        customer: found.customer.to_string(),
        state: ReservationState::of(found.state.name().to_owned(), until),
        held_at: found.held_at.as_micros(),
        lines: Lines::new(found.lines.tickets().iter().map(ToString::to_string).collect(), pools.collect()),
    }
}

fn recorded(found: &Recorded, at: Timestamp) -> Operation {
    let decided_at = at.as_micros();
    match found {
        Recorded::Applied { kind, reservation, customer, .. } => Operation {
            kind: kind.name().to_owned(),
            reservation: reservation.as_ref().map(|id: &ReservationId| *id.as_uuid()),
            customer: customer.as_ref().map(ToString::to_string),
            decided_at,
        },
        _ => Operation { kind: "voided".to_owned(), reservation: None, customer: None, decided_at },
    }
}

/// No counter reaches the bound.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
