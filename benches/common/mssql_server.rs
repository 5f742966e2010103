//! The SQL Server that the tests may use, if there is one.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::env;
use std::io::{self, Write as _};
use std::sync::{Arc, Once};

use ticket_reservation::adapters::mssql::tiberius::{Client, Config, EncryptionLevel};
use ticket_reservation::adapters::mssql::{MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::ports::Runtime;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// Names it, as ADO.NET does. Every test has a schema of its own in the database that it names.
const VARIABLE: &str = "TICKET_RESERVATION_MSSQL_URL";

/// Its connection string. Says so in a line of its own when there is none.
pub(crate) fn connection_string() -> Option<String> {
    let named = env::var(VARIABLE).ok().filter(|it| !it.trim().is_empty());
    if named.is_none() {
        static ONCE: Once = Once::new();
        // Past what keeps the words of tests that pass.
        ONCE.call_once(|| {
            let _ = writeln!(io::stderr(), "SKIPPED: {VARIABLE} names no SQL Server, so nothing is run on one");
        });
    }
    named
}

/// A repository in this schema, with as little TLS as the connection string asks for.
pub(crate) fn builder(connection_string: &str, schema: &str, runtime: Arc<dyn Runtime>) -> MssqlRepositoryBuilder {
    let builder = MssqlRepository::builder(connection_string, runtime).schema(schema);
    let said = said(connection_string);
    if said.contains("encrypt=false") {
        builder.danger_plain_connections()
    } else if said.contains("trustservercertificate=true") {
        builder.danger_any_certificate()
    } else {
        builder
    }
}

/// A connection beside the adapter's.
pub(crate) async fn connect(connection_string: &str) -> Client<Compat<TcpStream>> {
    let mut config = Config::from_ado_string(connection_string).expect("a connection string");
    if said(connection_string).contains("encrypt=false") {
        config.encryption(EncryptionLevel::NotSupported);
    }
    let stream = TcpStream::connect(config.get_addr()).await.expect("a server");
    Client::connect(config, stream.compat_write()).await.expect("a login")
}

/// In small letters, without spaces.
fn said(connection_string: &str) -> String {
    connection_string.to_lowercase().chars().filter(|it| !it.is_whitespace()).collect()
}
