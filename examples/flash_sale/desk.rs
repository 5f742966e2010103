//! Where a worker's buyers come to: sends their commands to the crate, and writes down what was said.

use std::collections::HashSet;
use std::io;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ticket_reservation::booking::{BookingError, BookingService};
use ticket_reservation::domain::{Command, EventId, OperationId, Receipt, Rejection};

use crate::demand::Demand;
use crate::log::Log;
use crate::meter::Meter;
use crate::terminal::tell;

/// What all buyers of one worker share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) service: BookingService,
    pub(crate) event: EventId,
    pub(crate) demand: Demand,
    pub(crate) log: Log,
    pub(crate) meter: Arc<Meter>,
    pub(crate) seed: u64,
    /// How long paying takes on average.
    pub(crate) pay: Duration,
    pub(crate) hold_ttl: Duration,
    /// Operations whose outcome is unknown: they are not asked for again, but resolved.
    pub(crate) uncertain: Mutex<HashSet<OperationId>>,
}

/// What a buyer is told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is done.
    Done(Box<Receipt>),
    /// It is not possible.
    No,
    /// Not now: come back in a while.
    Busy(Duration),
}

/// When to come back if the answer does not say.
const BUSY: Duration = Duration::from_millis(100);

impl Desk {
    /// Sends one command, and waits for its answer. The answer counts the moment it is written down.
    pub(crate) async fn ask(&self, command: &Command) -> Answer {
        let resolves = self.is_uncertain(command.operation);
        or_stop(self.log.sent(command, resolves));
        let start = Instant::now();
        let answer = if resolves {
            self.service.resolve(command.clone()).await
        } else {
            self.service.submit(command.clone()).await
        };
        or_stop(self.log.answered(command.operation, resolves, start.elapsed(), &answer));
        self.meter.answered();
        match answer {
            Ok(receipt) => Answer::Done(Box::new(receipt)),
            Err(BookingError::Rejected(Rejection::Contended { retry_after })) => Answer::Busy(retry_after),
            Err(BookingError::Rejected(why)) if why.is_about_load() => Answer::Busy(BUSY),
            Err(BookingError::Rejected(_)) => Answer::No,
            Err(BookingError::OutcomeUnknown(unknown)) => {
                self.uncertain().insert(unknown.operation());
                Answer::Busy(BUSY)
            }
            // The store is out of order: ask again under the same operation id.
            Err(_) => Answer::Busy(BUSY),
        }
    }

    fn uncertain(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        self.uncertain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_uncertain(&self, operation: OperationId) -> bool {
        self.uncertain().contains(&operation)
    }

    /// A double click: the same command twice at the same time.
    pub(crate) async fn ask_twice(&self, command: &Command) -> Answer {
        match tokio::join!(self.ask(command), self.ask(command)) {
            (Answer::Done(receipt), _) | (_, Answer::Done(receipt)) => Answer::Done(receipt),
            (Answer::Busy(wait), _) | (_, Answer::Busy(wait)) => Answer::Busy(wait),
            (Answer::No, Answer::No) => Answer::No,
        }
    }
}

/// A worker that cannot write its log must not go on: nobody could audit what it does.
fn or_stop(written: io::Result<()>) {
    if let Err(error) = written {
        tell(format_args!("flash_sale: a worker stops, because its log cannot be written: {error}"));
        process::exit(1);
    }
}
