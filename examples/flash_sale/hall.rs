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
    /// Its rows, the front one first.
    pub(crate) rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What the plan calls it.
    pub(crate) label: String,
    /// Its seats from one end to the other: between one run of them and the next there is an aisle.
    pub(crate) runs: Vec<Vec<Seat>>,
}

/// A numbered seat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// The id of its ticket.
    pub(crate) id: String,
    /// Where it is in the hall, x to the right and y down, in the plan's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<(f64, f64)>,
}

impl Row {
    /// Its seats from one end to the other, with their numbers. Neighbours have numbers that differ by one; at an aisle
    /// one is left out.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Seat)> {
        let seats = (0..).zip(&self.runs).flat_map(|(aisles, run)| run.iter().map(move |seat| (aisles, seat)));
        (1..).zip(seats).map(|(nth, (aisles, seat))| (nth + aisles, seat))
    }
}

/// The pool of the standing places.
pub(crate) const STANDING: &str = "standing";

impl Hall {
    /// How many seats there are.
    pub(crate) fn seats(&self) -> usize {
        self.areas.iter().flat_map(|area| &area.rows).flat_map(|row| &row.runs).map(Vec::len).sum()
    }

    /// Every seat with its place: area, row and number.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &str, u32, u32)> {
        self.areas.iter().flat_map(|area| {
            (1..).zip(&area.rows).flat_map(move |(row, seats)| {
                seats.numbered().map(move |(number, seat)| (seat.id.as_str(), area.name.as_str(), row, number))
            })
        })
    }

    /// The pool of the standing places and how many there are, if there are any.
    pub(crate) fn standing_places(&self) -> Option<(&'static str, u32)> {
        (self.standing > 0).then_some((STANDING, self.standing))
    }

    /// The seats, as the library takes them.
    pub(crate) fn tickets(&self) -> Result<Vec<(TicketId, Place)>, InvalidId> {
        let ticket = |(seat, area, row, number): (&str, &str, u32, u32)| {
            let place = Place { area: AreaId::new(area)?, row, number };
            Ok((TicketId::new(seat)?, place))
        };
        self.places().map(ticket).collect()
    }

    /// The pools, as the library takes them.
    pub(crate) fn pools(&self) -> Result<Vec<(PoolId, u32)>, InvalidId> {
        self.standing_places().into_iter().map(|(pool, places)| Ok((PoolId::new(pool)?, places))).collect()
    }
}
