use std::time::Duration;

use super::error::PostgresError;
use super::pool::{self, Pool};
use super::settings;

/// The schema's version as this version of the crate knows it.
///
/// Until the crate's first release version 1 is what the SQL says, and nobody looks after a schema that was made before.
const VERSION: i64 = 1;

/// What makes everything in an empty schema.
const SQL: &str = concat!(
    include_str!("schema.sql"),
    "\n",
    include_str!("load.sql"),
    "\n",
    include_str!("commit.sql"),
    "\n",
    include_str!("purge.sql")
);

/// The longest name that PostgreSQL does not cut.
const NAME_BYTES_MAX: usize = 63;

/// The advisory lock that is held while tables are made: the first bytes of the crate's name.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"ticket-r");

/// How long making the tables may take, waiting for others who do included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The name of the schema, as it stands in statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    name: String,
    quoted: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, PostgresError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(PostgresError::SchemaName { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), quoted: format!("\"{}\"", name.replace('"', "\"\"")) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// SQL in which `{schema}` stands for the schema.
    pub(super) fn in_sql(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.quoted)
    }

    /// What makes everything.
    pub(super) fn sql(&self) -> String {
        self.in_sql(SQL).replace("{plans}", &settings::of_function())
    }

    /// Makes the tables if there are none. Of several who begin at once, the first one does, and the others wait.
    pub(super) async fn install(&self, pool: &Pool) -> Result<(), PostgresError> {
        match self.check(pool).await {
            Err(PostgresError::NoSchema { .. }) => {}
            known => return known,
        }
        // Who comes second finds the table, and its transaction ends there with an error of its own.
        let timeout = MIGRATION_TIMEOUT.as_millis();
        let script = format!(
            "BEGIN; SET LOCAL statement_timeout = {timeout}; SET LOCAL lock_timeout = {timeout}; \
             SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); {}; COMMIT",
            self.sql()
        );
        match pool::run(pool, &script, MIGRATION_TIMEOUT).await {
            Ok(()) => {}
            Err(error) => {
                // Its transaction is still open there, and the connection is not used again.
                return match self.check(pool).await {
                    Ok(()) => Ok(()),
                    Err(_) => Err(error),
                };
            }
        }
        self.check(pool).await
    }

    /// Whether this version of the crate may use the tables.
    pub(super) async fn check(&self, pool: &Pool) -> Result<(), PostgresError> {
        self.check_encoding(pool).await?;
        let store = "SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relname = 'store' AND c.relkind = 'r'";
        if pool::read(pool, store, &[&self.name]).await?.is_empty() {
            return Err(PostgresError::NoSchema { schema: self.name.clone() });
        }
        let versions = "SELECT schema_version, compatible_with FROM {schema}.store";
        for row in pool::read(pool, versions, &[]).await? {
            let (found, needed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if needed > VERSION {
                return Err(PostgresError::NewerSchema { found, needed, known: VERSION });
            }
        }
        Ok(())
    }

    async fn check_encoding(&self, pool: &Pool) -> Result<(), PostgresError> {
        for row in pool::read(pool, "SELECT current_setting('server_encoding')", &[]).await? {
            let found: String = row.try_get(0)?;
            if found != "UTF8" {
                return Err(PostgresError::Encoding { found });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_and_what_is_none_is_refused() {
        assert_eq!(Schema::new("a\"b").unwrap().in_sql("{schema}.x"), "\"a\"\"b\".x");
        for name in ["", &"x".repeat(64), "a\0b"] {
            assert!(matches!(Schema::new(name), Err(PostgresError::SchemaName { .. })), "{name:?}");
        }
    }
}
