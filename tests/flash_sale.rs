//! The flash sale sells, from many processes, and its audit holds.

mod flash_sale_support;

use std::process::Stdio;

use flash_sale_support::{command, flash_sale, number, run, sale};
use serde_json::Value;

/// Small enough for a debug build, large enough that places run out.
#[cfg(feature = "sqlite")]
const SMALL: &str = "--buyers 900 --concurrency 60 --standing 100 --pay-ms 20";

const FIELDS: [&str; 30] = [
    "plan",
    "places",
    "standing",
    "processes",
    "buyers",
    "concurrency",
    "demand",
    "store",
    "lock",
    "lock_policy",
    "contention",
    "combining",
    "seed",
    "killed",
    "seconds",
    "requests",
    "requests_per_s",
    "bookings",
    "bookings_per_s",
    "places_sold",
    "standing_sold",
    "double_booked",
    "lost_acknowledged",
    "unrequested_sold",
    "unknown",
    "rejected",
    "latency_ms",
    "batches",
    "lock_acquisitions",
    "audit",
];

#[test]
fn a_memory_store_sells_from_one_process() {
    let report = sale("--store memory --processes 1 --buyers 2000 --pay-ms 0 --seed 1");
    assert_eq!(report["store"], "memory");
    assert_eq!(report["lock"], "none");
    assert!(number(&report, "places_sold") > 1_000, "{report}");
}

#[test]
fn a_memory_store_sells_with_a_lock_that_lies() {
    let report = sale("--store memory --processes 1 --buyers 500 --pay-ms 0 --lock grants-all --lock-policy ticket");
    assert!(number(&report, "lock_acquisitions") > 0, "{report}");
}

#[test]
fn the_json_has_exactly_the_promised_fields() {
    let line = "--store memory --processes 1 --buyers 300 --concurrency 20 --standing 30 --pay-ms 0 --seed 18446744073709551615";
    let report = sale(line);
    let fields = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let sorted = |fields: &[&str]| {
        let mut fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        fields.sort();
        fields
    };
    let found = |value: &Value| {
        let mut fields = fields(value);
        fields.sort();
        fields
    };
    assert_eq!(found(&report), sorted(&FIELDS));
    assert_eq!(found(&report["latency_ms"]), sorted(&["p50", "p95", "p99", "max"]));
    assert_eq!(found(&report["batches"]), sorted(&["commits", "mean_size", "max_size", "conflicts"]));
    assert_eq!(report["plan"], "Riethsporthalle Erfurt");
    assert_eq!((number(&report, "places"), number(&report, "standing")), (1_252, 30));
    assert_eq!((number(&report, "processes"), number(&report, "buyers")), (1, 300));
    assert_eq!(number(&report, "concurrency"), 20);
    assert_eq!(number(&report, "seed"), u64::MAX);
    assert_eq!((&report["demand"], &report["contention"]), (&"skewed".into(), &"wait".into()));
    assert_eq!((&report["lock_policy"], &report["combining"]), (&"adaptive".into(), &true.into()));
    for field in ["seconds", "requests_per_s", "bookings_per_s"] {
        assert!(report[field].as_f64().expect("a number") > 0.0, "{report}");
    }
    for field in ["p50", "p95", "p99", "max"] {
        assert!(report["latency_ms"][field].as_f64().expect("a number") > 0.0, "{report}");
    }
    assert!(report["rejected"].as_object().expect("an object").values().all(Value::is_u64), "{report}");
}

#[test]
fn the_same_seed_makes_the_same_buyers() {
    let line = "--store memory --processes 1 --buyers 40 --concurrency 1 --pay-ms 0 --seed 42";
    let (first, second) = (sale(line), sale(line));
    for field in ["requests", "bookings", "places_sold", "standing_sold", "rejected"] {
        assert_eq!(first[field], second[field], "{field}");
    }
}

#[test]
fn for_people_the_result_is_a_table_and_a_verdict_and_the_rest_stands_beside_it() {
    let line = "--store memory --processes 1 --buyers 100 --pay-ms 0 --seed 3";
    let run = run(line);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for words in ["bookings", "latency p99", "audit passed"] {
        assert!(run.stdout.contains(words), "{words:?} is not in\n{}", run.stdout);
    }
    for words in ["Riethsporthalle Erfurt", "seed 3"] {
        assert!(run.stderr.contains(words) && !run.stdout.contains(words), "{run:?}");
    }
    let run = flash_sale(line.split(' ').chain(["--json"]));
    assert!(run.stderr.contains("audit passed") && run.stderr.contains("bookings"), "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    assert!(!run.stderr.contains('\x1b') && !run.stdout.contains('\x1b'), "colours, and nobody sees them");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let line = "--store memory --processes 1 --buyers 60 --pay-ms 0 --seed 3 --json";
    let mut child = command(line.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[cfg(feature = "sqlite")]
mod from_many_processes {
    use super::*;
    use flash_sale_support::one_seat::OneSeat;

    #[test]
    fn the_hall_sells_out_to_a_skewed_demand_of_people_who_also_come_too_late() {
        let report = sale(&format!("{SMALL} --processes 4 --demand skewed --seed 11"));
        assert_eq!((&report["store"], &report["lock"]), (&"sqlite".into(), &"sqlite".into()));
        assert!(number(&report, "places_sold") > 600, "{report}");
        assert!(number(&report, "standing_sold") > 50, "{report}");
        assert!(report["rejected"]["hold_expired"].as_u64().is_some_and(|late| late > 0), "{report}");
        assert!(report["rejected"]["unavailable"].as_u64().is_some_and(|refused| refused > 0), "{report}");
        assert!(report["batches"]["mean_size"].as_f64().is_some_and(|mean| mean > 1.0), "{report}");
    }

    #[test]
    fn a_hot_seat_is_sold_once() {
        let report = sale(&format!("{SMALL} --processes 4 --demand hot-seat --pay-ms 0"));
        assert!((1..=4).contains(&number(&report, "places_sold")), "{report}");
    }

    #[test]
    fn one_seat_is_sold_once_at_most_to_ten_thousand_buyers_of_eight_processes() {
        let hall = OneSeat::new();
        hall.assert_is_sold_once_at_most(&sale(&hall.sale()));
    }

    #[test]
    fn one_place_is_sold_once_at_most_to_ten_thousand_buyers_of_eight_processes() {
        let line = "--processes 8 --buyers 10000 --concurrency 1250 --standing 1 --pay-ms 0 --demand hot-pool";
        let report = sale(line);
        // Who gets it may let it expire.
        assert!(number(&report, "standing_sold") <= 1 && number(&report, "places_sold") == 0, "{report}");
        assert!(number(&report, "requests") >= 10_000, "{report}");
    }

    #[test]
    fn a_hot_pool_is_sold_to_its_capacity() {
        let line = "--processes 4 --buyers 900 --concurrency 60 --standing 100 --pay-ms 0 --demand hot-pool --seed 12";
        let report = sale(line);
        assert!((90..=100).contains(&number(&report, "standing_sold")), "{report}");
        assert_eq!(number(&report, "places_sold"), 0);
    }

    #[test]
    fn a_demand_that_is_spread_sells() {
        let report = sale(&format!("{SMALL} --processes 4 --demand spread --pay-ms 0"));
        assert!(number(&report, "places_sold") > 600, "{report}");
    }

    #[test]
    fn without_a_lock_nothing_is_sold_twice() {
        let report = sale(&format!("{SMALL} --processes 4 --lock none --pay-ms 0"));
        assert_eq!((&report["lock"], number(&report, "lock_acquisitions")), (&"none".into(), 0));
    }

    #[test]
    fn with_a_lock_that_lies_nothing_is_sold_twice() {
        let report = sale(&format!("{SMALL} --processes 4 --lock grants-all --lock-policy event --pay-ms 0"));
        assert!(number(&report, "lock_acquisitions") > 0, "{report}");
    }

    #[test]
    fn every_lock_policy_sells() {
        for policy in ["never", "ticket", "area", "event", "adaptive"] {
            let report = sale(&format!(
                "--buyers 300 --concurrency 40 --processes 3 --standing 50 --pay-ms 0 --lock-policy {policy}"
            ));
            assert_eq!(report["lock_policy"], policy);
            let locks = number(&report, "lock_acquisitions");
            match policy {
                "never" => assert_eq!(locks, 0),
                "ticket" | "area" | "event" => assert!(locks > 0, "{report}"),
                _ => {}
            }
        }
    }

    #[test]
    fn contention_may_be_rejected() {
        let report = sale(&format!("{SMALL} --processes 4 --contention reject --pay-ms 0"));
        assert_eq!(report["contention"], "reject");
        assert!(number(&report, "bookings") > 200, "{report}");
    }

    #[test]
    fn a_wait_may_be_short() {
        let report = sale(&format!("{SMALL} --processes 4 --wait-ms 5 --pay-ms 0"));
        assert!(number(&report, "requests") > 900, "{report}");
    }

    #[test]
    fn one_request_at_a_time_sells_too() {
        let report = sale("--buyers 120 --concurrency 20 --processes 3 --pay-ms 0 --no-combining");
        assert_eq!(report["combining"], false);
        assert_eq!(report["batches"]["max_size"], 1);
    }

    #[test]
    fn sixteen_processes_share_the_hall() {
        let report = sale("--processes 16 --buyers 1200 --concurrency 20 --standing 100 --pay-ms 0");
        assert_eq!(number(&report, "processes"), 16);
        assert!(number(&report, "places_sold") > 1_000, "{report}");
    }
}
