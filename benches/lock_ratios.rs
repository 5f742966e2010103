//! What the lock over a majority of Redis servers costs beside the least that could do it and beside rslock, as ratios of
//! one run on the same three private servers.
//!
//! `cargo bench --features redlock,rslock --bench lock_ratios`
//!
//! Each ratio is the median of turns that are measured one after the other, again and again. A bar that is missed makes it
//! exit 1.
//!
//! - *bare*: to each node `SET key value NX PX ttl`, and then a script that deletes the key if it has the value, on one
//!   multiplexed connection of the redis crate to each node, sent to all of them at once; either is done when a majority
//!   has agreed. The third answer is read in the background, as the lock does it.
//! - *rslock*: `LockManager::acquire` and `LockGuard::release`, as its own users call them.

use std::process::ExitCode;

#[cfg(not(all(feature = "redlock", feature = "rslock")))]
fn main() -> ExitCode {
    println!("lock_ratios: not compiled in; it needs --features redlock,rslock");
    ExitCode::SUCCESS
}

#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

#[cfg(all(feature = "redlock", feature = "rslock"))]
fn main() -> ExitCode {
    let servers = redis_servers::RedisServers::start(turns::NODES).expect("private Redis servers");
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    let urls = servers.urls();
    // In a task: what is polled by `block_on` itself is woken from another thread each time.
    let is_met = tokio.block_on(async { tokio::spawn(turns::run(urls)).await.expect("no turn panics") });
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(all(feature = "redlock", feature = "rslock"))]
mod turns {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use futures_util::stream::{FuturesUnordered, StreamExt};
    use redis::aio::MultiplexedConnection;
    use ticket_reservation::adapters::redlock::Redlock;
    use ticket_reservation::adapters::rslock::rslock::LockManager;
    use ticket_reservation::ports::{Attempt, Lock, LockKey};
    use tokio::runtime::Handle;

    use crate::runtime::TokioRuntime;

    pub(crate) const NODES: usize = 3;
    const QUORUM: usize = NODES / 2 + 1;
    const TTL: Duration = Duration::from_secs(10);
    /// Turns, and how often a key is acquired and released in each.
    const SERIAL: (usize, u32) = (301, 20);
    const AT_ONCE: (usize, u32) = (15, 150);
    const TASKS: u32 = 64;
    const DELETE: &str =
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

    /// Measures all, and whether the bars are met.
    pub(crate) async fn run(urls: Vec<String>) -> bool {
        let runtime = Arc::new(TokioRuntime::new(Handle::current()));
        let redlock = Redlock::builder(runtime).nodes(urls.clone()).build().expect("valid nodes");
        let bare = Arc::new(Bare::connect(&urls).await);
        let contenders =
            [Contender::Redlock(redlock.clone()), Contender::Bare(bare), Contender::Rslock(LockManager::new(urls))];
        let mut serial = [const { Vec::new() }; 3];
        for _ in 0..SERIAL.0 {
            for (contender, times) in contenders.iter().zip(&mut serial) {
                times.push(serially(contender).await);
            }
        }
        let mut at_once = [const { Vec::new() }; 3];
        for _ in 0..AT_ONCE.0 {
            for (contender, times) in contenders.iter().zip(&mut at_once) {
                times.push(together(contender).await);
            }
        }
        for ((name, one), many) in ["redlock", "bare", "rslock"].into_iter().zip(&serial).zip(&at_once) {
            let (one, many) = (median(one.clone()), 1e6 / median(many.clone()));
            println!("{name}: {one:.0} µs one after the other, {many:.0} a second by {TASKS} tasks");
        }
        let to_bare = print("redlock : bare, serial", ratios(&serial[0], &serial[1]), "at most 1.15");
        print("rslock : redlock, serial", ratios(&serial[2], &serial[0]), "none");
        // Of throughputs, which is the inverse of the times.
        let to_rslock = print("redlock : rslock, 64 tasks", ratios(&at_once[2], &at_once[0]), "at least 2");
        print("redlock : bare, 64 tasks", ratios(&at_once[1], &at_once[0]), "none");
        redlock.shutdown(Duration::from_secs(2)).await;
        to_bare <= 1.15 && to_rslock >= 2.0
    }

    #[derive(Clone)]
    enum Contender {
        Redlock(Redlock),
        Bare(Arc<Bare>),
        Rslock(LockManager),
    }

    impl Contender {
        async fn acquire_and_release(&self, number: u32) {
            match self {
                Self::Redlock(lock) => {
                    let key = LockKey::new(format!("redlock/{number}")).expect("a key");
                    acquire_and_release(lock, &key).await;
                }
                Self::Bare(bare) => bare.acquire_and_release(&format!("bare/{number}")).await,
                Self::Rslock(lock) => {
                    let guard = lock.acquire(format!("rslock/{number}").as_str(), TTL).await;
                    guard.expect("the nodes answer").release().await;
                }
            }
        }
    }

    fn ratios(left: &[f64], right: &[f64]) -> Vec<f64> {
        left.iter().zip(right).map(|(left, right)| left / right).collect()
    }

    fn median(mut of: Vec<f64>) -> f64 {
        of.sort_by(f64::total_cmp);
        of[of.len() / 2]
    }

    fn print(what: &str, mut ratios: Vec<f64>, bar: &str) -> f64 {
        ratios.sort_by(f64::total_cmp);
        let at = |share: usize| ratios[(ratios.len() - 1) * share / 10];
        println!("{what}: {:.2} (eight of ten from {:.2} to {:.2}); bar: {bar}", at(5), at(1), at(9));
        at(5)
    }

    /// The time of one, in microseconds.
    async fn serially(contender: &Contender) -> f64 {
        let started = Instant::now();
        for _ in 0..SERIAL.1 {
            contender.acquire_and_release(0).await;
        }
        started.elapsed().as_secs_f64() * 1e6 / f64::from(SERIAL.1)
    }

    /// The time of one, in microseconds, while all tasks are at it, each with a key of its own.
    async fn together(contender: &Contender) -> f64 {
        let started = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let contender = contender.clone();
                tokio::spawn(async move {
                    for _ in 0..AT_ONCE.1 {
                        contender.acquire_and_release(task).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
        started.elapsed().as_secs_f64() * 1e6 / f64::from(TASKS * AT_ONCE.1)
    }

    async fn acquire_and_release(lock: &Redlock, key: &LockKey) {
        // The node that did not count may still have the last turn's value, for as long as its answer takes.
        loop {
            let answer = lock.acquire_all(std::slice::from_ref(key), TTL).await.expect("the nodes answer");
            if let Attempt::Granted(leases) = answer {
                let _ = lock.release(leases).await.expect("the nodes answer");
                return;
            }
        }
    }

    /// The least that could do it.
    struct Bare {
        nodes: Vec<MultiplexedConnection>,
        delete: String,
    }

    impl Bare {
        async fn connect(urls: &[String]) -> Self {
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

        async fn acquire_and_release(&self, key: &str) {
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
}
