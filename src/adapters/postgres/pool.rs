//! Connections, and which of them are good.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bb8::{ManageConnection, RunError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Fault, PostgresError};
use super::schema::Schema;
use crate::ports::Runtime;

/// The pool.
pub(super) type Pool = bb8::Pool<Manager>;

/// A connection that was used so lately is taken for good: if it is not, that shows at once.
const TRUSTED_FOR: Duration = Duration::from_secs(30);

/// What each connection is told first. Lists, too, are read by an index, whenever their plan was made.
const SETTINGS: &str = "SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan; SET random_page_cost = 0.01; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET jit = off; SET client_encoding = 'UTF8'";

/// Makes connections.
pub(super) struct Manager {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    runtime: Arc<dyn Runtime>,
    schema: Schema,
    call_timeout: Duration,
}

impl Manager {
    pub(super) fn new(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        runtime: Arc<dyn Runtime>,
        schema: Schema,
        call_timeout: Duration,
    ) -> Self {
        Self { config, tls, runtime, schema, call_timeout }
    }

    /// Connects; the connection's own task runs on the host's runtime.
    async fn client(&self) -> Result<Client, PostgresError> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                self.runtime.spawn(Box::pin(async move { drop(connection.await) }));
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                self.runtime.spawn(Box::pin(async move { drop(connection.await) }));
                Ok(client)
            }
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = PostgresError;

    async fn connect(&self) -> Result<Connection, PostgresError> {
        let client = self.client().await?;
        let timeout = self.call_timeout.as_millis();
        // Host and server give up at the same time, and no lock is waited for beyond that.
        client
            .batch_execute(&format!("{SETTINGS}; SET statement_timeout = {timeout}; SET lock_timeout = {timeout}"))
            .await?;
        Ok(Connection {
            client,
            schema: self.schema.clone(),
            statements: HashMap::new(),
            is_in_use: false,
            used_at: Instant::now(),
        })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), PostgresError> {
        if connection.client.is_closed() {
            return Err(PostgresError::TimedOut);
        }
        if connection.used_at.elapsed() < TRUSTED_FOR {
            return Ok(());
        }
        connection.client.simple_query("").await?;
        connection.used_at = Instant::now();
        Ok(())
    }

    /// A connection whose call was dropped or failed half-way is not used again.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_in_use || connection.client.is_closed()
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

/// A connection with the statements that were prepared on it.
pub(super) struct Connection {
    client: Client,
    schema: Schema,
    statements: HashMap<String, Statement>,
    /// A call has begun, and not ended.
    is_in_use: bool,
    used_at: Instant,
}

impl Connection {
    /// A statement in which `{schema}` stands for the schema, prepared once.
    async fn statement(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&self.schema.in_sql(sql)).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn run(&mut self, script: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(script).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Takes a connection from the pool. What fails here has sent nothing.
async fn take(pool: &Pool) -> Result<bb8::PooledConnection<'_, Manager>, PostgresError> {
    pool.get().await.map_err(|error| match error {
        RunError::User(error) => error,
        RunError::TimedOut => PostgresError::Busy,
    })
}

/// Runs one statement in one round trip, once it is prepared, and waits for its answer for so long.
pub(super) async fn query(
    pool: &Pool,
    timeout: Duration,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, Fault> {
    let mut connection = take(pool).await?;
    connection.is_in_use = true;
    let statement = match within(timeout, connection.statement(sql)).await {
        Some(Ok(statement)) => statement,
        Some(Err(error)) => {
            connection.is_in_use = !is_orderly(&error);
            return Err(PostgresError::from(error).into());
        }
        None => return Err(PostgresError::TimedOut.into()),
    };
    match within(timeout, connection.client.query(&statement, parameters)).await {
        Some(Ok(rows)) => {
            connection.is_in_use = false;
            connection.used_at = Instant::now();
            Ok(rows)
        }
        Some(Err(error)) => {
            connection.is_in_use = !is_orderly(&error);
            Err(error.into())
        }
        None => Err(Fault::TimedOut),
    }
}

/// Runs several statements as one transaction, without a time limit of the host's.
pub(super) async fn run(pool: &Pool, script: &str) -> Result<(), PostgresError> {
    let mut connection = take(pool).await?;
    connection.is_in_use = true;
    connection.run(script).await?;
    connection.is_in_use = false;
    Ok(())
}

/// Whether the server has refused a statement, and the connection is as good as before.
fn is_orderly(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.severity() == "ERROR")
}

/// No answer, when the time is over before.
async fn within<T>(timeout: Duration, answer: impl Future<Output = T>) -> Option<T> {
    // The server gives up after this time by itself, and says so.
    ::tokio::time::timeout(timeout + Duration::from_millis(500), answer).await.ok()
}

/// Reads outside of the repository's own calls.
pub(super) async fn read(pool: &Pool, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, PostgresError> {
    let mut connection = take(pool).await?;
    connection.is_in_use = true;
    let statement = connection.statement(sql).await?;
    let rows = connection.client.query(&statement, parameters).await?;
    connection.is_in_use = false;
    Ok(rows)
}
