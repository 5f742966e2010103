//! A world of locks alone: processes take, extend and give back, by themselves or in line, and two never have the same one.

mod alone;
mod harm;
mod in_line;
mod ledger;
mod noted_lock;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::alone::Alone;
use self::harm::harm;
use self::in_line::{InLine, Manner};
use self::ledger::{Claim, Holder, Ledger};
use self::noted_lock::NotedLock;
use super::check::Findings;
use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::{Executor, ProcessId, locked};
use super::fault::{Fault, Trouble};
use super::invariant::Invariant;
use super::lock_node::LockNode;
use super::process::ProcessRuntime;
use crate::adapters::redlock::{Quarantine, Redlock};
use crate::locking::LockQueue;
use crate::ports::{Attempt, Lock, LockKey, Runtime};

/// What may go wrong while Redlock still promises that locks exclude: clocks go at nearly the same pace, and no node forgets, or
/// those that have do not count for as long as a lock may last.
pub(super) const FAULTS: [Fault; 15] = [
    Fault::MessageDelayed,
    Fault::MessageLost,
    Fault::MessageDuplicated,
    Fault::ProcessPaused,
    Fault::ProcessPausedPastTtl,
    Fault::ProcessCrashed,
    Fault::ProcessRestarted,
    Fault::ProcessClockDrifts,
    Fault::NodeClockDrifts,
    Fault::NodeCrashed,
    Fault::NodeFrozen,
    Fault::NodeCutOff,
    Fault::NodeUnreachable,
    Fault::NodeMute,
    Fault::NodeForgot,
];

/// How far clocks are off, at most: well within what the engine allows for.
const DRIFT_PPM_MAX: u64 = 3_000;
const SHORT_TTL_MAX_MS: u64 = 2_000;
/// Long enough to see that what nobody has any more is given back, and does not merely end.
const LONG_TTL_MS: (u64, u64) = (45_000, 60_000);
const SOON: Duration = Duration::from_secs(60);
/// When it is so long ago that something went wrong, connections are made anew, and what was not to be sent has been.
const RECOVERY: Duration = Duration::from_secs(20);
/// For so long they go on after that.
const QUIET: Duration = Duration::from_secs(30);
/// How often all nodes are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const KEYS: usize = 2;

fn key(number: usize) -> LockKey {
    LockKey::new(format!("key-{number}")).expect("a key")
}

#[derive(Debug)]
struct World {
    executor: Executor,
    trouble: Arc<Trouble>,
    nodes: Vec<LockNode>,
    processes: Vec<(ProcessId, MachineClock)>,
    /// From the shortest to the longest, in milliseconds.
    ttls: (u64, u64),
    /// Nodes forget, and those that have do not count for a while.
    quarantine: Quarantine,
    /// How many of a thousand wait in line.
    share_in_line: u64,
    /// Each process's, of its present life.
    queues: Mutex<Vec<Option<LockQueue>>>,
    ledger: Mutex<Ledger>,
    findings: Arc<Mutex<Findings>>,
    /// How many work.
    working: AtomicUsize,
    /// Since when nothing goes wrong any more.
    healed: Mutex<Option<Duration>>,
    is_closing: AtomicBool,
}

/// What a world came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lived {
    /// How many calls there were.
    pub(super) calls: u64,
    /// Another one if anything was different.
    pub(super) digest: u64,
}

/// Lives through it.
pub(super) async fn live(
    executor: Executor,
    trouble: Arc<Trouble>,
    mut dice: Dice,
    nodes_forget: bool,
    findings: Arc<Mutex<Findings>>,
    lived: Arc<Mutex<Lived>>,
) {
    let length = Duration::from_secs(dice.between(100, 600));
    let world = World::new(executor.clone(), trouble, nodes_forget, findings, &mut dice);
    (0..world.processes.len()).for_each(|process| world.start(process, dice.another()));
    executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(harm(Arc::clone(&world), dice.another())));
    executor.sleep(length).await;

    executor.tell(|| "nothing goes wrong any more".to_owned());
    world.heal();
    executor.sleep(world.recovery()).await;
    world.look_for_what_is_left_behind(QUIET).await;
    world.is_closing.store(true, Ordering::Relaxed);
    executor.sleep(SOON).await;
    world.everybody_has_ended().await;
    world.every_key_can_be_had(dice).await;
    let ledger = world.ledger();
    *locked(&lived) = Lived { calls: ledger.calls(), digest: ledger.digest() };
}

impl World {
    fn new(
        executor: Executor,
        trouble: Arc<Trouble>,
        nodes_forget: bool,
        findings: Arc<Mutex<Findings>>,
        dice: &mut Dice,
    ) -> Arc<Self> {
        let drift = |dice: &mut Dice, fault| {
            if !trouble.has(fault) {
                return MachineClock::new(&executor, 0);
            }
            trouble.fire(fault);
            MachineClock::new(&executor, dice.between(0, 2 * DRIFT_PPM_MAX) as i64 - DRIFT_PPM_MAX as i64)
        };
        let nodes = (1..=*dice.one_of(&[1, 3, 3, 5])).map(|number| {
            let clock = drift(dice, Fault::NodeClockDrifts);
            LockNode::new(&executor, format!("node {number}"), clock, Arc::clone(&trouble))
        });
        let nodes = nodes.collect();
        let processes = (0..dice.between(2, 4)).map(|_| (executor.process(), drift(dice, Fault::ProcessClockDrifts)));
        let processes: Vec<_> = processes.collect();
        let queues = Mutex::new(vec![None; processes.len()]);
        let short = (100, SHORT_TTL_MAX_MS);
        let ttls = *dice.one_of(&[short, short, LONG_TTL_MS]);
        let quarantine = if nodes_forget { Quarantine::For(Duration::from_millis(ttls.1)) } else { Quarantine::Off };
        let share_in_line = *dice.one_of(&[0, 500, 1_000]);
        let (ledger, working) = (Mutex::new(Ledger::new()), AtomicUsize::new(0));
        let (healed, is_closing) = (Mutex::new(None), AtomicBool::new(false));
        Arc::new(Self {
            executor,
            trouble,
            nodes,
            processes,
            ttls,
            quarantine,
            share_in_line,
            queues,
            ledger,
            findings,
            working,
            healed,
            is_closing,
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    fn found(&self, invariant: Invariant, what: impl FnOnce() -> String) {
        locked(&self.findings).add(invariant, what);
    }

    fn any_ttl(&self, dice: &mut Dice) -> Duration {
        dice.millis(self.ttls.0, self.ttls.1)
    }

    fn lock(self: &Arc<Self>, process: ProcessId, runtime: &Arc<ProcessRuntime>) -> NotedLock {
        let redlock = Redlock::builder(runtime.clone()).key_prefix("").quarantine(self.quarantine);
        let redlock = self.nodes.iter().fold(redlock, |redlock, node| redlock.server(Arc::new(node.clone())));
        let lock = redlock.build().expect("nodes with names of their own");
        NotedLock { world: Arc::clone(self), process, lock }
    }

    /// A process starts: some of it takes locks by itself, some waits in line.
    fn start(self: &Arc<Self>, process: usize, mut dice: Dice) {
        let (id, clock) = self.processes[process].clone();
        let runtime = ProcessRuntime::new(&self.executor, id, clock, dice.another());
        let lock = self.lock(id, &runtime);
        let manner = Manner::of(self.any_ttl(&mut dice), &mut dice);
        let queue = manner.queue(Arc::new(lock.clone()), Arc::clone(&runtime));
        locked(&self.queues)[process] = Some(queue.clone());
        for _ in 0..dice.between(1, 3) {
            let working = Working::new(self);
            let (runtime, dice, is_in_line) = (runtime.clone(), dice.another(), dice.per_mille(self.share_in_line));
            let tasks = Arc::clone(&runtime);
            if is_in_line {
                let (world, queue) = (Arc::clone(self), queue.clone());
                let caller = InLine { world, process, runtime, manner, queue, dice };
                tasks.spawn(Box::pin(working.during(caller.work())));
            } else {
                let caller = Alone { process, runtime, lock: lock.clone(), dice };
                tasks.spawn(Box::pin(working.during(caller.work())));
            }
        }
    }

    /// A process may use what it was granted for so long by its own clock.
    fn took(&self, process: usize, key: &LockKey, holder: Holder, left: Duration) {
        let (now, (process, clock)) = (self.executor.elapsed(), &self.processes[process]);
        let claim = Claim { process: *process, holder, until: now + clock.really(left) };
        self.executor.tell(|| format!("{process} has {key} until {:?}", claim.until));
        let mut ledger = self.ledger();
        ledger.note(&format!("{now:?} {key} {claim:?}"));
        let other = ledger.claims(key, claim, now);
        drop(ledger);
        if let Some(other) = other {
            self.found(Invariant::LockExcludes, || {
                format!("at {now:?} {process} has {key}, which {} has until {:?}", other.process, other.until)
            });
        }
    }

    /// Nothing has gone wrong since then, and for some time before.
    fn is_quiet_since(&self, then: Duration) -> bool {
        let drifts = |fault: &&Fault| matches!(fault, Fault::ProcessClockDrifts | Fault::NodeClockDrifts);
        match *locked(&self.healed) {
            Some(healed) if then >= healed + self.recovery() => true,
            Some(_) => false,
            None => !FAULTS.iter().filter(|fault| !drifts(fault)).any(|fault| self.trouble.has(*fault)),
        }
    }

    /// How long after the last trouble everything is as it should be.
    fn recovery(&self) -> Duration {
        match self.quarantine {
            Quarantine::For(max_ttl) => RECOVERY + max_ttl,
            Quarantine::Off => RECOVERY,
        }
    }

    /// While everybody goes on, no node keeps for somebody what they do not have.
    async fn look_for_what_is_left_behind(&self, for_so_long: Duration) {
        let until = self.executor.elapsed() + for_so_long;
        while self.executor.elapsed() < until {
            self.executor.sleep(LOOK_EVERY).await;
            let now = self.executor.elapsed();
            for node in &self.nodes {
                for kept in node.keys() {
                    if self.ledger().is_left_behind(&kept, now) {
                        self.found(Invariant::LocksGivenBack, || {
                            format!("at {now:?} {node:?} keeps {kept:?}, which nobody has")
                        });
                    }
                }
            }
        }
    }

    fn heal(&self) {
        self.trouble.heal();
        self.nodes.iter().for_each(|node| node.cut_off(false, false));
        *locked(&self.healed) = Some(self.executor.elapsed());
    }

    async fn everybody_has_ended(&self) {
        let working = self.working.load(Ordering::Relaxed);
        if working > 0 {
            self.found(Invariant::CallsEnd, || format!("{working} wait for a lock for ever"));
        }
        let queues: Vec<LockQueue> = locked(&self.queues).iter().flatten().cloned().collect();
        for queue in queues {
            let left = queue.shutdown(SOON).await;
            if left > 0 {
                self.found(Invariant::CallsEnd, || format!("{queue:?} still has {left} keys"));
            }
        }
    }

    async fn every_key_can_be_had(self: &Arc<Self>, mut dice: Dice) {
        let process = self.executor.process();
        let clock = MachineClock::new(&self.executor, 0);
        let runtime = ProcessRuntime::new(&self.executor, process, clock, dice.another());
        let lock = self.lock(process, &runtime);
        for number in 0..KEYS {
            let ttl = Duration::from_millis(self.ttls.1);
            match lock.acquire_all(&[key(number)], ttl).await {
                Ok(Attempt::Granted(leases)) => drop(lock.release(leases).await),
                other => self.found(Invariant::LocksEnd, || format!("{} is not to be had: {other:?}", key(number))),
            }
        }
        self.executor.sleep(SOON).await;
        for node in &self.nodes {
            let keys = node.keys();
            if !keys.is_empty() {
                self.found(Invariant::LocksEnd, || format!("{node:?} still has {keys:?}"));
            }
        }
    }
}

/// Counts somebody who works, until they have ended, in whatever way.
struct Working(Arc<World>);

impl Working {
    fn new(world: &Arc<World>) -> Self {
        world.working.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(world))
    }

    async fn during(self, work: impl Future<Output = ()>) {
        work.await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}
