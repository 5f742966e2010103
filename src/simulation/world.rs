//! One world from its beginning to its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};

use super::check::{Evidence, Findings, check};
use super::clock::MachineClock;
use super::customer::Customer;
use super::dice::Dice;
use super::digest;
use super::evidence::{all_pools, all_reservations, all_tickets, gather};
use super::executor::{Executor, Halt, ProcessId, locked};
use super::fault::{Fault, Fired, Trouble};
use super::hall;
use super::history::{Call, Reply};
use super::invariant::{Invariant, Violation};
use super::lock_world::{self, Lived};
use super::nemesis::harm;
use super::reader::Reader;
use super::settings::{LockKind, Settings};
use super::shop::{HOLD_MAX, Heard, Shop};
use super::skew;
use super::store_client::StoreClient;
use super::trace::Trace;
use crate::domain::{Action, CreateEvent, Hold, Import, Lines, OperationId, ReservationState, TicketState};
use crate::ports::Clock;

/// How long it is until everybody has gone home who has no reason to stay, at most.
const GOES_HOME: Duration = Duration::from_secs(600);
/// How long something may take when nothing goes wrong any more.
const SOON: Duration = Duration::from_secs(60);

/// What happened in one world.
#[derive(Debug, Clone)]
pub struct WorldReport {
    /// What it was made from.
    pub seed: u64,
    /// How much time passed in it.
    pub virtual_time: Duration,
    /// How many calls there were.
    pub requests: u64,
    /// How many of them booked something, for the first time.
    pub bookings: u64,
    /// What went wrong, how often.
    pub faults: Fired,
    /// What was not as it must be.
    pub violations: Vec<Violation>,
    /// Another one if anything was different.
    pub digest: u64,
}

/// Runs the world of this seed: a sale, or now and then locks alone.
#[must_use]
pub fn run_world(seed: u64, trace: Trace) -> WorldReport {
    let mut dice = Dice::new(seed);
    let executor = Executor::new(dice.another(), trace);
    let report = if is_of_locks(&mut dice) { locks(seed, &executor, dice) } else { sale(seed, &executor, dice) };
    executor.end();
    report
}

/// About one world in eight.
fn is_of_locks(dice: &mut Dice) -> bool {
    dice.per_mille(120)
}

fn locks(seed: u64, executor: &Executor, mut dice: Dice) -> WorldReport {
    let nodes_forget = dice.per_mille(300);
    let possible = |fault| lock_world::FAULTS.contains(&fault) && (nodes_forget || fault != Fault::NodeForgot);
    let trouble = Arc::new(Trouble::new(dice.another(), possible));
    let (findings, lived) = (Arc::<Mutex<Findings>>::default(), Arc::<Mutex<Lived>>::default());
    let lives = lock_world::live(
        executor.clone(),
        Arc::clone(&trouble),
        dice,
        nodes_forget,
        Arc::clone(&findings),
        Arc::clone(&lived),
    );
    let ended = executor.run(lives);
    let findings = all_findings(executor, ended, &findings);
    let Lived { calls: requests, digest } = *locked(&lived);
    let (virtual_time, faults) = (executor.elapsed(), trouble.fired());
    let digest = digest::fnv(&format!("{virtual_time:?} {requests} {faults:?}"), digest);
    WorldReport { seed, virtual_time, requests, bookings: 0, faults, violations: findings.0, digest }
}

fn all_findings(executor: &Executor, ended: Result<(), Halt>, findings: &Mutex<Findings>) -> Findings {
    let mut findings = std::mem::take(&mut *locked(findings));
    let halt = match ended {
        Ok(()) => None,
        Err(Halt::Deadlock) => Some("everybody waits for somebody"),
        Err(Halt::Spinning) => Some("somebody goes on and on at one moment"),
        Err(Halt::Endless) => Some("it does not come to its end"),
    };
    if let Some(halt) = halt {
        findings.add(Invariant::CallsEnd, || halt.to_owned());
    }
    for panic in executor.panics() {
        findings.add(Invariant::NoPanic, || panic);
    }
    findings
}

/// A sale that is over.
struct Over {
    shop: Arc<Shop>,
    evidence: Evidence,
    findings: Findings,
}

fn hold_sale(executor: &Executor, mut dice: Dice) -> Over {
    let settings = Settings::of(&mut dice);
    let with_nodes = matches!(settings.lock, LockKind::Redlock(_));
    let are_locks_left_alone = dice.per_mille(100);
    let possible =
        |fault: Fault| (with_nodes || !fault.needs_nodes()) && (!are_locks_left_alone || fault.leaves_locks_alone());
    let trouble = Arc::new(Trouble::new(dice.another(), possible));
    executor.tell(|| format!("{settings:?}"));
    let store_clock = MachineClock::new(executor, 0);
    let shop = Shop::new(executor.clone(), settings, trouble, store_clock.clone(), &mut dice);
    let findings = Arc::<Mutex<Findings>>::default();
    let ended = executor.run(live(Arc::clone(&shop), store_clock, dice, Arc::clone(&findings)));
    let findings = all_findings(executor, ended, &findings);
    Over { evidence: gather(&shop), shop, findings }
}

fn sale(seed: u64, executor: &Executor, dice: Dice) -> WorldReport {
    let Over { shop, evidence, mut findings } = hold_sale(executor, dice);
    check(&evidence, &mut findings);
    let is_new_booking = |call: &&Call| {
        matches!((&call.command.action, &call.ended),
            (Action::Confirm { .. }, Some((_, Reply::Done(receipt)))) if !receipt.repeated)
    };
    let report = WorldReport {
        seed,
        virtual_time: executor.elapsed(),
        requests: shop.history.len() as u64,
        bookings: evidence.calls.iter().filter(is_new_booking).count() as u64,
        faults: shop.trouble.fired(),
        violations: findings.0,
        digest: digest::of_sale(&evidence),
    };
    shop.sellers.iter().for_each(|seller| shop.crash(seller));
    report
}

/// What is there when the sale of this seed has ended, if it is one.
#[cfg(test)]
pub(super) fn evidence_of(seed: u64) -> Option<Evidence> {
    let mut dice = Dice::new(seed);
    let executor = Executor::new(dice.another(), Trace::off());
    if is_of_locks(&mut dice) {
        return None;
    }
    let Over { shop, evidence, .. } = hold_sale(&executor, dice);
    shop.sellers.iter().for_each(|seller| shop.crash(seller));
    executor.end();
    Some(evidence)
}

async fn live(shop: Arc<Shop>, store_clock: MachineClock, mut dice: Dice, findings: Arc<Mutex<Findings>>) {
    let found = |invariant, what: String| locked(&findings).add(invariant, || what);
    shop.sellers.iter().for_each(|seller| shop.start(seller));
    let is_closing = Arc::new(AtomicBool::new(false));
    let mut office = Customer {
        shop: Arc::clone(&shop),
        dice: dice.another(),
        name: hall::customer(1_000),
        is_closing: Arc::clone(&is_closing),
    };
    let terms = CreateEvent { window: shop.settings.window(), limit_per_customer: shop.settings.limit_per_customer };
    let is_there = || !all_tickets(shop.store.tables()).is_empty();
    let (tickets, pools) = (hall::places(&shop.settings), hall::pools(&shop.settings));
    let import = Action::Import(Import { tickets, pools, last: true });
    while !is_there() && shop.executor.elapsed() < SOON * 10 {
        office.insist(Action::CreateEvent(terms.clone())).await;
        office.insist(import.clone()).await;
    }

    let nemesis = harm(Arc::clone(&shop), store_clock.clone(), dice.another());
    shop.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(nemesis));
    let pairs = skew::meet(Arc::clone(&shop), StoreClient::new(&shop.store, &store_clock), dice.another());
    shop.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(pairs));
    let reader = Reader::new(Arc::clone(&shop), StoreClient::new(&shop.store, &store_clock), dice.another());
    let (stops, reader_stops) = futures_channel::oneshot::channel();
    let (reads, stop) = (reader.follow(Arc::clone(&is_closing)), |reader| drop(stops.send(reader)));
    shop.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(reads.map(stop)));
    let customers = (0..shop.settings.customers).map(|number| {
        let (shop, dice, is_closing) = (Arc::clone(&shop), dice.another(), Arc::clone(&is_closing));
        let (home, went) = futures_channel::oneshot::channel();
        let customer = Customer { shop: Arc::clone(&shop), dice, name: hall::customer(number), is_closing };
        let buys = async move {
            customer.buy().await;
            let _ = home.send(());
        };
        shop.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(buys));
        went
    });
    let customers: Vec<_> = customers.collect();
    shop.executor.sleep(shop.settings.length).await;

    shop.executor.tell(|| "nothing goes wrong any more".to_owned());
    shop.heal();
    is_closing.store(true, Ordering::Relaxed);
    match select(join_all(customers), shop.executor.sleep(GOES_HOME)).await {
        Either::Left(_) => {}
        Either::Right(_) => found(Invariant::CallsEnd, "customers wait for ever".to_owned()),
    }
    // What was sent before may still arrive.
    shop.executor.sleep(SOON).await;
    settle(&shop, &mut office, &found).await;
    sell_what_is_left(&shop, &mut office, &store_clock, &found).await;
    for pair in skew::both_won(&shop) {
        found(Invariant::ReadsHold, format!("of pair {pair} both have won, who read what the other writes"));
    }
    match select(reader_stops, shop.executor.sleep(GOES_HOME)).await {
        Either::Left((Ok(reader), _)) => {
            if let Some(wrong) = reader.believes_wrongly(SOON).await {
                found(Invariant::FeedTellsAll, wrong);
            }
        }
        _ => found(Invariant::CallsEnd, "who follows the feed waits for ever".to_owned()),
    }
    for seller in &shop.sellers {
        if !shop.close(seller).await {
            found(Invariant::CallsEnd, format!("{} does not come to rest", seller.process));
        }
    }
    shop.executor.sleep(SOON).await;
    let (fired, lost) = (shop.trouble.fired(), shop.leases_lost());
    let is_lock_struck = fired.iter().any(|(fault, count)| count > 0 && !fault.leaves_locks_alone());
    if lost > 0 && !is_lock_struck {
        found(Invariant::LeasesKept, format!("nothing has happened to any lock, and {lost} were lost"));
    }
    for node in &shop.nodes {
        let keys = node.keys();
        if !keys.is_empty() {
            found(Invariant::LocksEnd, format!("{node:?} still has {keys:?}"));
        }
    }
}

/// Everybody who does not know asks once more, and is told.
async fn settle(shop: &Arc<Shop>, office: &mut Customer, found: &impl Fn(Invariant, String)) {
    let mut open: BTreeMap<OperationId, Call> = BTreeMap::new();
    for call in shop.history.calls() {
        match &call.ended {
            None | Some((_, Reply::Unknown)) => {
                open.insert(call.command.operation, call);
            }
            Some((_, Reply::Done(_))) => {
                open.remove(&call.command.operation);
            }
            Some((_, Reply::Refused(_))) if call.resolves => {
                open.remove(&call.command.operation);
            }
            Some(_) => {}
        }
    }
    for (operation, call) in open {
        let began = shop.executor.elapsed();
        loop {
            let seller = &shop.sellers[office.dice.below(shop.sellers.len())];
            let asked = shop.ask(seller, call.command.clone(), true, None);
            let heard = match select(std::pin::pin!(asked), shop.executor.sleep(SOON)).await {
                Either::Left((heard, _)) => heard,
                Either::Right(_) => Heard::Nothing,
            };
            if matches!(heard, Heard::Reply(Reply::Done(_) | Reply::Refused(_))) {
                break;
            }
            // What may be forgotten nobody will ever know.
            if matches!(heard, Heard::Reply(Reply::Unknown)) && operation.made_at() < shop.store.forgets_before() {
                break;
            }
            // Somebody may still have its locks.
            if shop.executor.elapsed() - began > SOON {
                found(Invariant::CallsEnd, format!("{operation} is resolved with {heard:?}"));
                break;
            }
            shop.executor.sleep(Duration::from_millis(100)).await;
        }
    }
}

/// When every hold has expired, all that is not booked can be bought, although nobody has settled anything; where the sale closes, its
/// tickets can be blocked. Nobody can have places of its pools any more, so these are not looked at.
async fn sell_what_is_left(
    shop: &Arc<Shop>,
    office: &mut Customer,
    store_clock: &MachineClock,
    found: &impl Fn(Invariant, String),
) {
    let tables = shop.store.tables();
    let window = shop.settings.window();
    let deadlines = all_reservations(shop).into_iter().filter_map(|(_, reservation)| match reservation.state {
        ReservationState::Held { until } => Some(until),
        _ => None,
    });
    // Operations are refused as too old that are made before what a clock that was ahead has forgotten.
    let awaited = deadlines.chain(window.opens).chain([shop.store.forgets_before()]).max();
    if let Some(awaited) = awaited {
        // The store's clock may have jumped back, any number of times.
        shop.executor.sleep(awaited.since(store_clock.unix_time()) + Duration::from_millis(1)).await;
    }
    // The processes' have drifted in that time.
    shop.set_clocks();
    let mut left = Vec::new();
    for (id, _, ticket) in all_tickets(tables) {
        if !matches!(ticket.state, TicketState::Booked { .. } | TicketState::Blocked { .. }) {
            left.push(Lines::merge([id], []).unwrap_or_default());
        }
    }
    if window.closes.is_some() {
        for lines in left {
            let block = Action::Block { tickets: lines.tickets().to_vec(), reason: hall::reason() };
            if office.insist(block.clone()).await.is_none() {
                found(Invariant::ExpiredIsSellable, format!("{block:?} is refused"));
            }
        }
        return;
    }
    for (id, _, pool) in all_pools(tables) {
        let free = pool.capacity.saturating_sub(pool.booked);
        left.extend((0..free).map(|_| Lines::merge([], [(id.clone(), 1)]).unwrap_or_default()));
    }
    for (number, lines) in left.into_iter().enumerate() {
        office.name = hall::customer(2_000 + number);
        let reservation = office.new_reservation();
        let hold = Hold::new(reservation, office.name.clone(), lines).with_ttl(HOLD_MAX);
        let began = shop.executor.elapsed();
        let is_sold = office.insist(Action::Hold(hold.clone())).await.is_some();
        let took = shop.executor.elapsed() - began;
        if !is_sold || took > SOON {
            found(Invariant::ExpiredIsSellable, format!("{hold:?} is not to be had, after {took:?}"));
        }
    }
}
