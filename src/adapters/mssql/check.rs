use std::fmt;
use std::time::Duration;

use super::error::MssqlError;
use super::pool::{self, Pool};
use super::rows::number;
use super::schema::Schema;
use crate::domain::Timestamp;

/// How far the server's clock may be from the host's.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(5);

/// What would break a promise, or keep the repository from working.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The database acknowledges commits before they are on the disk: `DELAYED_DURABILITY = FORCED`.
    NotDurable,
    /// It takes no writes: a secondary replica, or a database that is set to read only.
    ReadOnly,
    /// Other servers follow it, and it does not wait for any: what was acknowledged may be lost when one takes over.
    AsynchronousReplication {
        /// How many.
        replicas: u64,
    },
    /// Ids are not compared byte by byte.
    Collation {
        /// How they are compared.
        found: String,
    },
    /// This user may not do what a sale needs.
    MissingPermission {
        /// On what.
        of: String,
    },
    /// Its clock is further than [`CLOCK_OFFSET_MAX`] from the host's: times that hosts name, such as those of a sales window, and
    /// the ids of operations, are judged by the server's.
    ClockOffset {
        /// How far it is.
        by: Duration,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDurable => f.write_str("may lose what it has acknowledged (DELAYED_DURABILITY = FORCED)"),
            Self::ReadOnly => f.write_str("takes no writes"),
            Self::AsynchronousReplication { replicas } => {
                write!(f, "does not wait for its {replicas} replicas: a failover may lose what was acknowledged")
            }
            Self::Collation { found } => write!(f, "does not compare ids byte by byte ({found})"),
            Self::MissingPermission { of } => write!(f, "does not let this user use {of}"),
            Self::ClockOffset { by } => write!(f, "has a clock that is {by:?} from the host's"),
        }
    }
}

/// Settings and the clock.
const STATE: &str = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) AS updateability,
        CAST(d.delayed_durability AS bigint) AS delayed_durability, {now} AS now,
        (SELECT CAST(c.collation_name AS nvarchar(128)) FROM sys.columns AS c
            WHERE c.object_id = OBJECT_ID(N'{schema_in_text}.ticket') AND c.name = N'ticket_id') AS collation
    FROM sys.databases AS d WHERE d.database_id = DB_ID(); SELECT N'end' AS kind";

/// The value of `sys.databases.delayed_durability` for `FORCED`.
const DURABILITY_IS_DELAYED: i64 = 2;

/// The other replicas of the availability group, if there is one: how many of them commits wait for, and of how many they do not. A
/// user who may not see them sees none; Azure SQL Database has no such view.
const REPLICAS: &str = "IF OBJECT_ID(N'sys.availability_replicas') IS NOT NULL EXEC(N'
    SELECT COALESCE(SUM(CASE WHEN r.availability_mode = 0 THEN CAST(1 AS bigint) ELSE 0 END), 0) AS asynchronous,
        COALESCE(SUM(CASE WHEN r.availability_mode = 0 THEN 0 ELSE CAST(1 AS bigint) END), 0) AS synchronous
    FROM sys.databases AS d INNER JOIN sys.availability_replicas AS mine ON mine.replica_id = d.replica_id
    INNER JOIN sys.availability_replicas AS r ON r.group_id = mine.group_id AND r.replica_id <> mine.replica_id
    WHERE d.database_id = DB_ID()'); SELECT N'end' AS kind";

/// What a user needs: queries read tables, and everything else is done by procedures.
const NEEDED: [(&str, &str); 11] = [
    ("event", "SELECT"),
    ("ticket", "SELECT"),
    ("pool", "SELECT"),
    ("reservation", "SELECT"),
    ("reservation_line", "SELECT"),
    ("change", "SELECT"),
    ("store", "SELECT"),
    ("load_records", "EXECUTE"),
    ("availability", "EXECUTE"),
    ("commit_groups", "EXECUTE"),
    ("purge_step", "EXECUTE"),
];

/// Looks at the server, as it is to this user; `now` is the host's clock.
pub(super) async fn check(
    pool: &Pool,
    schema: &Schema,
    now: impl Fn() -> Timestamp,
) -> Result<Vec<Finding>, MssqlError> {
    let mut findings = Vec::new();
    let before = now();
    for row in pool::read(pool, STATE, &[]).await? {
        let after = now();
        if number(&row, "delayed_durability")? == DURABILITY_IS_DELAYED {
            findings.push(Finding::NotDurable);
        }
        if row.try_get::<&str, _>("updateability")?.is_some_and(|it| it != "READ_WRITE") {
            findings.push(Finding::ReadOnly);
        }
        if let Some(found) = row.try_get::<&str, _>("collation")? {
            let name = found.to_lowercase();
            if !(name.ends_with("_bin2") || name.ends_with("_bin2_utf8")) {
                findings.push(Finding::Collation { found: found.to_owned() });
            }
        }
        let clock = Timestamp::from_micros(number(&row, "now")?);
        let by = before.since(clock).max(clock.since(after));
        if by > CLOCK_OFFSET_MAX {
            findings.push(Finding::ClockOffset { by });
        }
    }
    for row in pool::read(pool, REPLICAS, &[]).await? {
        let (asynchronous, synchronous) = (number(&row, "asynchronous")?, number(&row, "synchronous")?);
        if asynchronous > 0 && synchronous == 0 {
            findings.push(Finding::AsynchronousReplication { replicas: asynchronous.unsigned_abs() });
        }
    }
    for (object, permission) in NEEDED {
        let sql = "SELECT CAST(HAS_PERMS_BY_NAME(@P1, N'OBJECT', @P2) AS bigint) AS has; SELECT N'end' AS kind";
        let name = schema.object(object);
        for row in pool::read(pool, sql, &[&name, &permission]).await? {
            // Nothing where there is no such object.
            if row.try_get::<i64, _>("has")? != Some(1) {
                findings.push(Finding::MissingPermission { of: format!("{object} ({permission})") });
            }
        }
    }
    Ok(findings)
}
