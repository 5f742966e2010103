//! What a client asks.

use super::reader::Reader;
use super::wire::{self, Received};
use super::{Type, Value};

/// A request, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Which connection it came on. The first that was opened has number 0.
    pub(crate) connection: usize,
    pub(crate) call: Call,
    /// Whether the connection is to be reset before it.
    pub(crate) resets: bool,
    /// The transaction that it says it is in; 0 is none.
    pub(crate) transaction: u64,
    /// How long the longest of its packets was.
    pub(crate) largest_packet_bytes: usize,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Batch(String),
    /// A procedure by its name or, when the client has sent its number, by the name that it has.
    Procedure {
        name: String,
        parameters: Vec<Parameter>,
    },
    /// A request of the transaction manager's.
    Transaction(Transaction),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transaction {
    Begin,
    Commit,
    Rollback,
    Save,
}

/// A parameter of a procedure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// As the client has sent it, with its `@` or without.
    pub(crate) name: String,
    pub(crate) is_output: bool,
    pub(crate) kind: Type,
    pub(crate) value: Value,
}

/// What its own parameters have before those of the statement: the statement, and the declarations.
const BEFORE_PARAMETERS: usize = 2;

const EXECUTE_SQL: &str = "sp_executesql";

/// How an answer to it has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Batch,
    Procedure,
}

impl Request {
    pub(crate) fn parse(connection: usize, received: &Received) -> Self {
        let mut from = Reader::new("a request", &received.payload);
        let transaction = headers(&mut from);
        let call = match received.kind {
            wire::BATCH => Call::Batch(from.text_to_end()),
            wire::RPC => procedure(&mut from),
            wire::TRANSACTION => Call::Transaction(match from.u16() {
                5 => Transaction::Begin,
                7 => Transaction::Commit,
                8 => Transaction::Rollback,
                9 => Transaction::Save,
                other => panic!("a request of the transaction manager's has number {other}"),
            }),
            other => panic!("a message of type {other:#04x} where a request is expected"),
        };
        let resets = received.status & wire::RESETS != 0;
        Self { connection, call, resets, transaction, largest_packet_bytes: received.largest_packet_bytes }
    }

    /// The text of the batch or of `sp_executesql`, or the procedure's name.
    pub(crate) fn sql(&self) -> &str {
        match &self.call {
            Call::Batch(text) => text,
            Call::Procedure { name, parameters } if name == EXECUTE_SQL => parameters[0]
                .value
                .as_text()
                .unwrap_or_else(|| panic!("{EXECUTE_SQL} is given {:?} for a statement", parameters[0])),
            Call::Procedure { name, .. } => name,
            Call::Transaction(_) => "",
        }
    }

    /// The parameters of the statement or of the procedure.
    pub(crate) fn parameters(&self) -> &[Parameter] {
        match &self.call {
            Call::Procedure { name, parameters } if name == EXECUTE_SQL => {
                parameters.get(BEFORE_PARAMETERS..).unwrap_or_default()
            }
            Call::Procedure { parameters, .. } => parameters,
            Call::Batch(_) | Call::Transaction(_) => &[],
        }
    }

    /// The values of the parameters, in order.
    pub(crate) fn values(&self) -> Vec<&Value> {
        self.parameters().iter().map(|parameter| &parameter.value).collect()
    }

    /// What `sp_executesql` is told of the types of its parameters.
    pub(crate) fn declarations(&self) -> Option<&str> {
        match &self.call {
            Call::Procedure { name, parameters } if name == EXECUTE_SQL => parameters.get(1)?.value.as_text(),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.call {
            Call::Procedure { .. } => Kind::Procedure,
            Call::Batch(_) | Call::Transaction(_) => Kind::Batch,
        }
    }
}

/// ALL_HEADERS, of which only the transaction is of interest.
fn headers(from: &mut Reader<'_>) -> u64 {
    const TRANSACTION: u16 = 2;
    let total = from.u32() as usize;
    let rest = total.checked_sub(4).unwrap_or_else(|| panic!("headers of {total} bytes"));
    let mut headers = Reader::new("the headers of a request", from.bytes(rest));
    let mut transaction = 0;
    while !headers.is_at_end() {
        let length = headers.u32() as usize;
        let kind = headers.u16();
        let body = headers.bytes(length.checked_sub(6).unwrap_or_else(|| panic!("a header of {length} bytes")));
        if kind == TRANSACTION {
            transaction = Reader::new("the header of a transaction", body).u64();
        }
    }
    transaction
}

fn procedure(from: &mut Reader<'_>) -> Call {
    const BY_NUMBER: u16 = 0xffff;
    let name = match from.u16() {
        BY_NUMBER => match from.u16() {
            10 => EXECUTE_SQL.to_owned(),
            11 => "sp_prepare".to_owned(),
            12 => "sp_execute".to_owned(),
            13 => "sp_prepexec".to_owned(),
            15 => "sp_unprepare".to_owned(),
            other => panic!("a procedure of number {other}, which is not scripted"),
        },
        units => from.text(units.into()),
    };
    from.u16();
    let mut parameters = Vec::new();
    while !from.is_at_end() {
        let name = from.b_varchar();
        let is_output = from.u8() & 1 != 0;
        let (kind, value) = Type::read(from);
        parameters.push(Parameter { name, is_output, kind, value });
    }
    Call::Procedure { name, parameters }
}
