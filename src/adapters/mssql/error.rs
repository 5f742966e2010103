//! What can go wrong, and what is known afterwards.
//!
//! | SQL Server says | answer | because |
//! | --- | --- | --- |
//! | deadlock victim (1205), lock timeout (1222, 52004), snapshot conflict (3960, 3961) | `Transient` | the transaction was rolled back |
//! | unique violation (2627, 2601) | `Transient`, after the commit was tried again a few times: then the service commits its groups singly | another event's commit created the same record at the same time: by then it is seen |
//! | an operation was purged meanwhile (52001) | `Transient`, after the commit was tried again a few times | by then it is a conflict |
//! | out of memory (701, 8645, 8651), log, file or disk full (9002, 1101, 1105), too many locks (1204), resource limits (10928, 10929, 40501) | `Transient` | it may pass; the transaction was rolled back |
//! | a database that moves (40197, 40613, 49918 to 49920), when connecting | `Transient` | nothing was sent |
//! | a read-only database or replica (3906, 3908, 976, 978, 983) | `Transient` | it may be a failover |
//! | a violated constraint (547, 515), a row count that differs (52002), a transaction around the commit (52003) | `Permanent` | an invariant is broken: an alarm |
//! | login failed (18450 to 18470, 18486 to 18488), no such database (4060, 911, 916), missing permission (229, 230, 262, 297, 300), missing tables or procedures (208, 2812, 201, 8144, 8145) | `Permanent` | someone has to repair something |
//! | TLS is refused, or the certificate is not trusted | `Permanent` | the same |
//! | any other number, or a severity of 20 or more, once a write was sent | `Unknown` | who does not know must not guess |
//! | the connection cannot be made, or is lost during a read | `Transient` | nothing was changed |
//! | the connection is lost, no answer comes in time, or it stops before its end, once a write was sent | `Unknown` | it may have been committed, or may still be |
//! | nothing: no connection of the pool was free in time | `Transient` | the call was not begun |

use thiserror::Error;
use tiberius::error::{Error as Tds, TokenError};

use crate::ports::{StoreError, StoreErrorKind};

/// Why a store could not be opened.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MssqlError {
    /// The connection string cannot be used. It is not repeated here, as it may hold a password.
    #[error("the connection string cannot be used: {why}")]
    Config {
        /// Why.
        why: String,
    },
    /// The connection string asks for less than verified TLS.
    #[error("{setting} asks for less than verified TLS: leave it out, and call {call}() if that is meant")]
    WeakTls {
        /// What it asks for.
        setting: String,
        /// The builder's method that does it.
        call: &'static str,
    },
    /// A plain connection to another machine was asked for.
    #[error("{host} is not this machine: plain connections to it need danger_plain_connections()")]
    NotLoopback {
        /// The host.
        host: String,
    },
    /// A certificate to trust cannot be used.
    #[error("a certificate to trust cannot be used: {why}")]
    Certificate {
        /// Why.
        why: String,
    },
    /// The name of the schema is empty, longer than 128 characters, or has a NUL.
    #[error("{name:?} is no name for a schema")]
    SchemaName {
        /// The name.
        name: String,
    },
    /// There are no tables: `migrate()` makes them.
    #[error("schema {schema} has no tables: call migrate(), or apply schema_sql()")]
    NoSchema {
        /// The schema.
        schema: String,
    },
    /// A newer version of this crate made the tables, and says that this version must not use them.
    #[error("the schema has version {found}, which needs version {needed}, this program knows version {known}")]
    NewerSchema {
        /// The schema's version.
        found: i64,
        /// The least version that may use it.
        needed: i64,
        /// The version of this program.
        known: i64,
    },
    /// No connection was free in time.
    #[error("no connection was free in time")]
    Busy,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// SQL Server failed, or could not be reached.
    #[error("SQL Server failed")]
    Mssql(#[source] Tds),
}

impl From<Tds> for MssqlError {
    fn from(error: Tds) -> Self {
        Self::Mssql(error)
    }
}

impl From<std::io::Error> for MssqlError {
    fn from(error: std::io::Error) -> Self {
        Self::Mssql(error.into())
    }
}

impl MssqlError {
    /// Of a connection that was not made: nothing was sent on it.
    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Busy | Self::TimedOut => StoreErrorKind::Transient,
            Self::Mssql(error) => match kind(error) {
                StoreErrorKind::Unknown if is_declined(error) => StoreErrorKind::Permanent,
                StoreErrorKind::Unknown => StoreErrorKind::Transient,
                known => known,
            },
            _ => StoreErrorKind::Permanent,
        }
    }
}

/// Why a call failed.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// There is no connection; nothing was sent.
    #[error(transparent)]
    Connection(#[from] MssqlError),
    /// The statement failed.
    #[error("SQL Server failed")]
    Mssql(#[from] Tds),
    /// No answer came in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The answer stopped before its end.
    #[error("the answer stopped before its end")]
    Unfinished,
    /// A commit answered something that it never answers.
    #[error("a commit answered something else")]
    Odd,
    /// Another transaction created the same record, or purged it, at the same time, again and again.
    #[error("the same race was lost again and again")]
    RaceLost,
    /// Commits came in between, again and again.
    #[error("what was read was not true at one moment, again and again")]
    Torn,
    /// A row holds what no commit writes.
    #[error("a row of kind {kind} holds what this library never writes: {what}")]
    Content { kind: String, what: String },
    /// What cannot be right was to be written.
    #[error("an invariant is broken: {what}")]
    Alarm { what: &'static str },
}

impl Fault {
    /// Of a call that changes nothing.
    pub(super) fn of_read(self) -> StoreError {
        match self.kind() {
            StoreErrorKind::Permanent => StoreError::permanent(self),
            _ => StoreError::transient(self),
        }
    }

    /// Of a look at the server that is no call of the port.
    pub(super) fn of_opening(self) -> MssqlError {
        match self {
            Self::Connection(error) => error,
            Self::Mssql(error) => error.into(),
            Self::Unfinished => Tds::Protocol(self.to_string().into()).into(),
            Self::TimedOut | Self::Odd | Self::RaceLost | Self::Torn | Self::Content { .. } | Self::Alarm { .. } => {
                MssqlError::TimedOut
            }
        }
    }

    /// Of a call that was to change something.
    pub(super) fn of_write(self) -> StoreError {
        match self.kind() {
            StoreErrorKind::Permanent => StoreError::permanent(self),
            StoreErrorKind::Transient => StoreError::transient(self),
            _ => StoreError::unknown(self),
        }
    }

    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Connection(error) => error.kind(),
            Self::Mssql(error) => kind(error),
            Self::TimedOut | Self::Unfinished | Self::Odd => StoreErrorKind::Unknown,
            Self::RaceLost | Self::Torn => StoreErrorKind::Transient,
            Self::Content { .. } | Self::Alarm { .. } => StoreErrorKind::Permanent,
        }
    }

    /// Whether it lost a race that it may win next time.
    pub(super) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Mssql(Tds::Server(error)) if matches!(error.code(), 2_601 | 2_627 | 52_001) && error.class() < 20)
    }
}

/// What is known after an error of a statement that was sent.
fn kind(error: &Tds) -> StoreErrorKind {
    match error {
        Tds::Server(error) => kind_of_server(error),
        Tds::Tls(_) => StoreErrorKind::Permanent,
        _ => StoreErrorKind::Unknown,
    }
}

fn kind_of_server(error: &TokenError) -> StoreErrorKind {
    match error.code() {
        // Refused before anything is done; some of them end the connection.
        18_450..=18_470 | 18_486..=18_488 | 4_060 | 911 | 916 => StoreErrorKind::Permanent,
        _ if error.class() >= 20 => StoreErrorKind::Unknown,
        1_205 | 1_222 | 52_004 | 3_960 | 3_961 | 2_601 | 2_627 | 52_001 => StoreErrorKind::Transient,
        701 | 8_645 | 8_651 | 9_002 | 1_101 | 1_105 | 1_204 => StoreErrorKind::Transient,
        10_928 | 10_929 | 40_501 => StoreErrorKind::Transient,
        3_906 | 3_908 | 976 | 978 | 983 => StoreErrorKind::Transient,
        547 | 515 | 52_002 | 52_003 => StoreErrorKind::Permanent,
        229 | 230 | 262 | 297 | 300 | 208 | 2_812 | 201 | 8_144 | 8_145 => StoreErrorKind::Permanent,
        _ => StoreErrorKind::Unknown,
    }
}

/// Whether the server does not encrypt, which the driver says in words alone.
fn is_declined(error: &Tds) -> bool {
    matches!(error, Tds::Protocol(why) if why.contains("does not allow the requested encryption"))
}
