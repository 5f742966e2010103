//! Lets the workers sell, shows how it goes, kills whom it is told to, and stops waiting when nothing happens any more.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::args::name;
use crate::course::CourseLog;
use crate::crew::{Crew, State};
use crate::display::{Display, grouped};
use crate::failure::Failure;
use crate::killer::{Kill, Killer, SHARES};
use crate::meter::Progress;
use crate::sale::Sale;

/// How often the parent looks around, at ease and while somebody is to be killed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_CLOSELY_EVERY: Duration = Duration::from_micros(500);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Sold {
    pub(crate) progress: Progress,
    pub(crate) took: Duration,
    pub(crate) kills: Vec<Kill>,
    /// Workers that ended before their work did, counted from 1.
    lost: Vec<usize>,
}

/// Starts the sale and watches it until nobody sells any more.
pub(crate) fn watch(sale: &Sale, mut crew: Crew, dir: &Path, course: &CourseLog) -> Result<Sold, Failure> {
    let mut killer = Killer::new(dir, sale);
    let mut kills = Vec::new();
    let start = Instant::now();
    crew.go()?;
    let mut display = Display::start();
    let mut shown = Instant::now();
    let mut stall = Stall::new(sale);
    while !crew.is_through() {
        crew.listen(if killer.is_waiting() { LOOK_CLOSELY_EVERY } else { LOOK_EVERY });
        if let Some(kill) = killer.look(&mut crew, course)? {
            let Kill { worker, answered, at } = kill;
            let answered = grouped(answered);
            let at = at.map_or_else(|| "with a request in flight".to_owned(), |point| format!("at {}", name(point)));
            display.say(&format!("killed worker {worker} {at}, after {answered} answers in all"));
            kills.push(kill);
            if !killer.is_waiting() {
                crew.open();
            }
        }
        if stall.is_over(&crew) {
            display.say(&format!("nothing has happened for {} s: the workers are stopped", stall.patience.as_secs()));
            crew.stop().map_err(|error| Failure::caused("a worker hangs and cannot be stopped", &error))?;
        }
        if shown.elapsed() >= LOOK_EVERY {
            shown = Instant::now();
            display.show(crew.progress(), crew.buyers());
        }
    }
    display.end();
    let lost: Vec<usize> = crew.numbers(State::Lost).collect();
    lost.iter().try_for_each(|worker| course.lost(*worker))?;
    Ok(Sold { progress: crew.progress(), took: start.elapsed(), kills, lost })
}

impl Sold {
    /// What did not go as it was ordered, each in a line.
    pub(crate) fn complaints(&self, sale: &Sale) -> Vec<String> {
        let mut lines = Vec::new();
        for worker in &self.lost {
            lines.push(format!("worker {worker} ended before its work did"));
        }
        let (killed, ordered) = (self.kills.len(), sale.kill_workers as usize);
        if killed < ordered {
            lines.push(format!("only {killed} of {ordered} workers were killed before the sale was over"));
        }
        lines
    }

    /// Kills that came too early or too late: when they were made, how many requests there would be was an estimate.
    pub(crate) fn untimely(&self, requests: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for Kill { worker, answered, .. } in &self.kills {
            let share = *answered as f64 / requests.max(1) as f64;
            if !SHARES.contains(&share) {
                let (from, to) = (100.0 * SHARES.start(), 100.0 * SHARES.end());
                let percent = 100.0 * share;
                lines.push(format!(
                    "worker {worker} was killed at {percent:.1} % of the requests, not between {from} % and {to} %"
                ));
            }
        }
        lines
    }
}

/// Notices when nothing happens any more.
struct Stall {
    /// Longer than anybody waits who is served.
    patience: Duration,
    last: (Progress, usize),
    since: Instant,
}

impl Stall {
    fn new(sale: &Sale) -> Self {
        Self { patience: sale.silence_max(), last: Default::default(), since: Instant::now() }
    }

    /// Nobody has counted anything or ended for too long.
    fn is_over(&mut self, crew: &Crew) -> bool {
        let now = (crew.progress(), crew.numbers(State::Selling).count());
        if now != self.last {
            self.last = now;
            self.since = Instant::now();
        }
        self.since.elapsed() >= self.patience
    }
}
