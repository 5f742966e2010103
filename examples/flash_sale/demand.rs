//! What buyers want: who asks for which places.

use rand::RngExt;
use rand::rngs::StdRng;
use ticket_reservation::domain::{AreaId, InvalidId, Lines, PoolId, TicketId};

use crate::args::DemandKind;
use crate::hall::{Hall, STANDING, Seat};

/// How many seats everybody wants under [`DemandKind::HotSeat`].
const HOT_SEATS: usize = 4;

/// One choice of places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) tickets: Vec<TicketId>,
    pub(crate) standing: u32,
    /// So many neighbouring places of an area, whichever.
    pub(crate) best_available: Option<(AreaId, u32)>,
}

/// Draws wishes.
#[derive(Debug)]
pub(crate) struct Demand {
    kind: DemandKind,
    /// The most popular block first.
    blocks: Vec<Block>,
    block_weights: Zipf,
    /// Every row, for a uniform choice among seats: where it is, and how many seats come before its end.
    rows: Vec<(usize, usize, usize)>,
    hot: Vec<TicketId>,
    pool: Option<PoolId>,
}

#[derive(Debug)]
struct Block {
    area: AreaId,
    rows: Vec<Row>,
    row_weights: Zipf,
}

/// Seats in runs without an aisle between them.
type Row = Vec<Vec<TicketId>>;

impl Demand {
    /// The demand for a hall's places. Blocks of the first categories of its plan are the popular ones.
    pub(crate) fn new(hall: &Hall, kind: DemandKind) -> Result<Self, InvalidId> {
        let mut areas: Vec<_> = hall.areas.iter().collect();
        areas.sort_by_key(|area| area.category);
        let mut blocks = Vec::with_capacity(areas.len());
        for area in areas {
            let ids = |run: &Vec<Seat>| run.iter().map(|seat| TicketId::new(&seat.id)).collect::<Result<Vec<_>, _>>();
            let rows =
                area.rows.iter().map(|row| row.runs.iter().map(ids).collect()).collect::<Result<Vec<Row>, _>>()?;
            blocks.push(Block { area: AreaId::new(&area.name)?, row_weights: Zipf::new(rows.len(), 0.8), rows });
        }
        let mut rows = Vec::new();
        let mut seats = 0;
        for (block, row) in
            blocks.iter().enumerate().flat_map(|(at, block)| (0..block.rows.len()).map(move |row| (at, row)))
        {
            seats += len(&blocks[block].rows[row]);
            rows.push((block, row, seats));
        }
        let front = blocks.first().and_then(|block| block.rows.first()).map_or(&[][..], Vec::as_slice);
        let before = len(front).saturating_sub(HOT_SEATS) / 2;
        let hot = front.iter().flatten().skip(before).take(HOT_SEATS).cloned().collect();
        let pool = if hall.standing == 0 { None } else { Some(PoolId::new(STANDING)?) };
        Ok(Self { kind, block_weights: Zipf::new(blocks.len(), 1.0), blocks, rows, hot, pool })
    }

    /// What a buyer asks for at the `attempt`th attempt, from 0.
    pub(crate) fn draw(&self, rng: &mut StdRng, attempt: u32) -> Wish {
        match self.kind {
            DemandKind::Skewed => self.skewed(rng, attempt),
            DemandKind::HotSeat => {
                Wish { tickets: vec![self.hot[rng.random_range(0..self.hot.len())].clone()], ..Wish::default() }
            }
            DemandKind::HotPool => Wish { standing: 1, ..Wish::default() },
            DemandKind::Spread => self.anywhere(rng),
        }
    }

    /// The lines of a wish, as the library takes them.
    pub(crate) fn lines(&self, wish: &Wish) -> Lines {
        let standing = self.pool.iter().filter(|_| wish.standing > 0).map(|pool| (pool.clone(), wish.standing));
        // A few distinct seats and one quantity of at least 1 are always lines.
        Lines::merge(wish.tickets.iter().cloned(), standing).unwrap_or_default()
    }

    /// Front rows of popular blocks; some leave the choice to the library, and more do so the longer they look; some
    /// stand, and some do both.
    fn skewed(&self, rng: &mut StdRng, attempt: u32) -> Wish {
        let people = people(rng);
        let mind: f64 = rng.random();
        let stands = if self.pool.is_some() { 0.12 } else { 0.0 };
        if mind < stands {
            return Wish { standing: people.min(2), ..Wish::default() };
        }
        let block = &self.blocks[self.block_weights.draw(rng)];
        if mind < stands + 0.16 + 0.14 * f64::from(attempt) {
            return Wish { best_available: Some((block.area.clone(), people)), ..Wish::default() };
        }
        let row = &block.rows[block.row_weights.draw(rng)];
        // The middle of a row is wanted most.
        let middle = (rng.random::<f64>() + rng.random::<f64>()) / 2.0;
        let tickets = neighbours(row, (middle * len(row) as f64) as usize, people);
        let standing = u32::from(self.pool.is_some() && rng.random_bool(0.03));
        Wish { tickets, standing, best_available: None }
    }

    /// Every seat is wanted alike.
    fn anywhere(&self, rng: &mut StdRng) -> Wish {
        let people = people(rng);
        let seats = self.rows.last().map_or(0, |(_, _, seats)| *seats);
        let seat = rng.random_range(0..seats);
        let (block, row, end) = self.rows[self.rows.partition_point(|(_, _, end)| *end <= seat)];
        let row = &self.blocks[block].rows[row];
        Wish { tickets: neighbours(row, len(row) - (end - seat), people), ..Wish::default() }
    }
}

/// How many come together.
fn people(rng: &mut StdRng) -> u32 {
    match rng.random_range(0..100) {
        0..20 => 1,
        20..65 => 2,
        65..85 => 3,
        _ => 4,
    }
}

/// How many seats there are in a row.
fn len(row: &[Vec<TicketId>]) -> usize {
    row.iter().map(Vec::len).sum()
}

/// So many seats side by side, with the row's seat at `around` among them; all up to the next aisles when those are
/// fewer.
fn neighbours(row: &[Vec<TicketId>], mut around: usize, people: u32) -> Vec<TicketId> {
    for run in row {
        if around < run.len() {
            let people = (people as usize).min(run.len());
            let start = around.min(run.len() - people);
            return run[start..start + people].to_vec();
        }
        around -= run.len();
    }
    Vec::new()
}

/// Zipf's law over ranks 0 to n - 1: rank r has weight 1 / (r + 1)^s.
#[derive(Debug)]
struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=ranks)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        Self { cumulated }
    }

    fn draw(&self, rng: &mut StdRng) -> usize {
        let at = rng.random::<f64>() * self.cumulated.last().copied().unwrap_or(0.0);
        self.cumulated.partition_point(|sum| *sum <= at).min(self.cumulated.len().saturating_sub(1))
    }
}
