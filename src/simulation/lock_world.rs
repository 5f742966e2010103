//! A world of locks alone: processes take, extend and give back, and two never have the same one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::Findings;
use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::{Executor, ProcessId, locked};
use super::fault::{Fault, Trouble};
use super::invariant::Invariant;
use super::lock_node::LockNode;
use super::process::ProcessRuntime;
use crate::adapters::redlock::Redlock;
use crate::ports::{Attempt, Clock, Extended, Lease, Lock, LockKey, LockToken, Runtime};

/// What may go wrong while Redlock still promises that locks exclude: no node forgets, and clocks go at nearly the same pace.
pub(super) const FAULTS: [Fault; 14] = [
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
];

/// How far clocks are off, at most: well within what the engine allows for.
const DRIFT_PPM_MAX: u64 = 3_000;
const TTL_MAX_MS: u64 = 2_000;
const SOON: Duration = Duration::from_secs(60);

/// Who relies on which lock, by the clock of everything.
#[derive(Debug, Default)]
struct Holders {
    held: Mutex<BTreeMap<LockKey, (ProcessId, LockToken, Duration)>>,
    calls: AtomicU64,
}

#[derive(Debug)]
struct World {
    executor: Executor,
    trouble: Arc<Trouble>,
    nodes: Vec<LockNode>,
    processes: Vec<(ProcessId, MachineClock)>,
    holders: Holders,
    findings: Arc<Mutex<Findings>>,
    is_closing: AtomicBool,
}

/// Lives through it. Answers how many calls there were.
pub(super) async fn live(
    executor: Executor,
    trouble: Arc<Trouble>,
    mut dice: Dice,
    findings: Arc<Mutex<Findings>>,
    requests: Arc<AtomicU64>,
) {
    let drift = |dice: &mut Dice, fault| {
        if !trouble.has(fault) {
            return MachineClock::new(&executor, 0);
        }
        trouble.fire(fault);
        MachineClock::new(&executor, dice.between(0, 2 * DRIFT_PPM_MAX) as i64 - DRIFT_PPM_MAX as i64)
    };
    let nodes = (1..=*dice.one_of(&[1, 3, 3, 5])).map(|number| {
        let clock = drift(&mut dice, Fault::NodeClockDrifts);
        LockNode::new(&executor, format!("node {number}"), clock, Arc::clone(&trouble))
    });
    let nodes = nodes.collect();
    let processes = (0..dice.between(2, 4)).map(|_| (executor.process(), drift(&mut dice, Fault::ProcessClockDrifts)));
    let processes = processes.collect();
    let length = Duration::from_secs(dice.between(100, 600));
    let (holders, is_closing) = (Holders::default(), AtomicBool::new(false));
    let world =
        Arc::new(World { executor: executor.clone(), trouble, nodes, processes, holders, findings, is_closing });
    (0..world.processes.len()).for_each(|process| world.start(process, dice.another()));
    executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(harm(Arc::clone(&world), dice.another())));
    executor.sleep(length).await;

    executor.tell(|| "nothing goes wrong any more".to_owned());
    world.trouble.heal();
    world.nodes.iter().for_each(|node| node.cut_off(false, false));
    world.is_closing.store(true, Ordering::Relaxed);
    executor.sleep(SOON).await;
    world.every_key_can_be_had(dice).await;
    for node in &world.nodes {
        let keys = node.keys();
        if !keys.is_empty() {
            world.found(Invariant::LocksEnd, || format!("{node:?} still has {keys:?}"));
        }
    }
    requests.store(world.holders.calls.load(Ordering::Relaxed), Ordering::Relaxed);
}

fn key(number: usize) -> LockKey {
    LockKey::new(format!("key-{number}")).expect("a key")
}

const KEYS: usize = 2;

impl World {
    fn found(&self, invariant: Invariant, what: impl FnOnce() -> String) {
        locked(&self.findings).add(invariant, what);
    }

    fn start(self: &Arc<Self>, process: usize, mut dice: Dice) {
        let (id, clock) = self.processes[process].clone();
        let runtime = ProcessRuntime::new(&self.executor, id, clock, dice.another());
        let redlock = Redlock::builder(runtime.clone()).key_prefix("");
        let redlock = self.nodes.iter().fold(redlock, |redlock, node| redlock.server(Arc::new(node.clone())));
        let lock = redlock.build().expect("nodes with names of their own");
        for _ in 0..dice.between(1, 3) {
            let (world, lock, dice) = (Arc::clone(self), lock.clone(), dice.another());
            let worker = Worker { world, process, runtime: runtime.clone(), lock, dice };
            runtime.spawn(Box::pin(worker.work()));
        }
    }

    async fn every_key_can_be_had(self: &Arc<Self>, mut dice: Dice) {
        let process = self.executor.process();
        let runtime =
            ProcessRuntime::new(&self.executor, process, MachineClock::new(&self.executor, 0), dice.another());
        let redlock = Redlock::builder(runtime).key_prefix("");
        let redlock = self.nodes.iter().fold(redlock, |redlock, node| redlock.server(Arc::new(node.clone())));
        let lock = redlock.build().expect("nodes with names of their own");
        for number in 0..KEYS {
            let ttl = Duration::from_millis(TTL_MAX_MS);
            match lock.acquire_all(&[key(number)], ttl).await {
                Ok(Attempt::Granted(leases)) => drop(lock.release(leases).await),
                other => self.found(Invariant::LocksEnd, || format!("{} is not to be had: {other:?}", key(number))),
            }
        }
        self.executor.sleep(SOON).await;
    }

    /// A process may use what it was granted until then.
    fn took(&self, process: usize, lease: &Lease, now_there: std::time::Instant) {
        let (now, (id, clock)) = (self.executor.elapsed(), &self.processes[process]);
        let until = now + clock.really(lease.deadline().saturating_duration_since(now_there));
        self.executor.tell(|| format!("{id} has {} until {until:?}", lease.key()));
        let before = locked(&self.holders.held).insert(lease.key().clone(), (*id, *lease.token(), until));
        if let Some((other, _, its)) = before.filter(|(_, token, its)| token != lease.token() && *its > now) {
            self.found(Invariant::LockExcludes, || {
                format!("at {now:?} {id} is granted {}, which {other} has until {its:?}", lease.key())
            });
        }
    }

    fn gives_up(&self, lease: &Lease) {
        let mut held = locked(&self.holders.held);
        if held.get(lease.key()).is_some_and(|(_, token, _)| token == lease.token()) {
            held.remove(lease.key());
        }
    }
}

struct Worker {
    world: Arc<World>,
    process: usize,
    runtime: Arc<ProcessRuntime>,
    lock: Redlock,
    dice: Dice,
}

impl Worker {
    async fn work(mut self) {
        while !self.world.is_closing.load(Ordering::Relaxed) {
            self.pause(1_500).await;
            let ttl = self.dice.millis(100, TTL_MAX_MS);
            let keys: Vec<LockKey> =
                if self.dice.per_mille(200) { (0..KEYS).map(key).collect() } else { vec![key(self.dice.below(KEYS))] };
            self.called();
            let Ok(Attempt::Granted(mut leases)) = self.lock.acquire_all(&keys, ttl).await else { continue };
            self.took(&leases);
            self.pause(ttl.as_millis() as u64).await;
            while self.dice.per_mille(400) {
                self.called();
                let ttl = self.dice.millis(100, TTL_MAX_MS);
                let Ok(extended) = self.lock.extend(&mut leases, ttl).await else { break };
                if extended.iter().any(|it| *it != Extended::Extended) {
                    break;
                }
                self.took(&leases);
                self.pause(ttl.as_millis() as u64).await;
            }
            leases.iter().for_each(|lease| self.world.gives_up(lease));
            self.called();
            let _ = self.lock.release(leases).await;
        }
    }

    /// Whoever is granted a lock may use it at once, if it has not ended meanwhile.
    fn took(&self, leases: &[Lease]) {
        let now = self.runtime.now();
        for lease in leases.iter().filter(|lease| lease.deadline() > now) {
            self.world.took(self.process, lease, now);
        }
    }

    fn called(&self) {
        self.world.holders.calls.fetch_add(1, Ordering::Relaxed);
    }

    async fn pause(&mut self, longest_ms: u64) {
        let pause = self.dice.millis(0, longest_ms);
        self.runtime.sleep(pause).await;
    }
}

async fn harm(world: Arc<World>, mut dice: Dice) {
    let deeds: Vec<Fault> = FAULTS[3..].iter().copied().filter(|fault| world.trouble.has(*fault)).collect();
    let pause_ms = *dice.one_of(&[500, 3_000, 15_000]);
    loop {
        world.executor.sleep(dice.millis(0, pause_ms)).await;
        let deed = if deeds.is_empty() { return } else { *dice.one_of(&deeds) };
        if !world.trouble.has(deed) {
            return;
        }
        let at = dice.below(world.processes.len());
        let process = world.processes[at].0;
        let node = &world.nodes[dice.below(world.nodes.len())];
        world.executor.tell(|| format!("fault: {}, {process}, {node:?}", deed.name()));
        match deed {
            Fault::ProcessPaused => world.executor.stop(process, dice.millis(1, 100)),
            Fault::ProcessPausedPastTtl => world.executor.stop(process, dice.millis(TTL_MAX_MS, 8_000)),
            Fault::ProcessCrashed | Fault::ProcessRestarted => {
                world.executor.crash(process);
                // Nobody uses what it had any more.
                locked(&world.holders.held).retain(|_, (owner, _, _)| *owner != process);
                world.start(at, dice.another());
                world.trouble.fire(Fault::ProcessRestarted);
                world.trouble.fire(Fault::ProcessCrashed);
                continue;
            }
            Fault::NodeCrashed => node.restart(true),
            Fault::NodeFrozen => node.freeze(dice.millis(10, 5_000)),
            Fault::NodeCutOff | Fault::NodeUnreachable | Fault::NodeMute => {
                node.cut_off(deed != Fault::NodeMute, deed != Fault::NodeUnreachable);
                let (it, lasts) = (node.clone(), world.executor.sleep(dice.millis(50, 5_000)));
                let ends = async move {
                    lasts.await;
                    it.cut_off(false, false);
                };
                world.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(ends));
            }
            _ => continue,
        }
        world.trouble.fire(deed);
    }
}
