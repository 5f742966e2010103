//! Every statement of the hot path finds its rows by an index, in an empty file and without ANALYZE: SQLite then plans
//! by the schema alone, so the plans stay when the tables grow.

use rusqlite::{Connection, StatementStatus};

use super::availability::{AREAS, POOLS};
use super::queries::{self, pools_sql, reservations_sql, tickets_sql};
use super::read::{LAPSED_IN_POOL, LAPSED_OF_CUSTOMER, LINES, free_sql};
use super::retention::{DELETE_OPERATIONS, EVENTS_AFTER, EVENTS_UP_TO, OLDEST_CHANGES};
use super::{feed, schema};
use crate::ports::ReservationFilter;

fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(schema::STORE.sql).unwrap();
    connection
}

/// The steps of a statement's plan.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = explain.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

#[test]
fn lists_are_read_from_an_index_in_order() {
    let connection = empty();
    for (sql, expected) in [
        (
            LAPSED_IN_POOL,
            "SEARCH reservation_line USING COVERING INDEX reservation_line_held_in_pool (event_id=? AND pool_id=? AND held_until<?)",
        ),
        (
            LAPSED_OF_CUSTOMER,
            "SEARCH reservation USING COVERING INDEX reservation_by_customer (customer_id=? AND event_id=? AND held_until<?)",
        ),
        (queries::LAPSED, "SEARCH reservation USING INDEX reservation_by_deadline (held_until<?)"),
        (LINES, "SEARCH reservation_line USING PRIMARY KEY (reservation_id=?)"),
        (&free_sql(), "SEARCH ticket USING INDEX ticket_by_place (event_id=? AND area_id=?)"),
        (&tickets_sql(false, true), "SEARCH ticket USING PRIMARY KEY (event_id=? AND ticket_id>?)"),
        (
            &tickets_sql(true, true),
            "SEARCH ticket USING INDEX ticket_by_area (event_id=? AND area_id=? AND ticket_id>?)",
        ),
        (&pools_sql(), "SEARCH pool USING PRIMARY KEY (event_id=? AND pool_id>?)"),
        (
            &reservations_sql(true, false, Some(ReservationFilter::Expired)),
            "SEARCH reservation USING INDEX reservation_by_event (event_id=? AND reservation_id>?)",
        ),
        (&reservations_sql(false, false, None), "SEARCH reservation USING PRIMARY KEY (reservation_id>?)"),
        (&feed::page_sql(), "SEARCH change USING PRIMARY KEY (event_id=? AND sequence>?)"),
        (AREAS, "SEARCH ticket USING INDEX ticket_by_place (event_id=?)"),
        (OLDEST_CHANGES, "SEARCH change USING PRIMARY KEY (event_id=?)"),
        (EVENTS_AFTER, "SEARCH event USING PRIMARY KEY (event_id>?)"),
        (EVENTS_UP_TO, "SEARCH event USING PRIMARY KEY (event_id<?)"),
    ] {
        assert_eq!(plan(&connection, sql), [expected], "{sql}");
    }
}

#[test]
fn what_is_sorted_or_deleted_is_found_by_an_index_first() {
    let connection = empty();
    for (sql, expected) in [
        (
            reservations_sql(true, true, None),
            "SEARCH reservation USING INDEX reservation_by_customer (customer_id=? AND event_id=?)",
        ),
        (
            reservations_sql(false, true, Some(ReservationFilter::Booked)),
            "SEARCH reservation USING INDEX reservation_by_customer (customer_id=?)",
        ),
        (POOLS.to_owned(), "SEARCH pool USING PRIMARY KEY (event_id=?)"),
        (DELETE_OPERATIONS.to_owned(), "SEARCH operation USING PRIMARY KEY (operation_id=?)"),
    ] {
        let plan = plan(&connection, &sql);
        assert_eq!(plan[0], expected, "{sql}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{plan:?}");
    }
}

#[test]
fn selling_a_ticket_does_not_touch_its_indices() {
    let connection = empty();
    let mut indexed = connection
        .prepare(
            "SELECT index_of.name || ': ' || column_of.name
             FROM pragma_index_list('ticket') AS index_of, pragma_index_info(index_of.name) AS column_of
             WHERE index_of.origin = 'c' ORDER BY index_of.name, column_of.seqno",
        )
        .unwrap();
    let indexed: Vec<String> = indexed.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let columns = |index: &str, columns: &[&str]| columns.iter().map(|it| format!("{index}: {it}")).collect::<Vec<_>>();
    let expected = [
        columns("ticket_by_area", &["event_id", "area_id", "ticket_id"]),
        columns("ticket_by_place", &["event_id", "area_id", "row_rank", "place_number"]),
    ];
    assert_eq!(indexed, expected.concat());
}

#[test]
fn a_pools_oldest_holds_are_found_without_looking_at_the_others() {
    let connection = empty();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let mut insert = connection.prepare("INSERT INTO reservation_line VALUES (?1, 1, 'e', NULL, 'p', 1, ?2)").unwrap();
    for number in 0..2_000_i64 {
        let id = (number as u128).to_be_bytes();
        // Two of three are not held any more.
        insert.execute((id, (number % 3 == 0).then_some(number))).unwrap();
    }
    let mut lapsed = connection.prepare(LAPSED_IN_POOL).unwrap();
    let found = lapsed.query_map(("e", "p", 1_000, 65), |row| row.get::<_, [u8; 16]>(0)).unwrap().count();
    assert_eq!(found, 65);
    assert_eq!(lapsed.get_status(StatementStatus::FullscanStep), 0);
    assert_eq!(lapsed.get_status(StatementStatus::Sort), 0);
    assert!(lapsed.get_status(StatementStatus::VmStep) < 1_000);
}
