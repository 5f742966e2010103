//! The SQL Server that the tests may use, if there is one.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::env;
use std::io::{self, Write as _};
use std::sync::Arc;

use ticket_reservation::adapters::mssql::{MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::ports::Runtime;

/// Names it, as ADO.NET does. Every test has a schema of its own in the database that it names.
const VARIABLE: &str = "TICKET_RESERVATION_MSSQL_URL";

/// Its connection string. Says so in a line of its own when there is none.
pub(crate) fn connection_string() -> Option<String> {
    let named = env::var(VARIABLE).ok().filter(|it| !it.trim().is_empty());
    if named.is_none() {
        // Past what keeps the words of tests that pass.
        let _ = writeln!(io::stderr(), "SKIPPED: {VARIABLE} names no SQL Server, so nothing is run on one");
    }
    named
}

/// A repository in this schema, with as little TLS as the connection string asks for.
pub(crate) fn builder(connection_string: &str, schema: &str, runtime: Arc<dyn Runtime>) -> MssqlRepositoryBuilder {
    let builder = MssqlRepository::builder(connection_string, runtime).schema(schema);
    let said: String = connection_string.to_lowercase().chars().filter(|it| !it.is_whitespace()).collect();
    if said.contains("encrypt=false") {
        builder.danger_plain_connections()
    } else if said.contains("trustservercertificate=true") {
        builder.danger_any_certificate()
    } else {
        builder
    }
}
