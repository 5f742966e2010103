//! The flash sale's audit notices when the tables of a kept store were tampered with.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use flash_sale_support::kept::{
    ANOTHER, BOOKED, Copy, FREE, HELD, LOST, NOBODY, OF_TWO, OTHER, RELEASED, STANDING, TWICE, UNASKED,
};

/// Changes each row that `query` selects the reservation of.
fn tampered(query: &str, statement: &str) -> Copy {
    let copy = Copy::new();
    let reservation = copy.sql(query);
    copy.tamper([statement.replace("@", &reservation)])
}

// ---- tickets

#[test]
fn a_ticket_in_two_bookings_is_sold_twice() {
    let copy = Copy::new();
    let (booked, another) = (copy.sql(BOOKED), copy.sql(ANOTHER));
    let line = format!(
        "INSERT INTO reservation_line (reservation_id, line, event_id, ticket_id, quantity)
         SELECT {another}, 999, event_id, ticket_id, 1 FROM ticket WHERE reservation_id = {booked} LIMIT 1"
    );
    copy.tamper([line]).assert_finds(TWICE, "is booked by");
}

#[test]
fn a_ticket_given_to_another_booking_is_sold_twice() {
    let copy = Copy::new();
    let (booked, another) = (copy.sql(BOOKED), copy.sql(ANOTHER));
    let row = format!("UPDATE ticket SET reservation_id = {another} WHERE reservation_id = {booked}");
    copy.tamper([row]).assert_finds(TWICE, "and sold to");
}

#[test]
fn a_booked_seat_that_is_free_again_is_lost() {
    tampered(BOOKED, "UPDATE ticket SET state = 'available', reservation_id = NULL WHERE reservation_id = @")
        .assert_finds(LOST, "and not sold to it");
}

#[test]
fn a_seat_sold_to_nobody_was_not_asked_for() {
    let row = format!("UPDATE ticket SET state = 'booked', reservation_id = {NOBODY} WHERE ticket_id = ({FREE})");
    Copy::new().tamper([row]).assert_finds(UNASKED, "which has not booked it");
}

#[test]
fn a_seat_is_held_by_a_hold_of_its_own() {
    let held = format!(
        "UPDATE ticket SET state = 'held', reservation_id = {NOBODY}, held_until = 9 WHERE ticket_id = ({FREE})"
    );
    Copy::new().tamper([held]).assert_finds(OTHER, "which does not hold it");
    tampered(HELD, "UPDATE ticket SET held_until = held_until + 1 WHERE reservation_id = @")
        .assert_finds(OTHER, "which does not hold it");
}

#[test]
fn a_seat_that_is_blocked_was_blocked_by_nobody() {
    let row = format!("UPDATE ticket SET state = 'blocked', block_reason = 'pillar' WHERE ticket_id = ({FREE})");
    Copy::new().tamper([row]).assert_finds(OTHER, "is blocked, and nobody did that");
    let row = format!("UPDATE ticket SET held_until = 9 WHERE ticket_id = ({FREE})");
    Copy::new().tamper([row]).assert_finds(OTHER, "is available, and nobody did that");
}

/// The holds of a kept sale have lapsed by now, so this one is made to last.
#[test]
fn a_live_hold_has_all_its_seats() {
    let copy = Copy::new();
    let held = copy.sql(HELD);
    let late = i64::MAX;
    let statements = [
        format!("UPDATE reservation SET held_until = {late} WHERE reservation_id = {held}"),
        format!(
            "UPDATE ticket SET state = 'available', reservation_id = NULL, held_until = NULL
             WHERE reservation_id = {held}"
        ),
    ];
    copy.tamper(statements).assert_finds(OTHER, "and not kept for it");
}

#[test]
fn every_place_of_the_plan_is_still_there_and_no_other() {
    let row = format!("DELETE FROM ticket WHERE ticket_id = ({FREE})");
    Copy::new().tamper([row]).assert_finds(OTHER, "of the plan is gone");
    let row = format!("UPDATE ticket SET place_number = 999 WHERE ticket_id = ({FREE})");
    Copy::new().tamper([row]).assert_finds(OTHER, "is not where the plan has it");
    let more = "INSERT INTO ticket (event_id, ticket_id, area_id, row_rank, place_number, state, version, decided_at)
                SELECT event_id, 'new', area_id, 99, 1, 'available', 1, 1 FROM ticket LIMIT 1";
    Copy::new().tamper([more]).assert_finds(OTHER, "ticket new is not in the plan");
    let sold = format!("UPDATE ticket SET state = 'booked', reservation_id = {NOBODY} WHERE ticket_id = 'new'");
    Copy::new().tamper([more, &sold]).assert_finds(UNASKED, "ticket new is not in the plan");
}

// ---- reservations

#[test]
fn a_booking_that_is_gone_is_lost() {
    let copy = Copy::new();
    let booked = copy.sql(BOOKED);
    let statements = [
        format!("UPDATE ticket SET state = 'available', reservation_id = NULL WHERE reservation_id = {booked}"),
        format!("DELETE FROM reservation_line WHERE reservation_id = {booked}"),
        format!("DELETE FROM reservation WHERE reservation_id = {booked}"),
    ];
    copy.tamper(statements).assert_finds(LOST, "is not in the store");
}

#[test]
fn a_booking_that_is_released_is_lost() {
    let released = || tampered(BOOKED, "UPDATE reservation SET state = 'released' WHERE reservation_id = @");
    released().assert_finds(LOST, "is released in the store");
    released().assert_finds(OTHER, "is released, and nobody gave it back");
    released().assert_finds(OTHER, "is recorded as carried out and did not happen");
}

#[test]
fn nobody_cancels() {
    tampered(BOOKED, "UPDATE reservation SET state = 'cancelled' WHERE reservation_id = @")
        .assert_finds(OTHER, "is cancelled, and nobody asked for that");
}

#[test]
fn what_was_given_back_is_released() {
    tampered(RELEASED, "UPDATE reservation SET state = 'expired' WHERE reservation_id = @")
        .assert_finds(OTHER, "was given back, and is expired");
}

#[test]
fn a_booking_without_one_of_its_lines_is_not_all_or_nothing() {
    let copy = Copy::new();
    let booked = copy.sql(OF_TWO);
    let ticket = copy.sql(&format!("SELECT max(ticket_id) FROM ticket WHERE reservation_id = {booked}"));
    let statements = [
        format!("DELETE FROM reservation_line WHERE reservation_id = {booked} AND ticket_id = {ticket}"),
        format!("UPDATE ticket SET state = 'available', reservation_id = NULL WHERE ticket_id = {ticket}"),
    ];
    copy.tamper(statements).assert_finds(LOST, "has other lines in the store");
}

#[test]
fn a_booking_that_no_log_knows_was_not_asked_for() {
    let copy = Copy::new();
    let free = copy.sql(FREE);
    let statements = [
        format!(
            "INSERT INTO reservation (reservation_id, event_id, customer_id, state, held_at, version, decided_at)
             SELECT {NOBODY}, event_id, 'nobody', 'booked', 1, 1, 1 FROM event"
        ),
        format!(
            "INSERT INTO reservation_line (reservation_id, line, event_id, ticket_id, quantity)
             SELECT {NOBODY}, 1, event_id, {free}, 1 FROM event"
        ),
        format!("UPDATE ticket SET state = 'booked', reservation_id = {NOBODY} WHERE ticket_id = {free}"),
    ];
    copy.tamper(statements).assert_finds(UNASKED, "and nobody asked for it");
}

#[test]
fn a_booking_of_another_customer_was_not_asked_for() {
    tampered(BOOKED, "UPDATE reservation SET customer_id = 'thief' WHERE reservation_id = @")
        .assert_finds(UNASKED, "belongs to thief");
}

// ---- lines

#[test]
fn a_line_stands_once_in_order_and_in_its_event() {
    let again = "INSERT INTO reservation_line (reservation_id, line, event_id, ticket_id, quantity)
                 SELECT reservation_id, 99, event_id, ticket_id, 1 FROM reservation_line
                 WHERE reservation_id = @ AND line = 1";
    tampered(BOOKED, again).assert_finds(OTHER, "twice");
    tampered(BOOKED, "UPDATE reservation_line SET line = 7 WHERE reservation_id = @ AND line = 1")
        .assert_finds(OTHER, "has line 7 where");
    tampered(BOOKED, "UPDATE reservation_line SET event_id = 'other' WHERE reservation_id = @")
        .assert_finds(OTHER, "belongs to another event");
    tampered(BOOKED, "DELETE FROM reservation WHERE reservation_id = @")
        .assert_finds(OTHER, "which is not in the store");
}

#[test]
fn a_line_is_one_ticket_or_some_places_of_a_pool() {
    tampered(BOOKED, "UPDATE reservation_line SET quantity = 2 WHERE reservation_id = @ AND line = 1")
        .assert_finds(OTHER, "is not one ticket");
    tampered(BOOKED, "UPDATE reservation_line SET ticket_id = NULL WHERE reservation_id = @ AND line = 1")
        .assert_finds(OTHER, "is neither a ticket nor a pool");
    tampered(STANDING, "UPDATE reservation_line SET quantity = 0 WHERE reservation_id = @ AND pool_id IS NOT NULL")
        .assert_finds(OTHER, "is no place of a pool");
}

#[test]
fn only_a_hold_of_standing_places_repeats_its_deadline() {
    tampered(BOOKED, "UPDATE reservation_line SET held_until = 9 WHERE reservation_id = @ AND ticket_id IS NOT NULL")
        .assert_finds(OTHER, "is a ticket with a deadline of its own");
    tampered(STANDING, "UPDATE reservation_line SET held_until = 9 WHERE reservation_id = @ AND pool_id IS NOT NULL")
        .assert_finds(OTHER, "has another deadline than its hold");
}

// ---- pools

#[test]
fn a_pool_beyond_its_capacity_is_sold_twice() {
    Copy::new().tamper(["UPDATE pool SET booked = capacity + 5"]).assert_finds(TWICE, "booked, of 80");
}

#[test]
fn more_standing_places_booked_than_there_are_is_sold_twice() {
    tampered(STANDING, "UPDATE reservation_line SET quantity = 500 WHERE reservation_id = @ AND pool_id IS NOT NULL")
        .assert_finds(TWICE, "of pool standing are booked, of 80");
}

#[test]
fn a_pool_counts_what_its_reservations_count() {
    Copy::new().tamper(["UPDATE pool SET booked = booked - 1"]).assert_finds(OTHER, "counts (held, booked)");
    Copy::new().tamper(["UPDATE pool SET held = held + 1"]).assert_finds(OTHER, "counts (held, booked)");
    Copy::new().tamper(["UPDATE pool SET capacity = capacity + 1"]).assert_finds(OTHER, "the plan has 80");
}

#[test]
fn the_pools_are_those_of_the_plan() {
    Copy::new().tamper(["DELETE FROM pool"]).assert_finds(OTHER, "pool standing of the plan is gone");
    Copy::new().tamper(["DELETE FROM pool"]).assert_finds(OTHER, "pool standing is reserved and does not exist");
    let more = "INSERT INTO pool (event_id, pool_id, capacity, held, booked, version, decided_at)
                SELECT event_id, 'new', 5, 0, @, 1, 1 FROM event";
    Copy::new().tamper([more.replace('@', "0")]).assert_finds(OTHER, "pool new is not in the plan");
    Copy::new().tamper([more.replace('@', "1")]).assert_finds(UNASKED, "pool new is not in the plan");
}

// ---- the event and its customers

#[test]
fn the_terms_of_sale_stay_as_they_were() {
    for terms in ["state = 'preparing'", "opens_at = 9", "closes_at = 9", "limit_per_customer = 4"] {
        Copy::new().tamper([format!("UPDATE event SET {terms}")]).assert_finds(OTHER, "is not as it was created");
    }
    Copy::new().tamper(["DELETE FROM event"]).assert_finds(OTHER, "the event is not in the store");
}

#[test]
fn without_a_limit_nothing_is_counted_for_customers() {
    let row = "INSERT INTO allowance (event_id, customer_id, held, booked, version, decided_at)
               SELECT event_id, 'buyer-1', 0, 4, 1, 1 FROM event";
    Copy::new().tamper([row]).assert_finds(OTHER, "are counted for buyer-1");
}

// ---- operations

/// The record of the confirmation of a booking.
const CONFIRMED: &str = "SELECT operation_id FROM operation WHERE kind = 'confirm' LIMIT 1";

#[test]
fn what_was_acknowledged_is_recorded_so_that_it_cannot_happen_again() {
    tampered(CONFIRMED, "DELETE FROM operation WHERE operation_id = @")
        .assert_finds(OTHER, "was acknowledged and is not recorded");
    tampered(CONFIRMED, "UPDATE operation SET kind = 'voided' WHERE operation_id = @")
        .assert_finds(OTHER, "was acknowledged and is recorded as refused");
    tampered(CONFIRMED, "UPDATE operation SET kind = 'hold' WHERE operation_id = @")
        .assert_finds(OTHER, "is recorded as something else");
    tampered(CONFIRMED, &format!("UPDATE operation SET reservation_id = {NOBODY} WHERE operation_id = @"))
        .assert_finds(OTHER, "is recorded for another reservation");
    tampered(CONFIRMED, "UPDATE operation SET customer_id = 'thief' WHERE operation_id = @")
        .assert_finds(OTHER, "is recorded for another customer");
}

#[test]
fn only_what_was_sent_is_recorded() {
    for kind in ["hold", "confirm", "release", "cancel", "voided"] {
        let row = format!(
            "INSERT INTO operation (operation_id, event_id, fingerprint, kind, changed, version, decided_at)
             SELECT {NOBODY}, event_id, {NOBODY}, '{kind}', 0, 1, 1 FROM event"
        );
        Copy::new().tamper([row]).assert_finds(OTHER, "and no log sent it");
    }
}
