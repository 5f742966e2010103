use rusqlite::params;

use super::error::Fault;
use super::rows::Columns;
use super::store::Store;
use super::transaction::prepare;
use crate::domain::{EventId, Timestamp};
use crate::ports::{AreaAvailability, Availability, PoolAvailability};

/// The tickets of each area by what has become of them.
pub(super) const AREAS: &str = "SELECT area_id, count(*),
        count(*) FILTER (WHERE state = 'available' OR held_until <= ?2),
        count(*) FILTER (WHERE held_until > ?2),
        count(*) FILTER (WHERE state = 'booked'),
        count(*) FILTER (WHERE state = 'blocked')
    FROM ticket INDEXED BY ticket_by_place WHERE event_id = ?1 GROUP BY area_id ORDER BY area_id";

/// Each pool, and how many places of it expired holds still count in.
pub(super) const POOLS: &str = "SELECT pool_id, capacity, held, booked,
        (SELECT coalesce(sum(quantity), 0) FROM reservation_line AS line
         WHERE line.event_id = pool.event_id AND line.pool_id = pool.pool_id AND line.held_until <= ?2)
    FROM pool WHERE event_id = ?1 ORDER BY pool_id";

impl Store<'_> {
    /// How much of an event is free, at one moment.
    pub(super) fn availability(&mut self, event: &EventId) -> Result<Availability, Fault> {
        self.transactions.begin_read()?;
        let at = self.clock.unix_time();
        let availability = self.areas(event, at).and_then(|areas| {
            let pools = self.pools_at(event, at)?;
            Ok(Availability { at, areas, pools })
        });
        self.transactions.undo(availability)
    }

    fn areas(&self, event: &EventId, at: Timestamp) -> Result<Vec<AreaAvailability>, Fault> {
        let mut statement = prepare(self.connection, AREAS)?;
        let mut rows = statement.query(params![event.as_str(), at.as_micros()])?;
        let mut areas = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("ticket", row);
            areas.push(AreaAvailability {
                area: columns.id()?,
                tickets: columns.unsigned()?,
                available: columns.unsigned()?,
                held: columns.unsigned()?,
                booked: columns.unsigned()?,
                blocked: columns.unsigned()?,
            });
        }
        Ok(areas)
    }

    fn pools_at(&self, event: &EventId, at: Timestamp) -> Result<Vec<PoolAvailability>, Fault> {
        let mut statement = prepare(self.connection, POOLS)?;
        let mut rows = statement.query(params![event.as_str(), at.as_micros()])?;
        let mut pools = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("pool", row);
            let (pool, capacity) = (columns.id()?, columns.count()?);
            let (held, booked, lapsed) = (columns.count()?, columns.count()?, columns.count()?);
            let held = held.saturating_sub(lapsed);
            let available = capacity.saturating_sub(held).saturating_sub(booked);
            pools.push(PoolAvailability { pool, capacity, available, held, booked });
        }
        Ok(pools)
    }
}
