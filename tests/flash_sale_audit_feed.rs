//! The flash sale's audit replays the change feed: it re-derives the tables, and nothing on the way broke a rule.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use flash_sale_support::kept::{ANOTHER, BOOKED, Copy, HELD, NOBODY, OTHER, RELEASED, TWICE};

/// Columns with other values.
type Changed<'c> = &'c [(&'c str, &'c str)];

/// Appends rows to the feed: each is the last row of a record, with some columns changed.
fn appended(copy: Copy, rows: &[(&str, Changed<'_>)]) -> Copy {
    const COLUMNS: [&str; 20] = [
        "event_id",
        "decided_at",
        "kind",
        "state",
        "ticket_id",
        "pool_id",
        "customer_id",
        "reservation_id",
        "held_until",
        "held_at",
        "lines",
        "area_id",
        "row_rank",
        "place_number",
        "block_reason",
        "capacity",
        "held",
        "booked",
        "opens_at",
        "closes_at",
    ];
    let insert = |(record, changed): &(&str, Changed<'_>)| {
        let value = |column: &&str| match changed.iter().find(|(name, _)| name == column) {
            Some((_, value)) => (*value).to_owned(),
            None => (*column).to_owned(),
        };
        let values: Vec<String> = COLUMNS.iter().map(value).collect();
        format!(
            "INSERT INTO change (sequence, version, {}) SELECT (SELECT max(sequence) + 1 FROM change), version + 1, {}
             FROM change WHERE {record} ORDER BY sequence DESC LIMIT 1",
            COLUMNS.join(", "),
            values.join(", "),
        )
    };
    let moved = "UPDATE event SET change_sequence = (SELECT max(sequence) FROM change)".to_owned();
    copy.tamper(rows.iter().map(insert).chain([moved]))
}

/// One seat of a reservation, as a record of the feed.
fn seat_of(copy: &Copy, reservation: &str) -> String {
    let ticket = copy.sql(&format!("SELECT min(ticket_id) FROM ticket WHERE reservation_id = ({reservation})"));
    format!("kind = 'ticket' AND ticket_id = {ticket}")
}

fn record_of(copy: &Copy, reservation: &str) -> String {
    format!("kind = 'reservation' AND reservation_id = {}", copy.sql(reservation))
}

// ---- it re-derives the tables

#[test]
fn every_record_ends_as_its_table_has_it() {
    for (statement, words) in [
        (
            "UPDATE change SET row_rank = 9
             WHERE sequence = (SELECT max(sequence) FROM change WHERE kind = 'ticket')",
            "ends with another ticket",
        ),
        (
            "UPDATE change SET held = held + 1
             WHERE sequence = (SELECT max(sequence) FROM change WHERE kind = 'pool')",
            "ends with another pool",
        ),
        ("UPDATE change SET customer_id = 'thief' WHERE kind = 'reservation'", "ends with another reservation"),
        ("UPDATE change SET limit_per_customer = 1 WHERE kind = 'event'", "ends with another the event"),
        ("UPDATE ticket SET decided_at = decided_at + 1", "ends with another ticket"),
        ("UPDATE pool SET version = version + 1", "ends with another pool"),
        ("UPDATE event SET decided_at = decided_at + 1", "ends with another the event"),
    ] {
        Copy::new().tamper([statement]).assert_finds(OTHER, words);
    }
}

#[test]
fn it_has_all_records_and_no_others() {
    let gone = "DELETE FROM change WHERE kind = 'pool'";
    // Without gaps, of which there would be more than the audit tells.
    let without_gaps = "UPDATE change SET sequence =
                        (SELECT count(*) FROM change AS before WHERE before.sequence <= change.sequence)";
    Copy::new().tamper([gone, without_gaps]).assert_finds(OTHER, "does not know pool standing");
    let allowance = "INSERT INTO allowance (event_id, customer_id, held, booked, version, decided_at)
                     SELECT event_id, 'buyer-1', 0, 4, 1, 1 FROM event";
    Copy::new().tamper([allowance]).assert_finds(OTHER, "does not know the allowance of buyer-1");
    let more = |kind: &str, columns: &str, values: &str| {
        format!(
            "INSERT INTO change (event_id, sequence, decided_at, version, kind, {columns})
             SELECT event_id, change_sequence + 1, decided_at, 1, '{kind}', {values} FROM event"
        )
    };
    let allowance = more("allowance", "customer_id, held, booked", "'buyer-1', 0, 4");
    Copy::new().tamper([allowance]).assert_finds(OTHER, "the allowance of buyer-1, which is not in the store");
    let pool = more("pool", "pool_id, capacity, held, booked", "'new', 5, 0, 0");
    Copy::new().tamper([pool]).assert_finds(OTHER, "pool new, which is not in the store");
    let odd = more("rumour", "state", "'true'");
    Copy::new().tamper([odd]).assert_finds(OTHER, "is of a kind");
}

#[test]
fn it_has_no_gaps_and_ends_where_the_event_says() {
    for (statement, words) in [
        ("DELETE FROM change WHERE sequence = (SELECT max(sequence) / 2 FROM change)", "the change feed goes from"),
        ("DELETE FROM change WHERE sequence = (SELECT max(sequence) FROM change)", "the change feed ends with"),
        ("UPDATE event SET change_sequence = change_sequence + 1", "the change feed ends with"),
        ("UPDATE event SET changes_purged_through = 10", "were purged"),
        ("DELETE FROM change WHERE sequence = 1", "the change feed goes from 0 to 2"),
    ] {
        Copy::new().tamper([statement]).assert_finds(OTHER, words);
    }
}

#[test]
fn every_change_is_the_next_version_and_decided_later() {
    let last = "WHERE sequence = (SELECT max(sequence) FROM change)";
    Copy::new()
        .tamper([format!("UPDATE change SET version = version + 1 {last}")])
        .assert_finds(OTHER, "makes version");
    let earlier = format!("UPDATE change SET decided_at = 1 {last}");
    Copy::new().tamper([earlier]).assert_finds(OTHER, "was decided before the one it follows");
}

// ---- tickets

#[test]
fn a_sold_ticket_is_never_sold_again() {
    let copy = Copy::new();
    let seat = seat_of(&copy, BOOKED);
    appended(copy, &[(&seat, &[("state", "'available'"), ("reservation_id", "NULL")])])
        .assert_finds(TWICE, "takes the sold ticket");
    appended(Copy::new(), &[(&seat, &[("state", "'blocked'"), ("reservation_id", "NULL")])])
        .assert_finds(TWICE, "takes the sold ticket");
    appended(Copy::new(), &[(&seat, &[])]).assert_finds(OTHER, "changes the sold ticket");
}

#[test]
fn a_live_hold_does_not_change_hands() {
    let copy = Copy::new();
    let (seat, another) = (seat_of(&copy, HELD), copy.sql(ANOTHER));
    appended(copy, &[(&seat, &[("reservation_id", &another)])]).assert_finds(TWICE, "before its deadline");
    // In two steps neither.
    let freed: Changed<'_> = &[("state", "'available'"), ("reservation_id", "NULL"), ("held_until", "NULL")];
    let held: Changed<'_> =
        &[("state", "'held'"), ("reservation_id", &another), ("held_until", "decided_at + 60000000")];
    appended(Copy::new(), &[(&seat, freed), (&seat, held)]).assert_finds(OTHER, "was taken from");
    let sold: Changed<'_> = &[("state", "'booked'"), ("reservation_id", &another), ("held_until", "NULL")];
    appended(Copy::new(), &[(&seat, sold)]).assert_finds(TWICE, "holds it");
}

/// What was given back goes on sale at once; nothing else does before its deadline.
#[test]
fn a_hold_that_ends_before_its_deadline_was_given_back() {
    let copy = Copy::new();
    let released = copy.sql(RELEASED);
    copy.tamper([
        format!("UPDATE change SET state = 'expired' WHERE state = 'released' AND reservation_id = {released}"),
        format!("UPDATE reservation SET state = 'expired' WHERE reservation_id = {released}"),
    ])
    .assert_finds(OTHER, "before its deadline");
}

#[test]
fn a_ticket_is_sold_only_to_who_holds_it_in_time() {
    let copy = Copy::new();
    let seat = seat_of(&copy, HELD);
    let late: Changed<'_> = &[("state", "'booked'"), ("held_until", "NULL"), ("decided_at", "held_until")];
    appended(copy, &[(&seat, late)]).assert_finds(OTHER, "sells, after the deadline, the ticket");
    let longer: Changed<'_> = &[("held_until", "held_until + 1")];
    appended(Copy::new(), &[(&seat, longer)]).assert_finds(OTHER, "extends the hold of ticket");
    let free = "kind = 'ticket' AND ticket_id = (SELECT min(ticket_id) FROM ticket WHERE state = 'available')";
    let sold: Changed<'_> = &[("state", "'booked'"), ("reservation_id", NOBODY)];
    appended(Copy::new(), &[(free, sold)]).assert_finds(OTHER, "sells, without holding it, the ticket");
    let blocked: Changed<'_> = &[("state", "'blocked'"), ("block_reason", "'pillar'")];
    appended(Copy::new(), &[(free, blocked)]).assert_finds(OTHER, "makes blocked ticket");
    appended(Copy::new(), &[(free, &[("place_number", "999")])]).assert_finds(OTHER, "to another place");
    Copy::new()
        .tamper([format!(
            "UPDATE change SET state = 'booked', reservation_id = {NOBODY} WHERE kind = 'ticket' AND version = 1"
        )])
        .assert_finds(OTHER, "begins with a taken ticket");
}

#[test]
fn every_ticket_of_a_hold_was_held_and_no_other() {
    let copy = Copy::new();
    let (seat, booked) = (seat_of(&copy, BOOKED), copy.sql(BOOKED));
    copy.tamper([format!("UPDATE change SET reservation_id = {NOBODY} WHERE {seat} AND reservation_id = {booked}")])
        .assert_finds(OTHER, "never held its ticket");
    let copy = Copy::new();
    let (seat, held) = (seat_of(&copy, HELD), copy.sql(HELD));
    copy.tamper([format!("UPDATE change SET reservation_id = {NOBODY} WHERE {seat} AND reservation_id = {held}")])
        .assert_finds(OTHER, "which is not its own");
    let of_two = "SELECT reservation_id FROM ticket WHERE state = 'booked' GROUP BY 1 HAVING count(*) > 1 LIMIT 1";
    let copy = Copy::new();
    let seat = seat_of(&copy, of_two);
    copy.tamper([format!("UPDATE change SET held_until = held_until + 1 WHERE {seat} AND state = 'held'")])
        .assert_finds(OTHER, "until another time");
}

// ---- reservations

#[test]
fn a_reservation_goes_only_where_the_rules_let_it() {
    let held = record_of(&Copy::new(), HELD);
    let booked = record_of(&Copy::new(), BOOKED);
    let released = record_of(&Copy::new(), RELEASED);
    let over = ("held_until", "NULL");
    let late = ("decided_at", "held_until");
    let cases: [(&str, Changed<'_>, &str); 8] = [
        (&held, &[("state", "'booked'"), over, late], "to booked comes after its deadline"),
        (&held, &[("state", "'released'"), over, late], "to released comes after its deadline"),
        (&held, &[("state", "'expired'"), over], "to expired comes before its deadline"),
        (&held, &[("held_until", "held_until + 1")], "extends it"),
        (&held, &[("state", "'cancelled'"), over], "to cancelled is nothing that anybody asked for"),
        (&booked, &[("state", "'released'")], "to released comes after its end"),
        (&booked, &[("state", "'cancelled'")], "to cancelled comes after its end"),
        (&released, &[("state", "'booked'")], "to booked comes after its end"),
    ];
    for (record, changed, words) in cases {
        appended(Copy::new(), &[(record, changed)]).assert_finds(OTHER, words);
    }
    Copy::new()
        .tamper([format!("DELETE FROM change WHERE {booked} AND version = 1")])
        .assert_finds(OTHER, "does not begin as a hold");
}

#[test]
fn a_reservation_stays_the_same() {
    let held = record_of(&Copy::new(), HELD);
    for changed in [
        ("customer_id", "'thief'"),
        ("held_at", "held_at + 1"),
        ("lines", r#"'{"tickets":[],"pools":{"standing":1}}'"#),
    ] {
        appended(Copy::new(), &[(&held, &[changed])]).assert_finds(OTHER, "makes another reservation of");
    }
}

// ---- pools and the event

#[test]
fn a_pool_is_within_its_capacity_at_every_moment() {
    let middle = "WHERE sequence = (SELECT sequence FROM change WHERE kind = 'pool' AND version = 2)";
    Copy::new()
        .tamper([format!("UPDATE change SET held = 81 {middle}")])
        .assert_finds(TWICE, "held and 0 booked, of 80");
    Copy::new().tamper([format!("UPDATE change SET capacity = 81 {middle}")]).assert_finds(OTHER, "another capacity");
    Copy::new()
        .tamper([format!("UPDATE change SET booked = 60, held = 0 {middle}")])
        .assert_finds(OTHER, "takes sold places");
    let first = "UPDATE change SET held = 1 WHERE kind = 'pool' AND version = 1";
    Copy::new().tamper([first]).assert_finds(OTHER, "with places taken");
}

#[test]
fn the_event_only_goes_on_sale() {
    appended(Copy::new(), &[("kind = 'event'", &[("closes_at", "9")])]).assert_finds(OTHER, "makes the event");
    let first = "UPDATE change SET state = 'on_sale' WHERE kind = 'event' AND version = 1";
    Copy::new().tamper([first]).assert_finds(OTHER, "makes the event");
}

// ---- the clock

/// A day later than it is by the clock of who audits: what had lapsed when it was decided has lapsed.
#[test]
fn a_clock_that_was_set_back_since_raises_no_alarm() {
    let copy = Copy::new();
    let seats_only = "SELECT reservation_id FROM reservation WHERE state = 'held' AND reservation_id NOT IN
        (SELECT reservation_id FROM reservation_line WHERE pool_id IS NOT NULL) LIMIT 1";
    let (held, record) = (copy.sql(seats_only), record_of(&copy, seats_only));
    let later = [
        ("event", "decided_at"),
        ("ticket", "decided_at, held_until"),
        ("pool", "decided_at"),
        ("reservation", "decided_at, held_until, held_at"),
        ("reservation_line", "held_until"),
        ("operation", "decided_at, held_until"),
        ("change", "decided_at, held_until, held_at"),
    ]
    .map(|(table, times)| {
        let sets: Vec<String> = times.split(", ").map(|time| format!("{time} = {time} + 86400000000")).collect();
        format!("UPDATE {table} SET {}", sets.join(", "))
    });
    // The hold was settled at its deadline, and its seats were left as they are.
    let settled = format!(
        "UPDATE reservation SET state = 'expired', held_until = NULL, decided_at = held_until, version = version + 1
         WHERE reservation_id = {held}"
    );
    let expired: Changed<'_> = &[("state", "'expired'"), ("held_until", "NULL"), ("decided_at", "held_until")];
    appended(copy.tamper(later), &[(&record, expired)]).tamper([settled]).assert_passes();
}
