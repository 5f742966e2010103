//! The flash sale's page: one file that says who sold which seat, and what the audit says.

mod flash_sale_support;

use std::fs;
use std::path::Path;

use flash_sale_support::{Run, flash_sale};
use serde_json::{Value, json};

const MEMORY: &str = "--store memory --processes 1 --buyers 60 --pay-ms 0";

/// Runs with these arguments and reads the page that it wrote.
fn reported(line: &str) -> (Run, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    let report = file.to_str().expect("UTF-8");
    let run = flash_sale(line.split_whitespace().chain(["--report", report]));
    let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    (run, page)
}

/// The page of a memory sale of this plan.
fn page_of(plan: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    fs::write(&file, plan.to_string()).expect("a file");
    let (run, page) = reported(&format!("{MEMORY} --plan {}", file.display()));
    assert_eq!(run.code, Some(0), "{run:?}");
    page
}

fn plan(name: &str, zone: &str, seats: &[Value]) -> Value {
    let row = json!({"row_number": "1", "seats": seats});
    json!({"name": name, "categories": [{"name": "A"}], "zones": [{"name": zone, "rows": [row]}]})
}

/// A seat as the page draws it.
#[derive(Debug)]
struct Drawn {
    id: String,
    class: String,
    x: String,
    y: String,
    title: String,
}

fn seats(page: &str) -> Vec<Drawn> {
    let attribute = |tag: &str, name: &str| {
        let (_, value) = tag.split_once(&format!(" {name}=\"")).expect(name);
        value.split_once('"').expect("its end").0.to_owned()
    };
    let drawn = page.split("<rect data-seat").skip(1).map(|rest| {
        let tag = format!(" data-seat{}", rest.split_once('>').expect("the tag's end").0);
        let title = rest.split_once("<title>").and_then(|(_, title)| title.split_once("</title>")).expect("a title").0;
        let [id, class, x, y] = ["data-seat", "class", "x", "y"].map(|name| attribute(&tag, name));
        Drawn { id, class, x, y, title: title.to_owned() }
    });
    drawn.collect()
}

#[test]
fn the_page_is_one_file_that_needs_nothing_else() {
    let (run, page) = reported(&format!("{MEMORY} --seed 4"));
    assert_eq!(run.code, Some(0), "{run:?}");
    for outside in ["http", "//", "src=", "@import", "<link", "<script", "javascript"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let links = ["href=", "url("].map(|link| page.match_indices(link).map(|(at, _)| &page[at + link.len()..]));
    assert!(links.into_iter().flatten().all(|to| to.trim_start_matches('"').starts_with('#')));
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("prefers-color-scheme: dark"));
}

#[test]
fn every_seat_is_there_once_and_no_two_are_in_one_place() {
    let (_, page) = reported(MEMORY);
    let seats = seats(&page);
    assert_eq!(seats.len(), 1_252);
    let mut ids: Vec<&str> = seats.iter().map(|seat| seat.id.as_str()).collect();
    let mut places: Vec<(&str, &str)> = seats.iter().map(|seat| (seat.x.as_str(), seat.y.as_str())).collect();
    ids.sort_unstable();
    ids.dedup();
    places.sort_unstable();
    places.dedup();
    assert_eq!((ids.len(), places.len()), (1_252, 1_252));
    for seat in &seats {
        assert!(seat.title.contains(&seat.id), "{seat:?}");
    }
}

#[test]
fn the_page_has_the_figures_the_verdict_and_the_command() {
    let (run, page) = reported(&format!("{MEMORY} --standing 30 --seed 4 --json"));
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let bookings = format!("<tr><th scope=\"row\">Bookings</th><td>{}</td></tr>", report["bookings"]);
    let command = "-- --standing 30 --processes 1 --buyers 60 --store memory --pay-ms 0 --seed 4<";
    let plain = page.replace("</span> <span>", " ").replace("</span></code>", "<");
    assert!(plain.contains(command), "{command}");
    assert!(page.contains("<span>--pay-ms 0</span> <span>--seed 4</span>"), "each argument is kept on one line");
    for words in [bookings.as_str(), "Audit passed", "Riethsporthalle Erfurt", "p99"] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(seats(&page).iter().filter(|seat| seat.class == "p1").count() as u64, report["places_sold"]);
}

#[test]
fn what_is_left_over_counts_the_standing_places_too() {
    let (run, page) = reported(&format!("{MEMORY} --demand hot-pool --standing 1000 --json"));
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let left = 1_000 - report["standing_sold"].as_u64().expect("a number");
    assert!(page.contains(&format!("Left over <b>1,252 + {left}</b>")), "{left} standing places are left");
    assert!(page.contains("Figures: seats + standing places"));
}

#[test]
fn refusals_are_said_in_words() {
    let (_, page) = reported(&format!("{MEMORY} --demand hot-pool --standing 10"));
    assert!(page.contains("title=\"insufficient\">Not enough standing places left</th>"), "{page}");
}

#[test]
fn seats_are_drawn_where_the_plan_has_them_or_else_side_by_side() {
    let seat = |id: &str, x: f64, y: f64| json!({"seat_guid": id, "category": "A", "position": {"x": x, "y": y}});
    let of = |seats_of: &[Value]| {
        let drawn = seats(&page_of(&plan("Hall", "Z", seats_of)));
        let (x, y) =
            (|at: usize| drawn[at].x.parse::<f64>().expect("x"), |at: usize| drawn[at].y.parse::<f64>().expect("y"));
        [x(1) - x(0), y(1) - y(0), x(2) - x(1), y(2) - y(1)].map(f64::round)
    };
    assert_eq!(of(&[seat("a", 5.0, 5.0), seat("b", 5.0, 7.0), seat("c", 9.0, 7.0)]), [0.0, 10.0, 20.0, 0.0]);
    assert_eq!(of(&[seat("a", 5.0, 5.0), seat("b", 5.0, 5.0), seat("c", 5.0, 5.0)]), [20.0, 0.0, 20.0, 0.0]);
    let nowhere = ["a", "b", "c"].map(|id| json!({"seat_guid": id, "category": "A"}));
    assert_eq!(of(&nowhere), [20.0, 0.0, 20.0, 0.0]);
}

#[test]
fn names_and_ids_from_outside_are_only_text() {
    let hostile = "<script>alert('1')</script> & \"";
    let id = "\"><img onerror=x>";
    let page = page_of(&plan(hostile, "</svg><b>", &[json!({"seat_guid": id, "category": "A"})]));
    for markup in ["<script", "<img", "<b>x", "</svg><b>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;"));
    assert_eq!(seats(&page)[0].id, "&quot;&gt;&lt;img onerror=x&gt;");
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_sold() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere").join("page.html");
    let report = |to: &Path| {
        let kept = folder.path().join("kept");
        let paths = [Path::new("--report"), to, Path::new("--keep"), &kept].map(|path| path.to_str().expect("UTF-8"));
        let run = flash_sale(MEMORY.split(' ').chain(paths));
        assert!(!kept.join("sale.json").exists(), "it was sold");
        run
    };
    report(&nowhere).assert_refused("there is no such folder");
    report(folder.path()).assert_refused("it is a folder");
}

#[cfg(feature = "sqlite")]
mod from_many_processes {
    use std::collections::BTreeMap;

    use super::*;
    use crate::flash_sale_support::kept::{BOOKED, Copy};

    /// How many seats are in each class.
    fn colours(page: &str) -> BTreeMap<String, u64> {
        let mut colours = BTreeMap::new();
        seats(page).into_iter().for_each(|seat| *colours.entry(seat.class).or_insert(0) += 1);
        colours
    }

    /// What each log says that its worker sold: the tickets of confirmed reservations.
    fn sold_by_logs(kept: &Path, workers: u32) -> BTreeMap<String, u64> {
        let mut sold = BTreeMap::new();
        for worker in 1..=workers {
            let log = fs::read_to_string(kept.join(format!("worker-{worker}.log"))).expect("a log");
            let mut tickets: Vec<&str> = Vec::new();
            for confirm in log.lines().filter(|line| line.starts_with("S\t") && line.contains("\tconfirm\t")) {
                let operation = confirm.split('\t').nth(1).expect("an operation");
                let is_ok = |line: &&str| line.starts_with(&format!("A\t{operation}\t")) && line.contains("\tok");
                tickets.extend(
                    log.lines().find(is_ok).iter().flat_map(|ok| ok.split('\t').filter(|it| it.starts_with("t="))),
                );
            }
            tickets.sort_unstable();
            tickets.dedup();
            sold.insert(format!("p{worker}"), tickets.len() as u64);
        }
        sold
    }

    #[test]
    fn colours_agree_with_the_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = folder.path().join("kept");
        let line = "--processes 10 --buyers 500 --concurrency 20 --pay-ms 0 --keep";
        let (run, page) = reported(&format!("{line} {}", kept.display()));
        assert_eq!(run.code, Some(0), "{run:?}");
        let mut colours = colours(&page);
        let left = colours.remove("free").unwrap_or(0);
        let logs = sold_by_logs(&kept, 10);
        assert_eq!(left + logs.values().sum::<u64>(), 1_252);
        let logs: BTreeMap<_, _> = logs.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(colours, logs);
        for (class, count) in &logs {
            let process = class.replacen('p', "sold by process ", 1) + " after ";
            assert_eq!(seats(&page).iter().filter(|seat| seat.title.contains(&process)).count() as u64, *count);
        }
    }

    #[test]
    fn a_seat_that_a_killed_process_sold_has_its_colour_too() {
        let kills = "--kill-workers 2 --kill-at before-answering";
        let line = format!("--processes 4 --buyers 400 --concurrency 40 --pay-ms 0 {kills} --json");
        let (run, page) = reported(&line);
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        let sold = seats(&page).iter().filter(|seat| seat.class.starts_with('p')).count() as u64;
        assert_eq!(sold, report["places_sold"], "{:?}", colours(&page));
        assert!(page.contains("<th scope=\"row\">Processes killed</th><td>2</td>"));
        assert!(page.contains("<dt>Workers to kill</dt><dd>2, before-answering</dd>"));
        assert!(page.contains("<span>--kill-workers 2</span> <span>--kill-at before-answering</span>"));
    }

    #[test]
    fn a_failed_audit_shows_what_it_found_and_where() {
        let good = Copy::new();
        let (run, page) = reported(&format!("audit {}", good.file("").display()));
        assert!(run.code == Some(0) && page.contains("Audit passed"), "{run:?}");
        assert!(!page.contains("disputed\" x="), "{page}");

        let thief = format!("UPDATE reservation SET customer_id = '<i>thief' WHERE reservation_id = ({BOOKED})");
        let copy = good.tamper([thief]);
        let reservation = copy.uuid(BOOKED);
        let (run, page) = reported(&format!("audit {}", copy.file("").display()));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(page.contains("Audit failed") && !page.contains("Audit passed"));
        assert!(page.contains(&format!("<li>reservation {reservation} belongs to &lt;i&gt;thief, asked for by ")));
        let disputed = seats(&page).into_iter().filter(|seat| seat.class.ends_with(" disputed")).count() as u64;
        let lines = format!("SELECT count(*) FROM ticket WHERE reservation_id = ({BOOKED})");
        assert_eq!(disputed.to_string(), copy.sql(&lines));
    }
}
