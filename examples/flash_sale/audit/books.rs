//! What the store says, read through the repository port alone.

use std::collections::BTreeMap;

use ticket_reservation::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Ticket, TicketId, Timestamp};
use ticket_reservation::ports::{LoadRequest, PAGE_MAX, Repository, ReservationQuery, StoreError, TicketQuery};

/// An event's tables, with the version of each row.
#[derive(Debug)]
pub(crate) struct Books {
    /// The store's clock.
    pub(crate) clock: Timestamp,
    pub(crate) tickets: BTreeMap<TicketId, (u64, Ticket)>,
    pub(crate) pools: BTreeMap<PoolId, (u64, Pool)>,
    pub(crate) reservations: BTreeMap<ReservationId, (u64, Reservation)>,
}

impl Books {
    /// Reads everything. Nobody may write meanwhile.
    pub(crate) async fn read(repository: &dyn Repository, event: &EventId) -> Result<Self, StoreError> {
        let request = LoadRequest { event: event.clone(), records: Vec::new(), free_in: Vec::new() };
        let clock = repository.load(&request).await?.clock();
        let pools =
            repository.pools(event).await?.into_iter().map(|(id, version, pool)| (id, (version, pool))).collect();
        let tickets = tickets(repository, event).await?;
        let reservations = reservations(repository, event).await?;
        Ok(Self { clock, tickets, pools, reservations })
    }

    /// A reservation.
    pub(crate) fn reservation(&self, id: &ReservationId) -> Option<&Reservation> {
        self.reservations.get(id).map(|(_, reservation)| reservation)
    }
}

async fn tickets(
    repository: &dyn Repository,
    event: &EventId,
) -> Result<BTreeMap<TicketId, (u64, Ticket)>, StoreError> {
    let mut all = BTreeMap::new();
    let mut query = TicketQuery { event: event.clone(), area: None, after: None, limit: PAGE_MAX };
    loop {
        let page = repository.tickets(&query).await?;
        let Some((last, ..)) = page.last() else { return Ok(all) };
        query.after = Some(last.clone());
        all.extend(page.into_iter().map(|(id, version, ticket)| (id, (version, ticket))));
    }
}

async fn reservations(
    repository: &dyn Repository,
    event: &EventId,
) -> Result<BTreeMap<ReservationId, (u64, Reservation)>, StoreError> {
    let mut all = BTreeMap::new();
    let mut query = ReservationQuery { event: event.clone(), customer: None, after: None, limit: PAGE_MAX };
    loop {
        let page = repository.reservations(&query).await?;
        let Some((_, last)) = page.last() else { return Ok(all) };
        query.after = Some(last.id);
        all.extend(page.into_iter().map(|(version, reservation)| (reservation.id, (version, reservation))));
    }
}
