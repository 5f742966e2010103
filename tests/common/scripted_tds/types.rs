//! Types of SQL Server, and how they and their values go over the wire (MS-TDS 2.2.5).

use uuid::Uuid;

use super::Value;
use super::reader::{Reader, utf16};
use super::tokens::put_utf16;

/// The length of a type without a limit.
const MAX: u16 = 0xffff;

/// How much of a value without a limit goes into one chunk. Small, so that values have several.
const CHUNK_BYTES: usize = 5_000;

/// Latin1_General_CI_AS, as a server has it by default.
const COLLATION: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];

/// A type of a column or of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// A null of which a client does not say the type.
    Null,
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    /// Of at most so many UTF-16 code units.
    NVarChar(u16),
    NVarCharMax,
    /// Of at most so many bytes.
    VarBinary(u16),
    VarBinaryMax,
    UniqueIdentifier,
    /// `datetime2(7)`; of another precision when a client sends it.
    DateTime2(u8),
}

impl Type {
    /// TYPE_INFO of a column that may be null, or of one that may not, which some types tell apart.
    pub(crate) fn put_info(self, is_nullable: bool, out: &mut Vec<u8>) {
        match self {
            Self::Null => panic!("a column has a type"),
            Self::Bit if !is_nullable => out.push(0x32),
            Self::TinyInt if !is_nullable => out.push(0x30),
            Self::SmallInt if !is_nullable => out.push(0x34),
            Self::Int if !is_nullable => out.push(0x38),
            Self::BigInt if !is_nullable => out.push(0x7f),
            Self::Float if !is_nullable => out.push(0x3e),
            Self::Bit => out.extend([0x68, 1]),
            Self::TinyInt => out.extend([0x26, 1]),
            Self::SmallInt => out.extend([0x26, 2]),
            Self::Int => out.extend([0x26, 4]),
            Self::BigInt => out.extend([0x26, 8]),
            Self::Float => out.extend([0x6d, 8]),
            Self::UniqueIdentifier => out.extend([0x24, 16]),
            Self::DateTime2(scale) => out.extend([0x2a, scale]),
            Self::NVarChar(_) | Self::NVarCharMax => {
                out.push(0xe7);
                out.extend(self.limit().to_le_bytes());
                out.extend(COLLATION);
            }
            Self::VarBinary(_) | Self::VarBinaryMax => {
                out.push(0xa5);
                out.extend(self.limit().to_le_bytes());
            }
        }
    }

    /// The length in bytes that a type of varying length has in its TYPE_INFO.
    fn limit(self) -> u16 {
        match self {
            Self::NVarChar(units) if (1..=4_000).contains(&units) => 2 * units,
            Self::VarBinary(bytes) if (1..=8_000).contains(&bytes) => bytes,
            Self::NVarCharMax | Self::VarBinaryMax => MAX,
            _ => panic!("there is no {self:?}"),
        }
    }

    /// A value in a row.
    pub(crate) fn put_value(self, is_nullable: bool, value: &Value, out: &mut Vec<u8>) {
        // Types that are not fixed have the length before the value.
        let mut sized = |bytes: &[u8]| {
            let is_fixed = matches!(
                self,
                Self::Bit | Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt | Self::Float if !is_nullable
            );
            if !is_fixed {
                out.push(bytes.len().try_into().expect("a short value"));
            }
            out.extend(bytes);
        };
        match (self, value) {
            (_, Value::Null) if !is_nullable => panic!("a null where there may be none"),
            (Self::NVarCharMax | Self::VarBinaryMax, Value::Null) => out.extend(u64::MAX.to_le_bytes()),
            (Self::NVarChar(_) | Self::VarBinary(_), Value::Null) => out.extend(MAX.to_le_bytes()),
            (_, Value::Null) => out.push(0),
            (Self::Bit, Value::Bit(it)) => sized(&[u8::from(*it)]),
            (Self::TinyInt, Value::TinyInt(it)) => sized(&[*it]),
            (Self::SmallInt, Value::SmallInt(it)) => sized(&it.to_le_bytes()),
            (Self::Int, Value::Int(it)) => sized(&it.to_le_bytes()),
            (Self::BigInt, Value::BigInt(it)) => sized(&it.to_le_bytes()),
            (Self::Float, Value::Float(it)) => sized(&it.to_le_bytes()),
            (Self::UniqueIdentifier, Value::Uuid(it)) => sized(&it.to_bytes_le()),
            (Self::DateTime2(7), Value::DateTime2 { days, units }) => {
                let (units, days) = (units.to_le_bytes(), days.to_le_bytes());
                sized(&[&units[..5], &days[..3]].concat());
            }
            (Self::NVarChar(_) | Self::NVarCharMax, Value::Text(text)) => {
                let mut bytes = Vec::new();
                put_utf16(text, &mut bytes);
                self.put_long(&bytes, out);
            }
            (Self::VarBinary(_) | Self::VarBinaryMax, Value::Bytes(bytes)) => self.put_long(bytes, out),
            _ => panic!("{value:?} is no {self:?}"),
        }
    }

    fn put_long(self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.limit() == MAX {
            out.extend((bytes.len() as u64).to_le_bytes());
            for chunk in bytes.chunks(CHUNK_BYTES) {
                out.extend((chunk.len() as u32).to_le_bytes());
                out.extend(chunk);
            }
            out.extend(0_u32.to_le_bytes());
        } else {
            assert!(bytes.len() <= self.limit().into(), "{} bytes do not go into {self:?}", bytes.len());
            out.extend((bytes.len() as u16).to_le_bytes());
            out.extend(bytes);
        }
    }

    /// A parameter of a client's: TYPE_INFO and the value.
    pub(crate) fn read(from: &mut Reader<'_>) -> (Self, Value) {
        let code = from.u8();
        let kind = match code {
            0x1f => return (Self::Null, Value::Null),
            0x68 | 0x26 | 0x6d | 0x24 => {
                let width = from.u8();
                match (code, width) {
                    (0x68, 1) => Self::Bit,
                    (0x26, 1) => Self::TinyInt,
                    (0x26, 2) => Self::SmallInt,
                    (0x26, 4) => Self::Int,
                    (0x26, 8) => Self::BigInt,
                    (0x6d, 8) => Self::Float,
                    (0x24, 16) => Self::UniqueIdentifier,
                    _ => panic!("a parameter of type {code:#04x} has {width} bytes"),
                }
            }
            0x2a => Self::DateTime2(from.u8()),
            0xe7 => {
                let limit = from.u16();
                from.bytes(COLLATION.len());
                if limit == MAX { Self::NVarCharMax } else { Self::NVarChar(limit / 2) }
            }
            0xa5 => match from.u16() {
                MAX => Self::VarBinaryMax,
                limit => Self::VarBinary(limit),
            },
            _ => panic!("a parameter has type {code:#04x}, which is not scripted"),
        };
        (kind, kind.read_value(from))
    }

    fn read_value(self, from: &mut Reader<'_>) -> Value {
        let bytes = match self {
            Self::NVarCharMax | Self::VarBinaryMax => from.chunks(),
            Self::NVarChar(_) | Self::VarBinary(_) => match from.u16() {
                MAX => None,
                count => Some(from.bytes(count.into()).to_vec()),
            },
            _ => match from.u8() {
                0 => None,
                count => Some(from.bytes(count.into()).to_vec()),
            },
        };
        let Some(bytes) = bytes else { return Value::Null };
        let mut it = Reader::new("a value", &bytes);
        match self {
            Self::Null => Value::Null,
            Self::Bit => Value::Bit(it.u8() != 0),
            Self::TinyInt => Value::TinyInt(it.u8()),
            Self::SmallInt => Value::SmallInt(it.u16().cast_signed()),
            Self::Int => Value::Int(it.u32().cast_signed()),
            Self::BigInt => Value::BigInt(it.u64().cast_signed()),
            Self::Float => Value::Float(f64::from_bits(it.u64())),
            Self::UniqueIdentifier => {
                Value::Uuid(Uuid::from_bytes_le(it.bytes(16).try_into().expect("as many as were asked for")))
            }
            Self::DateTime2(_) => {
                let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
                let (units, days) = (number(it.bytes(bytes.len() - 3)), number(it.bytes(3)));
                Value::DateTime2 { days: days as u32, units }
            }
            Self::NVarChar(_) | Self::NVarCharMax => Value::Text(utf16("a value", &bytes)),
            Self::VarBinary(_) | Self::VarBinaryMax => Value::Bytes(bytes),
        }
    }
}
