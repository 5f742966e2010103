//! A runtime with virtual time on one thread: tasks run in the order in which they were woken, and when none can run, time
//! jumps to the next timer. Every run of a test is the same run, no test waits for real time, and one that would wait
//! for ever says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};

/// 2033-05-18 03:33:20 UTC: when every simulation starts.
pub(crate) const START: Timestamp = Timestamp::from_micros(2_000_000_000_000_000);

/// More polls than any test needs: one that comes here spins without getting on.
const POLLS_MAX: u64 = 20_000_000;

const MAIN: u64 = 0;

/// The runtime. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    base: Instant,
    random: AtomicU64,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    next_id: u64,
    ready: VecDeque<u64>,
    tasks: HashMap<u64, BoxFuture<'static, ()>>,
    timers: BTreeMap<(Duration, u64), Waker>,
    idle: Vec<oneshot::Sender<()>>,
    panics: usize,
}

struct TaskWaker {
    id: u64,
    sim: Sim,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.sim.state();
        if !state.ready.contains(&self.id) {
            state.ready.push_back(self.id);
        }
    }
}

/// Runs a test in a simulation of its own.
pub(crate) fn simulate<F: Future<Output = ()>>(test: impl FnOnce(Sim) -> F) {
    let state = State { next_id: MAIN + 1, ..State::default() };
    let sim = Sim(Arc::new(Inner { state: Mutex::new(state), base: Instant::now(), random: AtomicU64::new(1) }));
    sim.run(test(sim.clone()));
    // Tasks refer to the simulation: dropping them breaks the circle.
    let tasks = std::mem::take(&mut sim.state().tasks);
    drop(tasks);
}

impl Sim {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, main: impl Future<Output = ()>) {
        let mut main = pin!(main);
        let main_waker = self.waker(MAIN);
        self.state().ready.push_back(MAIN);
        for _ in 0..POLLS_MAX {
            let Some(id) = self.next_ready() else { panic!("everybody waits, and nothing can happen any more") };
            if id == MAIN {
                if main.as_mut().poll(&mut Context::from_waker(&main_waker)).is_ready() {
                    return;
                }
            } else {
                self.poll_task(id);
            }
        }
        panic!("the simulation does not come to rest");
    }

    fn poll_task(&self, id: u64) {
        let Some(mut task) = self.state().tasks.remove(&id) else { return };
        let waker = self.waker(id);
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(&waker)))) {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => {
                self.state().tasks.insert(id, task);
            }
            Err(_) => self.state().panics += 1,
        }
    }

    /// The next task to poll: one that was woken; else those who wait for everybody else; else whoever's timer is next.
    fn next_ready(&self) -> Option<u64> {
        loop {
            let mut state = self.state();
            if let Some(id) = state.ready.pop_front() {
                return Some(id);
            }
            let idle = std::mem::take(&mut state.idle);
            if !idle.is_empty() {
                drop(state);
                for waiter in idle {
                    let _ = waiter.send(());
                }
                continue;
            }
            let ((at, _), waker) = state.timers.pop_first()?;
            state.elapsed = state.elapsed.max(at);
            drop(state);
            waker.wake();
        }
    }

    fn waker(&self, id: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { id, sim: self.clone() }))
    }

    fn new_id(&self) -> u64 {
        let mut state = self.state();
        state.next_id += 1;
        state.next_id
    }

    fn start_task(&self, task: BoxFuture<'static, ()>) {
        let id = self.new_id();
        let mut state = self.state();
        state.tasks.insert(id, task);
        state.ready.push_back(id);
    }

    /// Runs `work` in the background; await the answer where it is needed. It goes on when the answer is dropped.
    pub(crate) fn start<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Started<T> {
        let (sender, receiver) = oneshot::channel();
        self.start_task(Box::pin(async move {
            let _ = sender.send(work.await);
        }));
        Started(receiver)
    }

    /// Ends when nothing else can happen unless time passes.
    pub(crate) async fn idle(&self) {
        let (sender, receiver) = oneshot::channel();
        self.state().idle.push(sender);
        // Whoever is woken by something else meanwhile goes on waiting.
        let _ = receiver.await;
    }

    /// Lets virtual time pass, and then everything happen that can.
    pub(crate) async fn sleep_for(&self, duration: Duration) {
        self.sleep(duration).await;
        self.idle().await;
    }

    /// This process stands still for so long: nothing runs, and time passes.
    pub(crate) fn stand_still(&self, duration: Duration) {
        self.state().elapsed += duration;
    }

    /// Lets a second of virtual time pass: more than any pause of the service.
    pub(crate) async fn sleep_all(&self) {
        self.sleep_for(Duration::from_secs(1)).await;
    }

    /// Lets everybody else who can go on do one step.
    pub(crate) async fn step(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// How much time has passed.
    pub(crate) fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    /// How many background tasks have panicked.
    pub(crate) fn panics(&self) -> usize {
        self.state().panics
    }

    /// How many background tasks have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.state().tasks.len()
    }
}

/// Polls a future once, on behalf of the caller's task.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

/// The answer of something started in the background.
pub(crate) struct Started<T>(oneshot::Receiver<T>);

impl<T> Started<T> {
    /// The answer, if it is there already.
    pub(crate) fn now(&mut self) -> Option<T> {
        self.0.try_recv().expect("the task ended without an answer")
    }

    /// Whether there is no answer yet.
    pub(crate) fn is_waiting(&mut self) -> bool {
        self.now().is_none()
    }

    pub(crate) async fn answer(self) -> T {
        self.0.await.expect("the task ended without an answer")
    }
}

impl Clock for Sim {
    fn now(&self) -> Instant {
        self.0.base + self.elapsed()
    }

    fn unix_time(&self) -> Timestamp {
        START.after(self.elapsed())
    }
}

impl Runtime for Sim {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let key = (self.elapsed().saturating_add(duration), self.new_id());
        Box::pin(Sleep { sim: self.clone(), key })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.start_task(task);
    }

    fn random(&self) -> u64 {
        // SplitMix64.
        let mut bits = self.0.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

struct Sleep {
    sim: Sim,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.sim.state();
        if self.key.0 <= state.elapsed {
            return Poll::Ready(());
        }
        state.timers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.sim.state().timers.remove(&self.key);
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}
