use std::time::Duration;

use super::error::MssqlError;
use super::pool::{self, Pool};
use super::rows;

/// The schema's version as this version of the crate knows it.
///
/// Until the crate's first release version 1 is what the SQL says, and nobody looks after a schema that was made before.
const VERSION: i64 = 1;

/// What makes everything in an empty schema. A line with `GO` ends a batch.
const SQL: &str = concat!(
    include_str!("schema.sql"),
    "GO\n",
    include_str!("load.sql"),
    "GO\n",
    include_str!("availability.sql"),
    "GO\n",
    include_str!("commit.sql"),
    "GO\n",
    include_str!("purge.sql")
);

/// The longest name that SQL Server takes, in UTF-16 units.
const NAME_UNITS_MAX: usize = 128;

/// How long making the tables may take, waiting for others who do included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What stands for itself in statements, and what it means.
const WORDS: [(&str, &str); 3] = [
    ("{word}", "nvarchar(32) COLLATE Latin1_General_100_BIN2"),
    ("{now}", "DATEDIFF_BIG(microsecond, CAST('1970-01-01' AS datetime2(7)), SYSUTCDATETIME())"),
    // Plans are made once, perhaps while the tables are empty, and must be good when they are full: by the index, key by key.
    ("{loops}", "OPTION (LOOP JOIN, FORCE ORDER)"),
];

/// Parameters that are ids.
const ID_PARAMETERS: [&str; 4] = ["event", "after", "area", "customer"];

/// How ids are kept, so that they sort byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// As UTF-8, whose bytes sort as the ids do.
    Utf8,
    /// As `nvarchar`, on servers that have no collations for UTF-8.
    Wide,
}

impl Ids {
    /// Which one a server can: no code page means that it does not know the collation.
    pub(super) const CODE_PAGE: &str =
        "CAST(COLLATIONPROPERTY('Latin1_General_100_BIN2_UTF8', 'CodePage') AS bigint) AS code_page";

    pub(super) fn of_code_page(code_page: Option<i64>) -> Self {
        if code_page.is_some() { Self::Utf8 } else { Self::Wide }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Utf8 => "varchar(64) COLLATE Latin1_General_100_BIN2_UTF8",
            Self::Wide => "nvarchar(64) COLLATE Latin1_General_100_BIN2",
        }
    }

    /// A parameter as the columns are, so that an index finds it.
    fn parameter(self, name: &str) -> String {
        match self {
            Self::Utf8 => format!("CAST(@{name} COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(64))"),
            Self::Wide => format!("CAST(@{name} COLLATE Latin1_General_100_BIN2 AS nvarchar(64))"),
        }
    }
}

/// The name of the schema, as it stands in statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    name: String,
    /// As an identifier.
    quoted: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, MssqlError> {
        if name.is_empty() || name.encode_utf16().count() > NAME_UNITS_MAX || name.contains('\0') {
            return Err(MssqlError::SchemaName { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), quoted: format!("[{}]", name.replace(']', "]]")) })
    }

    /// SQL in which words in braces stand for others.
    pub(super) fn in_sql(&self, sql: &str, ids: Ids) -> String {
        let mut sql = sql.replace("{text}", ids.column());
        for name in ID_PARAMETERS {
            sql = sql.replace(&format!("{{{name}}}"), &ids.parameter(name));
        }
        for (word, columns) in rows::COLUMNS {
            sql = sql.replace(word, columns);
        }
        for (word, meaning) in WORDS {
            sql = sql.replace(word, meaning);
        }
        let name = literal(&self.name);
        // For each event a lock of its own. Names of locks are compared byte by byte, and are at most 255 characters long.
        let resource = format!("N'ticket-reservation/' + {name} + N'/' + @event");
        sql.replace("{resource}", &resource)
            .replace("{schema_in_text}", &self.quoted.replace('\'', "''"))
            .replace("{name}", &name)
            .replace("{schema}", &self.quoted)
    }

    /// What makes everything, on a server of Microsoft's.
    pub(super) fn sql(&self) -> String {
        self.in_sql(SQL, Ids::Utf8)
    }

    /// One of its objects, as it stands in statements.
    pub(super) fn object(&self, name: &str) -> String {
        format!("{}.{name}", self.quoted)
    }

    /// Makes the tables if there are none. Of several who begin at once, the first one does, and the others wait.
    pub(super) async fn install(&self, pool: &Pool) -> Result<(), MssqlError> {
        match self.check(pool).await {
            Err(MssqlError::NoSchema { .. }) => {}
            known => return known,
        }
        let timeout = MIGRATION_TIMEOUT.as_millis();
        let lock = format!(
            "SET LOCK_TIMEOUT {timeout}; BEGIN TRANSACTION; DECLARE @locked int; \
             EXEC @locked = sp_getapplock @Resource = N'ticket-reservation', @LockMode = 'Exclusive', \
             @LockOwner = 'Transaction'; \
             IF @locked < 0 THROW 52004, N'somebody else makes the tables, and does not end', 1"
        );
        // Who comes second finds the table, and its transaction ends there with an error of its own.
        let mut script = vec![lock.as_str()];
        script.extend(batches(SQL));
        script.push("COMMIT TRANSACTION");
        match pool::run(pool, &script, MIGRATION_TIMEOUT).await {
            Ok(()) => self.check(pool).await,
            // Its transaction may still be open there, and the connection is not used again.
            Err(error) => self.check(pool).await.map_err(|_| error),
        }
    }

    /// Whether this version of the crate may use the tables.
    pub(super) async fn check(&self, pool: &Pool) -> Result<(), MssqlError> {
        let store = "SELECT t.object_id FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
            WHERE s.name = @P1 AND t.name = N'store'; SELECT N'end' AS kind";
        if pool::read(pool, store, &[&self.name]).await?.is_empty() {
            return Err(MssqlError::NoSchema { schema: self.name.clone() });
        }
        let versions = "SELECT schema_version, compatible_with FROM {schema}.store; SELECT N'end' AS kind";
        for row in pool::read(pool, versions, &[]).await? {
            let (found, needed) = (rows::number(&row, "schema_version")?, rows::number(&row, "compatible_with")?);
            if needed > VERSION {
                return Err(MssqlError::NewerSchema { found, needed, known: VERSION });
            }
        }
        Ok(())
    }
}

/// A text as it stands in a statement.
fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// The batches of a script.
fn batches(script: &str) -> impl Iterator<Item = &str> {
    script.split("\nGO\n").map(str::trim).filter(|batch| !batch.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_and_what_is_none_is_refused() {
        let schema = Schema::new("a]b'c").unwrap();
        let sql = schema.in_sql("{schema}.x {name} N'{schema_in_text}'", Ids::Utf8);
        assert_eq!(sql, "[a]]b'c].x N'a]b''c' N'[a]]b''c]'");
        for name in ["", &"x".repeat(129), "a\0b"] {
            assert!(matches!(Schema::new(name), Err(MssqlError::SchemaName { .. })), "{name:?}");
        }
    }

    #[test]
    fn every_word_in_the_scripts_has_a_meaning() {
        let schema = Schema::new("sale").unwrap();
        assert!(!schema.in_sql(SQL, Ids::Wide).contains('{'));
        let sql = schema.sql();
        assert!(!sql.contains('{') && !sql.contains('}'), "{}", &sql[sql.find(['{', '}']).unwrap()..][..80]);
        assert_eq!(batches(&sql).filter(|batch| batch.contains("CREATE PROCEDURE")).count(), 4);
        assert!(batches(&sql).all(|batch| batch.matches("CREATE PROCEDURE").count() <= 1));
    }
}
