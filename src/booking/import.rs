use super::error::BookingError;
use super::service::BookingService;
use crate::domain::{Action, Command, EventId, IMPORT_CHUNK_MAX, Import, Outcome, Place, PoolId, Rejection, TicketId};

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many tickets and pools were new.
    pub added: u32,
    /// What the event has already, and differently. It stays as it is.
    pub refused: Vec<RefusedInventory>,
}

/// A ticket or a pool that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedInventory {
    /// The ticket is there already, at another place; or it was named twice, at two places.
    Ticket {
        /// Which.
        ticket: TicketId,
        /// Where it was to stand.
        place: Place,
    },
    /// The pool is there already, with another capacity; or it was named twice, with two capacities.
    Pool {
        /// Which.
        pool: PoolId,
        /// How many places it was to have.
        capacity: u32,
    },
}

impl BookingService {
    /// Adds inventory in chunks, and puts the event on sale with the last one. Answers how many tickets and pools
    /// were new; what was there already keeps its state, so that a broken import is simply started again. Each chunk
    /// waits for others in its way, whatever the service's contention policy.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`Rejection::InventoryMismatch`] names what the event has already, and differently.
    /// Chunks before the failed one stay imported. [`import_with_report`](Self::import_with_report) goes on instead.
    ///
    /// # Cancellation
    ///
    /// Chunks already sent stay imported.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let event = EventId::new("matinee")?;
    /// # let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
    /// let seat = (TicketId::new("B-7")?, Place { area: AreaId::new("balcony")?, row: 1, number: 7 });
    /// let added = service.import(&event, vec![seat], vec![(PoolId::new("standing")?, 200)]).await?;
    /// assert_eq!(added, 2);
    #[doc = doc_end!()]
    /// ```
    pub async fn import(
        &self,
        event: &EventId,
        tickets: Vec<(TicketId, Place)>,
        pools: Vec<(PoolId, u32)>,
    ) -> Result<u32, BookingError> {
        let mut added: u32 = 0;
        for chunk in chunks(tickets, pools) {
            added = added.saturating_add(self.import_chunk(event, chunk).await?);
        }
        Ok(added)
    }

    /// As [`import`](Self::import), but leaves out what the event has already, and differently, and says what that was. The
    /// event is put on sale all the same.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Chunks before the failed one stay imported.
    ///
    /// # Cancellation
    ///
    /// Chunks already sent stay imported.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// // The event has this pool already, with 200 places.
    /// let pools = vec![(standing.clone(), 300), (PoolId::new("lawn")?, 50)];
    /// let report = service.import_with_report(&event, vec![], pools).await?;
    /// assert_eq!(report.added, 1);
    /// assert_eq!(report.refused, [RefusedInventory::Pool { pool: standing, capacity: 300 }]);
    #[doc = doc_end!()]
    /// ```
    pub async fn import_with_report(
        &self,
        event: &EventId,
        tickets: Vec<(TicketId, Place)>,
        pools: Vec<(PoolId, u32)>,
    ) -> Result<ImportReport, BookingError> {
        let mut report = ImportReport::default();
        for mut chunk in chunks(tickets, pools) {
            // Each round leaves out what differs; another one is needed only if others import the same meanwhile.
            let added = loop {
                match self.import_chunk(event, chunk.clone()).await {
                    Err(BookingError::Rejected(Rejection::InventoryMismatch { tickets, pools })) => {
                        leave_out(&mut chunk, &tickets, &pools, &mut report.refused);
                    }
                    answer => break answer?,
                }
            };
            report.added = report.added.saturating_add(added);
        }
        Ok(report)
    }

    async fn import_chunk(&self, event: &EventId, chunk: Import) -> Result<u32, BookingError> {
        let operation = self.new_operation_id();
        let command = Command { event: event.clone(), operation, action: Action::Import(chunk) };
        match self.submit_waiting(command).await?.outcome {
            Outcome::Inventory { changed } => Ok(changed),
            Outcome::Reservation(_) => Err(Rejection::OperationReused.into()),
        }
    }
}

/// Chunks of the largest size, of which the last one says so.
fn chunks(tickets: Vec<(TicketId, Place)>, pools: Vec<(PoolId, u32)>) -> Vec<Import> {
    let of_tickets = |tickets: &[(TicketId, Place)]| Import { tickets: tickets.to_vec(), ..Import::default() };
    let of_pools = |pools: &[(PoolId, u32)]| Import { pools: pools.to_vec(), ..Import::default() };
    let mut chunks: Vec<Import> =
        tickets.chunks(IMPORT_CHUNK_MAX).map(of_tickets).chain(pools.chunks(IMPORT_CHUNK_MAX).map(of_pools)).collect();
    match chunks.last_mut() {
        Some(chunk) => chunk.last = true,
        None => chunks.push(Import { last: true, ..Import::default() }),
    }
    chunks
}

/// Takes these tickets and pools out of a chunk. Both lists are in order.
fn leave_out(chunk: &mut Import, tickets: &[TicketId], pools: &[PoolId], refused: &mut Vec<RefusedInventory>) {
    let is_refused = |(ticket, _): &mut (TicketId, Place)| tickets.binary_search(ticket).is_ok();
    for (ticket, place) in chunk.tickets.extract_if(.., is_refused) {
        refused.push(RefusedInventory::Ticket { ticket, place });
    }
    let is_refused = |(pool, _): &mut (PoolId, u32)| pools.binary_search(pool).is_ok();
    for (pool, capacity) in chunk.pools.extract_if(.., is_refused) {
        refused.push(RefusedInventory::Pool { pool, capacity });
    }
}
