use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

use super::time::Timestamp;

/// Why a text or a UUID is not a usable id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The text is empty.
    #[error("an id must not be empty")]
    Empty,
    /// The text is longer than 64 bytes.
    #[error("an id has at most 64 bytes, this one has {bytes}")]
    TooLong {
        /// How long the text is.
        bytes: usize,
    },
    /// The text contains a control character.
    #[error("an id must not contain control characters")]
    ControlCharacter,
    /// The text starts or ends with white space.
    #[error("an id must not start or end with white space")]
    OuterWhiteSpace,
    /// An operation id must be a UUID of version 7, because its time tells how old the operation is.
    #[error("an operation id must be a UUID of version 7")]
    NotVersion7,
    /// The text is not a UUID.
    #[error("not a UUID")]
    NotUuid,
}

/// Longest text id, in bytes.
const TEXT_ID_BYTES_MAX: usize = 64;

fn check_text(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > TEXT_ID_BYTES_MAX {
        return Err(InvalidId::TooLong { bytes: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacter);
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(InvalidId::OuterWhiteSpace);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 bytes of UTF-8, no control characters, no white space at either end; compared byte by byte.
        /// Cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes an id of it.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] when the text breaks the rules above.
            ///
            /// # Example
            ///
            /// ```
            #[doc = concat!("use ticket_reservation::domain::{InvalidId, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let id = ", stringify!($name), "::new(\"A-12\")?;")]
            /// assert_eq!(id.as_str(), "A-12");
            #[doc = concat!("assert_eq!(", stringify!($name), "::new(\" A-12\"), Err(InvalidId::OuterWhiteSpace));")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                check_text(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;
            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// One event whose places are sold. Never used again for another event.
    EventId
}
text_id! {
    /// One numbered place of an event.
    TicketId
}
text_id! {
    /// One pool of an event: a counted area without numbered places (general admission).
    PoolId
}
text_id! {
    /// A part of the hall: a block, a balcony.
    AreaId
}
text_id! {
    /// Whoever buys, in the host's own terms.
    CustomerId
}
text_id! {
    /// Why a ticket is not on sale, in the host's own words.
    BlockReason
}

/// RFC 9562, section 5.7: a UUID of version 7 has 48 bits for its milliseconds.
const UUID_MILLIS_MAX: u64 = (1 << 48) - 1;

macro_rules! uuid_display {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        // Byte by byte, as one number: much is sorted and looked up by these ids.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(self.0.as_u128());
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        impl $name {
            /// A UUID of version 7 from a time and ten random bytes. It has room for the years 1970 to 10889: an earlier or
            /// later time is cut to them.
            ///
            /// ```
            #[doc = concat!("use ticket_reservation::domain::{", stringify!($name), ", Timestamp};")]
            ///
            #[doc = concat!("let id = ", stringify!($name), "::from_parts(Timestamp::EPOCH, [7; 10]);")]
            /// assert_eq!(id.as_uuid().get_version_num(), 7);
            #[doc = concat!("assert_eq!(id.to_string().parse::<", stringify!($name), ">()?, id);")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub fn from_parts(time: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(time.as_micros() / 1_000).unwrap_or(0).min(UUID_MILLIS_MAX);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The UUID.
            #[must_use]
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }
    };
}

/// One reservation: what a customer holds or has booked. A UUID made by the caller, so that a retry names the
/// same reservation; version 7 keeps the store's index dense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReservationId(Uuid);
uuid_display!(ReservationId);

impl From<Uuid> for ReservationId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for ReservationId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::from_str(text).map(Self).map_err(|_| InvalidId::NotUuid)
    }
}

/// One operation: the idempotency key of a command. A UUID of version 7 made by the caller; repeating a command
/// under the same operation id repeats its success and never its effect. Its time bounds how long that holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OperationId(Uuid);
uuid_display!(OperationId);

impl OperationId {
    /// When the caller made this id, in whole milliseconds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::domain::{OperationId, Timestamp};
    ///
    /// let noon = Timestamp::EPOCH.after(Duration::from_secs(12 * 60 * 60));
    /// assert_eq!(OperationId::from_parts(noon, [0; 10]).made_at(), noon);
    /// ```
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.millis()).unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    /// RFC 9562, section 5.7: the first 48 bits of a version 7 UUID are milliseconds since the Unix epoch.
    fn millis(&self) -> u64 {
        let (high, _) = self.0.as_u64_pair();
        high >> 16
    }
}

impl TryFrom<Uuid> for OperationId {
    type Error = InvalidId;
    fn try_from(uuid: Uuid) -> Result<Self, InvalidId> {
        if uuid.get_version_num() == 7 { Ok(Self(uuid)) } else { Err(InvalidId::NotVersion7) }
    }
}

impl FromStr for OperationId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::from_str(text).map_err(|_| InvalidId::NotUuid)?.try_into()
    }
}
