//! Connections, and the requests that are on their way.

use std::sync::Arc;

use async_trait::async_trait;
use futures_channel::oneshot;
use ticket_reservation::adapters::redlock::{Ask, Connected, Finding, Life, Link, Refusal, Server, ServerError};
use ticket_reservation::ports::{BoxFuture, Runtime};

use super::state::{Connection, Replied, Sent};
use super::{Connecting, Fault, Redis};

impl Redis {
    /// A request is sent; it is done when it arrives, after what was sent before on the same connection.
    fn send(&self, connection: u64, asks: Arc<[Ask]>) -> Option<oneshot::Receiver<Replied>> {
        let now = self.0.sim.elapsed();
        let (sender, receiver) = oneshot::channel();
        let due = {
            let mut state = self.state();
            state.counts.saw(&asks);
            let due = now + state.delay;
            state.next_id += 1;
            let id = state.next_id;
            let open = state.connections.get_mut(&connection)?;
            open.last_due = open.last_due.max(due);
            open.waiting.insert(id, sender);
            open.on_the_way.push_back(Sent { connection, id, asks });
            open.last_due
        };
        let (redis, sleep) = (self.clone(), self.0.sim.sleep(due.saturating_sub(now)));
        drop(self.0.sim.start(async move {
            sleep.await;
            // The first of its connection, which is this one or was due with it.
            let arrives = redis.state().connections.get_mut(&connection).and_then(|open| open.on_the_way.pop_front());
            if let Some(sent) = arrives.filter(|_| !redis.is_silent(connection)) {
                redis.arrived(sent);
            }
        }));
        Some(receiver)
    }

    fn is_silent(&self, connection: u64) -> bool {
        self.state().connections.get(&connection).is_none_or(|open| open.is_silent)
    }

    pub(super) fn arrived(&self, sent: Sent) {
        let mut state = self.state();
        if state.is_frozen {
            state.backlog.push(sent);
            return;
        }
        let now = self.0.sim.elapsed();
        let replied = match state.faults.pop_front() {
            Some(Fault::LostBefore) => None,
            Some(Fault::Ignored) => return,
            Some(Fault::LostAfter) => {
                state.answers(&sent.asks, now);
                None
            }
            Some(Fault::Refused(code)) => Some(Err(ServerError::Refused(Refusal::from_code(code)))),
            None => Some(Ok(state.answers(&sent.asks, now))),
        };
        let Some(replied) = replied else {
            let lost = state.connections.remove(&sent.connection);
            drop(state);
            drop(lost);
            return;
        };
        // Nobody hears it when the connection has ended.
        let open = state.connections.get_mut(&sent.connection).filter(|open| !open.is_silent);
        let waiter = open.and_then(|open| open.waiting.remove(&sent.id));
        drop(state);
        if let Some(waiter) = waiter {
            let _ = waiter.send(replied);
        }
    }
}

fn closed() -> ServerError {
    ServerError::Closed(Arc::from("the connection has ended"))
}

/// Counts an attempt to connect for as long as it goes on, also when it is dropped.
struct Attempting(Redis);

impl Attempting {
    fn new(redis: &Redis) -> Self {
        let mut state = redis.state();
        state.counts.connects += 1;
        state.counts.connecting += 1;
        state.counts.connecting_max = state.counts.connecting_max.max(state.counts.connecting);
        Self(redis.clone())
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        self.0.state().counts.connecting -= 1;
    }
}

#[async_trait]
impl Server for Redis {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn connect(&self) -> Result<Connected, ServerError> {
        let _attempting = Attempting::new(self);
        let delay = self.state().connect_delay;
        self.0.sim.sleep(delay).await;
        let how = self.state().connecting;
        match how {
            Connecting::Works => {}
            Connecting::Fails => return Err(ServerError::Closed(Arc::from("nobody listens"))),
            Connecting::Hangs => std::future::pending().await,
            Connecting::Panics => panic!("a bug of the client's"),
            Connecting::Refused(code) => return Err(ServerError::Refused(Refusal::from_code(code))),
        }
        loop {
            let (thawed, waiting) = oneshot::channel();
            {
                let mut state = self.state();
                if !state.is_frozen {
                    break;
                }
                state.thawed.push(thawed);
            }
            let _ = waiting.await;
        }
        let mut state = self.state();
        state.next_id += 1;
        let connection = state.next_id;
        state.connections.insert(connection, Connection::default());
        let life = Life {
            run_id: Arc::from(format!("{} {}", self.0.name, state.life)),
            uptime: self.0.sim.elapsed() - state.started,
        };
        let link = Arc::new(RedisLink { redis: self.clone(), connection });
        Ok(Connected { link, life: state.says_life.then_some(life) })
    }
}

#[derive(Debug, Clone)]
struct RedisLink {
    redis: Redis,
    connection: u64,
}

impl Link for RedisLink {
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Replied> {
        let link = self.clone();
        Box::pin(async move {
            let answered = link.redis.send(link.connection, asks).ok_or_else(closed)?;
            answered.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    fn check(&self, _: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>> {
        let findings = self.redis.state().findings.clone();
        Box::pin(async move { Ok(findings) })
    }
}
