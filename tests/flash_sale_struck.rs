//! The flash sale while its processes stand still: a worker for longer than its lock lasts, and Redis servers in the middle
//! of it.
#![cfg(all(target_os = "linux", feature = "sqlite", any(feature = "redlock", feature = "rslock")))]

mod flash_sale_support;
#[path = "flash_sale_support/on_redis.rs"]
mod on_redis;
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "flash_sale_support/sale_folder.rs"]
mod sale_folder;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flash_sale_support::running::Running;
use flash_sale_support::{command, eventually, number, report, words};
use on_redis::{LOCKS, locks_taken, with_redis};
use redis_servers::{RedisServer, RedisServers, SilentServer};
use rustix::process::{Pid, Signal, kill_process};
use sale_folder::SaleFolder;

fn start(line: &str, redis: &[String]) -> Running {
    Running::start(command([words(line), words("--json"), with_redis(redis)].concat()))
}

/// A machine that is full of sales makes locks look as if they failed.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sale's workers, whether they sell or stand still.
fn workers(sale: &Running) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == sale.id())).filter_map(Pid::from_raw).collect()
}

/// A process's state and its parent.
fn stat(pid: i32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in parentheses and may hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// A worker that stands still. Dropping this lets it go on, also when a test fails.
struct Stopped(Pid);

impl Stopped {
    fn stop(worker: Pid) -> Self {
        kill_process(worker, Signal::STOP).expect("it is there");
        let stopped = Self(worker);
        eventually("it stands still", || stat(worker.as_raw_nonzero().get()).is_none_or(|(state, _)| state == 'T'));
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been killed with its sale.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// Locks, and whose they are.
type Holders = BTreeMap<String, String>;

/// The locks that a server has at this moment.
fn holders_on(server: &RedisServer) -> Holders {
    let keys = server.keys().expect("keys").into_iter();
    keys.map(|key| (key.clone(), server.command(&["GET", &key]).expect("an answer"))).collect()
}

/// Stops a worker that has a lock, and says which lock, and its value. Whoever runs gives its lock back within a small part of
/// this time.
fn stop_a_holder(sale: &mut Running, holders: impl Fn() -> Holders) -> (Stopped, String, String) {
    const LONG_FOR_A_LOCK: Duration = Duration::from_millis(500);
    loop {
        for worker in workers(sale) {
            let stopped = Stopped::stop(worker);
            let (since, mut held) = (Instant::now(), holders());
            while since.elapsed() < LONG_FOR_A_LOCK && !held.is_empty() {
                let now = holders();
                held.retain(|key, value| now.get(key) == Some(value));
            }
            if let Some((key, value)) = held.pop_first() {
                return (stopped, key, value);
            }
        }
        assert!(!sale.is_over(), "it was over before a worker was stopped");
    }
}

fn no_lock_is_left<'a>(servers: impl IntoIterator<Item = &'a RedisServer>) {
    for server in servers {
        eventually("no lock is left", || server.keys().is_ok_and(|keys| keys.is_empty()));
    }
}

/// Nobody sells without the one lock of the event, and it takes far longer than finding out who has that.
const ONE_LOCK: &str = "--processes 3 --buyers 4000 --concurrency 50 --pay-ms 200 --lock-policy event";

/// Another one has its lock when it goes on, in the middle of what it was doing under it.
fn stands_still_past_its_lock(mut sale: Running, holders: impl Fn() -> Holders) {
    let (stopped, key, value) = stop_a_holder(&mut sale, &holders);
    eventually("its lock ends", || holders().get(&key) != Some(&value));
    let has_sold_out = |worker: &Pid| stat(worker.as_raw_nonzero().get()).is_none_or(|(state, _)| state == 'Z');
    let is_alone = || workers(&sale).iter().filter(|it| **it != stopped.0).all(has_sold_out);
    let is_taken = || holders().get(&key).is_some_and(|it| *it != value);
    eventually("another one takes over", || is_taken() || is_alone());
    assert!(!is_alone(), "the others had nothing to do any more before the lock ended");
    drop(stopped);
    let report = report(&sale.wait());
    assert_eq!(number(&report, "killed"), 0, "{report}");
    assert!(number(&report, "bookings") > 100, "{report}");
}

#[test]
fn a_worker_that_stands_still_past_its_lock_sells_nothing_twice() {
    let _alone = alone();
    for lock in LOCKS {
        let servers = RedisServers::start(3).expect("servers");
        let sale = start(&format!("{ONE_LOCK} --lock {lock}"), &servers.urls());
        eventually("locks are taken", || locks_taken(&servers[0]) > 20);
        stands_still_past_its_lock(sale, || holders_on(&servers[0]));
        no_lock_is_left(servers.iter());
    }
}

#[test]
fn a_worker_that_stands_still_past_its_lease_in_a_file_sells_nothing_twice() {
    let _alone = alone();
    let folder = SaleFolder::new();
    let sale = start(&format!("{ONE_LOCK} --lock sqlite {}", folder.option()), &[]);
    eventually("something is sold", || folder.bookings() > 0);
    // One that stands still while it writes a lease has the file, and nobody takes over: as if there were no lease.
    let holders = || if folder.lets_take_leases() { folder.leases() } else { Holders::new() };
    stands_still_past_its_lock(sale, holders);
}

/// What happens to servers while the sale goes on.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// They stand still, and go on before the sale is over.
    Stopped,
    Killed,
    /// They accept connections and say nothing.
    Silent,
    /// They are killed, and start again without their memory before the sale is over.
    Restarted,
}

impl Fault {
    /// Ends with what it answers.
    fn strike(self, struck: &[RedisServer]) -> Vec<SilentServer> {
        // All are down at once.
        for server in struck {
            match self {
                Self::Stopped => server.pause().expect("it stands still"),
                Self::Killed | Self::Silent | Self::Restarted => server.kill(),
            }
        }
        match self {
            Self::Stopped | Self::Killed => Vec::new(),
            Self::Silent => struck.iter().map(|it| SilentServer::on(it.port()).expect("its port")).collect(),
            Self::Restarted => {
                struck.iter().for_each(|it| it.restart().expect("it starts again"));
                Vec::new()
            }
        }
    }

    /// Whether they are there again after [`end`](Self::end).
    fn ends(self) -> bool {
        matches!(self, Self::Stopped | Self::Restarted)
    }

    fn end(self, struck: &[RedisServer]) {
        if matches!(self, Self::Stopped) {
            struck.iter().for_each(|it| it.resume().expect("it goes on"));
        }
    }
}

/// rslock tells none of them from another, and takes a second or more for each lock.
fn faults(lock: &str) -> &'static [Fault] {
    let all = &[Fault::Stopped, Fault::Killed, Fault::Silent, Fault::Restarted];
    if lock == "rslock" { &all[..2] } else { all }
}

#[test]
fn a_server_that_fails_in_the_middle_of_a_sale_stops_nobody() {
    let _alone = alone();
    for lock in LOCKS {
        for fault in faults(lock) {
            let servers = RedisServers::start(3).expect("servers");
            let line =
                format!("--processes 3 --buyers 1000 --concurrency 50 --pay-ms 200 --lock {lock} --lock-policy ticket");
            let mut sale = start(&line, &servers.urls());
            eventually("locks are taken", || locks_taken(&servers[1]) > 20);
            let (well, struck) = servers.split_at(2);
            let silent = fault.strike(struck);
            assert!(!sale.is_over(), "it was over before {fault:?}");
            let taken = locks_taken(&servers[1]);
            eventually("locks are still taken", || locks_taken(&servers[1]) > taken + 20 || sale.is_over());
            // rslock waits for every server in every call, and the service goes on without it.
            assert!(*lock == "rslock" || !sale.is_over(), "{lock} was not used any more, with {fault:?}");
            fault.end(struck);
            let report = report(&sale.wait());
            let has_locked = *lock == "rslock" || number(&report, "lock_acquisitions") > 0;
            assert!(has_locked && number(&report, "bookings") > 100, "{fault:?}: {report}");
            no_lock_is_left(well);
            if fault.ends() {
                no_lock_is_left(struck);
            }
            drop(silent);
        }
    }
}

/// Whether somebody has the same lock on both: with three servers, that is having it.
fn is_held_on(servers: &[RedisServer]) -> bool {
    let (one, other) = (holders_on(&servers[0]), holders_on(&servers[1]));
    one.iter().any(|(key, value)| value != "(nil)" && other.get(key) == Some(value))
}

/// Without a majority nobody has a lock, and the store alone decides who gets a place.
fn a_majority_fails(fault: Fault) {
    let _alone = alone();
    // More than are on their way when it fails.
    const MORE: u64 = 100;
    for lock in LOCKS {
        let (servers, folder) = (RedisServers::start(3).expect("servers"), SaleFolder::new());
        // It goes on for ten seconds, as buyers take their time to pay: the service leaves a lock that fails alone for some of them.
        let kept = folder.option();
        let line = format!(
            "--processes 3 --buyers 2000 --concurrency 20 --pay-ms 300 --lock {lock} --lock-policy ticket {kept}"
        );
        let mut sale = start(&line, &servers.urls());
        eventually("locks are taken", || locks_taken(&servers[1]) > 20);
        let struck = &servers[1..];
        let silent = fault.strike(struck);
        let booked = folder.bookings();
        eventually("it goes on", || folder.bookings() >= booked + MORE || sale.is_over());
        assert!(!sale.is_over(), "it was over before {fault:?}");
        fault.end(struck);
        eventually("locks are taken again", || is_held_on(struck) || sale.is_over());
        assert!(!sale.is_over(), "{lock} was not used any more after {fault:?}");
        report(&sale.wait());
        no_lock_is_left(servers.iter());
        drop(silent);
    }
}

#[test]
fn a_majority_that_stands_still_in_the_middle_of_a_sale_stops_nobody() {
    a_majority_fails(Fault::Stopped);
}

#[test]
fn a_majority_that_forgets_its_locks_in_the_middle_of_a_sale_stops_nobody() {
    a_majority_fails(Fault::Restarted);
}
