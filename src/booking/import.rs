use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::error::BookingError;
use super::service::BookingService;
use crate::domain::{
    Action, Command, EventId, IMPORT_CHUNK_MAX, Import, Outcome, Place, PoolId, Record, RecordKey, Rejection, TicketId,
};
use crate::ports::LoadRequest;

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many tickets and pools were new.
    pub added: u32,
    /// What was not imported, and why. What the event has already stays as it is.
    pub refused: Vec<RefusedInventory>,
}

/// A ticket or a pool that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedInventory {
    /// A ticket.
    Ticket {
        /// Which.
        ticket: TicketId,
        /// Where it was to stand.
        place: Place,
        /// Why not.
        why: InventoryConflict,
    },
    /// A pool.
    Pool {
        /// Which.
        pool: PoolId,
        /// How many places it was to have.
        capacity: u32,
        /// Why not.
        why: InventoryConflict,
    },
}

/// Why a ticket or a pool was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryConflict {
    /// The event has the ticket, at this other place.
    AlreadyAt(Place),
    /// The event has the pool, with this other capacity.
    HasCapacity(u32),
    /// The input names it twice, at two places or with two capacities. Neither is imported, because nobody but the host
    /// knows which is right, and what is imported cannot be moved. A plain repetition is no conflict.
    NamedTwice,
}

impl BookingService {
    /// Adds inventory in chunks, and puts the event on sale with the last one. Answers how many tickets and pools
    /// were new; what was there already keeps its state, so that a broken import is simply started again. Each chunk
    /// waits for others in its way, whatever the service's contention policy.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). [`Rejection::InventoryMismatch`] names what `tickets` or `pools` name twice, and
    /// differently, before anything is imported; or what the event has already, and differently. Chunks before the failed
    /// one stay imported. [`import_with_report`](Self::import_with_report) goes on instead. Of an unknown outcome there is
    /// nothing to resolve: call it again with the same input.
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
        let named_twice = (contradictory(&tickets), contradictory(&pools));
        if !named_twice.0.is_empty() || !named_twice.1.is_empty() {
            let (tickets, pools) = (named_twice.0.into_iter().collect(), named_twice.1.into_iter().collect());
            return Err(Rejection::InventoryMismatch { tickets, pools }.into());
        }
        let mut added: u32 = 0;
        for chunk in chunks(tickets, pools) {
            added = added.saturating_add(self.import_chunk(event, chunk).await?);
        }
        Ok(added)
    }

    /// As [`import`](Self::import), but leaves out what the event has already, and differently, and what the input names
    /// twice, and differently, wherever in it; and says what that was, and why. The event is put on sale all the same.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Chunks before the failed one stay imported, and the report of them is lost. Of an unknown
    /// outcome there is nothing to resolve: call it again with the same input, which reports again what is refused.
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
    /// let why = InventoryConflict::HasCapacity(200);
    /// assert_eq!(report.refused, [RefusedInventory::Pool { pool: standing, capacity: 300, why }]);
    #[doc = doc_end!()]
    /// ```
    pub async fn import_with_report(
        &self,
        event: &EventId,
        tickets: Vec<(TicketId, Place)>,
        pools: Vec<(PoolId, u32)>,
    ) -> Result<ImportReport, BookingError> {
        let (mut tickets, mut pools) = (tickets, pools);
        let mut report = ImportReport { added: 0, refused: leave_out_contradictions(&mut tickets, &mut pools) };
        for mut chunk in chunks(tickets, pools) {
            // Each round leaves out what differs; another one is needed only if others import the same meanwhile.
            let added = loop {
                match self.import_chunk(event, chunk.clone()).await {
                    Err(BookingError::Rejected(Rejection::InventoryMismatch { tickets, pools })) => {
                        let refused = self.leave_out(event, &mut chunk, &tickets, &pools).await?;
                        if refused.is_empty() {
                            return Err(Rejection::InventoryMismatch { tickets, pools }.into());
                        }
                        report.refused.extend(refused);
                    }
                    answer => break answer?,
                }
            };
            report.added = report.added.saturating_add(added);
        }
        Ok(report)
    }

    /// Takes out of a chunk what the event has differently, of these tickets and pools.
    async fn leave_out(
        &self,
        event: &EventId,
        chunk: &mut Import,
        tickets: &[TicketId],
        pools: &[PoolId],
    ) -> Result<Vec<RefusedInventory>, BookingError> {
        let tickets = tickets.iter().cloned().map(RecordKey::Ticket);
        let records = tickets.chain(pools.iter().cloned().map(RecordKey::Pool)).collect();
        let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
        // Neither places nor capacities ever change, so they are now what they were when the chunk was refused.
        let snapshot = self.repository().load(&request).await.map_err(BookingError::Failed)?;
        let found = |key: RecordKey| snapshot.get(&key).and_then(|found| found.record.as_ref());
        let mut refused = Vec::new();
        chunk.tickets.retain(|(ticket, place)| match found(RecordKey::Ticket(ticket.clone())) {
            Some(Record::Ticket(there)) if there.place != *place => {
                let why = InventoryConflict::AlreadyAt(there.place.clone());
                refused.push(RefusedInventory::Ticket { ticket: ticket.clone(), place: place.clone(), why });
                false
            }
            _ => true,
        });
        chunk.pools.retain(|(pool, capacity)| match found(RecordKey::Pool(pool.clone())) {
            Some(Record::Pool(there)) if there.capacity != *capacity => {
                let why = InventoryConflict::HasCapacity(there.capacity);
                refused.push(RefusedInventory::Pool { pool: pool.clone(), capacity: *capacity, why });
                false
            }
            _ => true,
        });
        Ok(refused)
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

/// What is named twice, and differently.
fn contradictory<K: Clone + Ord + Hash, V: PartialEq>(named: &[(K, V)]) -> BTreeSet<K> {
    let mut before: HashMap<&K, &V> = HashMap::with_capacity(named.len());
    let mut contradictory = BTreeSet::new();
    for (key, value) in named {
        if before.insert(key, value).is_some_and(|before| before != value) {
            contradictory.insert(key.clone());
        }
    }
    contradictory
}

/// Takes out what is named twice, and differently: each word about it.
fn leave_out_contradictions(
    tickets: &mut Vec<(TicketId, Place)>,
    pools: &mut Vec<(PoolId, u32)>,
) -> Vec<RefusedInventory> {
    let why = InventoryConflict::NamedTwice;
    let named_twice = contradictory(tickets);
    let out = tickets.extract_if(.., |(ticket, _)| named_twice.contains(ticket));
    let mut refused: Vec<RefusedInventory> =
        out.map(|(ticket, place)| RefusedInventory::Ticket { ticket, place, why: why.clone() }).collect();
    let named_twice = contradictory(pools);
    let out = pools.extract_if(.., |(pool, _)| named_twice.contains(pool));
    refused.extend(out.map(|(pool, capacity)| RefusedInventory::Pool { pool, capacity, why: why.clone() }));
    refused
}
