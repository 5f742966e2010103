//! What is sold: areas, rows and seats in order, and the standing places.

use serde::{Deserialize, Serialize};
use ticket_reservation::domain::{AreaId, InvalidId, Place, PoolId, TicketId};

/// A hall with numbered seats and one standing area.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hall {
    /// Its name.
    pub(crate) name: String,
    /// Its areas, in the plan's order.
    pub(crate) areas: Vec<Area>,
    /// How many standing places there are; with none there is no pool.
    pub(crate) standing: u32,
}

/// A block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Area {
    /// Its name, unique in the hall.
    pub(crate) name: String,
    /// The place of its best category in the plan's list of categories: 0 is the dearest.
    pub(crate) category: usize,
    /// Its rows, the front one first; in each the seats' ids from one end to the other.
    pub(crate) rows: Vec<Vec<String>>,
}

/// The pool of the standing places.
pub(crate) const STANDING: &str = "standing";

impl Hall {
    /// How many seats there are.
    pub(crate) fn seats(&self) -> usize {
        self.areas.iter().flat_map(|area| &area.rows).map(Vec::len).sum()
    }

    /// Every seat with its place. Neighbours in a row have numbers that differ by one.
    pub(crate) fn tickets(&self) -> Result<Vec<(TicketId, Place)>, InvalidId> {
        let mut tickets = Vec::with_capacity(self.seats());
        for area in &self.areas {
            let id = AreaId::new(&area.name)?;
            for (row, seats) in (1..).zip(&area.rows) {
                for (number, seat) in (1..).zip(seats) {
                    tickets.push((TicketId::new(seat)?, Place { area: id.clone(), row, number }));
                }
            }
        }
        Ok(tickets)
    }

    /// The standing places, if there are any.
    pub(crate) fn pools(&self) -> Result<Vec<(PoolId, u32)>, InvalidId> {
        if self.standing == 0 { Ok(Vec::new()) } else { Ok(vec![(PoolId::new(STANDING)?, self.standing)]) }
    }
}
