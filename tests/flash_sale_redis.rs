//! The flash sale with a lock over Redis servers: its own, which never stay behind, and those that it is given.
#![cfg(all(feature = "sqlite", any(feature = "redlock", feature = "rslock")))]

mod flash_sale_support;
#[path = "flash_sale_support/on_redis.rs"]
mod on_redis;
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "flash_sale_support/sale_folder.rs"]
mod sale_folder;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use flash_sale_support::running::Running;
use flash_sale_support::{Run, command, eventually, flash_sale, number, report, run_sale, words};
use on_redis::{LOCKS, locks_taken, small, with_redis};
use redis_servers::RedisServers;
use sale_folder::SaleFolder;

#[test]
fn every_lock_policy_sells_on_private_servers() {
    for lock in LOCKS {
        for policy in ["ticket", "area", "event"] {
            let (report, _) = run_sale(&format!("{} --lock-policy {policy}", small(lock)));
            assert_eq!((&report["lock"], &report["lock_policy"]), (&(*lock).into(), &policy.into()));
            assert!(number(&report, "lock_acquisitions") > 0, "{report}");
            assert!(number(&report, "bookings") > 50, "{report}");
        }
        run_sale(&format!("{} --lock-policy adaptive", small(lock)));
        run_sale(&format!("--store memory --processes 1 --buyers 60 --pay-ms 0 --lock {lock} --lock-policy event"));
    }
}

#[test]
fn what_everybody_wants_is_sold_once() {
    for lock in LOCKS {
        for (demand, policy) in [("hot-seat", "ticket"), ("hot-pool", "event")] {
            let (report, _) = run_sale(&format!("{} --demand {demand} --lock-policy {policy}", small(lock)));
            assert!(number(&report, "lock_acquisitions") > 0, "{report}");
        }
    }
}

#[test]
fn killed_workers_lose_nothing_that_was_acknowledged() {
    for lock in LOCKS {
        let (report, run) = run_sale(&format!("{} --lock-policy ticket --kill-workers 2", small(lock)));
        assert_eq!(number(&report, "killed"), 2, "{run:?}");
    }
}

#[test]
fn servers_that_are_named_are_used_and_left_as_they_are() {
    let servers = RedisServers::start(3).expect("servers");
    for lock in LOCKS {
        let before: Vec<u64> = servers.iter().map(locks_taken).collect();
        let line = format!("{} --lock-policy event --json", small(lock));
        let run = flash_sale([words(&line), with_redis(&servers.urls())].concat());
        assert!(number(&report(&run), "lock_acquisitions") > 0);
        for (server, before) in servers.iter().zip(before) {
            assert!(locks_taken(server) > before);
            assert_eq!(server.command(&["PING"]).expect("an answer"), "PONG");
            // What a worker gave back in its last moment, at the latest when its TTL ends.
            eventually("no lock is left", || server.keys().is_ok_and(|keys| keys.is_empty()));
        }
    }
}

/// Whose lock is over a majority does not need the others.
#[test]
#[cfg(feature = "redlock")]
fn one_server_that_stands_still_and_comes_back_stops_nobody() {
    let servers = RedisServers::start(3).expect("servers");
    servers[2].pause().expect("it stands still");
    let line = format!("{} --lock-policy event --json", small("redlock"));
    let run = flash_sale([words(&line), with_redis(&servers.urls())].concat());
    assert!(number(&report(&run), "lock_acquisitions") > 0);
    servers[2].resume().expect("it goes on");
    for server in servers.iter() {
        eventually("no lock is left", || server.keys().is_ok_and(|keys| keys.is_empty()));
    }
}

/// The sale does not depend on its lock.
#[test]
fn a_majority_that_dies_during_the_sale_stops_nobody() {
    for lock in LOCKS {
        let (servers, folder) = (RedisServers::start(3).expect("servers"), SaleFolder::new());
        let kept = folder.option();
        let line = format!(
            "--processes 3 --buyers 1500 --concurrency 20 --pay-ms 100 --lock {lock} --lock-policy ticket {kept}"
        );
        let mut sale = Running::start(command([words(&line), words("--json"), with_redis(&servers.urls())].concat()));
        eventually("locks are taken", || locks_taken(&servers[0]) > 20);
        servers[0].kill();
        servers[1].kill();
        let booked = folder.bookings();
        assert!(!sale.is_over(), "it was over before they died");
        let report = report(&sale.wait());
        // More than were on their way.
        assert!(number(&report, "bookings") > booked + 100, "after {booked} bookings: {report}");
    }
}

// ---- what is wrong is said

#[test]
fn servers_that_do_not_answer_are_noticed_before_the_sale() {
    // Ports that nobody listens on: they were free a moment ago.
    let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address"));
    let urls: Vec<String> = ports.iter().map(|address| format!("redis://{address}")).collect();
    for lock in LOCKS {
        let run = flash_sale([words(&small(lock)), with_redis(&urls)].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
        let said = run.stderr.lines().last().expect("a line");
        let why = if *lock == "redlock" { "no quorum of 3 nodes" } else { "no majority" };
        assert!(said.starts_with(&format!("flash_sale: --lock {lock}: the lock's store failed: {why}")), "{said}");
        // Who told apart what is wrong with each server says so.
        assert!(*lock != "redlock" || said.matches("Connection refused").count() >= 2, "{said}");
    }
}

#[test]
fn what_is_no_address_is_refused_without_its_password() {
    for url in [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://u:hunter2@:6379",
        "redis://u:hunter2@localhost:port",
        "redis://u:hunter2@localhost/name",
        "redis:/u:hunter2@localhost",
        "u:hunter2@localhost:6379?password=hunter2",
    ] {
        for lock in LOCKS {
            let run = flash_sale(["--lock", lock, "--redis", url]);
            run.assert_refused("--redis");
            assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
        }
    }
}

/// It would vote twice.
#[test]
#[cfg(feature = "redlock")]
fn a_server_that_is_named_twice_is_refused() {
    let urls = ["redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/2"].map(ToOwned::to_owned);
    let run = flash_sale([words(&small("redlock")), with_redis(&urls)].concat());
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_eq!(run.stderr.lines().last(), Some("flash_sale: --redis: node 127.0.0.1:6379/2 was given twice"));
}

#[test]
fn without_redis_server_one_line_says_what_to_do() {
    let nowhere = tempfile::tempdir().expect("a folder");
    for lock in LOCKS {
        let output = command(words(&small(lock))).env("PATH", nowhere.path()).output().expect("it runs");
        let run = Run::from(output);
        assert_eq!(run.code, Some(2), "{run:?}");
        let said = run.stderr.lines().last().expect("a line");
        let words = "redis-server is not installed: apt-get install redis-server, or name servers with --redis";
        assert_eq!(said, format!("flash_sale: {words}"));
    }
}

// ---- secrets

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn passwords_are_neither_printed_nor_written_down() {
    let servers = RedisServers::start(3).expect("servers");
    for server in servers.iter() {
        server.command(&["ACL", "SETUSER", "box-office", "on", ">hunter2", "~*", "&*", "+@all"]).expect("an answer");
        server.command(&["ACL", "SETUSER", "default", "off"]).expect("an answer");
    }
    let with = |password: &str| -> Vec<String> {
        let url = |port| format!("redis://box-office:{password}@127.0.0.1:{port}/0");
        with_redis(&servers.iter().map(|server| url(server.port())).collect::<Vec<_>>())
    };
    LOCKS.iter().for_each(|lock| keeps_the_password(lock, with));
}

fn keeps_the_password(lock: &str, with: impl Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (keep, page) = (folder.path().join("kept"), folder.path().join("page.html"));
    let more = format!("--lock-policy event --keep {} --report {} --json", keep.display(), page.display());
    let run = flash_sale([words(&small(lock)), words(&more), with("hunter2")].concat());
    assert!(number(&report(&run), "lock_acquisitions") > 0);
    let kept = files(&keep);
    assert!(kept.iter().any(|file| file.ends_with("sale.json")) && kept.len() > 4, "{kept:?}");
    let secret = b"hunter2".as_slice();
    let has_secret = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    for file in kept.iter().chain([&page]) {
        assert!(!has_secret(&fs::read(file).expect("a file")), "{} has the password", file.display());
    }
    assert!(!has_secret(run.stdout.as_bytes()) && !has_secret(run.stderr.as_bytes()), "{run:?}");
    let text = fs::read_to_string(&page).expect("the page").replace("</span> <span>", " ");
    let command = format!("--features sqlite,{lock} --example flash_sale");
    assert!(text.contains(&command), "the command that repeats the sale");
    assert!(text.contains("--redis URL --redis URL --redis URL"), "the command that repeats the sale");

    let refused = flash_sale([words(&small(lock)), with("hunter2-and-wrong")].concat());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(!has_secret(refused.stderr.as_bytes()), "{refused:?}");
}

// ---- nobody stays behind

/// A sale's processes inherit its environment and are known by it; a server overwrites what it has, and is known by the
/// folder that it works in.
#[cfg(target_os = "linux")]
mod left_behind {
    use super::*;

    /// The programs of all processes whose temporary files are in a folder.
    fn programs(folder: &Path) -> Vec<String> {
        let variable = format!("TMPDIR={}", folder.display());
        let of = |process: PathBuf| {
            // Of a process that is gone by now, or is none, nothing can be read; of a dead one, nothing is there.
            let is_in = fs::read_link(process.join("cwd")).ok()?.starts_with(folder);
            let environment = fs::read(process.join("environ")).ok()?;
            let inherited = environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes());
            let arguments = fs::read(process.join("cmdline")).ok()?;
            let program = String::from_utf8_lossy(&arguments).split(['\0', ' ']).next()?.to_owned();
            ((is_in || inherited) && !program.is_empty()).then_some(program)
        };
        files(Path::new("/proc")).into_iter().filter_map(of).collect()
    }

    fn count(folder: &Path, program: &str) -> usize {
        programs(folder).iter().filter(|it| it.ends_with(program)).count()
    }

    fn assert_nothing_is_left(folder: &Path) {
        assert_eq!(programs(folder), [""; 0]);
        assert!(files(folder).is_empty(), "temporary files: {:?}", files(folder));
    }

    fn start(folder: &Path, line: &str) -> Running {
        let mut command = command(words(line));
        command.env("TMPDIR", folder);
        Running::start(command)
    }

    #[test]
    fn after_a_sale_no_server_is_left() {
        for lock in LOCKS {
            let folder = tempfile::tempdir().expect("a folder");
            // Long enough to be seen.
            let line = format!("--processes 2 --buyers 60 --pay-ms 300 --lock {lock} --lock-policy event --json");
            let sale = start(folder.path(), &line);
            eventually("three servers run", || count(folder.path(), "redis-server") == 3);
            report(&sale.wait());
            assert_nothing_is_left(folder.path());
        }
    }

    #[test]
    fn after_a_sale_that_could_not_begin_no_server_is_left() {
        for lock in LOCKS {
            let folder = tempfile::tempdir().expect("a folder");
            let elsewhere = tempfile::tempdir().expect("a folder");
            let file = elsewhere.path().join("store.db");
            fs::write(&file, [7; 4_096]).expect("a file");
            let run = start(folder.path(), &format!("{} --store-url {}", small(lock), file.display())).wait();
            assert_eq!(run.code, Some(1), "{run:?}");
            assert_nothing_is_left(folder.path());
        }
    }

    #[test]
    fn after_a_sale_that_was_killed_no_process_is_left() {
        for lock in LOCKS {
            let folder = tempfile::tempdir().expect("a folder");
            // Nobody who takes this long to pay is through before the sale is killed.
            let line = format!("--processes 3 --buyers 3000 --pay-ms 60000 --lock {lock} --lock-policy event");
            let sale = start(folder.path(), &line);
            eventually("workers and servers run", || {
                count(folder.path(), "flash_sale") == 4 && count(folder.path(), "redis-server") == 3
            });
            drop(sale);
            eventually("all processes are gone", || programs(folder.path()).is_empty());
        }
    }
}
