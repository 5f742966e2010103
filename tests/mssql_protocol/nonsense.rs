//! Rows of a load that no commit writes: somebody has to look.

use ticket_reservation::ports::StoreErrorKind::Permanent;

use super::answers::{
    ALLOWANCE, Columns, EVENT, LAPSED, LINE, OPERATION, POOL, RESERVATION, TICKET, changed, event_row, load_answer,
    pool_row, table,
};
use super::chain::chain;
use super::rows::{
    allowance_row, lapsed_row, line_row, loaded, null, number, of, operation_row, reservation_row, ticket_row, uuid_of,
};
use super::scripted_tds::{Table, Type, Value};

async fn assert_refused(what: &str, tables: impl IntoIterator<Item = Table>) {
    let failed = loaded(&of(Vec::new()), load_answer(tables)).await.expect_err(what);
    assert_eq!(failed.kind(), Permanent, "{what}: {}", chain(&failed));
    assert!(chain(&failed).contains("this library never writes"), "{what}: {}", chain(&failed));
}

async fn assert_each_refused(kind: &str, columns: Columns, row: Vec<Value>, odd: &[(&str, Value)]) {
    for (column, value) in odd {
        let row = changed(columns, row.clone(), column, value.clone());
        assert_refused(&format!("{kind} with {column} = {value:?}"), [table(kind, columns, [row])]).await;
    }
}

const TOO_MANY: i64 = u32::MAX as i64 + 1;

fn short() -> Value {
    vec![1_u8; 15].into()
}

#[tokio::test]
async fn odd_events_tickets_and_counts_are_refused() {
    let odd = [
        ("state", "closed".into()),
        ("state", null()),
        ("limit_per_customer", number(-1)),
        ("limit_per_customer", number(TOO_MANY)),
        ("version", number(-1)),
        ("version", null()),
        ("decided_at", null()),
    ];
    assert_each_refused("event", EVENT, event_row(), &odd).await;
    let odd = [
        ("ticket_id", null()),
        ("ticket_id", "".into()),
        ("ticket_id", " A 1".into()),
        ("area_id", null()),
        ("row_rank", number(-1)),
        ("place_number", number(TOO_MANY)),
        ("state", "sold".into()),
        ("state", "held".into()),
        ("state", "booked".into()),
        ("state", "blocked".into()),
        ("reservation_id", uuid_of(1)),
        ("held_until", number(1)),
        ("block_reason", "camera".into()),
        ("version", number(i64::MIN)),
    ];
    for kind in ["ticket", "free"] {
        assert_each_refused(kind, TICKET, ticket_row("A 1"), &odd).await;
    }
    let odd = [("held", number(-1)), ("booked", number(TOO_MANY)), ("held", null()), ("version", null())];
    assert_each_refused("pool", POOL, pool_row("floor", [1, 0, 0]), &odd).await;
    assert_each_refused("pool", POOL, pool_row("floor", [1, 0, 0]), &[("capacity", number(-1))]).await;
    assert_each_refused("allowance", ALLOWANCE, allowance_row(), &odd).await;
}

#[tokio::test]
async fn odd_reservations_and_operations_are_refused() {
    let odd = [
        ("reservation_id", short()),
        ("reservation_id", null()),
        ("event_id", "".into()),
        ("customer_id", null()),
        ("state", "gone".into()),
        ("state", "booked".into()),
        ("held_until", null()),
        ("held_at", null()),
        ("version", number(-1)),
    ];
    assert_each_refused("reservation", RESERVATION, reservation_row(9), &odd).await;
    let odd = [("reservation_id", short()), ("pool_id", null()), ("quantity", number(-1)), ("quantity", null())];
    assert_each_refused("line", LINE, line_row(9), &odd).await;
    let odd = [
        ("operation_id", uuid_of(0)),
        ("operation_id", null()),
        ("event_id", null()),
        ("fingerprint", short()),
        ("action", "steal".into()),
        ("reservation_id", short()),
        ("customer_id", "".into()),
        ("changed", number(-1)),
    ];
    assert_each_refused("operation", OPERATION, operation_row(), &odd).await;
    let odd = [("id", null()), ("reservation_id", null()), ("held_until", null())];
    for kind in ["lapsed in pool", "lapsed of customer"] {
        assert_each_refused(kind, LAPSED, lapsed_row("floor", 1, 1), &odd).await;
    }
}

#[tokio::test]
async fn a_reservation_of_no_place_is_refused() {
    let nothing = changed(LINE, line_row(9), "quantity", number(0));
    let tables = [table("line", LINE, [nothing]), table("reservation", RESERVATION, [reservation_row(9)])];
    assert_refused("a line of nothing", tables).await;
}

#[tokio::test]
async fn rows_of_an_unknown_kind_or_without_columns_are_refused() {
    assert_refused("an unknown kind", [table("surprise", &[], [vec![]])]).await;
    assert_refused("no columns", [table("event", &[], [vec![]])]).await;
    assert_refused("no kind", [Table::new([("state", Type::BigInt)]).row([number(1)])]).await;
    assert_refused("a null for a kind", [Table::new([("kind", Type::NVarChar(9))]).row([null()])]).await;
    assert_refused("another type", [table("pool", &[("pool_id", Type::BigInt)], [vec![number(1)]])]).await;
}
