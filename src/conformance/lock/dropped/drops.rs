use crate::conformance::LockCapability;
use crate::conformance::check::{Failure, ensure};
use crate::conformance::lock::LockBench;
use crate::conformance::polled::{STEPS_MAX, not_through, polled};
use crate::ports::LockError;

/// How often a call is made again that was never dropped half-way. A lock with a thread of its own may be so quick that it
/// has answered before the first poll.
const ROUNDS_MAX: u32 = 500;

/// One call, made again and again, and dropped after 0 polls, after 1, and so on until it is through before.
pub(super) struct Drops<'a> {
    bench: &'a LockBench,
    what: String,
    /// Whether the lock waits for something, so that a run in which it never does proves nothing.
    waits: bool,
    round: u32,
    times: u32,
    half_way: u32,
    is_over: bool,
}

impl<'a> Drops<'a> {
    /// A lock of one process need not wait for anything.
    pub(super) fn new(bench: &'a LockBench, what: impl Into<String>) -> Self {
        let waits = !bench.lacks(LockCapability::OtherProcesses);
        Self { bench, what: what.into(), waits, round: 0, times: 0, half_way: 0, is_over: false }
    }

    /// The call may have nothing to do and nothing to wait for.
    pub(super) fn never_waits(mut self) -> Self {
        self.waits = false;
        self
    }

    /// So many keys for the next call, which no other one has, unless it was the last.
    pub(super) fn next_keys(&self, count: u32) -> Option<Vec<String>> {
        let Self { what, round, times, .. } = self;
        (!self.is_over).then(|| (0..count).map(|n| format!("{what}: {n}, {times} polls, round {round}")).collect())
    }

    /// The answer of the next call; `None` if it was dropped.
    pub(super) async fn polled<T>(
        &mut self,
        call: impl Future<Output = Result<T, LockError>>,
    ) -> Result<Option<T>, Failure> {
        let answer = polled(self.times, call).await.transpose()?;
        if answer.is_none() {
            // Before its first poll it has not begun.
            self.half_way += u32::from(self.times > 0);
            self.times += 1;
            return if self.times > STEPS_MAX { Err(not_through(&self.what, STEPS_MAX)) } else { Ok(None) };
        }
        self.is_over = self.half_way > 0 || !self.waits;
        if self.is_over {
            self.bench.note(format!("{}: {} polls", self.what, self.times));
        } else {
            self.round += 1;
            self.times = 1;
            let what = &self.what;
            ensure!(
                self.round < ROUNDS_MAX,
                "{what} was answered at the first poll {ROUNDS_MAX} times and never dropped half-way, which proves nothing"
            );
        }
        Ok(answer)
    }
}
