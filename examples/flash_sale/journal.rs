//! Reads every worker's log: what was asked for, and what was answered.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use ticket_reservation::domain::{AreaId, CustomerId, Lines, OperationId, PoolId, ReservationId, TicketId};

use crate::log;

/// All logs of a sale.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// What happened to each reservation that was asked for.
    pub(crate) stories: HashMap<ReservationId, Story>,
    /// How long each answer took, in microseconds.
    pub(crate) latencies_us: Vec<u64>,
    /// How many answers were refusals, by kind.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// What could not be read.
    pub(crate) flaws: Vec<String>,
    operations: HashMap<OperationId, (ReservationId, Kind)>,
}

/// What was asked for and answered about one reservation.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) customer: CustomerId,
    pub(crate) asked: Wanted,
    pub(crate) hold: Request,
    pub(crate) confirm: Request,
    pub(crate) release: Request,
}

/// What a hold asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) lines: Lines,
    /// Neighbouring places that the library chooses.
    pub(crate) best_available: Option<(AreaId, u32)>,
}

/// What became of a request, sent once or several times under one operation id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    sent: u32,
    answered: u32,
    /// How many of those sent may have been carried out, or may still be.
    open: u32,
    /// What was acknowledged.
    pub(crate) acknowledged: Option<Lines>,
}

impl Request {
    /// Whether anybody asked.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent > 0
    }

    /// Whether it may have been carried out, or not, as far as anybody was told.
    pub(crate) fn is_unknown(&self) -> bool {
        self.acknowledged.is_none() && self.open > 0
    }

    /// Whether it was carried out, as far as anybody was told, or may have been.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.acknowledged.is_some() || self.is_unknown()
    }

    fn send(&mut self) {
        self.sent += 1;
        self.open += 1;
    }

    /// It was not carried out. A refusal for what is sold, when nothing else is on its way, also settles earlier ones
    /// whose outcome was unknown; one for how busy it is says nothing about those.
    fn refuse(&mut self, settles: bool) {
        self.open = if settles && self.answered == self.sent { 0 } else { self.open.saturating_sub(1) };
    }
}

/// Refusals that say how busy it is.
const BUSY: [&str; 4] = ["contended", "overloaded", "deadline_passed", "shutting_down"];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Hold,
    Confirm,
    Release,
}

impl Journal {
    /// Reads the logs of workers 1 to `workers`.
    pub(crate) fn read(dir: &Path, workers: u32) -> io::Result<Self> {
        let mut journal = Self::default();
        for worker in 1..=workers {
            let path = log::path(dir, worker);
            let name = format!("worker-{worker}.log");
            match fs::read(&path) {
                Ok(bytes) => journal.read_log(&name, &bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    journal.flaws.push(format!("{name} is missing"))
                }
                Err(error) => return Err(error),
            }
        }
        Ok(journal)
    }

    /// How many operations have an unknown outcome.
    pub(crate) fn unknown(&self) -> usize {
        let requests = self.stories.values().flat_map(|story| [&story.hold, &story.confirm, &story.release]);
        requests.filter(|request| request.is_unknown()).count()
    }

    fn read_log(&mut self, name: &str, bytes: &[u8]) {
        // What follows the last line break was cut off by the end of the process.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at);
        let text = String::from_utf8_lossy(&bytes[..complete]);
        let mut lines = (1_usize..).zip(text.split('\n'));
        if lines.next().map(|(_, line)| line) != Some(log::HEADER) {
            self.flaws.push(format!("{name} does not begin with {:?}", log::HEADER));
            return;
        }
        for (number, line) in lines {
            if self.read_line(line).is_none() {
                self.flaws.push(format!("{name}, line {number} cannot be read"));
            }
        }
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split('\t');
        let what = fields.next()?;
        let operation: OperationId = fields.next()?.parse().ok()?;
        match what {
            "S" => self.sent(operation, fields),
            "A" => self.answered(operation, fields),
            _ => None,
        }
    }

    fn sent<'l>(&mut self, operation: OperationId, mut fields: impl Iterator<Item = &'l str>) -> Option<()> {
        let kind = match fields.next()? {
            "hold" => Kind::Hold,
            "confirm" => Kind::Confirm,
            "release" => Kind::Release,
            _ => return None,
        };
        let reservation: ReservationId = fields.next()?.parse().ok()?;
        let customer = CustomerId::new(fields.next()?).ok()?;
        let asked = read_lines(fields)?;
        let story = match kind {
            Kind::Hold => {
                self.stories.entry(reservation).or_insert_with(|| Story::new(customer.clone(), asked.clone()))
            }
            Kind::Confirm | Kind::Release => self.stories.get_mut(&reservation)?,
        };
        if story.customer != customer || (matches!(kind, Kind::Hold) && story.asked != asked) {
            return None;
        }
        story.request(kind).send();
        self.operations.insert(operation, (reservation, kind));
        Some(())
    }

    fn answered<'l>(&mut self, operation: OperationId, mut fields: impl Iterator<Item = &'l str>) -> Option<()> {
        let latency_us: u64 = fields.next()?.parse().ok()?;
        let (reservation, kind) = *self.operations.get(&operation)?;
        let request = self.stories.get_mut(&reservation)?.request(kind);
        request.answered += 1;
        match fields.next()? {
            "ok" => request.acknowledged = Some(read_lines(fields)?.lines),
            "no" => {
                let why = fields.next()?;
                request.refuse(!BUSY.contains(&why));
                *self.rejected.entry(why.to_owned()).or_insert(0) += 1;
            }
            "failed" => {
                request.refuse(false);
                *self.rejected.entry("store_failed".to_owned()).or_insert(0) += 1;
            }
            "unknown" => {}
            _ => return None,
        }
        self.latencies_us.push(latency_us);
        Some(())
    }
}

impl Story {
    fn new(customer: CustomerId, asked: Wanted) -> Self {
        let [hold, confirm, release] = Default::default();
        Self { customer, asked, hold, confirm, release }
    }

    fn request(&mut self, kind: Kind) -> &mut Request {
        match kind {
            Kind::Hold => &mut self.hold,
            Kind::Confirm => &mut self.confirm,
            Kind::Release => &mut self.release,
        }
    }
}

fn read_lines<'l>(fields: impl Iterator<Item = &'l str>) -> Option<Wanted> {
    let mut tickets = Vec::new();
    let mut pools = Vec::new();
    let mut best_available = None;
    for field in fields {
        match field.split_once('=')? {
            ("t", ticket) => tickets.push(TicketId::new(ticket).ok()?),
            ("p", line) => {
                let (quantity, pool) = line.split_once('=')?;
                pools.push((PoolId::new(pool).ok()?, quantity.parse().ok()?));
            }
            ("n", line) => {
                let (quantity, area) = line.split_once('=')?;
                best_available = Some((AreaId::new(area).ok()?, quantity.parse().ok()?));
            }
            _ => return None,
        }
    }
    Some(Wanted { lines: Lines::merge(tickets, pools).ok()?, best_available })
}
