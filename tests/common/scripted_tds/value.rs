//! Values of SQL Server.

use uuid::Uuid;

/// Days from 0001-01-01, where `datetime2` begins, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_162;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// A value of a column or of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bit(bool),
    TinyInt(u8),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    /// Days since 0001-01-01, and how many units of the type's precision of that day.
    DateTime2 {
        days: u32,
        units: u64,
    },
}

impl Value {
    /// A `datetime2(7)`, from the microseconds since 1970.
    pub(crate) fn from_unix_micros(micros: i64) -> Self {
        let days = DAYS_TO_1970 + micros.div_euclid(MICROS_A_DAY);
        let units = 10 * micros.rem_euclid(MICROS_A_DAY);
        Self::DateTime2 { days: days.try_into().expect("after Christ"), units: units.unsigned_abs() }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

macro_rules! values {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

values!(bool => Bit, u8 => TinyInt, i16 => SmallInt, i32 => Int, i64 => BigInt, f64 => Float, &str => Text,
    String => Text, Vec<u8> => Bytes, &[u8] => Bytes, Uuid => Uuid);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
