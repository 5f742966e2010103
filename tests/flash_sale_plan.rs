//! What the flash sale refuses, with one line and exit code 2, and which plans it takes.

mod flash_sale_support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use flash_sale_support::{Run, flash_sale, run};
use serde_json::{Value, json};

const MEMORY: [&str; 8] = ["--store", "memory", "--processes", "1", "--buyers", "60", "--pay-ms", "0"];

fn with_plan(plan: &Path, more: &[&str]) -> Run {
    let plan = plan.to_str().expect("UTF-8");
    flash_sale(MEMORY.iter().copied().chain(["--plan", plan]).chain(more.iter().copied()))
}

fn sale_of(plan: impl AsRef<[u8]>) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    fs::write(&file, plan).expect("a file");
    with_plan(&file, &["--json"])
}

fn seat(guid: &str) -> Value {
    json!({"seat_guid": guid, "seat_number": "1", "position": {"x": 0, "y": 0}, "category": "A"})
}

fn row(number: &str, guids: &[&str]) -> Value {
    let seats: Vec<Value> = guids.iter().map(|guid| seat(guid)).collect();
    json!({"row_number": number, "position": {"x": 0, "y": 0}, "seats": seats})
}

fn plan(zones: &[(&str, Vec<Value>)]) -> Value {
    let zones: Vec<Value> =
        zones.iter().map(|(name, rows)| json!({"name": name, "position": {"x": 0, "y": 0}, "rows": rows})).collect();
    json!({"name": "Hall", "categories": [{"name": "A", "color": "#000000"}], "zones": zones})
}

#[test]
fn broken_plans_are_refused_with_one_clear_line() {
    let twice = plan(&[("Z", vec![row("1", &["a", "b"]), row("2", &["a"])])]);
    let unusable = plan(&[("Z", vec![row("1", &[" a"])])]);
    let empty = plan(&[("Z", vec![row("1", &[])])]);
    let mut unknown = plan(&[("Z", vec![row("1", &["a"])])]);
    unknown["categories"][0]["name"] = "B".into();
    let text = |plan: Value| plan.to_string().into_bytes();
    for (plan, words) in [
        (b"{".to_vec(), "is not JSON"),
        (b"not a plan".to_vec(), "is not JSON"),
        (b"".to_vec(), "is not JSON"),
        (vec![0xff, 0xfe], "is not UTF-8"),
        (b"[]".to_vec(), "is not a seating plan"),
        (b"{\"name\": \"Hall\"}".to_vec(), "is not a seating plan"),
        (text(twice), "has the seat_guid \"a\" twice"),
        (text(unknown), "in an unknown category \"A\""),
        (text(plan(&[])), "has no seats"),
        (text(empty), "has no seats"),
        (text(unusable), "has an unusable seat_guid"),
    ] {
        sale_of(plan).assert_refused(words);
    }
    with_plan(Path::new("no/such/plan.json"), &[]).assert_refused("cannot be read");
}

#[test]
fn a_plan_that_is_too_large_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    fs::File::create(&file).expect("a file").set_len((64 << 20) + 1).expect("a file of holes");
    with_plan(&file, &[]).assert_refused("has more than 67108864 bytes");
    with_plan(Path::new("/dev/zero"), &[]).assert_refused("has more than 67108864 bytes");
}

#[test]
fn a_plan_is_not_quoted_at_length() {
    let mut long = plan(&[("Z", vec![row("1", &["a"])])]);
    long["zones"] = "z".repeat(100_000).into();
    let run = sale_of(long.to_string());
    assert!(run.stderr.len() < 1_000, "{} bytes", run.stderr.len());
    run.assert_refused("is not a seating plan");
    let run = sale_of(plan(&[("Z", vec![row("1", &[&"é".repeat(100_000)])])]).to_string());
    assert!(run.stderr.len() < 1_000, "{} bytes", run.stderr.len());
    run.assert_refused("has an unusable seat_guid");
}

#[test]
fn a_plan_has_so_many_areas_and_seats_and_no_more() {
    let ids: Vec<String> = (0..250_001).map(|n| format!("s{n}")).collect();
    let row_of = |ids: &[String]| row("1", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let seats = |count: usize| plan(&[("Z", vec![row_of(&ids[..count])])]);
    sale_of(seats(250_001).to_string()).assert_refused("has more than 250000 seats");
    let zones = |count: usize| plan(&ids[..count].iter().map(|id| ("Z", vec![row("1", &[id])])).collect::<Vec<_>>());
    sale_of(zones(10_001).to_string()).assert_refused("has more than 10000 zones with seats");
    let hall = hall_of(&zones(300));
    let areas = hall["areas"].as_array().expect("areas");
    let names: HashSet<&str> = areas.iter().map(|area| area["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 300, "zones of one name stay apart");
}

#[test]
fn unknown_fields_numbers_as_labels_and_missing_labels_are_taken() {
    let mut odd = plan(&[("", vec![row("1", &["a", "b"]), row("2", &["c"])])]);
    odd["zones"][0]["areas"] = json!([{"shape": "circle", "color": "#fff"}]);
    odd["zones"][0]["rows"][0]["row_number"] = json!(7);
    odd["zones"][0]["rows"][1]["row_number"] = json!(null);
    odd["size"] = json!({"width": 1, "height": 1});
    let run = sale_of(format!("\u{feff}{odd}"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&report["plan"], &report["places"]), (&"Hall".into(), &3.into()));
}

#[test]
fn zones_of_one_name_stay_apart_and_rows_are_counted_from_the_front() {
    let plan = plan(&[
        ("Balcony", vec![row("10", &["k", "l"]), row("9", &["i", "j"])]),
        ("Balcony", vec![row("B", &["c", "d"]), row("A", &["a", "b"])]),
        ("Balcony (2)", vec![row("1", &["x"])]),
    ]);
    let hall = hall_of(&plan);
    let areas = hall["areas"].as_array().expect("areas");
    let mut names: Vec<&str> = areas.iter().map(|area| area["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(seats_of(&areas[0]), json!([[["i", "j"]], [["k", "l"]]]), "numbered rows go by their numbers");
    assert_eq!(seats_of(&areas[1]), json!([[["c", "d"]], [["a", "b"]]]), "others go as the plan lists them");
}

/// The plan's hall, as a sale keeps it.
fn hall_of(plan: &Value) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, kept) = (folder.path().join("plan.json"), folder.path().join("kept"));
    fs::write(&file, plan.to_string()).expect("a file");
    let run = with_plan(&file, &["--keep", kept.to_str().expect("UTF-8")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = fs::read_to_string(kept.join("sale.json")).expect("the kept sale");
    let sale: Value = serde_json::from_str(&text).expect("JSON");
    sale["hall"].clone()
}

/// The ids of an area's seats: rows of runs.
fn seats_of(area: &Value) -> Value {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let ids = |run: &Value| Value::from_iter(list(run).iter().map(|seat| seat["id"].clone()));
    Value::from_iter(list(&area["rows"]).iter().map(|row| Value::from_iter(list(&row["runs"]).iter().map(ids))))
}

#[test]
fn seats_are_where_the_plan_has_them() {
    let mut plan = plan(&[("Z", vec![row("7", &["a", "b"])])]);
    let zone = &mut plan["zones"][0];
    zone["position"] = json!({"x": 1000, "y": 200});
    zone["rows"][0]["position"] = json!({"x": 30, "y": 4});
    zone["rows"][0]["seats"][0]["position"] = json!({"x": 0.5, "y": 0});
    zone["rows"][0]["seats"][1]["position"] = Value::Null;
    let row = hall_of(&plan)["areas"][0]["rows"][0].clone();
    assert_eq!(row, json!({"label": "7", "runs": [[{"id": "a", "at": [1030.5, 204.0]}, {"id": "b"}]]}));
}

#[test]
fn seats_on_both_sides_of_an_aisle_are_no_neighbours() {
    let mut plan = plan(&[("Z", vec![row("1", &["a", "b", "c", "d", "e"]), row("2", &["f", "g"])])]);
    for (at, x) in [0.0, 25.0, 50.0, 100.0, 125.0].into_iter().enumerate() {
        plan["zones"][0]["rows"][0]["seats"][at]["position"] = json!({"x": x, "y": 0.1 * x});
    }
    // Nobody knows where these are.
    plan["zones"][0]["rows"][1]["seats"][0]["position"] = Value::Null;
    let rows = seats_of(&hall_of(&plan)["areas"][0]);
    assert_eq!(rows, json!([[["a", "b", "c"], ["d", "e"]], [["f", "g"]]]));
}

#[test]
fn a_hall_without_standing_places_has_no_pool() {
    let run = run("--store memory --processes 1 --buyers 60 --pay-ms 0 --standing 0 --json");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run_refused("--store memory --processes 1 --standing 0 --demand hot-pool", "needs standing places");
}

fn run_refused(line: &str, words: &str) {
    run(line).assert_refused(words);
}

#[test]
fn wrong_arguments_are_refused_with_one_clear_line() {
    for (line, words) in [
        ("--no-such-flag", "--no-such-flag"),
        ("--processes 0", "--processes"),
        ("--processes four", "--processes"),
        ("--buyers 0", "--buyers"),
        ("--concurrency 0", "--concurrency"),
        ("--standing -1", "-1"),
        ("--seed", "--seed"),
        ("--demand huge", "huge"),
        ("--store oracle", "oracle"),
        ("--lock padlock", "padlock"),
        ("--lock-policy sometimes", "sometimes"),
        ("--contention fight", "fight"),
        ("surplus", "surplus"),
        ("audit", "<DIR>"),
        ("--store memory", "one process"),
        ("--store memory --processes 1 --kill-workers 1", "--kill-workers"),
        ("--store memory --processes 1 --lock-policy ticket", "--lock-policy ticket needs a lock"),
        ("--store memory --processes 1 --lock none --lock-policy event", "--lock-policy event needs a lock"),
        ("--store memory --processes 1 --store-url x.db", "--store-url"),
        ("--store memory --processes 1 --redis redis://localhost", "--redis"),
    ] {
        run_refused(line, words);
    }
}

#[cfg(not(feature = "mssql"))]
#[test]
fn mssql_names_its_feature_where_it_is_not_compiled_in() {
    let line = "--store mssql --store-url Server=localhost";
    run_refused(line, "--store mssql is not compiled in: add --features mssql");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_store_that_is_not_compiled_in_names_its_feature() {
    run_refused("--store postgres", "--store postgres is not compiled in: add --features postgres");
}

#[cfg(not(feature = "redlock"))]
#[test]
fn redlock_names_its_feature_where_it_is_not_compiled_in() {
    let line = "--store memory --processes 1 --lock redlock --redis redis://a --redis redis://b";
    run_refused(line, "not compiled in: add --features redlock");
}

#[cfg(not(feature = "rslock"))]
#[test]
fn a_lock_that_is_not_compiled_in_names_its_feature() {
    run_refused("--store memory --processes 1 --lock rslock", "not compiled in: add --features rslock");
}

#[cfg(not(feature = "sqlite"))]
#[test]
fn the_default_store_names_its_feature() {
    run_refused("", "--features sqlite");
    run_refused("--store memory --processes 1 --lock sqlite", "--features sqlite");
}

#[test]
fn a_folder_with_something_in_it_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("letter.txt"), "dear").expect("a file");
    let keep = folder.path().to_str().expect("UTF-8");
    flash_sale(MEMORY.iter().copied().chain(["--keep", keep])).assert_refused("is not empty");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
}

#[test]
fn help_and_version_are_no_errors() {
    for flag in ["--help", "--version"] {
        let run = run(flag);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        assert!(run.stdout.contains("flash_sale"), "{run:?}");
    }
    let help = run("--help").stdout;
    assert!(help.contains("--kill-workers") && help.contains("audit") && !help.contains("  worker"), "{help}");
}
