//! Two who each read what the other writes: only one of them may win. No command of the domain does that today, and adapters promise
//! it all the same.

use std::sync::Arc;

use futures_util::future::join;

use super::dice::Dice;
use super::shop::Shop;
use super::store_client::StoreClient;
use super::store_server::at_once;
use crate::domain::{AreaId, BlockReason, EventId, Place, Record, RecordKey, Ticket, TicketId, TicketState, Timestamp};
use crate::ports::{Group, LoadRequest, Repository, Write};

fn event() -> EventId {
    EventId::new("skew").expect("an id")
}

fn ticket(pair: usize, side: usize) -> TicketId {
    TicketId::new(format!("{pair}-{side}")).expect("an id")
}

fn write(pair: usize, side: usize, version: u64, state: TicketState) -> Write {
    let place = Place { area: AreaId::new("stalls").expect("an id"), row: pair as u32, number: side as u32 };
    let key = RecordKey::Ticket(ticket(pair, side));
    Write { key, version, decided_at: Timestamp::from_micros(1), record: Record::Ticket(Ticket { place, state }) }
}

fn taken() -> TicketState {
    TicketState::Blocked { reason: BlockReason::new("taken").expect("a reason") }
}

/// Lets so many pairs meet.
pub(super) async fn meet(shop: Arc<Shop>, client: StoreClient, mut dice: Dice) {
    for pair in 0..20 {
        shop.executor.sleep(dice.millis(0, 4_000)).await;
        let both = (0..2).map(|side| write(pair, side, 0, TicketState::Available)).collect();
        let made = Group { reads: Vec::new(), writes: both, ..Group::default() };
        if at_once(shop.store.tables().commit(&event(), &[made])).is_err() {
            return;
        }
        let mut wants = |side| take_if_the_other_is_free(Arc::clone(&shop), client.clone(), pair, side, dice.another());
        join(wants(0), wants(1)).await;
    }
}

async fn take_if_the_other_is_free(shop: Arc<Shop>, client: StoreClient, pair: usize, side: usize, mut dice: Dice) {
    shop.executor.sleep(dice.millis(0, 4)).await;
    let other = RecordKey::Ticket(ticket(pair, 1 - side));
    let request = LoadRequest { event: event(), records: vec![other.clone()], free_in: Vec::new() };
    let Ok(snapshot) = client.load(&request).await else { return };
    let Some(read) = snapshot.get(&other) else { return };
    if !matches!(&read.record, Some(Record::Ticket(Ticket { state: TicketState::Available, .. }))) {
        return;
    }
    let group =
        Group { reads: vec![(other, read.version)], writes: vec![write(pair, side, 1, taken())], ..Group::default() };
    let _ = client.commit(&event(), &[group]).await;
}

/// The pairs of which both have won.
pub(super) fn both_won(shop: &Shop) -> Vec<usize> {
    let is_taken = |pair, side| {
        let key = RecordKey::Ticket(ticket(pair, side));
        let request = LoadRequest { event: event(), records: vec![key.clone()], free_in: Vec::new() };
        let read = at_once(shop.store.tables().load(&request));
        let record = read.ok().and_then(|read| read.get(&key).and_then(|it| it.record.clone()));
        matches!(record, Some(Record::Ticket(Ticket { state: TicketState::Blocked { .. }, .. })))
    };
    (0..20).filter(|pair| is_taken(*pair, 0) && is_taken(*pair, 1)).collect()
}
