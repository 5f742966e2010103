//! A hall of one seat, and the crowd that wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::number;

const PLAN: &str = r##"{"name": "One seat", "categories": [{"name": "A", "color": "#000000"}], "zones": [{"name": "Box",
    "position": {"x": 0, "y": 0}, "rows": [{"row_number": "1", "position": {"x": 0, "y": 0}, "seats": [
    {"seat_guid": "seat", "seat_number": "1", "position": {"x": 0, "y": 0}, "category": "A"}]}]}]}"##;

const PROCESSES: usize = 8;
const BUYERS: usize = 10_000;

/// The file of its plan, and what a sale of it leaves; removed when a test ends.
pub(crate) struct OneSeat(TempDir);

impl OneSeat {
    pub(crate) fn new() -> Self {
        let hall = Self(tempfile::tempdir().expect("a folder"));
        fs::write(hall.file("plan.json"), PLAN).expect("a file");
        hall
    }

    /// Everybody at once, and nobody stands.
    pub(crate) fn sale(&self) -> String {
        let (plan, kept) = (self.file("plan.json"), self.file("kept"));
        let crowd = format!("--processes {PROCESSES} --buyers {BUYERS} --concurrency {}", BUYERS / PROCESSES);
        let one_seat = format!("--demand hot-seat --standing 0 --plan {}", plan.display());
        format!("{crowd} {one_seat} --pay-ms 0 --keep {}", kept.display())
    }

    /// All of them have asked for the seat, somebody got it, and nobody else bought it. Who gets it may give it back, or let
    /// it expire.
    pub(crate) fn assert_is_sold_once_at_most(&self, report: &Value) {
        let logs = (1..=PROCESSES).map(|worker| self.file(&format!("kept/worker-{worker}.log")));
        let logs: Vec<String> = logs.map(|log| fs::read_to_string(log).expect("a log")).collect();
        assert!(logs.iter().all(|log| !asked(log).is_empty()), "a process had no buyers");
        let buyers: BTreeSet<&str> = logs.iter().flat_map(|log| asked(log).into_values()).collect();
        assert_eq!(buyers.len(), BUYERS);
        assert_eq!((number(report, "places"), number(report, "standing")), (1, 0));
        let held: usize = logs.iter().map(|log| held(log)).sum();
        let sold = number(report, "places_sold");
        assert!(held > 0 && sold <= 1 && number(report, "bookings") == sold, "{held} holds: {report}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The holds that a worker's log has, and who asked for each.
fn asked(log: &str) -> BTreeMap<&str, &str> {
    let holds = log.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let ["S", operation, _, "hold", _, buyer, ..] = fields[..] else { return None };
        Some((operation, buyer))
    });
    holds.collect()
}

/// How many of them were acknowledged.
fn held(log: &str) -> usize {
    let asked = asked(log);
    let acknowledged = |line: &&str| {
        let fields: Vec<&str> = line.split('\t').collect();
        matches!(fields[..], ["A", operation, _, _, "ok", ..] if asked.contains_key(operation))
    };
    log.lines().filter(acknowledged).count()
}
