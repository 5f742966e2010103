//! What is sent to single nodes after a decision, in the background.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::super::server::{Answer, Ask, Link};
use super::Engine;
use crate::ports::LockToken;

/// For how long a node is waited for that is to give something back: by then most locks have ended by themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives back what a node has granted in vain, on the connection that it was granted on; if that has ended, once on the
/// next one; if there is none, the node is owed it.
pub(super) struct Cleanup {
    pub(super) node: usize,
    pub(super) link: Arc<dyn Link>,
    pub(super) asks: Arc<[Ask]>,
    /// When it ends by itself.
    pub(super) until: Instant,
}

impl Cleanup {
    pub(super) fn spawn(self, engine: &Arc<Engine>) {
        let node = Arc::clone(&engine.nodes[self.node]);
        let patience = engine.runtime.sleep(PATIENCE);
        engine.background.spawn(async move {
            let given_back = async {
                self.link.ask(Arc::clone(&self.asks)).await.is_ok()
                    || Arc::clone(&node).ask(Arc::clone(&self.asks)).await.is_ok()
            };
            if !matches!(select(pin!(given_back), patience).await, Either::Left((true, _))) {
                node.owe(self.asks.iter().map(|release| (release.clone(), self.until)).collect());
            }
        });
    }
}

/// Sets a key again on a node that has forgotten it, if it is absent there.
pub(super) struct Heal {
    pub(super) key: Arc<str>,
    pub(super) token: LockToken,
    /// When the key ends on the other nodes, at the earliest.
    pub(super) until: Instant,
    pub(super) node: usize,
    pub(super) link: Arc<dyn Link>,
}

impl Heal {
    pub(super) fn spawn(self, engine: &Arc<Engine>) {
        let ttl = self.until.saturating_duration_since(engine.runtime.now());
        if ttl.as_millis() == 0 {
            return;
        }
        // Before the caller can release it.
        engine.unsettled.open(self.token);
        let (spawned, node) = (Arc::clone(engine), Arc::clone(&engine.nodes[self.node]));
        let end = engine.runtime.sleep(ttl);
        engine.background.spawn(async move {
            let is_released = || spawned.unsettled.released_of(&self.token).contains(&self.key);
            let healed = async {
                if is_released() {
                    return;
                }
                let keys = vec![Arc::clone(&self.key)];
                let set: Arc<[Ask]> = Arc::from([Ask::Acquire { keys, token: self.token, ttl }]);
                let healed = self.link.ask(set).await;
                let may_be_set = healed.as_deref().map_or(true, |answers| matches!(answers, [Answer::Done]));
                if may_be_set && is_released() {
                    let release = Ask::Release { key: Arc::clone(&self.key), token: self.token };
                    if self.link.ask(Arc::from([release.clone()])).await.is_err() {
                        node.owe(vec![(release, self.until)]);
                    }
                }
            };
            select(pin!(healed), end).await;
            spawned.unsettled.close(&self.token);
        });
    }
}
