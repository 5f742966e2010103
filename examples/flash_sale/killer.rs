//! Kills workers in the middle of their work, as a machine that fails does.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::crew::{Crew, State};
use crate::in_flight::InFlight;
use crate::log;
use crate::sale::Sale;

/// How long a stopped process may take to stand still.
const STOPS_WITHIN: Duration = Duration::from_millis(200);

/// Whom to kill when.
#[derive(Debug)]
pub(crate) struct Killer {
    dir: PathBuf,
    rng: StdRng,
    /// At which shares of the requests, the last one first.
    moments: Vec<f64>,
    /// How many will be left.
    survivors: f64,
    logs: HashMap<usize, InFlight>,
}

impl Killer {
    /// Draws the moments. They are well inside 10 % and 60 % of the requests, because how many requests there will be
    /// is only known in the end.
    pub(crate) fn new(dir: &Path, sale: &Sale) -> Self {
        let mut rng = StdRng::seed_from_u64(!sale.seed);
        let mut moments: Vec<f64> = (0..sale.kill_workers).map(|_| rng.random_range(0.22..0.45)).collect();
        moments.sort_by(|left, right| right.total_cmp(left));
        let survivors = f64::from(sale.processes - sale.kill_workers);
        Self { dir: dir.to_owned(), rng, moments, survivors, logs: HashMap::new() }
    }

    /// Whether somebody is still to be killed.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.moments.is_empty()
    }

    /// Kills a worker when its moment has come and it has a request in flight; otherwise the next call tries again.
    /// Answers the number of the killed worker.
    pub(crate) fn look(&mut self, crew: &mut Crew) -> io::Result<Option<usize>> {
        if self.moments.last().is_none_or(|moment| self.share(crew) < *moment) {
            return Ok(None);
        }
        let selling: Vec<usize> = selling(crew).collect();
        if selling.len() < 2 {
            return Ok(None);
        }
        let victim = selling[self.rng.random_range(0..selling.len())];
        if !self.kill_at_work(crew, victim)? {
            return Ok(None);
        }
        self.moments.pop();
        Ok(Some(victim + 1))
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

    /// Stops the process, looks into its log, and kills it if a request is sent and not answered.
    fn kill_at_work(&mut self, crew: &mut Crew, victim: usize) -> io::Result<bool> {
        let member = &mut crew.members[victim];
        let Some(child) = member.process() else { return Ok(false) };
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(false) };
        kill_process(pid, Signal::STOP)?;
        let log = match self.logs.remove(&victim) {
            Some(log) => Ok(log),
            None => InFlight::watch(&log::path(&self.dir, victim as u32 + 1)),
        };
        let at_work =
            stands_still(pid) && log.and_then(|log| self.logs.entry(victim).insert_entry(log).get_mut().count())? > 0;
        if !at_work {
            kill_process(pid, Signal::CONT)?;
            return Ok(false);
        }
        child.kill()?;
        child.wait()?;
        member.state = State::Killed;
        Ok(true)
    }
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
