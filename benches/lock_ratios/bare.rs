//! The least that a lock at a majority could do.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::aio::MultiplexedConnection;

use crate::turns::{NODES, TTL};

const QUORUM: usize = NODES / 2 + 1;
const DELETE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// A connection to each node, and the digest of the script that deletes.
pub(crate) struct Bare {
    nodes: Vec<MultiplexedConnection>,
    delete: String,
}

impl Bare {
    pub(crate) async fn connect(urls: &[String]) -> Self {
        let (mut nodes, mut delete) = (Vec::new(), String::new());
        for url in urls {
            let client = redis::Client::open(url.as_str()).expect("an address");
            let mut node = client.get_multiplexed_async_connection().await.expect("a connection");
            let loaded = redis::cmd("SCRIPT").arg("LOAD").arg(DELETE).query_async(&mut node).await;
            delete = loaded.expect("the script's digest");
            nodes.push(node);
        }
        Self { nodes, delete }
    }

    pub(crate) async fn acquire_and_release(&self, key: &str) {
        let value: [u8; 16] = std::array::from_fn(|_| rand::random());
        let mut set = redis::cmd("SET");
        set.arg(key).arg(&value[..]).arg("NX").arg("PX").arg(TTL.as_millis() as u64);
        self.at_quorum::<Option<String>>(set, |answer| answer.is_some()).await;
        let mut delete = redis::cmd("EVALSHA");
        delete.arg(&self.delete).arg(1).arg(key).arg(&value[..]);
        self.at_quorum::<u32>(delete, |deleted| deleted == 1).await;
    }

    /// Sends it to all nodes at once, until a majority has agreed.
    async fn at_quorum<T: redis::FromRedisValue + 'static>(&self, command: redis::Cmd, agrees: fn(T) -> bool) {
        let command = Arc::new(command);
        let mut answers: FuturesUnordered<_> = (self.nodes.iter().cloned())
            .map(|mut node| {
                let command = Arc::clone(&command);
                async move { agrees(command.query_async(&mut node).await.expect("the node answers")) }
            })
            .collect();
        let mut agreed = 0;
        while agreed < QUORUM {
            agreed += usize::from(answers.next().await.expect("a majority agrees"));
        }
        if !answers.is_empty() {
            tokio::spawn(async move { while answers.next().await.is_some() {} });
        }
    }
}
