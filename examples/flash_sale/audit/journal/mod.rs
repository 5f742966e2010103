//! Reads every worker's log: what was asked for, and what was answered.

mod story;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use self::story::Said;
pub(crate) use self::story::{Kind, Request, Story, Wanted};
use self::text::{Answered, Line, Sent};
use crate::log;

/// What a hold is refused with when a ticket that it names is not free.
const UNAVAILABLE: &str = "unavailable";

/// A moment as a Unix time in microseconds, so that the logs of several workers can be compared.
fn moment(began: Option<i64>, at_us: u64) -> Result<i64, String> {
    let at = i64::try_from(at_us).ok().and_then(|at| began?.checked_add(at));
    at.ok_or_else(|| "is before its beginning".to_owned())
}

/// All logs of a sale.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// What happened to each reservation that was asked for.
    pub(crate) stories: BTreeMap<Uuid, Story>,
    /// Every answer.
    pub(crate) answers: Vec<Answer>,
    /// How many answers were refusals, by kind.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// How many answers were that the store failed.
    pub(crate) failed: u64,
    /// What could not be read, or contradicts itself.
    pub(crate) flaws: Vec<String>,
    operations: BTreeMap<Uuid, Operation>,
}

/// When an answer came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// Since its worker began, in microseconds. All workers begin at once.
    pub(crate) at_us: u64,
    /// How long it took, in microseconds.
    pub(crate) latency_us: u64,
}

/// What an operation id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operation {
    worker: u32,
    reservation: Uuid,
    kind: Kind,
}

impl Journal {
    /// Reads the logs of workers 1 to `workers`. Only of the killed ones is it normal that they break off.
    pub(crate) fn read(dir: &Path, workers: u32, killed: &BTreeSet<u32>) -> io::Result<Self> {
        let mut journal = Self::default();
        for worker in 1..=workers {
            match fs::read(log::path(dir, worker)) {
                Ok(bytes) => journal.read_log(worker, &bytes, killed.contains(&worker)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    journal.flaws.push(format!("{} is missing", log::name(worker)));
                }
                Err(error) => return Err(error),
            }
        }
        journal.check_answered(killed);
        Ok(journal)
    }

    /// How many operations have an unknown outcome.
    pub(crate) fn unknown(&self) -> usize {
        let requests = self.stories.values().flat_map(|story| Kind::ALL.map(|kind| story.request(kind)));
        requests.filter(|request| request.is_unknown()).count()
    }

    /// How long each answer took, in microseconds.
    pub(crate) fn latencies_us(&self) -> impl Iterator<Item = u64> {
        self.answers.iter().map(|answer| answer.latency_us)
    }

    /// The worker, from 1, that sent the request of this kind about a reservation.
    pub(crate) fn worker(&self, story: &Story, kind: Kind) -> Option<u32> {
        let operation = self.operations.get(&story.request(kind).operation?)?;
        Some(operation.worker)
    }

    /// Every operation id that was sent.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Uuid> {
        self.operations.keys().copied()
    }

    /// Every customer who asked for something.
    pub(crate) fn customers(&self) -> BTreeSet<&str> {
        self.stories.values().map(|story| story.customer.as_str()).collect()
    }

    fn read_log(&mut self, worker: u32, bytes: &[u8], killed: bool) {
        let name = log::name(worker);
        // What follows the last line break was cut off by the end of the process.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n');
        let text = String::from_utf8_lossy(&bytes[..complete.unwrap_or(0)]);
        let mut lines = (1_usize..).zip(text.split('\n'));
        if lines.next().map(|(_, line)| line) != Some(log::HEADER) {
            self.flaws.push(format!("{name} does not begin with {:?}", log::HEADER));
            return;
        }
        let (mut ended, mut began) = (false, None);
        for (number, line) in lines {
            let read = match text::line(line) {
                _ if ended => Err("comes after its end".to_owned()),
                Some(Line::Began(at)) => match began.replace(at) {
                    None => Ok(()),
                    Some(_) => Err("begins once more".to_owned()),
                },
                Some(Line::Sent(sent)) => self.sent(worker, began, sent),
                Some(Line::Answered(answered)) => self.answered(worker, began, answered),
                Some(Line::End) => {
                    ended = true;
                    Ok(())
                }
                None => Err("cannot be read".to_owned()),
            };
            if let Err(why) = read {
                self.flaws.push(format!("{name}, line {number} {why}"));
            }
        }
        let torn = complete.is_none_or(|at| at + 1 < bytes.len());
        match (killed, ended) {
            _ if torn && (ended || !killed) => {
                self.flaws.push(format!("{name} breaks off in the middle of a line, and nobody killed the worker"));
            }
            (false, false) => self.flaws.push(format!("{name} has no end, and nobody killed the worker")),
            (true, true) => self.flaws.push(format!("{name} has an end, and the worker was killed before")),
            _ => {}
        }
    }

    fn sent(&mut self, worker: u32, began: Option<i64>, sent: Sent) -> Result<(), String> {
        let Sent { operation: id, at_us, resolves, kind, reservation, customer, asked } = sent;
        let at = moment(began, at_us)?;
        let operation = Operation { worker, reservation, kind };
        if *self.operations.entry(id).or_insert(operation) != operation {
            return Err(format!("uses operation {id} for something else"));
        }
        let story = match kind {
            Kind::Hold => {
                self.stories.entry(reservation).or_insert_with(|| Story::new(customer.clone(), asked.clone()))
            }
            Kind::Confirm | Kind::Release => {
                self.stories.get_mut(&reservation).ok_or("is about a reservation that nobody asked for")?
            }
        };
        if story.customer != customer || (kind == Kind::Hold && story.asked != asked) {
            return Err(format!("asks for something else than reservation {reservation} before"));
        }
        let sent = story.request_mut(kind).send(id, at, resolves);
        sent.map_err(|why| format!("says that the {} of {reservation} {why}", kind.name()))
    }

    fn answered(&mut self, worker: u32, began: Option<i64>, answered: Answered) -> Result<(), String> {
        let Answered { operation: id, at_us, latency_us, said, why } = answered;
        let at = moment(began, at_us)?;
        let operation = self.operations.get(&id).filter(|operation| operation.worker == worker);
        let Operation { reservation, kind, .. } = *operation.ok_or("answers what was never sent")?;
        let story = self.stories.get_mut(&reservation).ok_or("answers what was never sent")?;
        let request = story.request_mut(kind);
        if matches!(said, Said::No | Said::Never) && why == UNAVAILABLE {
            request.found_unavailable(at);
        }
        match said {
            Said::No | Said::Busy | Said::Never => *self.rejected.entry(why).or_insert(0) += 1,
            Said::Failed => self.failed += 1,
            Said::Ok(_) | Said::Unknown => {}
        }
        self.answers.push(Answer { at_us, latency_us });
        let answered = request.answer(said, at_us, at);
        answered.map_err(|why| format!("says that the {} of {reservation} {why}", kind.name()))
    }

    /// Whoever was not killed has heard back.
    fn check_answered(&mut self, killed: &BTreeSet<u32>) {
        for (id, Operation { worker, reservation, kind }) in &self.operations {
            let request = self.stories.get(reservation).map(|story| story.request(*kind));
            if request.is_some_and(Request::is_unanswered) && !killed.contains(worker) {
                let name = log::name(*worker);
                let kind = kind.name();
                let flaw = format!("{name} has no answer to the {kind} {id}, and nobody killed the worker");
                self.flaws.push(flaw);
            }
        }
    }
}
