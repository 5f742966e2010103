//! The flash sale when things go wrong: workers are killed, and stores are not as they should be.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use std::fs;
use std::path::Path;

use flash_sale_support::{flash_sale, number, run_sale};
use serde_json::Value;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;

// ---- killed workers

/// Runs a sale that kills workers, each between 10 % and 60 % of the requests as they were counted in the end.
fn sale_with_kills(line: &str) -> Value {
    let (report, run) = run_sale(line);
    let requests = number(&report, "requests") as f64;
    let kills = run.stderr.lines().filter_map(|line| line.trim().strip_prefix("killed worker "));
    let answers = kills.map(|line| {
        let (_, answers) = line.split_once("with a request in flight, after ").expect("how many answers");
        let digits: String = answers.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().expect("a number")
    });
    let shares: Vec<f64> = answers.map(|answers| f64::from(answers) / requests).collect();
    assert_eq!(shares.len() as u64, number(&report, "killed"), "{}", run.stderr);
    assert!(shares.iter().all(|share| (0.1..=0.6).contains(share)), "{shares:?}\n{}", run.stderr);
    report
}

#[test]
fn killed_workers_lose_nothing_that_was_acknowledged() {
    let line = "--buyers 900 --concurrency 60 --standing 100 --pay-ms 20 --processes 4 --kill-workers 2";
    let report = sale_with_kills(line);
    assert_eq!(number(&report, "killed"), 2);
    assert!(number(&report, "unknown") >= 2, "each had a request in flight: {report}");
    assert!(number(&report, "bookings") > 100, "{report}");
}

#[test]
fn even_a_short_sale_waits_for_its_killer() {
    for line in [
        "--processes 3 --buyers 90 --concurrency 10 --pay-ms 0 --kill-workers 1 --lock-policy ticket",
        "--processes 2 --buyers 20 --concurrency 250 --pay-ms 0 --kill-workers 1 --demand spread",
        "--processes 4 --buyers 60 --concurrency 1 --pay-ms 5 --kill-workers 3 --demand hot-seat --lock none",
    ] {
        sale_with_kills(line);
    }
}

#[test]
fn kills_come_in_time_also_where_contention_is_rejected() {
    let line = "--processes 4 --buyers 800 --concurrency 50 --pay-ms 0 --kill-workers 2 --contention reject";
    sale_with_kills(line);
}

// ---- stores

/// The sale knows nothing of it: whoever else writes to its store makes the audit fail.
#[test]
fn a_sale_whose_audit_fails_is_no_success_and_leaves_the_evidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shared.db");
    let url = file.to_str().expect("UTF-8");
    let line = ["--processes", "1", "--buyers", "20", "--pay-ms", "0", "--store-url", url];
    assert_eq!(flash_sale(line).code, Some(0));
    let thief = "CREATE TRIGGER thief AFTER UPDATE OF state ON reservation WHEN new.state = 'booked'
                 BEGIN UPDATE reservation SET customer_id = 'thief' WHERE reservation_id = new.reservation_id; END";
    Connection::open(&file).and_then(|store| store.execute_batch(thief)).expect("a trigger");
    let run = flash_sale(line.into_iter().chain(["--json"]));
    assert_eq!(run.code, Some(1), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(report["audit"], "failed");
    assert!(number(&report, "unrequested_sold") > 0, "{report}");
    let left = run.stderr.lines().find_map(|line| line.split_once("-- audit ")).expect("where it is").1;
    let audit = flash_sale(["audit", left]);
    assert!(audit.code == Some(1) && audit.stdout.contains("belongs to thief"), "{audit:?}");
    fs::remove_dir_all(left).expect("the folder");
}

#[test]
fn one_store_can_have_many_sales() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("shared.db");
    for _ in 0..2 {
        let (report, _) = run_sale(&format!("--processes 2 --buyers 60 --pay-ms 0 --store-url {}", url.display()));
        assert!(number(&report, "bookings") > 20, "{report}");
    }
}

#[test]
fn a_store_cannot_be_in_a_folder_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere").join("store.db");
    flash_sale([Path::new("--store-url"), &nowhere]).assert_refused("there is no such folder");
    flash_sale([Path::new("--store-url"), folder.path()]).assert_refused("it is a folder");
}

#[test]
fn somebody_must_survive_and_everybody_must_have_something_to_do() {
    for (line, words) in [
        ("--processes 2 --kill-workers 2", "--kill-workers 2 of 2"),
        ("--processes 4 --kill-workers 9", "--kill-workers 9 of 4"),
        ("--processes 4 --kill-workers 1 --buyers 39", "at least 40 buyers"),
        ("--kill-at mid-load", "--kill-at goes with --kill-workers"),
        ("--kill-workers 1 --kill-at lunch", "lunch"),
        ("--kill-workers 1 --kill-at holding-a-lease", "needs a lock that is always taken"),
        ("--kill-workers 1 --kill-at holding-a-lease --lock none", "needs a lock that is always taken"),
    ] {
        flash_sale(line.split(' ')).assert_refused(words);
    }
}
