//! Where each seat is drawn: where the plan has it, or in a tidy grid.

use std::collections::HashSet;

use crate::hall::{Area, Hall, Row, Seat};

/// From one seat to the next, in the drawing's unit.
pub(super) const STEP: f64 = 20.0;

/// From one block to the next in a grid, in steps.
const BLOCKS_APART: f64 = 4.0;

/// How much wider than high a grid of blocks is to be.
const GRID_ASPECT: f64 = 2.6;

/// A seat in the drawing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'h> {
    pub(super) seat: &'h Seat,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An area's rows, with their seats.
pub(super) type Rows<'h> = Vec<(&'h Row, Vec<Placed<'h>>)>;

/// A hall in the drawing: areas, rows, seats. The seat furthest to the left is at x 0, the highest at y 0.
#[derive(Debug)]
pub(super) struct Layout<'h> {
    pub(super) areas: Vec<(&'h Area, Rows<'h>)>,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl<'h> Layout<'h> {
    /// Draws by the plan's positions when it has one of its own for every seat.
    pub(super) fn of(hall: &'h Hall) -> Self {
        let mut layout = Self::with(hall, |seat, _, _| seat.at);
        if !layout.is_drawable(hall.seats()) {
            layout = Self::with(hall, |_, row, number| Some((f64::from(number - 1), row as f64)));
            layout.part_blocks();
        }
        layout.normalise();
        layout
    }

    fn with(hall: &'h Hall, at: impl Fn(&Seat, usize, u32) -> Option<(f64, f64)>) -> Self {
        let place = |nth: usize, row: &'h Row| -> Vec<Placed<'h>> {
            let placed = |(number, seat): (u32, &'h Seat)| at(seat, nth, number).map(|(x, y)| Placed { seat, x, y });
            row.numbered().filter_map(placed).collect()
        };
        let rows = |area: &'h Area| area.rows.iter().enumerate().map(|(nth, row)| (row, place(nth, row))).collect();
        Self { areas: hall.areas.iter().map(|area| (area, rows(area))).collect(), width: 0.0, height: 0.0 }
    }

    fn seats(&self) -> impl Iterator<Item = &Placed<'h>> {
        self.areas.iter().flat_map(|(_, rows)| rows).flat_map(|(_, seats)| seats)
    }

    /// Whether all seats have a place, and no two the same.
    fn is_drawable(&self, seats: usize) -> bool {
        let places: HashSet<(u64, u64)> = self.seats().map(|seat| (bits(seat.x), bits(seat.y))).collect();
        let (left, top, right, bottom) = bounds(self.seats());
        places.len() == seats && (right - left).is_finite() && (bottom - top).is_finite()
    }

    /// Puts the blocks beside each other and, once a line is full, below.
    fn part_blocks(&mut self) {
        let sizes: Vec<(f64, f64)> = self
            .areas
            .iter()
            .map(|(_, rows)| {
                let (left, top, right, bottom) = bounds(rows.iter().flat_map(|(_, seats)| seats));
                (right - left + BLOCKS_APART, bottom - top + BLOCKS_APART)
            })
            .collect();
        let surface: f64 = sizes.iter().map(|(width, height)| width * height).sum();
        let line_width = (surface * GRID_ASPECT).sqrt();
        let (mut x, mut y, mut line_height) = (0.0, 0.0, 0.0_f64);
        for ((_, rows), (width, height)) in self.areas.iter_mut().zip(sizes) {
            if x > 0.0 && x + width > line_width {
                (x, y, line_height) = (0.0, y + line_height, 0.0);
            }
            for seat in rows.iter_mut().flat_map(|(_, seats)| seats) {
                seat.x += x;
                seat.y += y;
            }
            x += width;
            line_height = line_height.max(height);
        }
    }

    /// Scales to the usual step, and moves to the origin.
    fn normalise(&mut self) {
        let scale = STEP / self.usual_step();
        let (left, top, right, bottom) = bounds(self.seats());
        for seat in self.areas.iter_mut().flat_map(|(_, rows)| rows).flat_map(|(_, seats)| seats) {
            seat.x = (seat.x - left) * scale;
            seat.y = (seat.y - top) * scale;
        }
        (self.width, self.height) = ((right - left) * scale, (bottom - top) * scale);
    }

    /// How far neighbours are apart, in a row or from row to row, whichever is less.
    fn usual_step(&self) -> f64 {
        let rows = || self.areas.iter().flat_map(|(_, rows)| rows);
        let beside = rows().flat_map(|(_, seats)| seats.windows(2)).map(|pair| apart(&pair[0], &pair[1]));
        let behind = self.areas.iter().flat_map(|(_, rows)| rows.windows(2)).filter_map(|pair| {
            let first = pair[0].1.first()?;
            pair[1].1.iter().map(|seat| apart(first, seat)).min_by(f64::total_cmp)
        });
        let steps = [median(beside.collect()), median(behind.collect())];
        let step = steps.into_iter().flatten().fold(f64::INFINITY, f64::min);
        if step.is_normal() { step } else { 1.0 }
    }
}

fn apart(from: &Placed<'_>, to: &Placed<'_>) -> f64 {
    (to.x - from.x).hypot(to.y - from.y)
}

/// Zero is zero, whichever its sign.
fn bits(coordinate: f64) -> u64 {
    (coordinate + 0.0).to_bits()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Left, top, right and bottom of some seats.
pub(super) fn bounds<'p, 'h: 'p>(seats: impl Iterator<Item = &'p Placed<'h>>) -> (f64, f64, f64, f64) {
    let none = (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
    seats.fold(none, |(left, top, right, bottom), seat| {
        (left.min(seat.x), top.min(seat.y), right.max(seat.x), bottom.max(seat.y))
    })
}
