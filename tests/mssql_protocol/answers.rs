//! What a server with the tables answers.

use super::scripted_tds::{Answer, Gate, Message, Table, Type, Value};

/// A column of an id.
pub(crate) const ID: Type = Type::NVarChar(64);
const WORD: Type = Type::NVarChar(32);
const UUID: Type = Type::VarBinary(16);
const NUMBER: Type = Type::BigInt;

pub(crate) type Columns = &'static [(&'static str, Type)];

pub(crate) const EVENT: Columns = &[
    ("state", WORD),
    ("opens_at", NUMBER),
    ("closes_at", NUMBER),
    ("limit_per_customer", NUMBER),
    ("version", NUMBER),
    ("decided_at", NUMBER),
];
pub(crate) const TICKET: Columns = &[
    ("ticket_id", ID),
    ("area_id", ID),
    ("row_rank", NUMBER),
    ("place_number", NUMBER),
    ("state", WORD),
    ("reservation_id", UUID),
    ("held_until", NUMBER),
    ("block_reason", ID),
    ("version", NUMBER),
    ("decided_at", NUMBER),
];
pub(crate) const POOL: Columns = &[
    ("pool_id", ID),
    ("capacity", NUMBER),
    ("held", NUMBER),
    ("booked", NUMBER),
    ("version", NUMBER),
    ("decided_at", NUMBER),
];
pub(crate) const ALLOWANCE: Columns =
    &[("customer_id", ID), ("held", NUMBER), ("booked", NUMBER), ("version", NUMBER), ("decided_at", NUMBER)];
pub(crate) const RESERVATION: Columns = &[
    ("reservation_id", UUID),
    ("event_id", ID),
    ("customer_id", ID),
    ("state", WORD),
    ("held_until", NUMBER),
    ("held_at", NUMBER),
    ("version", NUMBER),
    ("decided_at", NUMBER),
];
pub(crate) const LINE: Columns = &[("reservation_id", UUID), ("ticket_id", ID), ("pool_id", ID), ("quantity", NUMBER)];
pub(crate) const OPERATION: Columns = &[
    ("operation_id", UUID),
    ("event_id", ID),
    ("fingerprint", UUID),
    ("action", WORD),
    ("reservation_id", UUID),
    ("customer_id", ID),
    ("held_until", NUMBER),
    ("changed", NUMBER),
    ("version", NUMBER),
    ("decided_at", NUMBER),
];
pub(crate) const LAPSED: Columns = &[("id", ID), ("reservation_id", UUID), ("held_until", NUMBER)];

/// Rows of one kind.
pub(crate) fn table(kind: &str, columns: Columns, rows: impl IntoIterator<Item = Vec<Value>>) -> Table {
    let all = [("kind", WORD)].into_iter().chain(columns.iter().copied());
    rows.into_iter().fold(Table::new(all), |table, row| table.row([vec![kind.into()], row].concat()))
}

/// A row in which one column has another value.
pub(crate) fn changed(columns: Columns, mut row: Vec<Value>, column: &str, value: Value) -> Vec<Value> {
    let at = columns.iter().position(|(name, _)| *name == column).expect("there is this column");
    row[at] = value;
    row
}

/// What a new connection hears: whether the server can do UTF-8.
pub(crate) fn settings_answer(code_page: Option<i64>) -> Answer {
    Answer::rows(Table::new([("code_page", NUMBER)]).row([code_page.into()]))
}

/// The row that every answer ends with.
pub(crate) fn end() -> Table {
    table("end", &[], [vec![]])
}

pub(crate) fn stale(numbers: &[i32]) -> Table {
    table("stale", &[("no", Type::Int)], numbers.iter().map(|number| vec![(*number).into()]))
}

/// After a commit of which these checks failed.
pub(crate) fn commit_answer(numbers: &[i32]) -> Answer {
    Answer::rows(stale(numbers)).then_rows(end())
}

/// The same, when the gate is opened.
pub(crate) fn late_commit_answer(gate: &Gate, numbers: &[i32]) -> Answer {
    Answer::new().until(gate).then_rows(stale(numbers)).then_rows(end())
}

pub(crate) fn begin(now: i64, commits: i64) -> Table {
    table("begin", &[("now", NUMBER), ("commits", NUMBER)], [vec![now.into(), commits.into()]])
}

pub(crate) fn load_end(commits: i64, purged_before: Option<i64>) -> Table {
    let columns: Columns = &[("commits", NUMBER), ("operations_purged_before", NUMBER)];
    table("end", columns, [vec![commits.into(), purged_before.into()]])
}

/// What was read at the time 1,000 and at one moment.
pub(crate) fn load_answer(tables: impl IntoIterator<Item = Table>) -> Answer {
    tables.into_iter().fold(Answer::rows(begin(1_000, 7)), Answer::then_rows).then_rows(load_end(7, None))
}

/// What was read while a commit came in between.
pub(crate) fn torn_answer(tables: impl IntoIterator<Item = Table>) -> Answer {
    tables.into_iter().fold(Answer::rows(begin(1_000, 7)), Answer::then_rows).then_rows(load_end(8, None))
}

pub(crate) fn pool_row(id: &str, numbers: [i64; 3]) -> Vec<Value> {
    let [capacity, held, booked] = numbers.map(Value::from);
    vec![id.into(), capacity, held, booked, 3_i64.into(), 900_i64.into()]
}

/// An event on sale, without a limit and a window.
pub(crate) fn event_row() -> Vec<Value> {
    vec!["on_sale".into(), Value::Null, Value::Null, Value::Null, 2_i64.into(), 800_i64.into()]
}

/// An event and its one pool.
pub(crate) fn small_load_answer() -> Answer {
    load_answer([table("event", EVENT, [event_row()]), table("pool", POOL, [pool_row("floor", [100, 2, 1])])])
}

/// An error of this number and severity, alone in its answer.
pub(crate) fn error(number: u32, class: u8) -> Answer {
    Answer::error(Message::new(number, "So it is.").class(class))
}
