//! The processes that sell, and what comes of a call of one of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::{Executor, ProcessId, locked};
use super::fault::{Fault, Trouble};
use super::grants_all::GrantsAll;
use super::history::{History, Reply};
use super::lock_node::LockNode;
use super::process::ProcessRuntime;
use super::settings::{LOCK_TTL, LockKind, Settings};
use super::store_client::StoreClient;
use super::store_server::StoreServer;
use crate::adapters::redlock::Redlock;
use crate::booking::{BookingService, Drained, Limits};
use crate::domain::{Command, Policies, ReservationId};
use crate::ports::{Lock, Observation, Observer, Runtime};

/// How often a process settles expired holds, and forgets what is old.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const TALKED_OF_MAX: usize = 24;
/// The longest hold, extensions included.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(30);

/// One process, which may crash and start again.
#[derive(Debug)]
pub(super) struct Seller {
    pub(super) process: ProcessId,
    pub(super) clock: MachineClock,
    runs: Mutex<Option<Runs>>,
    dice: Mutex<Dice>,
}

/// What one life of a process has.
#[derive(Debug, Clone)]
struct Runs {
    runtime: Arc<ProcessRuntime>,
    service: BookingService,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) executor: Executor,
    pub(super) settings: Settings,
    pub(super) trouble: Arc<Trouble>,
    pub(super) store: Arc<StoreServer>,
    pub(super) store_clock: MachineClock,
    pub(super) nodes: Vec<LockNode>,
    pub(super) sellers: Vec<Seller>,
    pub(super) history: History,
    /// How many processes settle expired holds at this moment.
    sweeping: Arc<Mutex<usize>>,
    leases_lost: Arc<LeasesLost>,
    /// The latest reservations that somebody asked for, of which others hear.
    talked_of: Mutex<VecDeque<ReservationId>>,
    is_healed: AtomicBool,
}

/// How many locks ended before their work did.
#[derive(Debug, Default)]
struct LeasesLost(AtomicU64);

impl Observer for LeasesLost {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::LeaseLost { .. } = observation {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a customer hears.
#[derive(Debug, Clone)]
pub(super) enum Heard {
    Reply(Reply),
    /// The process runs, but its answer never comes.
    Nothing,
    /// The process does not run, so it was not even asked.
    Closed,
}

impl Shop {
    pub(super) fn new(
        executor: Executor,
        settings: Settings,
        trouble: Arc<Trouble>,
        store_clock: MachineClock,
        dice: &mut Dice,
    ) -> Arc<Self> {
        let drift = |dice: &mut Dice, fault: Fault| {
            let max = settings.drift_ppm_max;
            if max == 0 || !trouble.has(fault) {
                return MachineClock::new(&executor, 0);
            }
            trouble.fire(fault);
            MachineClock::new(&executor, dice.between(0, 2 * max) as i64 - max as i64)
        };
        let store = StoreServer::new(&executor, store_clock.clone(), settings.retention, Arc::clone(&trouble));
        let nodes = match settings.lock {
            LockKind::Redlock(nodes) => nodes,
            LockKind::None | LockKind::GrantsAll => 0,
        };
        let node = |number: usize| {
            let clock = drift(dice, Fault::NodeClockDrifts);
            LockNode::new(&executor, format!("node {number}"), clock, Arc::clone(&trouble))
        };
        let nodes = (1..=nodes).map(node).collect();
        let seller = |_| Seller {
            process: executor.process(),
            clock: drift(dice, Fault::ProcessClockDrifts),
            runs: Mutex::default(),
            dice: Mutex::new(dice.another()),
        };
        let sellers = (0..settings.processes).map(seller).collect();
        let history = History::new(&executor);
        let (sweeping, leases_lost, is_healed) = (Arc::default(), Arc::default(), AtomicBool::new(false));
        let talked_of = Mutex::default();
        Arc::new(Self {
            executor,
            settings,
            trouble,
            store,
            store_clock,
            nodes,
            sellers,
            history,
            sweeping,
            leases_lost,
            talked_of,
            is_healed,
        })
    }

    /// A process starts.
    pub(super) fn start(self: &Arc<Self>, seller: &Seller) {
        let dice = locked(&seller.dice).another();
        let runtime = ProcessRuntime::new(&self.executor, seller.process, seller.clock.clone(), dice);
        let service = self.service(&runtime, &seller.clock);
        let (shop, sweeps) = (Arc::clone(self), service.clone());
        let clock = Arc::clone(&runtime);
        runtime.spawn(Box::pin(async move {
            loop {
                clock.sleep(SWEEP_EVERY).await;
                if shop.settings.sweeps && !shop.is_healed.load(Ordering::Relaxed) {
                    shop.sweep(&sweeps).await;
                }
            }
        }));
        *locked(&seller.runs) = Some(Runs { runtime, service });
    }

    async fn sweep(&self, service: &BookingService) {
        struct Sweeping(Arc<Mutex<usize>>);
        impl Drop for Sweeping {
            fn drop(&mut self) {
                *locked(&self.0) -= 1;
            }
        }
        let others = {
            let mut sweeping = locked(&self.sweeping);
            *sweeping += 1;
            *sweeping - 1
        };
        let _sweeping = Sweeping(Arc::clone(&self.sweeping));
        // It is what many processes are meant to do, and no fault of anybody's: only counted.
        if others > 0 && self.trouble.has(Fault::SweepersRaced) {
            self.trouble.fire(Fault::SweepersRaced);
        }
        if self.trouble.has(Fault::SweepersRaced) || others == 0 {
            let _ = service.sweep(self.settings.sweep_max).await;
        }
    }

    fn service(&self, runtime: &Arc<ProcessRuntime>, clock: &MachineClock) -> BookingService {
        let settings = &self.settings;
        let policies = Policies {
            hold_ttl: settings.hold_ttl,
            hold_ttl_max: HOLD_MAX,
            late_payment: settings.late_payment,
            retention: settings.retention,
        };
        let limits = Limits::default().lock_ttl(LOCK_TTL).batch_max(settings.batch_max);
        let repository = Arc::new(StoreClient::new(&self.store, clock));
        let builder = BookingService::builder(repository, runtime.clone()).policies(policies).limits(limits);
        let builder = builder.contention(settings.contention).lock_outage(settings.lock_outage);
        let builder = builder.observer(self.leases_lost.clone());
        let lock: Option<Arc<dyn Lock>> = match settings.lock {
            LockKind::None => None,
            LockKind::GrantsAll => Some(Arc::new(GrantsAll::new(runtime.clone(), Arc::clone(&self.trouble)))),
            LockKind::Redlock(_) => {
                let redlock = Redlock::builder(runtime.clone()).key_prefix("");
                let redlock = self.nodes.iter().fold(redlock, |redlock, node| redlock.server(Arc::new(node.clone())));
                Some(Arc::new(redlock.build().expect("nodes with names of their own")))
            }
        };
        let builder = match lock {
            None => builder,
            Some(lock) => builder.lock(lock).lock_policy(settings.lock_policy),
        };
        builder.build().expect("settings within their bounds")
    }

    /// Whether nothing goes wrong any more.
    pub(super) fn is_healed(&self) -> bool {
        self.is_healed.load(Ordering::Relaxed)
    }

    /// How many locks ended before their work did, as the services tell.
    pub(super) fn leases_lost(&self) -> u64 {
        self.leases_lost.0.load(Ordering::Relaxed)
    }

    /// Others hear of it.
    pub(super) fn tell_of(&self, reservation: ReservationId) {
        let mut talked_of = locked(&self.talked_of);
        talked_of.push_back(reservation);
        let too_many = talked_of.len().saturating_sub(TALKED_OF_MAX);
        talked_of.drain(..too_many);
    }

    /// One that somebody asked for.
    pub(super) fn overheard(&self, dice: &mut Dice) -> Option<ReservationId> {
        let talked_of = locked(&self.talked_of);
        talked_of.get(dice.below(talked_of.len())).copied()
    }

    /// A process ends at once.
    pub(super) fn crash(&self, seller: &Seller) {
        let runs = locked(&seller.runs).take();
        self.executor.crash(seller.process);
        drop(runs);
    }

    pub(super) fn is_running(&self, seller: &Seller) -> bool {
        locked(&seller.runs).is_some()
    }

    /// Asks a process. Who asks may go away before the answer.
    pub(super) async fn ask(
        self: &Arc<Self>,
        seller: &Seller,
        command: Command,
        resolves: bool,
        patience: Option<Duration>,
    ) -> Heard {
        let Some(Runs { runtime, service }) = locked(&seller.runs).clone() else { return Heard::Closed };
        self.executor.tell(|| format!("{} is asked {command:?}", seller.process));
        let number = self.history.began(command.clone(), resolves);
        let (heard, hears) = oneshot::channel();
        let (shop, process) = (Arc::clone(self), seller.process);
        let sleeps = Arc::clone(&runtime);
        runtime.spawn(Box::pin(async move {
            let call = async { if resolves { service.resolve(command).await } else { service.submit(command).await } };
            let answer = match patience {
                None => call.await,
                Some(patience) => match select(std::pin::pin!(call), sleeps.sleep(patience)).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => {
                        shop.trouble.fire(Fault::CallDropped);
                        shop.executor.tell(|| format!("{process}: the caller of {number} goes away"));
                        return;
                    }
                },
            };
            shop.executor.tell(|| format!("{process} answers {number}: {answer:?}"));
            let reply = Reply::from(answer);
            shop.history.ended(number, reply.clone());
            let _ = heard.send(reply);
        }));
        hears.await.map_or(Heard::Nothing, Heard::Reply)
    }

    /// Nothing goes wrong any more, everybody runs, clocks agree, and nobody settles expired holds.
    pub(super) fn heal(self: &Arc<Self>) {
        self.trouble.heal();
        self.set_clocks();
        self.store.be_slow(Duration::ZERO);
        for node in &self.nodes {
            node.cut_off(false, false);
            node.put_right();
        }
        for seller in self.sellers.iter().filter(|seller| !self.is_running(seller)) {
            self.start(seller);
        }
        self.is_healed.store(true, Ordering::Relaxed);
    }

    /// Everybody has the time of the store.
    pub(super) fn set_clocks(&self) {
        self.sellers.iter().for_each(|seller| seller.clock.set_by(&self.store_clock));
    }

    /// Ends the process as it should end. Says whether everything came to rest.
    pub(super) async fn close(&self, seller: &Seller) -> bool {
        let Some(Runs { runtime, service }) = locked(&seller.runs).clone() else { return true };
        let (closed, closing) = oneshot::channel();
        runtime.spawn(Box::pin(async move {
            let _ = closed.send(service.shutdown(Duration::from_secs(60)).await == Drained::Completely);
        }));
        closing.await.unwrap_or(false)
    }
}
