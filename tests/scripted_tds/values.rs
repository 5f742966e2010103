//! Values of columns and of parameters.

use tiberius::time::{Date, DateTime2, Time};
use tiberius::{ColumnData, ToSql};
use uuid::Uuid;

use super::scripted_tds::{Answer, Table, TdsServer, Type, Value};
use super::{connect, soon};

const ALL: [(&str, Type); 11] = [
    ("bit", Type::Bit),
    ("tiny", Type::TinyInt),
    ("small", Type::SmallInt),
    ("int", Type::Int),
    ("big", Type::BigInt),
    ("short text", Type::NVarChar(40)),
    ("text", Type::NVarCharMax),
    ("short bytes", Type::VarBinary(16)),
    ("bytes", Type::VarBinaryMax),
    ("uuid", Type::UniqueIdentifier),
    ("at", Type::DateTime2(7)),
];

fn uuid() -> Uuid {
    Uuid::parse_str("01234567-89ab-cdef-0123-456789abcdef").expect("an id")
}

fn long_text() -> String {
    "plätze 🎫🎟 ".repeat(10_000)
}

fn long_bytes() -> Vec<u8> {
    (0..100_003_u32).map(|number| number as u8).collect()
}

fn full() -> Vec<Value> {
    vec![
        true.into(),
        255_u8.into(),
        i16::MIN.into(),
        i32::MIN.into(),
        i64::MIN.into(),
        "𝔖itz 4 🎫".into(),
        long_text().into(),
        vec![0, 1, 255].into(),
        long_bytes().into(),
        uuid().into(),
        // 2026-11-30 04:05:06.789012 UTC.
        Value::from_unix_micros(1_796_011_506_789_012),
    ]
}

fn empty() -> Vec<Value> {
    let mut row = full();
    (row[5], row[6], row[7], row[8]) = ("".into(), "".into(), vec![].into(), vec![].into());
    row[10] = Value::from_unix_micros(-1);
    row
}

async fn assert_arrives(table: Table, answer: impl Fn(Table) -> Answer) {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([answer(table)]);
    let rows = soon(client.query("SELECT *", &[])).await.expect("an answer");
    let rows = soon(rows.into_first_result()).await.expect("rows");
    assert_eq!(rows.len(), 3);
    let row = &rows[0];
    assert_eq!(row.columns().iter().map(|column| column.name()).collect::<Vec<_>>(), ALL.map(|(name, _)| name));
    assert_eq!(row.get("bit"), Some(true));
    assert_eq!(row.get("tiny"), Some(255_u8));
    assert_eq!(row.get("small"), Some(i16::MIN));
    assert_eq!(row.get("int"), Some(i32::MIN));
    assert_eq!(row.get("big"), Some(i64::MIN));
    assert_eq!(row.get("short text"), Some("𝔖itz 4 🎫"));
    assert_eq!(row.get::<&str, _>("text"), Some(long_text().as_str()));
    assert_eq!(row.get("short bytes"), Some(&[0_u8, 1, 255][..]));
    assert_eq!(row.get::<&[u8], _>("bytes"), Some(&long_bytes()[..]));
    assert_eq!(row.get("uuid"), Some(uuid()));
    let at = DateTime2::new(Date::new(739_949), Time::new(147_067_890_120, 7));
    assert_eq!(*row.get_column_data("at").expect("a column"), ColumnData::DateTime2(Some(at)));
    let row = &rows[1];
    assert_eq!((row.get("short text"), row.get("text")), (Some(""), Some("")));
    assert_eq!((row.get("short bytes"), row.get("bytes")), (Some(&[][..] as &[u8]), Some(&[][..] as &[u8])));
    let at = DateTime2::new(Date::new(719_161), Time::new(863_999_999_990, 7));
    assert_eq!(*row.get_column_data("at").expect("a column"), ColumnData::DateTime2(Some(at)));
    let row = &rows[2];
    let is_null = |(_, data): (_, &ColumnData<'static>)| !format!("{data:?}").contains("Some");
    assert_eq!(row.cells().filter(|cell| is_null(*cell)).count(), ALL.len(), "{row:?}");
}

fn table() -> Table {
    Table::new(ALL).row(full()).row(empty()).row(ALL.map(|_| Value::Null))
}

#[tokio::test]
async fn every_type_arrives_also_as_null() {
    assert_arrives(table(), Answer::rows).await;
    assert_arrives(table().null_bitmaps(), Answer::rows).await;
}

#[tokio::test]
async fn rows_cross_the_borders_of_packets() {
    for bytes in [9, 10, 11, 63, 512, 4_095, 65_535] {
        assert_arrives(table(), |table| Answer::rows(table).in_packets_of(bytes)).await;
    }
}

#[tokio::test]
async fn numbers_without_nulls_arrive_as_their_fixed_types() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let names = ALL[..5].iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let table = Table::new(ALL[..5].to_vec()).not_null(&names).row(full().drain(..5));
    server.answers([Answer::rows(table)]);
    let rows = soon(client.query("SELECT *", &[])).await.expect("an answer");
    let row = soon(rows.into_row()).await.expect("rows").expect("a row");
    assert_eq!((row.get("bit"), row.get("tiny"), row.get("small")), (Some(true), Some(255_u8), Some(i16::MIN)));
    assert_eq!((row.get("int"), row.get("big")), (Some(i32::MIN), Some(i64::MIN)));
}

#[tokio::test]
async fn the_server_reads_every_type_of_parameter() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([Answer::affected(1)]);
    let (text, bytes) = (long_text(), long_bytes());
    let at = DateTime2::new(Date::new(739_949), Time::new(147_067_890_120, 7));
    let parameters: [&dyn ToSql; 11] = [
        &true,
        &255_u8,
        &i16::MIN,
        &i32::MIN,
        &i64::MIN,
        &"𝔖itz 4 🎫",
        &text.as_str(),
        &&[0_u8, 1, 255][..],
        &bytes.as_slice(),
        &uuid(),
        &ColumnData::DateTime2(Some(at)),
    ];
    soon(client.execute("INSERT INTO it VALUES (@P1, …)", &parameters)).await.expect("an answer");
    let request = server.requests_reach(1).await.remove(0);
    assert_eq!(request.sql(), "INSERT INTO it VALUES (@P1, …)");
    assert_eq!(request.values(), full().iter().collect::<Vec<_>>());
    let kinds: Vec<_> = request.parameters().iter().map(|parameter| parameter.kind).collect();
    let mut expected = ALL.map(|(_, kind)| kind);
    (expected[5], expected[7]) = (Type::NVarChar(4_000), Type::VarBinary(8_000));
    assert_eq!(kinds, expected);
    assert_eq!(request.parameters()[10].name, "@P11");
    let declared = request.declarations().expect("declarations");
    assert!(
        declared.starts_with("@P1 bit,@P2 tinyint,@P3 smallint,@P4 int,@P5 bigint,@P6 nvarchar(4000)"),
        "{declared}"
    );
}

#[tokio::test]
async fn the_server_reads_null_parameters() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([Answer::affected(1)]);
    let parameters: [&dyn ToSql; 6] =
        [&None::<bool>, &None::<i64>, &None::<&str>, &None::<&[u8]>, &None::<Uuid>, &ColumnData::DateTime2(None)];
    soon(client.execute("INSERT", &parameters)).await.expect("an answer");
    let request = server.requests().remove(0);
    assert_eq!(request.values(), [&Value::Null; 6]);
    let kinds: Vec<_> = request.parameters().iter().map(|parameter| parameter.kind).collect();
    assert_eq!(kinds, [Type::Bit, Type::BigInt, Type::Null, Type::Null, Type::UniqueIdentifier, Type::Null]);
}
