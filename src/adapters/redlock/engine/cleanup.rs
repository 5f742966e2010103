//! What is sent to single nodes after a decision, in the background.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::super::server::{Answer, Ask, Link};
use super::Engine;
use super::node::Owed;
use crate::ports::LockToken;

/// For how long a node is waited for that is to give something back: by then most locks have ended by themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives back what a node has granted in vain, on the connection that it was granted on; if that has ended, once on the
/// next one; if there is none, the node is owed it.
pub(super) struct Cleanup {
    pub(super) node: usize,
    pub(super) link: Arc<dyn Link>,
    pub(super) asks: Arc<[Ask]>,
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
                node.owe(Owed::missed(self.asks.iter().cloned()));
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
            if !is_released() {
                let keys = vec![Arc::clone(&self.key)];
                let set = self.link.ask(Arc::from([Ask::Acquire { keys, token: self.token, ttl }]));
                let is_set = match select(set, end).await {
                    Either::Left((Ok(answers), _)) => Some(matches!(answers[..], [Answer::Done])),
                    Either::Left((Err(_), _)) | Either::Right(_) => None,
                };
                let release = Ask::Release { key: Arc::clone(&self.key), token: self.token };
                match is_set {
                    Some(true) if is_released() => {
                        let asks = Arc::from([release]);
                        Cleanup { node: self.node, link: self.link, asks }.spawn(&spawned);
                    }
                    None if is_released() => node.owe(Owed::in_doubt([release])),
                    _ => {}
                }
            }
            spawned.unsettled.close(&self.token);
        });
    }
}
