//! Kills workers in the middle of their work, as a machine that fails does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::args::KillPoint;
use crate::course::CourseLog;
use crate::crew::{Crew, State};
use crate::failure::Failure;
use crate::in_flight::InFlight;
use crate::log;
use crate::sale::Sale;

/// How long a stopped process may take to stand still.
const STOPS_WITHIN: Duration = Duration::from_millis(200);

/// Between which shares of all requests workers are killed, as it turns out in the end.
pub(crate) const SHARES: RangeInclusive<f64> = 0.10..=0.60;
/// Where the moments are drawn from. How many requests there will be is only estimated until the end, mostly too low,
/// because buyers ask more often once places run out.
const DRAWN: Range<f64> = 0.26..0.42;

/// A worker that was killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    /// Its number, from 1.
    pub(crate) worker: usize,
    /// How many requests had been answered in all.
    pub(crate) answered: u64,
    /// The point at which it stood, if one was named.
    pub(crate) at: Option<KillPoint>,
}

/// Whom to kill when.
#[derive(Debug)]
pub(crate) struct Killer {
    dir: PathBuf,
    rng: StdRng,
    /// At which shares of the requests, the last one first.
    moments: Vec<f64>,
    /// How many will be left.
    survivors: f64,
    /// The point at which they are killed, and who is on the way there.
    at: Option<KillPoint>,
    halting: Option<usize>,
    logs: HashMap<usize, InFlight>,
    /// How many workers sold when buyers were called last, and how many buyers had come in to them.
    called_at: Option<(usize, u64)>,
}

impl Killer {
    /// Draws the moments.
    pub(crate) fn new(dir: &Path, sale: &Sale) -> Self {
        let mut rng = StdRng::seed_from_u64(!sale.seed);
        let mut moments: Vec<f64> = (0..sale.kill_workers).map(|_| rng.random_range(DRAWN)).collect();
        moments.sort_by(|left, right| right.total_cmp(left));
        let survivors = f64::from(sale.processes - sale.kill_workers);
        let (at, logs) = (sale.kill_at, HashMap::new());
        Self { dir: dir.to_owned(), rng, moments, survivors, at, halting: None, logs, called_at: None }
    }

    /// Whether somebody is still to be killed.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.moments.is_empty()
    }

    /// Kills a worker when its moment has come and one has a request in flight; otherwise the next call tries again.
    pub(crate) fn look(&mut self, crew: &mut Crew, course: &CourseLog) -> Result<Option<Kill>, Failure> {
        if !self.is_waiting() {
            return Ok(None);
        }
        self.keep_busy(crew);
        if let Some(victim) = self.halting {
            return self.kill_halted(crew, victim, course);
        }
        let selling: Vec<usize> = selling(crew).collect();
        if self.moments.last().is_none_or(|moment| self.share(crew) < *moment) || selling.len() < 2 {
            return Ok(None);
        }
        let mut at_work = Vec::new();
        for worker in selling {
            if self.requests_in_flight(worker).map_err(cannot)? > 0 {
                at_work.push(worker);
            }
        }
        if at_work.is_empty() {
            return Ok(None);
        }
        let victim = at_work[self.rng.random_range(0..at_work.len())];
        if self.at.is_some() {
            crew.members[victim].halt();
            self.halting = Some(victim);
            return Ok(None);
        }
        if !self.stop_at_work(crew, victim).map_err(cannot)? {
            return Ok(None);
        }
        self.kill(crew, victim, course).map(Some)
    }

    /// Kills the worker that was told to stand still, once it does. One that ends before is not killed; another is told.
    fn kill_halted(&mut self, crew: &mut Crew, victim: usize, course: &CourseLog) -> Result<Option<Kill>, Failure> {
        let member = &crew.members[victim];
        if member.state != State::Selling {
            self.halting = None;
        }
        if self.halting.is_none() || member.halted.is_none() {
            return Ok(None);
        }
        // It says so just before.
        if !pid(crew, victim).is_some_and(stands_still) {
            return Ok(None);
        }
        self.halting = None;
        self.kill(crew, victim, course).map(Some)
    }

    fn kill(&mut self, crew: &mut Crew, victim: usize, course: &CourseLog) -> Result<Kill, Failure> {
        let answered = crew.progress().requests;
        course.killed(victim + 1)?;
        crew.members[victim].kill(State::Killed).map_err(cannot)?;
        self.moments.pop();
        Ok(Kill { worker: victim + 1, answered, at: crew.members[victim].halted })
    }

    /// When all buyers who came in are through, nobody has a request in flight, and nobody ever will: calls in the next
    /// ones.
    fn keep_busy(&mut self, crew: &mut Crew) {
        let started = |at: usize| crew.members[at].progress.started;
        let idle = selling(crew).all(|at| crew.members[at].progress.finished == started(at));
        let now: (usize, u64) = selling(crew).fold((0, 0), |(live, sum), at| (live + 1, sum + started(at)));
        if idle && now.1 > 0 && self.called_at != Some(now) {
            self.called_at = Some(now);
            crew.call_one_each();
        }
    }

    /// The share of the answers so far in what there will be in the end: each buyer whom the survivors serve asks as
    /// often as those so far, but twice at least.
    fn share(&self, crew: &Crew) -> f64 {
        let sum = crew.progress();
        let answered = sum.requests as f64;
        let per_buyer = (2.0 * answered / (sum.started + sum.finished).max(1) as f64).max(2.0);
        let (mut to_come, mut live) = (0.0, 0.0);
        for member in selling(crew).map(|at| &crew.members[at]) {
            to_come += (per_buyer * member.buyers as f64 - member.progress.requests as f64).max(0.0);
            live += 1.0;
        }
        if answered == 0.0 || live == 0.0 { 0.0 } else { answered / (answered + to_come * self.survivors / live) }
    }

    fn requests_in_flight(&mut self, worker: usize) -> io::Result<usize> {
        let log = match self.logs.entry(worker) {
            Entry::Occupied(log) => log.into_mut(),
            Entry::Vacant(none) => none.insert(InFlight::watch(&log::path(&self.dir, worker as u32 + 1))?),
        };
        log.count()
    }

    /// Stops the process, and lets it go on if it has no request in flight any more.
    fn stop_at_work(&mut self, crew: &mut Crew, victim: usize) -> io::Result<bool> {
        let Some(pid) = pid(crew, victim) else { return Ok(false) };
        kill_process(pid, Signal::STOP)?;
        let at_work = stands_still(pid) && self.requests_in_flight(victim)? > 0;
        if !at_work {
            kill_process(pid, Signal::CONT)?;
        }
        Ok(at_work)
    }
}

fn cannot(error: io::Error) -> Failure {
    Failure::caused("a worker cannot be killed", &error)
}

fn pid(crew: &mut Crew, worker: usize) -> Option<Pid> {
    let child = crew.members[worker].process()?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn selling(crew: &Crew) -> impl Iterator<Item = usize> {
    (0..crew.members.len()).filter(|at| crew.members[*at].state == State::Selling)
}

/// Waits until every thread of a stopped process stands still. `false` when it has ended instead.
fn stands_still(pid: Pid) -> bool {
    let deadline = Instant::now() + STOPS_WITHIN;
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while Instant::now() < deadline {
        match waitid(WaitId::Pid(pid), options) {
            Ok(Some(_)) => return true,
            Ok(None) => thread::sleep(Duration::from_micros(100)),
            Err(_) => return false,
        }
    }
    false
}
