//! Rows as the library would write them, with some columns changed.

use arbitrary::Arbitrary;
use ticket_reservation::adapters::sqlite::rusqlite::types::Value;

/// Most rows of one run.
pub(crate) const ROWS_MAX: usize = 64;

/// What the store's clock says.
pub(crate) const NOW: i64 = 2_000_000_000_000_000;

pub(crate) struct Table {
    pub(crate) name: &'static str,
    columns: &'static [&'static str],
    /// The values of its `n`th row.
    usual: fn(u8) -> Vec<Value>,
}

#[derive(Debug, Arbitrary)]
pub(crate) struct Row {
    table: u8,
    n: u8,
    changes: Vec<(u8, Cell)>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Cell {
    Null,
    Integer(i64),
    Edge(Edge),
    Real(f64),
    Text(String),
    /// Text that is no UTF-8 if its bytes are none.
    Bytes(Vec<u8>, bool),
    /// What this column of another row has.
    Of(u8),
    /// A text that some column may have.
    Word(u8),
    /// A text so long, in units of 16 bytes.
    Long(u16),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Edge {
    Min,
    MinusOne,
    Zero,
    U32,
    AboveU32,
    AlmostMax,
    Max,
    Now,
}

const WORDS: [&str; 24] = [
    "preparing",
    "on_sale",
    "available",
    "held",
    "booked",
    "blocked",
    "released",
    "cancelled",
    "expired",
    "event",
    "ticket",
    "pool",
    "allowance",
    "reservation",
    "voided",
    "hold",
    "confirm",
    "import",
    "T1",
    "floor",
    r#"{"tickets":["T1","T1"],"pools":{"floor":4294967295,"roof":1}}"#,
    r#"{"tickets":[],"pools":{"floor":0}}"#,
    r#"{"tickets":{},"pools":[]}"#,
    r#"{"tickets":["T1"],"pools":{"floor":2},"pools":{}}"#,
];

impl Row {
    /// How it is inserted, and its values.
    pub(crate) fn insert(&self) -> (String, Vec<Value>) {
        let table = &TABLES[usize::from(self.table) % TABLES.len()];
        let n = self.n % 8;
        let mut values = (table.usual)(n);
        assert_eq!(values.len(), table.columns.len(), "{}", table.name);
        let mut holes = vec!["?"; values.len()];
        for (column, cell) in &self.changes {
            let column = usize::from(*column) % values.len();
            holes[column] = if matches!(cell, Cell::Bytes(_, true)) { "CAST(? AS TEXT)" } else { "?" };
            values[column] = cell.value(table, column);
        }
        let (name, columns, holes) = (table.name, table.columns.join(", "), holes.join(", "));
        (format!("INSERT OR REPLACE INTO {name} ({columns}) VALUES ({holes})"), values)
    }
}

impl Cell {
    fn value(&self, table: &Table, column: usize) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Edge(edge) => Value::Integer(match edge {
                Edge::Min => i64::MIN,
                Edge::MinusOne => -1,
                Edge::Zero => 0,
                Edge::U32 => u32::MAX.into(),
                Edge::AboveU32 => i64::from(u32::MAX) + 1,
                Edge::AlmostMax => i64::MAX - 1,
                Edge::Max => i64::MAX,
                Edge::Now => NOW,
            }),
            Self::Real(number) => Value::Real(*number),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bytes(bytes, _) => Value::Blob(bytes.clone()),
            Self::Of(n) => (table.usual)(n % 8).swap_remove(column),
            Self::Word(n) => Value::Text(WORDS[usize::from(*n) % WORDS.len()].to_owned()),
            Self::Long(count) => Value::Text("0123456789abcde\n".repeat(usize::from(count % 4_096))),
        }
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn id(n: u8) -> Value {
    Value::Blob(reservation_bytes(n).to_vec())
}

/// The bytes of a UUID of version 7, made now.
pub(crate) fn reservation_bytes(n: u8) -> [u8; 16] {
    let mut bytes = [n; 16];
    bytes[..6].copy_from_slice(&(NOW / 1_000).to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    bytes
}

const NO: Value = Value::Null;
const LATER: Value = Value::Integer(NOW + 600_000_000);
const OVER: Value = Value::Integer(NOW - 1);
const ONE: Value = Value::Integer(1);

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

pub(crate) const TABLES: [Table; 8] = [
    Table {
        name: "event",
        columns: &[
            "event_id",
            "state",
            "opens_at",
            "closes_at",
            "limit_per_customer",
            "version",
            "decided_at",
            "change_sequence",
            "changes_purged_through",
        ],
        usual: |n| {
            let name = if n < 7 { "gala" } else { "matinee" };
            let limit = if n % 2 == 0 { number(8) } else { NO };
            vec![text(name), text("on_sale"), NO, NO, limit, ONE, OVER, number(8), number(0)]
        },
    },
    Table {
        name: "ticket",
        columns: &[
            "event_id",
            "ticket_id",
            "area_id",
            "row_rank",
            "place_number",
            "state",
            "reservation_id",
            "held_until",
            "block_reason",
            "version",
            "decided_at",
        ],
        usual: |n| {
            let [state, owner, until, reason] = match n % 4 {
                0 => [text("available"), NO, NO, NO],
                1 => [text("held"), id(n), if n < 4 { LATER } else { OVER }, NO],
                2 => [text("booked"), id(n), NO, NO],
                _ => [text("blocked"), NO, NO, text("camera")],
            };
            let (row, place) = (number(n / 4), number(n));
            vec![
                text("gala"),
                text(format!("T{n}")),
                text("stalls"),
                row,
                place,
                state,
                owner,
                until,
                reason,
                ONE,
                OVER,
            ]
        },
    },
    Table {
        name: "pool",
        columns: &["event_id", "pool_id", "capacity", "held", "booked", "version", "decided_at"],
        usual: |n| {
            let pool = if n % 2 == 0 { "floor" } else { "roof" };
            vec![text("gala"), text(pool), number(9), number(n / 2), number(2), ONE, OVER]
        },
    },
    Table {
        name: "allowance",
        columns: &["event_id", "customer_id", "held", "booked", "version", "decided_at"],
        usual: |n| vec![text("gala"), text(if n % 2 == 0 { "ann" } else { "bob" }), number(n), number(1), ONE, OVER],
    },
    Table {
        name: "reservation",
        columns: &[
            "reservation_id",
            "event_id",
            "customer_id",
            "state",
            "held_until",
            "held_at",
            "version",
            "decided_at",
        ],
        usual: |n| {
            let [state, until] = match n {
                0 | 1 => [text("held"), LATER],
                2 => [text("booked"), NO],
                3 => [text("released"), NO],
                4 => [text("cancelled"), NO],
                5 => [text("held"), OVER],
                6 => [text("booked"), NO],
                _ => [text("expired"), NO],
            };
            vec![id(n), text("gala"), text(if n % 2 == 0 { "ann" } else { "bob" }), state, until, OVER, ONE, OVER]
        },
    },
    Table {
        name: "reservation_line",
        columns: &["reservation_id", "line", "event_id", "ticket_id", "pool_id", "quantity", "held_until"],
        usual: |n| {
            let until = match n {
                0 => LATER,
                5 => OVER,
                _ => NO,
            };
            match n {
                1 | 2 | 6 => vec![id(n), ONE, text("gala"), text(format!("T{n}")), NO, ONE, NO],
                _ => vec![id(n), number(2), text("gala"), NO, text("floor"), number(2), until],
            }
        },
    },
    Table {
        name: "operation",
        columns: &[
            "operation_id",
            "event_id",
            "fingerprint",
            "kind",
            "reservation_id",
            "customer_id",
            "held_until",
            "changed",
            "version",
            "decided_at",
        ],
        usual: |n| {
            // The fingerprints of what is asked under these ids: see asking.rs.
            let fingerprint = Value::Blob(crate::asking::fingerprint(n).to_vec());
            let kind = ["hold", "confirm", "release", "cancel", "transfer", "import", "voided", "extend"];
            let (kind, changed) = (text(kind[usize::from(n)]), number(0));
            vec![id(n), text("gala"), fingerprint, kind, id(n), text("ann"), LATER, changed, ONE, OVER]
        },
    },
    Table {
        name: "change",
        columns: &[
            "event_id",
            "sequence",
            "decided_at",
            "version",
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
            "limit_per_customer",
        ],
        usual: |n| {
            let kinds = ["event", "ticket", "pool", "allowance", "reservation", "ticket", "reservation", "pool"];
            let kind = kinds[usize::from(n)];
            let state = match kind {
                "event" => text("on_sale"),
                "ticket" => text("booked"),
                "reservation" => text("held"),
                _ => NO,
            };
            let until = if kind == "reservation" { LATER } else { NO };
            let lines = text(r#"{"tickets":["T1"],"pools":{"floor":2}}"#);
            let mut values = vec![text("gala"), number(n + 1), OVER, ONE, text(kind), state];
            values.extend([text("T1"), text("floor"), text("ann"), id(n), until, OVER, lines]);
            values.extend([
                text("stalls"),
                number(1),
                number(n),
                NO,
                number(9),
                number(1),
                number(2),
                NO,
                NO,
                number(8),
            ]);
            values
        },
    },
];
