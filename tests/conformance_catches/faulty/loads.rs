//! What becomes of a snapshot on its way to the caller.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ticket_reservation::domain::{
    Lapsed, LapsedOf, Place, Record, RecordKey, Recorded, ReservationState, Snapshot, TicketId,
};
use ticket_reservation::ports::{LoadRequest, PAGE_MAX, StoreError, TicketQuery};

use super::{Faulty, events};

fn place(snapshot: &Snapshot, id: &TicketId) -> Option<Place> {
    match snapshot.get(&RecordKey::Ticket(id.clone()))?.record.as_ref()? {
        Record::Ticket(ticket) => Some(ticket.place.clone()),
        _ => None,
    }
}

/// As with a join of the tables of reservations and of their pools.
pub(super) fn forget_lapsed_tickets(snapshot: &mut Snapshot) {
    let lists: Vec<(LapsedOf, Lapsed)> = snapshot.all_lapsed().map(|(of, it)| (of.clone(), it.clone())).collect();
    for (of, mut lapsed) in lists {
        lapsed.reservations.retain(|id| {
            let record = snapshot.get(&RecordKey::Reservation(*id)).and_then(|it| it.record.as_ref());
            matches!(record, Some(Record::Reservation(found)) if !found.lines.pools().is_empty())
        });
        snapshot.insert_lapsed(of, lapsed);
    }
}

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

    /// As with an index of free tickets to which a sold one never returns.
    pub(super) fn forget_given_back(&self, request: &LoadRequest, snapshot: &mut Snapshot) {
        let sold = self.shared.sold.lock().unwrap_or_else(PoisonError::into_inner);
        for area in &request.free_in {
            let free = snapshot.free(area).unwrap_or_default().iter();
            let free = free.filter(|id| !sold.contains(&(request.event.clone(), (*id).clone())));
            let free: Vec<_> = free.filter_map(|id| Some((id.clone(), place(snapshot, id)?))).collect();
            snapshot.insert_free(area.clone(), free);
        }
    }

    pub(super) fn join_reservations(&self, request: &LoadRequest, snapshot: &mut Snapshot) {
        for key in &request.records {
            let Some(mut versioned) = snapshot.get(key).cloned() else { continue };
            if let Some(Record::Operation(operation)) = &mut versioned.record
                && let Recorded::Applied { reservation: Some(id), customer, until, .. } = &mut operation.recorded
                && let Some(joined) = snapshot.get(&RecordKey::Reservation(*id))
                && let Some(Record::Reservation(joined)) = &joined.record
            {
                *customer = Some(joined.customer.clone());
                if let (Some(until), ReservationState::Held { until: joined }) = (until, joined.state) {
                    *until = joined;
                }
            }
            snapshot.insert(key.clone(), versioned);
        }
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
