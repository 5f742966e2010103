#![no_main]
//! A seating plan that somebody made by hand, or by a broken tool, into the flash sale.

#[allow(dead_code)]
#[path = "../../examples/flash_sale/failure.rs"]
mod failure;
#[allow(dead_code)]
#[path = "../../examples/flash_sale/hall.rs"]
mod hall;
#[allow(dead_code)]
#[path = "../../examples/flash_sale/plan.rs"]
mod plan;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use failure::Failure;
use hall::Hall;

/// Where the plans are written to.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
static FILE: LazyLock<PathBuf> = LazyLock::new(|| FOLDER.path().join("plan.json"));

/// Longest line about a plan that is refused, in bytes: it does not repeat the plan.
const LINE_BYTES_MAX: usize = 600;

fuzz_target!(|data: &[u8]| {
    std::fs::write(&*FILE, data).expect("a file");
    let standing = [0, 1, u32::MAX][data.len() % 3];
    match plan::read(Some(&FILE), standing) {
        Ok(hall) => accepted(&hall, standing),
        Err(failure) => refused(&failure),
    }
});

/// Everything that is sold has a name that the library takes, and a place of its own.
fn accepted(hall: &Hall, standing: u32) {
    let tickets = hall.tickets().expect("every seat has the id of a ticket, and every area one of an area");
    let ids = tickets.iter().map(|(id, _)| id).collect::<HashSet<_>>().len();
    let places = tickets.iter().map(|(_, place)| place).collect::<HashSet<_>>().len();
    assert!(!tickets.is_empty(), "a hall without seats");
    assert_eq!((ids, places, hall.seats()), (tickets.len(), tickets.len(), tickets.len()));
    let names: HashSet<_> = hall.areas.iter().map(|area| area.name.as_str()).collect();
    assert_eq!(names.len(), hall.areas.len(), "areas of one name");
    assert!(hall.areas.len() <= plan::AREAS_MAX && tickets.len() <= plan::SEATS_MAX);
    let pools = hall.pools().expect("the standing places have the id of a pool");
    assert_eq!(pools.iter().map(|(_, places)| places).sum::<u32>(), standing);

    let labels = hall.areas.iter().flat_map(|area| &area.rows).map(|row| row.label.as_str());
    for text in labels.chain(names).chain([hall.name.as_str()]) {
        assert!(!text.chars().any(char::is_control) && text.trim() == text, "{text:?}");
    }
    let seats = hall.areas.iter().flat_map(|area| &area.rows).flat_map(|row| &row.runs).flatten();
    assert!(seats.filter_map(|seat| seat.at).all(|(x, y)| x.is_finite() && y.is_finite()));

    // Workers are sent the hall as text. Where a seat is drawn may change in its last digit.
    let text = serde_json::to_string(hall).expect("JSON");
    let again: Hall = serde_json::from_str(&text).expect("a hall");
    assert_eq!((again.tickets(), again.pools()), (Ok(tickets), Ok(pools)));
}

fn refused(failure: &Failure) {
    let line = failure.to_string();
    assert_eq!(failure.code(), 2, "{line}");
    assert!(line.len() <= LINE_BYTES_MAX, "{} bytes: {line}", line.len());
    assert!(!line.chars().any(char::is_control), "{line:?}");
}
