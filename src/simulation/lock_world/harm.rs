//! What makes processes and nodes fail.

use std::sync::Arc;

use super::super::dice::Dice;
use super::super::executor::ProcessId;
use super::super::fault::Fault;
use super::{FAULTS, SHORT_TTL_MAX_MS, World};

/// Until the trouble is over.
pub(super) async fn harm(world: Arc<World>, mut dice: Dice) {
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
            Fault::ProcessPausedPastTtl => world.executor.stop(process, dice.millis(SHORT_TTL_MAX_MS, 8_000)),
            Fault::ProcessCrashed | Fault::ProcessRestarted => {
                world.executor.crash(process);
                world.ledger().crashed(process, world.executor.elapsed());
                world.start(at, dice.another());
                world.trouble.fire(Fault::ProcessRestarted);
                world.trouble.fire(Fault::ProcessCrashed);
                continue;
            }
            Fault::NodeCrashed => node.restart(true),
            Fault::NodeForgot => node.restart(false),
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
