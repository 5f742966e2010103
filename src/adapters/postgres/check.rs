use std::fmt;
use std::time::Duration;

use super::error::PostgresError;
use super::pool::{self, Pool};
use super::schema::Schema;
use crate::domain::Timestamp;

/// How far the server's clock may be from the host's.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(5);

/// What would break a promise, or keep the repository from working.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A setting with which the server may lose what it has acknowledged.
    NotDurable {
        /// Its name.
        setting: String,
        /// What it is.
        value: String,
    },
    /// It takes no writes: a standby, or one that is set to read only.
    ReadOnly,
    /// Other servers follow it, and it does not wait for any: what was acknowledged may be lost when one takes over.
    AsynchronousReplication {
        /// How many.
        standbys: u64,
    },
    /// This user may not do what a sale needs, or it is not there.
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
            Self::NotDurable { setting, value } => write!(f, "may lose what it has acknowledged ({setting} = {value})"),
            Self::ReadOnly => f.write_str("takes no writes"),
            Self::AsynchronousReplication { standbys } => {
                write!(f, "does not wait for its {standbys} standbys: a failover may lose what was acknowledged")
            }
            Self::MissingPermission { of } => write!(f, "has no {of} that this user may use"),
            Self::ClockOffset { by } => write!(f, "has a clock that is {by:?} from the host's"),
        }
    }
}

/// Settings, replication and the clock. A user who may not see what the standbys do sees how many there are. Backups that are
/// being made, and who follows the rows and not the disk, take over from nobody.
const STATE: &str =
    "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,
    (SELECT count(*) FROM pg_stat_replication AS r WHERE r.state IS DISTINCT FROM 'backup' AND NOT EXISTS (
        SELECT 1 FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')),
    current_setting('synchronous_standby_names'),
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// What this user may not do, or is not there, of what the statements and functions need.
const LACKING: &str = "WITH needed (name, privileges) AS (VALUES
        ('store', '{SELECT,UPDATE}'::text[]),
        ('event', '{SELECT,INSERT,UPDATE}'),
        ('ticket', '{SELECT,INSERT,UPDATE}'),
        ('pool', '{SELECT,INSERT,UPDATE}'),
        ('allowance', '{SELECT,INSERT,UPDATE}'),
        ('reservation', '{SELECT,INSERT,UPDATE}'),
        ('hold', '{SELECT,INSERT,DELETE}'),
        ('operation', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('change', '{SELECT,INSERT,DELETE}'))
    SELECT DISTINCT 'table ' || w.name FROM needed AS w CROSS JOIN unnest(w.privileges) AS p (privilege)
    LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1)
        ON c.relname = w.name AND c.relkind = 'r'
    WHERE has_table_privilege(c.oid, p.privilege) IS NOT TRUE
    UNION ALL
    SELECT 'function ' || w.name
    FROM unnest('{now_micros,first_id_at,load_records,insert_holds,insert_new,commit_groups,purge_step}'::text[]) AS w (name)
    LEFT JOIN (pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = $1) ON f.proname = w.name
    WHERE has_function_privilege(f.oid, 'EXECUTE') IS NOT TRUE
    UNION ALL
    SELECT 'schema ' || n.nspname FROM pg_namespace AS n WHERE n.nspname = $1 AND NOT has_schema_privilege(n.oid, 'USAGE')
    ORDER BY 1";

/// Looks at the server, as it is to this user; `now` is the host's clock.
pub(super) async fn check(
    pool: &Pool,
    schema: &Schema,
    now: impl Fn() -> Timestamp,
) -> Result<Vec<Finding>, PostgresError> {
    let mut findings = Vec::new();
    let before = now();
    for row in pool::read(pool, STATE, &[]).await? {
        let after = now();
        let (standbys, waited_for): (i64, String) = (row.try_get(4)?, row.try_get(5)?);
        for (at, setting) in [(0, "fsync"), (1, "full_page_writes"), (2, "synchronous_commit")] {
            let value: String = row.try_get(at)?;
            // It waits for the own disk, and for no standby that is named.
            let is_local = value == "local" && !waited_for.is_empty();
            if value == "off" || is_local {
                findings.push(Finding::NotDurable { setting: setting.to_owned(), value });
            }
        }
        if row.try_get(3)? {
            findings.push(Finding::ReadOnly);
        }
        if standbys > 0 && waited_for.is_empty() {
            findings.push(Finding::AsynchronousReplication { standbys: standbys.unsigned_abs() });
        }
        let clock = Timestamp::from_micros(row.try_get(6)?);
        let by = before.since(clock).max(clock.since(after));
        if by > CLOCK_OFFSET_MAX {
            findings.push(Finding::ClockOffset { by });
        }
    }
    for row in pool::read(pool, LACKING, &[&schema.name()]).await? {
        findings.push(Finding::MissingPermission { of: row.try_get(0)? });
    }
    Ok(findings)
}
