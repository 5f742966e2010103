//! Reads seating plans in pretix's open format.
//!
//! A seat's `seat_guid` becomes its ticket's id as it is, so a plan with one that is no ticket id (longer than 64
//! bytes, say, or with a blank at its edge) is refused. Seats of a row are neighbours in the order of the plan, except across
//! an aisle: a step that is clearly longer than the row's usual one.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use ticket_reservation::domain::TicketId;

use crate::failure::Failure;
use crate::hall::{self, Area, Hall};

/// The plan that is sold when no other is named: 1,252 seats in six blocks.
const RIETHSPORTHALLE: &str = include_str!("../data/riethsporthalle-erfurt.json");

/// Largest file that is read as a plan, in bytes. A seat takes about a hundred.
const PLAN_BYTES_MAX: u64 = 64 << 20;

/// Most seats of a plan.
pub(crate) const SEATS_MAX: usize = 250_000;

/// Most areas of a plan, so that the number behind an area's name has at most five digits.
pub(crate) const AREAS_MAX: usize = 10_000;

/// Longest reason for refusing a plan, in bytes: it quotes the plan.
const REASON_BYTES_MAX: usize = 400;

/// Longest part of a zone's name that becomes an area's name, so that a number still fits behind it.
const AREA_NAME_BYTES_MAX: usize = 56;

/// How many usual steps from seat to seat are an aisle.
const AISLE_STEPS: f64 = 1.5;

#[derive(Deserialize)]
struct Plan {
    name: String,
    categories: Vec<Category>,
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
struct Category {
    name: String,
}

/// A zone's own `areas` are drawings, not places.
#[derive(Deserialize)]
struct Zone {
    #[serde(default, deserialize_with = "label")]
    name: String,
    #[serde(default)]
    position: Option<Position>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "label")]
    row_number: String,
    #[serde(default)]
    position: Option<Position>,
    #[serde(default)]
    seats: Vec<Seat>,
}

#[derive(Deserialize)]
struct Seat {
    seat_guid: String,
    category: String,
    #[serde(default)]
    position: Option<Position>,
}

/// Seats are placed relative to their row, rows relative to their zone, and zones relative to the hall.
#[derive(Deserialize)]
struct Position {
    x: f64,
    y: f64,
}

/// Labels are text, but hand-made plans also have numbers and nulls there.
fn label<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Label {
        Text(String),
        Number(serde_json::Number),
        None(()),
    }
    Ok(match Label::deserialize(from)? {
        Label::Text(text) => text,
        Label::Number(number) => number.to_string(),
        Label::None(()) => String::new(),
    })
}

/// Reads the plan in `file`, or the built-in one.
pub(crate) fn read(file: Option<&Path>, standing: u32) -> Result<Hall, Failure> {
    let Some(file) = file else {
        return hall_of(RIETHSPORTHALLE, standing).map_err(|why| Failure::usage(format!("the built-in plan: {why}")));
    };
    let shown = file.display();
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(PLAN_BYTES_MAX + 1).read_to_end(&mut bytes));
    let read = read.map_err(|error| Failure::usage(format!("the plan {shown} cannot be read: {error}")))?;
    if read as u64 > PLAN_BYTES_MAX {
        return Err(Failure::usage(format!("the plan {shown} has more than {PLAN_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("the plan {shown} is not UTF-8")))?;
    hall_of(&text, standing).map_err(|why| Failure::usage(format!("the plan {shown} {}", short(why))))
}

/// What is wrong quotes the plan, and a text of a plan may be as long as the plan.
fn short(mut why: String) -> String {
    if why.len() > REASON_BYTES_MAX {
        let cut = why.char_indices().map(|(at, _)| at).take_while(|at| *at <= REASON_BYTES_MAX).last();
        why.truncate(cut.unwrap_or(0));
        why.push('…');
    }
    why
}

/// Makes a hall of a plan, or says in one line what is wrong with it.
fn hall_of(text: &str, standing: u32) -> Result<Hall, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let plan: Plan = serde_json::from_str(text).map_err(|error| {
        let kind = if error.is_data() { "is not a seating plan" } else { "is not JSON" };
        format!("{kind}: {error}")
    })?;
    let categories: HashMap<&str, usize> =
        plan.categories.iter().enumerate().rev().map(|(rank, category)| (category.name.as_str(), rank)).collect();
    let mut guids = HashSet::new();
    let mut names = HashMap::new();
    let mut areas = Vec::new();
    for (index, zone) in plan.zones.iter().enumerate() {
        let mut best = usize::MAX;
        for seat in zone.rows.iter().flat_map(|row| &row.seats) {
            let guid = &seat.seat_guid;
            TicketId::new(guid).map_err(|error| format!("has an unusable seat_guid {guid:?}: {error}"))?;
            if !guids.insert(guid.as_str()) {
                return Err(format!("has the seat_guid {guid:?} twice"));
            }
            let Some(rank) = categories.get(seat.category.as_str()) else {
                return Err(format!("has the seat {guid:?} in an unknown category {:?}", seat.category));
            };
            best = best.min(*rank);
        }
        if guids.len() > SEATS_MAX {
            return Err(format!("has more than {SEATS_MAX} seats"));
        }
        let rows = rows_from_the_front(zone);
        if !rows.is_empty() {
            if areas.len() == AREAS_MAX {
                return Err(format!("has more than {AREAS_MAX} zones with seats"));
            }
            areas.push(Area { name: unique_name(&zone.name, index, &mut names), category: best, rows });
        }
    }
    if areas.is_empty() {
        return Err("has no seats".to_owned());
    }
    Ok(Hall { name: one_line(&plan.name), areas, standing })
}

/// Rows in the order of their numbers if all have one, else as the plan lists them.
fn rows_from_the_front(zone: &Zone) -> Vec<hall::Row> {
    let mut rows: Vec<&Row> = zone.rows.iter().filter(|row| !row.seats.is_empty()).collect();
    let number = |row: &Row| row.row_number.trim().parse::<u64>().ok();
    if rows.iter().all(|row| number(row).is_some()) {
        rows.sort_by_key(|row| number(row));
    }
    let row = |row: &&Row| hall::Row {
        label: one_line(&row.row_number),
        runs: runs(&row.seats, |seat| position(&[&zone.position, &row.position], seat)),
    };
    rows.iter().map(row).collect()
}

/// The seats of a row, parted at its aisles.
fn runs(seats: &[Seat], place: impl Fn(&Seat) -> Option<(f64, f64)>) -> Vec<Vec<hall::Seat>> {
    let steps: Vec<f64> = seats.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect();
    let mut sorted = steps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
    let mut runs = vec![Vec::new()];
    for (at, seat) in seats.iter().enumerate() {
        if at > 0 && steps[at - 1] > AISLE_STEPS * usual {
            runs.push(Vec::new());
        }
        if let Some(run) = runs.last_mut() {
            run.push(hall::Seat { id: seat.seat_guid.clone(), at: place(seat) });
        }
    }
    runs
}

/// Where a seat is in the hall, if the plan says so. What it is relative to is at the origin unless that is said too.
fn position(of_what_it_is_in: &[&Option<Position>], seat: &Seat) -> Option<(f64, f64)> {
    let seat = seat.position.as_ref()?;
    let around = of_what_it_is_in.iter().copied().flatten();
    let (x, y) = around.fold((seat.x, seat.y), |(x, y), outer| (x + outer.x, y + outer.y));
    (x.is_finite() && y.is_finite()).then_some((x, y))
}

/// Where a plan does not say where the seats are, they are all neighbours.
fn distance(from: &Seat, to: &Seat) -> f64 {
    match (&from.position, &to.position) {
        (Some(from), Some(to)) => (to.x - from.x).hypot(to.y - from.y),
        _ => 0.0,
    }
}

/// Zones may share a name, or have none; areas may not, or their places would be neighbours. `taken` has the number of the
/// next copy of each name.
fn unique_name(name: &str, index: usize, taken: &mut HashMap<String, usize>) -> String {
    let mut base = one_line(name);
    while base.len() > AREA_NAME_BYTES_MAX {
        base.pop();
    }
    let base = match base.trim() {
        "" => format!("Zone {}", index + 1),
        base => base.to_owned(),
    };
    let Some(mut copy) = taken.get(&base).copied() else {
        taken.insert(base.clone(), 2);
        return base;
    };
    let unique = loop {
        let unique = format!("{base} ({copy})");
        copy += 1;
        if !taken.contains_key(&unique) {
            break unique;
        }
    };
    taken.insert(base, copy);
    taken.insert(unique.clone(), 2);
    unique
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}
