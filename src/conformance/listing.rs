//! Everything that a store lists, page by page.

use super::bench::RepositoryBench;
use super::check::{Failure, ensure};
use crate::domain::{EventId, Pool, PoolId, Reservation, Ticket, TicketId};
use crate::ports::{Change, PAGE_MAX, PoolQuery, ReservationQuery, TicketQuery};

impl RepositoryBench {
    pub(super) async fn tickets(&self, event: &EventId) -> Result<Vec<(TicketId, u64, Ticket)>, Failure> {
        let event = event.clone();
        self.tickets_of(TicketQuery { event, area: None, only_available: false, after: None, limit: PAGE_MAX }).await
    }

    /// From a query's first page to the last.
    pub(super) async fn tickets_of(&self, mut query: TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, Failure> {
        let mut all: Vec<(TicketId, u64, Ticket)> = Vec::new();
        loop {
            let page = self.repository.tickets(&query).await?;
            let Some((first, ..)) = page.first() else { return Ok(all) };
            ensure!(query.after.is_none_or(|after| *first > after), "a page of tickets starts again with {first}");
            all.extend(page);
            query.after = all.last().map(|(id, ..)| id.clone());
        }
    }

    pub(super) async fn pools(&self, event: &EventId) -> Result<Vec<(PoolId, u64, Pool)>, Failure> {
        let mut all: Vec<(PoolId, u64, Pool)> = Vec::new();
        loop {
            let after = all.last().map(|(id, ..)| id.clone());
            let query = PoolQuery { event: event.clone(), after: after.clone(), limit: PAGE_MAX };
            let page = self.repository.pools(&query).await?;
            let Some((first, ..)) = page.first() else { return Ok(all) };
            ensure!(after.is_none_or(|after| *first > after), "a page of pools starts again with {first}");
            all.extend(page);
        }
    }

    pub(super) async fn reservations(&self, event: &EventId) -> Result<Vec<(u64, Reservation)>, Failure> {
        let event = Some(event.clone());
        self.reservations_of(ReservationQuery { event, customer: None, state: None, after: None, limit: PAGE_MAX })
            .await
    }

    /// From a query's first page to the last.
    pub(super) async fn reservations_of(
        &self,
        mut query: ReservationQuery,
    ) -> Result<Vec<(u64, Reservation)>, Failure> {
        let mut all: Vec<(u64, Reservation)> = Vec::new();
        loop {
            let page = self.repository.reservations(&query).await?;
            let Some((_, first)) = page.first() else { return Ok(all) };
            ensure!(
                query.after.is_none_or(|after| first.id > after),
                "a page of reservations starts again with {}",
                first.id
            );
            all.extend(page);
            query.after = all.last().map(|(_, reservation)| reservation.id);
        }
    }

    pub(super) async fn changes(&self, event: &EventId) -> Result<Vec<Change>, Failure> {
        let mut all: Vec<Change> = Vec::new();
        loop {
            let after = all.last().map_or(0, |change| change.sequence);
            let page = self.repository.changes(event, after, PAGE_MAX).await?;
            let Some(first) = page.first() else { return Ok(all) };
            ensure!(first.sequence > after, "a page of changes after {after} starts with {}", first.sequence);
            all.extend(page);
        }
    }
}
