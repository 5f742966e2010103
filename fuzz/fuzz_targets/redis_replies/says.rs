//! What a server says to one request: what it should, any value of the protocol, or any bytes.

use arbitrary::Arbitrary;

#[derive(Debug, Arbitrary)]
pub(crate) enum Say {
    AsItShould,
    Value(Value),
    /// The array that answers a script, with these numbers in it.
    Numbers(Vec<i64>),
    Bytes(Vec<u8>),
    Nothing,
    /// It says this and ends the connection.
    End(Vec<u8>),
}

/// A value of RESP2 or RESP3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
#[derive(Debug, Arbitrary)]
pub(crate) enum Value {
    Okay,
    Simple(String),
    Error(Code, String),
    Number(i64),
    Bulk(Vec<u8>),
    Nil,
    Null,
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(String, Vec<Value>),
    Attribute(Vec<(Value, Value)>, Box<Value>),
    Double(f64),
    Boolean(bool),
    BigNumber(String),
    BulkError(String),
    Verbatim(String),
    /// So many arrays, one in another.
    Deep(u8),
    /// A length, and nothing after it.
    Announced(u8, i64),
}

#[derive(Debug, Arbitrary)]
pub(crate) enum Code {
    NoScript,
    NoPerm,
    NoAuth,
    ReadOnly,
    Oom,
    Moved,
    Any(String),
}

impl Value {
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Okay => to.extend(b"+OK\r\n"),
            Self::Simple(text) => line(to, '+', text),
            Self::Error(code, text) => line(to, '-', &format!("{} {text}", code.text())),
            Self::Number(number) => line(to, ':', &number.to_string()),
            Self::Bulk(bytes) => bulk(to, '$', bytes),
            Self::Nil => to.extend(b"$-1\r\n"),
            Self::Null => to.extend(b"_\r\n"),
            Self::Array(values) => list(to, '*', values),
            Self::Set(values) => list(to, '~', values),
            Self::Map(pairs) => map(to, '%', pairs),
            Self::Push(kind, values) => {
                line(to, '>', &(values.len() + 1).to_string());
                line(to, '+', kind);
                values.iter().for_each(|value| value.write(to));
            }
            Self::Attribute(pairs, value) => {
                map(to, '|', pairs);
                value.write(to);
            }
            Self::Double(number) => line(to, ',', &number.to_string()),
            Self::Boolean(is) => line(to, '#', if *is { "t" } else { "f" }),
            Self::BigNumber(digits) => line(to, '(', digits),
            Self::BulkError(text) => bulk(to, '!', text.as_bytes()),
            Self::Verbatim(text) => bulk(to, '=', format!("txt:{text}").as_bytes()),
            Self::Deep(depth) => {
                (0..*depth).for_each(|_| to.extend(b"*1\r\n"));
                to.extend(b":0\r\n");
            }
            Self::Announced(kind, length) => {
                let kinds = ['*', '$', '~', '%', '|', '>', '!', '='];
                line(to, kinds[usize::from(*kind) % kinds.len()], &length.to_string());
            }
        }
    }
}

impl Code {
    fn text(&self) -> &str {
        match self {
            Self::NoScript => "NOSCRIPT",
            Self::NoPerm => "NOPERM",
            Self::NoAuth => "NOAUTH",
            Self::ReadOnly => "READONLY",
            Self::Oom => "OOM",
            Self::Moved => "MOVED",
            Self::Any(code) => code,
        }
    }
}

fn line(to: &mut Vec<u8>, kind: char, text: &str) {
    to.extend(format!("{kind}{text}\r\n").as_bytes());
}

fn bulk(to: &mut Vec<u8>, kind: char, bytes: &[u8]) {
    line(to, kind, &bytes.len().to_string());
    to.extend(bytes);
    to.extend(b"\r\n");
}

fn list(to: &mut Vec<u8>, kind: char, values: &[Value]) {
    line(to, kind, &values.len().to_string());
    values.iter().for_each(|value| value.write(to));
}

fn map(to: &mut Vec<u8>, kind: char, pairs: &[(Value, Value)]) {
    line(to, kind, &pairs.len().to_string());
    for (key, value) in pairs {
        key.write(to);
        value.write(to);
    }
}
