//! The flash sale's audit notices an order of events that nobody can have seen.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use flash_sale_support::kept::{BOOKED, Copy, OTHER, lines, operation};

/// A worker's log in which a request of a booked reservation has other times than it had.
fn with_times(kind: &str, of_sent: impl Fn(&str) -> bool, move_us: i64) -> Copy {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    copy.edit_a_log(|text| {
        let id = operation(text, kind, &booked)?;
        Some(lines(text, |line| {
            let mut fields: Vec<String> = line.split('\t').map(ToOwned::to_owned).collect();
            if fields.get(1) == Some(&id) && of_sent(&fields[0]) {
                let at: i64 = fields[2].parse().expect("a time");
                fields[2] = (at + move_us).max(0).to_string();
            }
            Some(fields.join("\t"))
        }))
    })
}

/// It is in the feed already when others ask, and is asked for a day later.
#[test]
fn what_was_asked_for_last_does_not_come_first() {
    let a_day_us = 24 * 60 * 60 * 1_000_000;
    with_times("hold", |what| what == "S", a_day_us)
        .assert_finds(OTHER, "was asked for, and comes after it in the feed");
    with_times("hold", |what| what == "S", -a_day_us).assert_passes();
}

/// Everybody else had asked by the time that it was told, and not all of them come before it.
#[test]
fn what_was_told_before_others_asked_does_not_come_after_them() {
    let copy = Copy::new();
    // The last one that was booked, told when the sale began.
    let last = "SELECT reservation_id FROM change WHERE kind = 'reservation' AND state = 'booked' ORDER BY sequence DESC LIMIT 1";
    let booked = copy.uuid(last);
    let told_at_once = |text: &str| {
        let id = operation(text, "confirm", &booked)?;
        Some(lines(text, |line| {
            let mut fields: Vec<&str> = line.split('\t').collect();
            if fields.get(1) == Some(&id.as_str()) {
                fields[2] = "0";
            }
            Some(fields.join("\t"))
        }))
    };
    copy.edit_a_log(told_at_once).assert_finds(OTHER, "was asked for, and comes after it in the feed");
}

/// Its seat was free all the time.
#[test]
fn nobody_is_refused_a_seat_that_is_free() {
    let copy = Copy::new();
    let free = copy.text("SELECT ticket_id FROM ticket WHERE version = 1 AND state = 'available' LIMIT 1");
    let new = "0190b5a4-0000-7000-8000-0000000000";
    let refused = |ticket: &str| {
        let log =
            format!("S\t{new}01\t100\thold\t{new}ff\tbuyer-1\tt={ticket}\nA\t{new}01\t200\t100\tno\tunavailable\nE\n");
        move |text: &str| Some(format!("{}{log}", text.trim_end_matches("E\n")))
    };
    copy.edit_a_log(refused(&free))
        .assert_finds(OTHER, "was refused because of a seat, and all were free all the time");
    // One that is not sold here at all.
    Copy::new().edit_a_log(refused("nowhere")).assert_passes();
}

/// A seat that was taken when the sale was over was not when it began.
#[test]
fn nobody_is_refused_a_seat_before_it_is_taken() {
    let copy = Copy::new();
    let last = "SELECT ticket_id FROM change WHERE kind = 'ticket' AND version = 2 ORDER BY sequence DESC LIMIT 1";
    let ticket = copy.text(last);
    let new = "0190b5a4-0000-7000-8000-0000000000";
    let refused = |text: &str| {
        let (head, rest) = text.split_once("\nS\t")?;
        let asked = format!("S\t{new}01\t0\thold\t{new}ff\tbuyer-1\tt={ticket}\nA\t{new}01\t1\t1\tno\tunavailable");
        Some(format!("{head}\n{asked}\nS\t{rest}"))
    };
    copy.edit_a_log(refused).assert_finds(OTHER, "was refused because of a seat, and all were free all the time");
}
