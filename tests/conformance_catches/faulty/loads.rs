//! What becomes of a snapshot on its way to the caller.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ticket_reservation::domain::{Lapsed, LapsedOf, Record, RecordKey, Snapshot};
use ticket_reservation::ports::{LoadRequest, PAGE_MAX, StoreError, TicketQuery};

use super::{Faulty, events};

impl Faulty {
    /// The lists of a load, as if there were one event only.
    pub(super) async fn mix_lapsed(&self, request: &LoadRequest, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let of: Vec<LapsedOf> = snapshot.all_lapsed().map(|(of, _)| of.clone()).collect();
        for of in of {
            let mut reservations = Vec::new();
            for event in events().chain([request.event.clone()]) {
                let all = self.now(&event, [of.record_key()].iter()).await?;
                for id in all.lapsed(&of).map(|lapsed| lapsed.reservations.clone()).unwrap_or_default() {
                    let key = RecordKey::Reservation(id);
                    if let Some(versioned) = all.get(&key).filter(|_| !reservations.contains(&id)) {
                        snapshot.insert(key, versioned.clone());
                        reservations.push(id);
                    }
                }
            }
            snapshot.insert_lapsed(of, Lapsed { reservations, more: false });
        }
        Ok(())
    }

    pub(super) async fn mix_areas(&self, request: &LoadRequest, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        for area in &request.free_in {
            let mut free = Vec::new();
            for event in events().chain([request.event.clone()]) {
                let free_in = vec![area.clone()];
                let all = self.inner.load(&LoadRequest { event, records: Vec::new(), free_in }).await?;
                for id in all.free(area).unwrap_or_default() {
                    let key = RecordKey::Ticket(id.clone());
                    if let Some(versioned) = all.get(&key)
                        && let Some(Record::Ticket(ticket)) = &versioned.record
                    {
                        free.push((id.clone(), ticket.place.clone()));
                        snapshot.insert(key, versioned.clone());
                    }
                }
            }
            snapshot.insert_free(area.clone(), free);
        }
        Ok(())
    }

    pub(super) async fn list_too_many(&self, request: &LoadRequest, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        for area in &request.free_in {
            let (event, area) = (request.event.clone(), area.clone());
            let query =
                TicketQuery { event, area: Some(area.clone()), only_available: false, after: None, limit: PAGE_MAX };
            let all = self.inner.tickets(&query).await?;
            snapshot.insert_free(area, all.into_iter().map(|(id, _, ticket)| (id, ticket.place)));
        }
        Ok(())
    }

    pub(super) async fn read_in_parts(&self, request: &LoadRequest, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        for key in &request.records {
            // Somebody writes in between.
            let commits = self.shared.commits.load(Ordering::Acquire);
            for _ in 0..100 {
                if self.shared.commits.load(Ordering::Acquire) > commits {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if let Some(versioned) = self.now(&request.event, [key].into_iter()).await?.get(key) {
                snapshot.insert(key.clone(), versioned.clone());
            }
        }
        Ok(())
    }
}
