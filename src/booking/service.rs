use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::answer::Waiting;
use super::batcher;
use super::builder::BookingServiceBuilder;
use super::config::Contention;
use super::core::Core;
use super::error::{BookingError, OutcomeUnknown};
use super::queue::Pushed;
use super::registry::Drained;
use super::request::Request;
use super::sweeper::{self, Swept};
use crate::domain::{ActionKind, Command, EventId, OperationId, Receipt, Rejection, ReservationId};
use crate::ports::{Observation, Reply, Repository, Runtime, RuntimeExt, StoreError};

/// Sells an event's places. One service is shared by all tasks of a process; cloning it is cheap.
///
/// ```
#[doc = doc_on_sale!()]
#[doc = doc_held!()]
/// let another_handle = service.clone();
/// let booked = another_handle.confirm(&event, service.new_operation_id(), reservation, alice).await?;
/// assert_eq!(booked.state, ReservationState::Booked);
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone)]
pub struct BookingService {
    core: Arc<Core>,
}

/// A command in its event's queue. Dropping it is as dropping its [`Waiting`].
pub(super) struct Sent<'s> {
    core: &'s Core,
    event: EventId,
    kind: ActionKind,
    waiting: Waiting,
    wait: Duration,
}

impl Sent<'_> {
    /// The answer, told to the observer too.
    pub(super) async fn answer(mut self) -> Result<Receipt, BookingError> {
        let answer = self.waiting.answer(&*self.core.runtime, self.wait).await;
        let (event, operation, kind) = (&self.event, self.waiting.operation, self.kind);
        let reply = answer.as_ref().map_or_else(BookingError::reply, |_| Reply::Done);
        self.core.observe(&Observation::Answered { event, operation, kind, reply });
        answer
    }
}

/// Longest wait for an answer; a longer wish is cut to it.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl BookingService {
    /// Starts to build a service on a store and a runtime.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime)
    ///     .contention(Contention::Wait(Duration::from_secs(2)))
    ///     .build()?;
    /// # let _ = service;
    #[doc = doc_end!()]
    /// ```
    pub fn builder(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> BookingServiceBuilder {
        BookingServiceBuilder::new(repository, runtime)
    }

    pub(super) fn new(core: Core) -> Self {
        Self { core: Arc::new(core) }
    }

    /// The store, for queries: tickets, pools, reservations, the change feed.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let free = service.repository().availability(&event).await?;
    /// assert_eq!(free.pools[0].available, 200);
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn repository(&self) -> &Arc<dyn Repository> {
        &self.core.repository
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.core.runtime.sleep(duration).await;
    }

    /// A new operation id, to be kept by the caller for repetitions.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let operation = service.new_operation_id();
    /// // The answer may be lost on its way to whoever asked; asking again under the same id changes nothing.
    /// for _ in 0..2 {
    ///     let booked = service.confirm(&event, operation, reservation, alice.clone()).await?;
    ///     assert_eq!(booked.state, ReservationState::Booked);
    /// }
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn new_operation_id(&self) -> OperationId {
        self.core.runtime.operation_id()
    }

    /// A new reservation id.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let hold = Hold::new(service.new_reservation_id(), alice, Lines::merge([ticket(1)?], [])?);
    /// assert!(service.hold(&event, service.new_operation_id(), hold).await.is_ok());
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn new_reservation_id(&self) -> ReservationId {
        self.core.runtime.reservation_id()
    }

    /// Carries out a command, under the service's [`Contention`] policy.
    ///
    /// Where the store loses an answer on the way, it is asked again until the outcome is known. A refusal after that is
    /// final: it is written down under the operation id, which is used up then, as by [`resolve`](Self::resolve).
    ///
    /// # Errors
    ///
    /// [`BookingError`]; it tells a refusal, a failure and an unknown outcome apart.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before the command is decided takes it back; afterwards only its answer is lost.
    /// Asking again under the same operation id is safe at any time.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let operation = service.new_operation_id();
    /// let action = Action::Confirm { reservation, customer: alice };
    /// let receipt = service.submit(Command { event, operation, action }).await?;
    /// assert_eq!((receipt.kind, receipt.repeated), (ActionKind::Confirm, false));
    #[doc = doc_end!()]
    /// ```
    pub async fn submit(&self, command: Command) -> Result<Receipt, BookingError> {
        self.send(command, self.contention(), false)?.answer().await
    }

    /// Carries out a command, under a contention policy of its own.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let operation = service.new_operation_id();
    /// let command = Command { event, operation, action: Action::Confirm { reservation, customer: alice } };
    /// match service.submit_under(command, Contention::Reject).await {
    ///     Err(BookingError::Rejected(Rejection::Contended { retry_after })) => println!("again in {retry_after:?}"),
    ///     answer => println!("done at {}", answer?.at),
    /// }
    #[doc = doc_end!()]
    /// ```
    pub async fn submit_under(&self, command: Command, contention: Contention) -> Result<Receipt, BookingError> {
        self.send(command, contention, false)?.answer().await
    }

    /// Finds out what became of a command after [`BookingError::OutcomeUnknown`], and makes it final: it was carried
    /// out, before or just now, or it is refused and never will be.
    ///
    /// A plain repetition with [`submit`](Self::submit) happens at most once just the same, but its refusal says only
    /// how things stand now: the lost commit may still arrive. Here a refusal is written down under the operation id,
    /// and keeps it out. The id is used up then: asking again answers [`Rejection::OperationVoided`].
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`BookingError::OutcomeUnknown`] if it is still not known when the deadline
    /// comes, and of operations that are older than they are remembered.
    ///
    /// # Cancellation
    ///
    /// Harmless; the outcome stays unknown.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let operation = service.new_operation_id();
    /// let command = Command { event, operation, action: Action::Confirm { reservation, customer: alice } };
    /// let receipt = match service.submit(command.clone()).await {
    ///     Err(BookingError::OutcomeUnknown(_)) => service.resolve(command).await?,
    ///     answer => answer?,
    /// };
    /// assert_eq!(receipt.operation, operation);
    #[doc = doc_end!()]
    /// ```
    pub async fn resolve(&self, command: Command) -> Result<Receipt, BookingError> {
        self.send(command, self.waiting_contention(), true)?.answer().await
    }

    /// Carries out a command that waits for others in its way, whatever the service's policy.
    pub(super) async fn submit_waiting(&self, command: Command) -> Result<Receipt, BookingError> {
        self.send(command, self.waiting_contention(), false)?.answer().await
    }

    pub(super) fn contention(&self) -> Contention {
        self.core.contention
    }

    fn waiting_contention(&self) -> Contention {
        match self.core.contention {
            Contention::Reject => Contention::Wait(self.core.limits.request_timeout),
            waits => waits,
        }
    }

    /// Puts a command into its event's queue. Not async: a future that passes its command on to another one has room for it
    /// twice, as long as it waits.
    pub(super) fn send(
        &self,
        command: Command,
        contention: Contention,
        resolves: bool,
    ) -> Result<Sent<'_>, BookingError> {
        let core = &*self.core;
        let (event, operation, kind) = (command.event.clone(), command.operation, command.kind());
        match self.enqueue(command, contention, resolves) {
            Ok((waiting, wait)) => Ok(Sent { core, event, kind, waiting, wait }),
            Err(error) => {
                core.observe(&Observation::Answered { event: &event, operation, kind, reply: error.reply() });
                Err(error)
            }
        }
    }

    fn enqueue(
        &self,
        command: Command,
        contention: Contention,
        resolves: bool,
    ) -> Result<(Waiting, Duration), BookingError> {
        command.check().map_err(Rejection::from)?;
        let core = &self.core;
        let (wait, rejects) = match contention {
            Contention::Reject => (core.limits.request_timeout, true),
            Contention::Wait(wait) => (wait, false),
        };
        let wait = wait.min(WAIT_MAX);
        let deadline = core.runtime.now() + wait;
        let (event, operation, kind) = (command.event.clone(), command.operation, command.kind());
        let not_taken_in = |rejection: Rejection| -> BookingError {
            if resolves { OutcomeUnknown::new(operation, None).into() } else { rejection.into() }
        };
        let queue = core.registry.enter(&event).ok_or_else(|| not_taken_in(Rejection::ShuttingDown))?;
        let (request, phase, receiver) = Request::new(command, deadline, rejects, resolves);
        let waiting = Waiting { operation, phase, receiver };
        let pushed = queue.push(request, core.limits.queue_max);
        if matches!(pushed, Pushed::First) {
            core.runtime.spawn(batcher::run(Arc::clone(core), queue));
        } else {
            core.registry.task_ended();
        }
        let ahead = match pushed {
            Pushed::Full => return Err(not_taken_in(Rejection::Overloaded)),
            Pushed::Waiting(ahead) => ahead,
            Pushed::First => 1,
        };
        core.observe(&Observation::Queued { event: &event, kind, waiting: ahead });
        Ok((waiting, wait))
    }

    /// One bounded step of tidying up: settles at most `limit` expired holds, and purges at most `limit` operation
    /// records and feed rows older than the policy's retention. The host drives it, as often as it likes, from as many
    /// processes as it likes; what is sold never depends on it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store fails. Calling again is harmless.
    ///
    /// # Cancellation
    ///
    /// Harmless at any moment.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let swept = service.sweep(1_000).await?;
    /// println!("{} holds settled, {} operations forgotten", swept.expired, swept.purged.operations);
    #[doc = doc_end!()]
    /// ```
    pub async fn sweep(&self, limit: usize) -> Result<Swept, StoreError> {
        sweeper::sweep(&self.core, limit).await
    }

    /// Takes no more requests in, and waits until those taken in are answered, at most for `deadline`. Then those that
    /// still wait are refused as shutting down.
    ///
    /// # Cancellation
    ///
    /// No more requests are taken in all the same.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// assert_eq!(service.shutdown(Duration::from_secs(5)).await, Drained::Completely);
    /// let late = service.import(&event, vec![], vec![]).await;
    /// assert_eq!(late.unwrap_err().rejection(), Some(&Rejection::ShuttingDown));
    #[doc = doc_end!()]
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> Drained {
        self.core.registry.close();
        match select(self.core.registry.idle(), self.core.runtime.sleep(deadline)).await {
            Either::Left(_) => Drained::Completely,
            Either::Right(_) => {
                self.core.registry.refuse_waiting();
                for queue in self.core.registry.queues() {
                    for request in queue.drain() {
                        let answer = request.undecided(Rejection::ShuttingDown);
                        request.answer(answer);
                    }
                }
                Drained::DeadlinePassed
            }
        }
    }
}
