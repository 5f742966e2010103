//! One thread, virtual time, and dice that decide who goes on next.
//!
//! Everything that runs belongs to a process, which can be stopped for a while, and can crash: then nothing of it runs any more,
//! at whatever `await` it was. When nobody can go on, time jumps to the next timer.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::trace::Trace;
use crate::ports::BoxFuture;

/// So many steps without time passing, and somebody spins. A step is a few instructions of work.
const STEPS_AT_ONCE_MAX: u64 = 2_000_000;

/// More than any world needs.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Who something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProcessId(usize);

impl ProcessId {
    /// What runs outside of every process and never fails: customers, and what makes the others fail.
    pub(super) const OUTSIDE: Self = Self(0);
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.0)
    }
}

/// The executor. A clone is the same one.
#[derive(Clone)]
pub(super) struct Executor(Arc<Inner>);

struct Inner {
    base: Instant,
    trace: Trace,
    /// Who was woken. Apart from the rest, as anybody may be woken while that is in use.
    woken: Mutex<Vec<u64>>,
    state: Mutex<State>,
}

struct State {
    now: Duration,
    dice: Dice,
    next_id: u64,
    tasks: HashMap<u64, Task>,
    timers: BTreeMap<(Duration, u64), Waker>,
    processes: Vec<Process>,
    panics: Vec<String>,
}

#[derive(Debug, Default)]
struct Process {
    /// Counts its starts.
    life: u64,
    stopped_until: Duration,
    /// Who was woken while it stood still.
    waiting: Vec<u64>,
}

struct Task {
    process: usize,
    future: BoxFuture<'static, ()>,
    alarm: Arc<Alarm>,
}

/// Wakes one task.
struct Alarm {
    id: u64,
    executor: Weak<Inner>,
    is_woken: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::Relaxed)
            && let Some(inner) = self.executor.upgrade()
        {
            locked(&inner.woken).push(self.id);
        }
    }
}

/// Why a simulation did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// Everybody waits, and nothing can happen any more.
    Deadlock,
    /// Somebody goes on and on, and no time passes.
    Spinning,
    /// It goes on far longer than it may.
    Endless,
}

impl Executor {
    pub(super) fn new(dice: Dice, trace: Trace) -> Self {
        let state = State {
            now: Duration::ZERO,
            dice,
            next_id: 0,
            tasks: HashMap::new(),
            timers: BTreeMap::new(),
            processes: vec![Process::default()],
            panics: Vec::new(),
        };
        Self(Arc::new(Inner { base: Instant::now(), trace, woken: Mutex::default(), state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }

    /// How much time has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.state().now
    }

    /// What elapsed times are counted from.
    pub(super) fn base(&self) -> Instant {
        self.0.base
    }

    /// Writes down what happens now, if somebody reads it.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        self.0.trace.tell(|| (self.elapsed(), what()));
    }

    /// Every message of a task that panicked.
    pub(super) fn panics(&self) -> Vec<String> {
        self.state().panics.clone()
    }

    /// A new process, which runs.
    pub(super) fn process(&self) -> ProcessId {
        let mut state = self.state();
        state.processes.push(Process::default());
        ProcessId(state.processes.len() - 1)
    }

    /// The life that a process is in.
    pub(super) fn life(&self, process: ProcessId) -> u64 {
        self.state().processes[process.0].life
    }

    /// Nothing of the process goes on before that time has passed.
    pub(super) fn stop(&self, process: ProcessId, for_so_long: Duration) {
        let mut state = self.state();
        let until = state.now + for_so_long;
        let process = &mut state.processes[process.0];
        process.stopped_until = process.stopped_until.max(until);
    }

    /// Nothing of the process's life goes on, and what of it starts later does not start. Its next life begins.
    pub(super) fn crash(&self, process: ProcessId) {
        let gone: Vec<Task> = {
            let mut state = self.state();
            let ids: Vec<u64> = {
                let mut ids: Vec<u64> =
                    state.tasks.iter().filter(|(_, task)| task.process == process.0).map(|(id, _)| *id).collect();
                ids.sort_unstable();
                ids
            };
            let it = &mut state.processes[process.0];
            it.life += 1;
            it.stopped_until = Duration::ZERO;
            it.waiting.clear();
            ids.into_iter().filter_map(|id| state.tasks.remove(&id)).collect()
        };
        // What is dropped may want to start something, which finds that its life is over.
        drop(gone);
    }

    /// Starts a task of this life of a process. It is dropped when that is over.
    pub(super) fn spawn(&self, process: ProcessId, life: u64, future: BoxFuture<'static, ()>) {
        let mut state = self.state();
        if state.processes[process.0].life != life {
            drop(state);
            drop(future);
            return;
        }
        let id = state.new_id();
        let alarm = Arc::new(Alarm { id, executor: Arc::downgrade(&self.0), is_woken: AtomicBool::new(true) });
        state.tasks.insert(id, Task { process: process.0, future, alarm });
        drop(state);
        locked(&self.0.woken).push(id);
    }

    /// Ends when so much time has passed.
    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.state();
        let key = (state.now.saturating_add(duration), state.new_id());
        drop(state);
        Sleep { executor: self.clone(), key }
    }

    /// Runs everything until `main` has ended.
    pub(super) fn run(&self, main: impl Future<Output = ()> + Send + 'static) -> Result<(), Halt> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let main = async move {
            main.await;
            over.store(true, Ordering::Relaxed);
        };
        self.spawn(ProcessId::OUTSIDE, 0, Box::pin(main));
        let mut steps = 0;
        while !is_over.load(Ordering::Relaxed) {
            match self.next() {
                Some(Next::Task(id)) => {
                    steps += 1;
                    self.poll(id);
                }
                Some(Next::Time) => steps = 0,
                None if !self.panics().is_empty() => return Ok(()),
                None => return Err(Halt::Deadlock),
            }
            if steps > STEPS_AT_ONCE_MAX {
                return Err(Halt::Spinning);
            }
            if steps == 0 && self.elapsed() > TIME_MAX {
                return Err(Halt::Endless);
            }
        }
        Ok(())
    }

    /// Ends everything. What refers to the executor is dropped with its tasks.
    pub(super) fn end(&self) {
        loop {
            let mut state = self.state();
            state.processes.iter_mut().for_each(|process| process.life += 1);
            let (tasks, timers) = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.timers));
            drop(state);
            if tasks.is_empty() {
                return;
            }
            drop((tasks, timers));
        }
    }

    fn next(&self) -> Option<Next> {
        let mut state = self.state();
        let mut woken = locked(&self.0.woken);
        if !woken.is_empty() {
            let at = state.dice.below(woken.len());
            return Some(Next::Task(woken.swap_remove(at)));
        }
        drop(woken);
        let ((at, _), waker) = state.timers.pop_first()?;
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
        Some(Next::Time)
    }

    fn poll(&self, id: u64) {
        let mut state = self.state();
        let Some(task) = state.tasks.get(&id) else { return };
        let (now, process) = (state.now, task.process);
        if state.processes[process].stopped_until > now {
            let until = state.processes[process].stopped_until;
            let waiting = &mut state.processes[process].waiting;
            waiting.push(id);
            if waiting.len() == 1 {
                let key = (until, state.new_id());
                let awakening = Arc::new(Awakening { process, executor: Arc::downgrade(&self.0) });
                state.timers.insert(key, Waker::from(awakening));
            }
            return;
        }
        let Some(mut task) = state.tasks.remove(&id) else { return };
        let life = state.processes[process].life;
        drop(state);
        task.alarm.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.alarm));
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut Context::from_waker(&waker))));
        match polled {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => {
                let mut state = self.state();
                if state.processes[process].life == life {
                    state.tasks.insert(id, task);
                }
            }
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                self.state().panics.push(words.unwrap_or_default());
            }
        }
    }

    /// A process that stood still goes on, unless it was stopped again.
    fn awaken(&self, process: usize) {
        let waiting = std::mem::take(&mut self.state().processes[process].waiting);
        locked(&self.0.woken).extend(waiting);
    }
}

impl State {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// What happens next.
enum Next {
    Task(u64),
    /// Time has passed.
    Time,
}

struct Awakening {
    process: usize,
    executor: Weak<Inner>,
}

impl Wake for Awakening {
    fn wake(self: Arc<Self>) {
        if let Some(inner) = self.executor.upgrade() {
            Executor(inner).awaken(self.process);
        }
    }
}

/// See [`Executor::sleep`].
pub(super) struct Sleep {
    executor: Executor,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.executor.state();
        if self.key.0 <= state.now {
            return Poll::Ready(());
        }
        state.timers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.executor.state().timers.remove(&self.key);
        drop(waker);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

/// No code panics while it holds one of these half-written.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
