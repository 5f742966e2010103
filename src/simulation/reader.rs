//! Who follows the change feed, sometimes so slowly that a purge overtakes them, and knows the hall by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::dice::Dice;
use super::evidence::{all_pools, all_tickets};
use super::hall;
use super::shop::Shop;
use super::store_client::StoreClient;
use crate::booking::SeatMap;
use crate::ports::ChangesError;

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) shop: Arc<Shop>,
    pub(super) client: StoreClient,
    pub(super) dice: Dice,
    map: Option<SeatMap>,
}

impl Reader {
    pub(super) fn new(shop: Arc<Shop>, client: StoreClient, dice: Dice) -> Self {
        Self { shop, client, dice, map: None }
    }

    /// Reads on now and then, until the shop closes.
    pub(super) async fn follow(mut self, is_closing: Arc<AtomicBool>) -> Self {
        let retention = u64::try_from(self.shop.settings.retention.as_millis()).unwrap_or(u64::MAX);
        let slowest = *self.dice.one_of(&[500, 20_000, (retention * 3 / 2).min(150_000)]);
        while !is_closing.load(Ordering::Relaxed) {
            let pause = self.dice.millis(0, slowest);
            self.shop.executor.sleep(pause).await;
            self.read_on().await;
        }
        self
    }

    /// To the end of the feed. Says whether it got there.
    pub(super) async fn read_on(&mut self) -> bool {
        let Some(map) = &mut self.map else {
            self.map = SeatMap::read(&self.client, &hall::event()).await.ok();
            return false;
        };
        loop {
            match map.update(&self.client).await {
                Ok(news) if news.is_empty() => return true,
                Ok(_) => {}
                Err(ChangesError::Truncated { purged_through }) => {
                    self.shop.executor.tell(|| format!("a reader is told that all up to {purged_through} is gone"));
                    self.map = None;
                    return false;
                }
                Err(ChangesError::Store(_)) => return false,
            }
        }
    }

    /// What the reader believes that is not so, when nothing happens any more.
    pub(super) async fn believes_wrongly(mut self, soon: Duration) -> Option<String> {
        let began = self.shop.executor.elapsed();
        while !self.read_on().await {
            if self.shop.executor.elapsed() - began > soon {
                return Some("the feed cannot be read to its end".to_owned());
            }
        }
        let map = self.map?;
        let tables = self.shop.store.tables();
        let (tickets, pools) = (all_tickets(tables), all_pools(tables));
        let is_right = map.tickets().eq(tickets.iter().map(|(id, _, ticket)| (id, ticket)))
            && map.pools().eq(pools.iter().map(|(id, _, pool)| (id, pool)));
        (!is_right).then(|| format!("who followed the feed up to {} knows another hall: {map:?}", map.through()))
    }
}
