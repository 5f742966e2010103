//! The flash sale while its processes stand still: a worker for longer than its lock lasts, and Redis servers in the middle
//! of it.
#![cfg(all(target_os = "linux", feature = "sqlite", any(feature = "redlock", feature = "rslock")))]

mod flash_sale_support;
#[path = "flash_sale_support/on_redis.rs"]
mod on_redis;
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use flash_sale_support::running::Running;
use flash_sale_support::{command, eventually, number, report, words};
use on_redis::{LOCKS, locks_taken, with_redis};
use redis_servers::{RedisServer, RedisServers, SilentServer};
use rustix::process::{Pid, Signal, kill_process};

fn start(line: &str, servers: &RedisServers) -> Running {
    Running::start(command([words(line), words("--json"), with_redis(&servers.urls())].concat()))
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

fn stop(worker: Pid) {
    kill_process(worker, Signal::STOP).expect("it is there");
    eventually("it stands still", || stat(worker.as_raw_nonzero().get()).is_none_or(|(state, _)| state == 'T'));
}

fn go_on(worker: Pid) {
    kill_process(worker, Signal::CONT).expect("it is there");
}

/// The locks that a server has at this moment, and whose they are.
fn holders(server: &RedisServer) -> BTreeMap<String, String> {
    let keys = server.keys().expect("keys").into_iter();
    keys.map(|key| (key.clone(), server.command(&["GET", &key]).expect("an answer"))).collect()
}

/// Stops a worker that has a lock, and says which lock, and its value. Whoever runs gives its lock back within a small part of
/// this time.
fn stop_a_holder(sale: &mut Running, servers: &RedisServers) -> (Pid, String, String) {
    const LONG_FOR_A_LOCK: Duration = Duration::from_millis(500);
    loop {
        for worker in workers(sale) {
            stop(worker);
            let (stopped, mut held) = (Instant::now(), holders(&servers[0]));
            while stopped.elapsed() < LONG_FOR_A_LOCK && !held.is_empty() {
                let now = holders(&servers[0]);
                held.retain(|key, value| now.get(key) == Some(value));
            }
            if let Some((key, value)) = held.pop_first() {
                return (worker, key, value);
            }
            go_on(worker);
        }
        assert!(!sale.is_over(), "it was over before a worker was stopped");
    }
}

fn no_lock_is_left<'a>(servers: impl IntoIterator<Item = &'a RedisServer>) {
    for server in servers {
        eventually("no lock is left", || server.keys().is_ok_and(|keys| keys.is_empty()));
    }
}

/// Another one has its lock when it goes on, in the middle of what it was doing under it.
#[test]
fn a_worker_that_stands_still_past_its_lock_sells_nothing_twice() {
    for lock in LOCKS {
        let servers = RedisServers::start(3).expect("servers");
        // Nobody sells without the one lock of the event.
        let line =
            format!("--processes 3 --buyers 900 --concurrency 50 --pay-ms 200 --lock {lock} --lock-policy event");
        let mut sale = start(&line, &servers);
        eventually("locks are taken", || locks_taken(&servers[0]) > 20);
        let (worker, key, value) = stop_a_holder(&mut sale, &servers);
        eventually("its lock ends", || holders(&servers[0]).get(&key) != Some(&value));
        eventually("another one takes over", || holders(&servers[0]).get(&key).is_some_and(|it| *it != value));
        go_on(worker);
        let report = report(&sale.wait());
        assert_eq!(number(&report, "killed"), 0, "{report}");
        assert!(number(&report, "bookings") > 100, "{report}");
        no_lock_is_left(servers.iter());
    }
}

/// What happens to one server of three while the sale goes on.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It stands still, and goes on before the sale is over.
    Stopped,
    Killed,
    /// It accepts connections and says nothing.
    Silent,
    /// It is killed, and starts again without its memory before the sale is over.
    Restarted,
}

/// rslock tells none of them from another, and takes a second or more for each lock.
fn faults(lock: &str) -> &'static [Fault] {
    let all = &[Fault::Stopped, Fault::Killed, Fault::Silent, Fault::Restarted];
    if lock == "rslock" { &all[..2] } else { all }
}

#[test]
fn a_server_that_fails_in_the_middle_of_a_sale_stops_nobody() {
    for lock in LOCKS {
        for fault in faults(lock) {
            let servers = RedisServers::start(3).expect("servers");
            let line =
                format!("--processes 3 --buyers 1000 --concurrency 50 --pay-ms 200 --lock {lock} --lock-policy ticket");
            let mut sale = start(&line, &servers);
            eventually("locks are taken", || locks_taken(&servers[1]) > 20);
            let struck = &servers[2];
            let mut silent = None;
            match fault {
                Fault::Stopped => struck.pause().expect("it stands still"),
                Fault::Killed => struck.kill(),
                Fault::Restarted => struck.restart().expect("it starts again"),
                Fault::Silent => {
                    struck.kill();
                    silent = Some(SilentServer::on(struck.port()).expect("its port"));
                }
            }
            assert!(!sale.is_over(), "it was over before {fault:?}");
            let taken = locks_taken(&servers[1]);
            eventually("locks are still taken", || locks_taken(&servers[1]) > taken + 20 || sale.is_over());
            // rslock waits for every server in every call, and the service goes on without it.
            assert!(*lock == "rslock" || !sale.is_over(), "{lock} was not used any more, with {fault:?}");
            if matches!(fault, Fault::Stopped) {
                struck.resume().expect("it goes on");
            }
            let report = report(&sale.wait());
            let has_locked = *lock == "rslock" || number(&report, "lock_acquisitions") > 0;
            assert!(has_locked && number(&report, "bookings") > 100, "{fault:?}: {report}");
            no_lock_is_left(&servers[..2]);
            if matches!(fault, Fault::Stopped | Fault::Restarted) {
                no_lock_is_left([struck]);
            }
            drop(silent);
        }
    }
}
