//! What makes processes, nodes and clocks fail while the sale goes on.

use std::sync::Arc;
use std::time::Duration;

use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::ProcessId;
use super::fault::Fault;
use super::lock_node::LockNode;
use super::settings::LOCK_TTL;
use super::shop::{Seller, Shop};

/// What it does, other than to single messages and calls.
const DEEDS: [Fault; 17] = [
    Fault::ProcessPaused,
    Fault::ProcessPausedPastTtl,
    Fault::ProcessCrashed,
    Fault::ProcessClockAhead,
    Fault::ProcessClockBack,
    Fault::NodeCrashed,
    Fault::NodeForgot,
    Fault::NodeFrozen,
    Fault::NodeCutOff,
    Fault::NodeUnreachable,
    Fault::NodeMute,
    Fault::NodeClockAhead,
    Fault::NodeClockBack,
    Fault::StoreSlow,
    Fault::StoreClockAhead,
    Fault::StoreClockBack,
    Fault::ProcessRestarted,
];

const DAYS_MICROS: i64 = 2 * 24 * 60 * 60 * 1_000_000;

/// Does harm until the shop's trouble is over.
pub(super) async fn harm(shop: Arc<Shop>, store_clock: MachineClock, mut dice: Dice) {
    let deeds: Vec<Fault> = DEEDS.into_iter().filter(|fault| shop.trouble.has(*fault)).collect();
    if deeds.is_empty() {
        return;
    }
    let pause_ms = *dice.one_of(&[2_000, 10_000, 40_000]);
    loop {
        let pause = dice.millis(0, pause_ms);
        shop.executor.sleep(pause).await;
        let deed = *dice.one_of(&deeds);
        if !shop.trouble.has(deed) {
            return;
        }
        let seller = dice.below(shop.sellers.len());
        let node = if shop.nodes.is_empty() { None } else { Some(shop.nodes[dice.below(shop.nodes.len())].clone()) };
        shop.executor.tell(|| format!("fault: {}, process {seller}, {node:?}", deed.name()));
        act(&shop, deed, seller, node, &store_clock, &mut dice).await;
    }
}

async fn act(
    shop: &Arc<Shop>,
    deed: Fault,
    seller: usize,
    node: Option<LockNode>,
    store_clock: &MachineClock,
    dice: &mut Dice,
) {
    let it = &shop.sellers[seller];
    // No further than operations are remembered, or mostly nobody could do anything.
    let furthest = if shop.settings.forgets() { shop.settings.retention / 2 } else { Duration::from_secs(90) };
    let jump = dice.between(1, furthest.as_micros() as u64) as i64;
    match (deed, node) {
        (Fault::ProcessPaused, _) => shop.executor.stop(it.process, dice.millis(1, 1_900)),
        (Fault::ProcessPausedPastTtl, _) => {
            shop.executor.stop(it.process, LOCK_TTL + dice.millis(1, 20_000));
        }
        (Fault::ProcessCrashed | Fault::ProcessRestarted, _) => {
            let down = dice.millis(0, 10_000);
            return crash(shop, it, seller, down);
        }
        (Fault::ProcessClockAhead, _) if dice.per_mille(100) => {
            // By days, until somebody sees it.
            it.clock.jump(DAYS_MICROS);
            later(shop, dice.millis(100, 20_000), move |shop| {
                if !shop.is_healed() {
                    shop.sellers[seller].clock.jump(-DAYS_MICROS);
                }
            });
        }
        (Fault::ProcessClockAhead, _) => it.clock.jump(jump),
        (Fault::ProcessClockBack, _) => it.clock.jump(-jump),
        (Fault::StoreSlow, _) => {
            let (slowness, lasts) = (dice.millis(5, 900), dice.millis(100, 20_000));
            shop.store.be_slow(slowness);
            later(shop, lasts, |shop| shop.store.be_slow(Duration::ZERO));
        }
        (Fault::StoreClockAhead, _) => store_clock.jump(jump),
        (Fault::StoreClockBack, _) => store_clock.jump(-jump / 3),
        (_, None) => return,
        (Fault::NodeCrashed, Some(node)) => node.restart(true),
        (Fault::NodeForgot, Some(node)) => node.restart(false),
        (Fault::NodeFrozen, Some(node)) => node.freeze(dice.millis(10, 8_000)),
        (Fault::NodeCutOff | Fault::NodeUnreachable | Fault::NodeMute, Some(node)) => {
            node.cut_off(deed != Fault::NodeMute, deed != Fault::NodeUnreachable);
            later(shop, dice.millis(50, 15_000), move |_| node.cut_off(false, false));
        }
        (Fault::NodeClockAhead, Some(node)) => node.jump_ahead(dice.millis(10, 10_000)),
        (Fault::NodeClockBack, Some(node)) => node.jump_back(dice.millis(10, 10_000)),
        (_, Some(_)) => return,
    }
    shop.trouble.fire(deed);
}

fn crash(shop: &Arc<Shop>, it: &Seller, number: usize, down: Duration) {
    if !shop.is_running(it) {
        return;
    }
    shop.crash(it);
    shop.trouble.fire(Fault::ProcessCrashed);
    later(shop, down, move |shop| {
        let it = &shop.sellers[number];
        if !shop.is_running(it) {
            shop.start(it);
            shop.trouble.fire(Fault::ProcessRestarted);
            shop.executor.tell(|| format!("{} starts again", it.process));
        }
    });
}

fn later(shop: &Arc<Shop>, when: Duration, then: impl FnOnce(&Arc<Shop>) + Send + 'static) {
    let it = Arc::clone(shop);
    let waits = Box::pin(async move {
        it.executor.sleep(when).await;
        then(&it);
    });
    shop.executor.spawn(ProcessId::OUTSIDE, 0, waits);
}
