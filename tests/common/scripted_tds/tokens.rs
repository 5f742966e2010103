//! The tokens of a server's answers (MS-TDS 2.2.7), for TDS 7.2 and later.

use super::table::Table;

/// Which token ends a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Of a batch.
    Batch = 0xfd,
    /// Of a procedure.
    Procedure = 0xfe,
    /// Of a statement in a procedure.
    InProcedure = 0xff,
}

/// More of the answer follows.
pub(crate) const DONE_MORE: u16 = 0x01;
/// The statement failed.
pub(crate) const DONE_ERROR: u16 = 0x02;
/// The number of rows counts.
pub(crate) const DONE_COUNT: u16 = 0x10;
/// An attention has been seen.
pub(crate) const DONE_ATTENTION: u16 = 0x20;

/// TDS 7.4.
const TDS_VERSION: [u8; 4] = [0x74, 0x00, 0x00, 0x04];

/// SQL Server 2022, with its build.
pub(crate) const SERVER_VERSION: [u8; 4] = [16, 0, 0x10, 0x00];

const SERVER_NAME: &str = "SCRIPTED";

/// What a server says of an error or of something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: u32,
    pub(crate) state: u8,
    /// The severity. From 20 on a real server ends the connection.
    pub(crate) class: u8,
    pub(crate) text: String,
    pub(crate) procedure: String,
    pub(crate) line: u32,
}

impl Message {
    /// Of state 1 and class 16, in line 1 of no procedure.
    pub(crate) fn new(number: u32, text: impl Into<String>) -> Self {
        Self { number, state: 1, class: 16, text: text.into(), procedure: String::new(), line: 1 }
    }

    pub(crate) fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    pub(crate) fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn procedure(mut self, name: impl Into<String>) -> Self {
        self.procedure = name.into();
        self
    }
}

pub(crate) fn put_utf16(text: &str, out: &mut Vec<u8>) {
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
}

/// Text with its length in one byte before it.
pub(crate) fn put_b_varchar(text: &str, out: &mut Vec<u8>) {
    out.push(text.encode_utf16().count().try_into().expect("a short text"));
    put_utf16(text, out);
}

/// A token with its length in two bytes.
fn put_sized(token: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(token);
    out.extend(u16::try_from(body.len()).expect("a short token").to_le_bytes());
    out.extend(body);
}

pub(crate) fn put_login_ack(out: &mut Vec<u8>) {
    let mut body = vec![1];
    body.extend(TDS_VERSION);
    put_b_varchar("Microsoft SQL Server", &mut body);
    body.extend(SERVER_VERSION);
    put_sized(0xad, &body, out);
}

fn put_env_change(kind: u8, new: &str, old: &str, out: &mut Vec<u8>) {
    let mut body = vec![kind];
    put_b_varchar(new, &mut body);
    put_b_varchar(old, &mut body);
    put_sized(0xe3, &body, out);
}

pub(crate) fn put_database(new: &str, out: &mut Vec<u8>) {
    put_env_change(1, new, "master", out);
}

pub(crate) fn put_packet_bytes(new: usize, out: &mut Vec<u8>) {
    put_env_change(4, &new.to_string(), "4096", out);
}

/// A transaction begins, which has this descriptor, or the one of it ends.
pub(crate) fn put_transaction(began: bool, descriptor: [u8; 8], out: &mut Vec<u8>) {
    let (kind, new, old): (u8, &[u8], &[u8]) = if began { (8, &descriptor, &[]) } else { (9, &[], &descriptor) };
    let mut body = vec![kind, new.len() as u8];
    body.extend(new);
    body.push(old.len() as u8);
    body.extend(old);
    put_sized(0xe3, &body, out);
}

fn put_message(token: u8, message: &Message, out: &mut Vec<u8>) {
    let mut body = message.number.to_le_bytes().to_vec();
    body.extend([message.state, message.class]);
    let units = u16::try_from(message.text.encode_utf16().count()).expect("a short text");
    body.extend(units.to_le_bytes());
    put_utf16(&message.text, &mut body);
    put_b_varchar(SERVER_NAME, &mut body);
    put_b_varchar(&message.procedure, &mut body);
    body.extend(message.line.to_le_bytes());
    put_sized(token, &body, out);
}

pub(crate) fn put_error(message: &Message, out: &mut Vec<u8>) {
    put_message(0xaa, message, out);
}

pub(crate) fn put_info(message: &Message, out: &mut Vec<u8>) {
    put_message(0xab, message, out);
}

pub(crate) fn put_done(done: Done, status: u16, rows: u64, out: &mut Vec<u8>) {
    const SELECT: u16 = 0xc1;
    out.push(done as u8);
    out.extend(status.to_le_bytes());
    out.extend(SELECT.to_le_bytes());
    out.extend(rows.to_le_bytes());
}

pub(crate) fn put_return_status(status: i32, out: &mut Vec<u8>) {
    out.push(0x79);
    out.extend(status.to_le_bytes());
}

/// COLMETADATA, and a token for each row.
pub(crate) fn put_table(table: &Table, out: &mut Vec<u8>) {
    const NULLABLE: u16 = 0x01;
    let columns = table.columns();
    out.push(0x81);
    out.extend(u16::try_from(columns.len()).expect("few columns").to_le_bytes());
    for column in columns {
        out.extend(0_u32.to_le_bytes());
        out.extend(if column.is_nullable { NULLABLE } else { 0 }.to_le_bytes());
        column.kind.put_info(column.is_nullable, out);
        put_b_varchar(&column.name, out);
    }
    for row in table.rows() {
        put_row(table, row, out);
    }
}

fn put_row(table: &Table, row: &[super::Value], out: &mut Vec<u8>) {
    let cells = table.columns().iter().zip(row);
    let is_null = |value: &super::Value| *value == super::Value::Null;
    if !table.has_null_bitmaps() {
        out.push(0xd1);
        cells.for_each(|(column, value)| column.kind.put_value(column.is_nullable, value, out));
        return;
    }
    let mut nulls = vec![0_u8; row.len().div_ceil(8)];
    for (at, value) in row.iter().enumerate() {
        nulls[at / 8] |= u8::from(is_null(value)) << (at % 8);
    }
    out.push(0xd2);
    out.extend(nulls);
    for (column, value) in cells.filter(|(_, value)| !is_null(value)) {
        column.kind.put_value(column.is_nullable, value, out);
    }
}
