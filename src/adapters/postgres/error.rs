//! What can go wrong, and what is known afterwards.
//!
//! | PostgreSQL says | answer | because |
//! | --- | --- | --- |
//! | serialization failure, deadlock (class 40), lock timeout (`55P03`), cancelled by a timeout (`57014`) | `Transient` | the statement was rolled back |
//! | a lost race for a reservation or an operation, or with a purge (`TR001`) | `Transient`, after the commit was tried again a few times | by then it is seen |
//! | out of memory, disk full, too many connections (class 53, as an `ERROR` or when connecting) | `Transient` | it may pass; the statement was rolled back |
//! | a read-only server (`25006`) | `Transient` | it may be a failover |
//! | a prepared statement is gone (`26000`) or has other columns now (`0A000` of a cached plan), a transaction that somebody left open has failed (`25P02`) | `Transient`, and the connection is thrown away | nothing was run, and another connection is as new |
//! | a violated constraint (class 23), a row count that differs (`TR002`) | `Permanent` | an invariant is broken: an alarm |
//! | login failed (class 28), no such database (`3D000`), missing permission (`42501`), missing tables (class 42), as an `ERROR` or when connecting; another isolation level (`TR003`) | `Permanent` | someone has to repair something |
//! | TLS is refused, or the certificate is not trusted | `Permanent` | the same |
//! | any other error (`ERROR`) | `Permanent` | the statement was rolled back, and the same would happen again |
//! | the connection cannot be made, is lost before a call has sent anything, or during a read | `Transient` | nothing was changed |
//! | anything that is fatal, the connection is lost, or no answer comes in time, once a write was sent | `Unknown` | it may have been committed |
//! | trouble with a connection behind the one who answers (class 08), an operator's doing (class 57), or that it is not known (`40003`), once a write was sent | `Unknown` | the same: a pooler or a proxy may say so |
//! | nothing: no connection of the pool was free in time | `Transient` | the call was not begun |

use std::error::Error as StdError;
use std::sync::Arc;

use thiserror::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::ports::{StoreError, StoreErrorKind};

/// Why a store could not be opened.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The connection string cannot be used. It is not repeated here, as it may hold a password.
    #[error("the connection string cannot be used: {why}")]
    Config {
        /// Why.
        why: String,
    },
    /// The connection string asks for less than verified TLS.
    #[error("sslmode={mode} asks for less than verified TLS: leave it out, and call {call}() if that is meant")]
    WeakTls {
        /// What it asks for.
        mode: String,
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
    /// The name of the schema is empty, longer than 63 bytes, or has a NUL.
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
    /// The database's encoding is not UTF-8.
    #[error("the database's encoding is {found}, and ids need UTF8")]
    Encoding {
        /// What it is.
        found: String,
    },
    /// No connection was free in time.
    #[error("no connection was free in time")]
    Busy,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before anything was sent.
    #[error("the connection was lost before anything was sent")]
    Closed,
    /// PostgreSQL failed, or could not be reached.
    #[error("PostgreSQL failed")]
    Postgres(#[source] Arc<tokio_postgres::Error>),
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(Arc::new(error))
    }
}

impl PostgresError {
    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Busy | Self::TimedOut | Self::Closed => StoreErrorKind::Transient,
            Self::Postgres(error) if error.as_db_error().is_some_and(is_refusal) => StoreErrorKind::Permanent,
            Self::Postgres(error) => match kind(error) {
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
    Connection(#[from] PostgresError),
    /// The statement failed.
    #[error("PostgreSQL failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// No answer came in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// Another transaction created the same record, or purged it, at the same time, again and again.
    #[error("the same race was lost again and again")]
    RaceLost,
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
    pub(super) fn of_opening(self) -> PostgresError {
        match self {
            Self::Connection(error) => error,
            Self::Postgres(error) => error.into(),
            Self::TimedOut | Self::RaceLost | Self::Content { .. } | Self::Alarm { .. } => PostgresError::TimedOut,
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
            Self::Postgres(error) => kind(error),
            Self::TimedOut => StoreErrorKind::Unknown,
            Self::RaceLost => StoreErrorKind::Transient,
            Self::Content { .. } | Self::Alarm { .. } => StoreErrorKind::Permanent,
        }
    }

    /// Whether it lost a race that it may win next time.
    pub(super) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.code().is_some_and(|code| code.code() == "TR001"))
    }
}

/// What is known after an error of a statement that was sent.
fn kind(error: &tokio_postgres::Error) -> StoreErrorKind {
    match error.as_db_error() {
        Some(error) => kind_of_server(error),
        None if is_tls(error) => StoreErrorKind::Permanent,
        None => StoreErrorKind::Unknown,
    }
}

fn kind_of_server(error: &DbError) -> StoreErrorKind {
    if error.parsed_severity() != Some(Severity::Error) {
        return StoreErrorKind::Unknown;
    }
    let code = error.code();
    let rolled_back = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED, SqlState::READ_ONLY_SQL_TRANSACTION];
    if rolled_back.contains(code) || is_of_the_connection(error) {
        return StoreErrorKind::Transient;
    }
    match class(error) {
        _ if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => StoreErrorKind::Unknown,
        "40" | "53" => StoreErrorKind::Transient,
        "08" | "57" => StoreErrorKind::Unknown,
        _ => StoreErrorKind::Permanent,
    }
}

fn class(error: &DbError) -> &str {
    error.code().code().get(..2).unwrap_or_default()
}

/// Whether a connection, or a statement before it is run, is refused in a way that lasts: nothing was sent that could have been done.
fn is_refusal(error: &DbError) -> bool {
    matches!(class(error), "28" | "3D" | "42")
}

/// Whether the server has refused a statement, and the connection is as good as before.
pub(super) fn is_orderly(error: &tokio_postgres::Error) -> bool {
    let is_orderly = |it: &DbError| kind_of_server(it) != StoreErrorKind::Unknown && !is_of_the_connection(it);
    error.as_db_error().is_some_and(is_orderly)
}

/// Whether it is about what only this connection has, so that the statement was not run, and others can do it.
fn is_of_the_connection(error: &DbError) -> bool {
    // The words about a plan are in the server's language, and the same code has other meanings.
    let is_of_a_plan =
        *error.code() == SqlState::FEATURE_NOT_SUPPORTED && error.routine() == Some("RevalidateCachedQuery");
    is_of_a_plan || [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::IN_FAILED_SQL_TRANSACTION].contains(error.code())
}

/// Whether TLS is what failed. The driver says so in words alone.
fn is_tls(error: &tokio_postgres::Error) -> bool {
    let is_the_handshake = error.to_string().starts_with("error performing TLS handshake");
    // A server that goes away in the middle of it has refused nothing.
    let is_io = |it: &(dyn StdError + 'static)| {
        it.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() != std::io::ErrorKind::InvalidData)
    };
    is_the_handshake && !error.source().is_some_and(is_io)
}
