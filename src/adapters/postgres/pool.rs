//! Connections, and which of them are good.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bb8::{ManageConnection, PooledConnection};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Fault, PostgresError, is_orderly};
use super::schema::Schema;
use super::settings;
use crate::adapters::pooling::{self, Failures, TRUSTED_FOR, within};
use crate::ports::Runtime;

/// The pool, and how long a call waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    connections: pooling::Pool<ConnectionManager>,
    call_timeout: Duration,
}

impl Pool {
    pub(super) fn new(
        manager: ConnectionManager,
        pool: impl FnOnce(ConnectionManager) -> bb8::Pool<ConnectionManager>,
    ) -> Self {
        let (failures, call_timeout) = (Arc::clone(&manager.failures), manager.call_timeout);
        Self { connections: pooling::Pool::new(pool(manager), failures), call_timeout }
    }

    /// Takes a connection. What fails here has sent nothing.
    async fn take(&self) -> Result<PooledConnection<'_, ConnectionManager>, PostgresError> {
        self.connections.take().await.map_err(|error| error.unwrap_or(PostgresError::Busy))
    }
}

/// Makes the connections of a pool, which may be a host's own: see
/// [`build_over`](super::PostgresRepositoryBuilder::build_over).
pub struct ConnectionManager {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    runtime: Arc<dyn Runtime>,
    schema: Schema,
    connect_timeout: Duration,
    call_timeout: Duration,
    failures: Arc<Failures<PostgresError>>,
}

impl ConnectionManager {
    pub(super) fn new(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        runtime: Arc<dyn Runtime>,
        schema: Schema,
        connect_timeout: Duration,
        call_timeout: Duration,
    ) -> Self {
        Self { config, tls, runtime, schema, connect_timeout, call_timeout, failures: Arc::default() }
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

    async fn connection(&self) -> Result<Connection, PostgresError> {
        let client = self.client().await?;
        client.batch_execute(&settings::of_connection(self.call_timeout)).await?;
        Ok(Connection {
            client,
            schema: self.schema.clone(),
            statements: HashMap::new(),
            is_in_use: false,
            used_at: Instant::now(),
        })
    }
}

impl ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = PostgresError;

    async fn connect(&self) -> Result<Connection, PostgresError> {
        // A server that says nothing must not keep the pool from trying again.
        let connected = ::tokio::time::timeout(self.connect_timeout, self.connection()).await;
        let connected = connected.unwrap_or(Err(PostgresError::TimedOut));
        if let Err(error) = &connected {
            self.failures.add(error.clone());
        }
        connected
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), PostgresError> {
        if connection.client.is_closed() {
            return Err(PostgresError::Closed);
        }
        if connection.used_at.elapsed() < TRUSTED_FOR {
            return Ok(());
        }
        // Whoever waits for this may go.
        connection.is_in_use = true;
        connection.client.simple_query("").await?;
        connection.is_in_use = false;
        connection.used_at = Instant::now();
        Ok(())
    }

    /// A connection whose call was dropped or failed half-way is not used again.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_in_use || connection.client.is_closed()
    }
}

impl fmt::Debug for ConnectionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionManager").finish_non_exhaustive()
    }
}

/// A connection with the statements that were prepared on it.
pub struct Connection {
    client: Client,
    schema: Schema,
    statements: HashMap<String, Statement>,
    /// A call has begun, and not ended.
    is_in_use: bool,
    used_at: Instant,
}

impl Connection {
    /// The driver's client, for statements of the host's own. The connection is closed when it comes back to the pool, unless it is said
    /// to be [`clean`](Self::clean) before: a future that is dropped half-way cannot say so.
    pub fn client(&mut self) -> &mut Client {
        self.is_in_use = true;
        &mut self.client
    }

    /// What the host did on it is over: every answer is read to its end, no transaction is open, and its settings are as they were.
    pub fn clean(&mut self) {
        self.is_in_use = false;
    }

    /// A statement in which `{schema}` stands for the schema, prepared once.
    async fn statement(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&self.schema.in_sql(sql)).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Runs one statement in one round trip, once it is prepared, and waits for its answer as long as a call may.
pub(super) async fn query(pool: &Pool, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Fault> {
    let mut connection = pool.take().await?;
    connection.is_in_use = true;
    let statement = match within(pool.call_timeout, connection.statement(sql)).await {
        Some(Ok(statement)) => statement,
        Some(Err(error)) => {
            connection.is_in_use = !is_orderly(&error);
            return Err(PostgresError::from(error).into());
        }
        None => return Err(PostgresError::TimedOut.into()),
    };
    // Afterwards nobody could tell whether it was sent.
    if connection.client.is_closed() {
        return Err(PostgresError::Closed.into());
    }
    match within(pool.call_timeout, connection.client.query(&statement, parameters)).await {
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

/// The same of what only reads, and is no call of the port.
pub(super) async fn read(pool: &Pool, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, PostgresError> {
    query(pool, sql, parameters).await.map_err(Fault::of_opening)
}

/// Runs several statements, and waits for them so long.
pub(super) async fn run(pool: &Pool, script: &str, timeout: Duration) -> Result<(), PostgresError> {
    let mut connection = pool.take().await?;
    connection.is_in_use = true;
    within(timeout, connection.client.batch_execute(script)).await.ok_or(PostgresError::TimedOut)??;
    connection.is_in_use = false;
    Ok(())
}
