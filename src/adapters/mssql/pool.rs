//! Connections, and which of them are good.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::tokio::net::TcpStream;
use bb8::{ManageConnection, PooledConnection};
use tiberius::error::Error as Tds;
use tiberius::{Client, Config, Row, ToSql};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::config::is_here;
use super::error::{Fault, MssqlError};
use super::rows::Columns;
use super::schema::{Ids, Schema};
use super::settings;
use crate::adapters::pooling::{self, Failures, TRUSTED_FOR, within};

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
    async fn take(&self) -> Result<PooledConnection<'_, ConnectionManager>, MssqlError> {
        self.connections.take().await.map_err(|error| error.unwrap_or(MssqlError::Busy))
    }
}

/// How often a server may send a new connection on to another address.
const REDIRECTS_MAX: usize = 3;

/// Makes the connections of a pool, which may be a host's own: see
/// [`build_over`](super::MssqlRepositoryBuilder::build_over).
pub struct ConnectionManager {
    config: Config,
    /// Whether connections may go to this machine alone.
    stays_here: bool,
    schema: Schema,
    connect_timeout: Duration,
    call_timeout: Duration,
    failures: Arc<Failures<MssqlError>>,
}

impl ConnectionManager {
    pub(super) fn new(
        config: Config,
        stays_here: bool,
        schema: Schema,
        connect_timeout: Duration,
        call_timeout: Duration,
    ) -> Self {
        Self { config, stays_here, schema, connect_timeout, call_timeout, failures: Arc::default() }
    }

    async fn client(&self) -> Result<Client<Compat<TcpStream>>, MssqlError> {
        let mut config = self.config.clone();
        for _ in 0..=REDIRECTS_MAX {
            let stream = TcpStream::connect(config.get_addr()).await?;
            stream.set_nodelay(true)?;
            match Client::connect(config.clone(), stream.compat_write()).await {
                // A gateway, as Azure SQL has it, names the server behind it.
                Err(Tds::Routing { host, .. }) if self.stays_here && !is_here(&host) => {
                    return Err(MssqlError::NotLoopback { host });
                }
                Err(Tds::Routing { host, port }) => {
                    config.host(host);
                    config.port(port);
                }
                connected => return Ok(connected?),
            }
        }
        Err(Tds::Protocol("the server sends every connection on to another address".into()).into())
    }

    async fn connection(&self) -> Result<Connection, MssqlError> {
        let mut client = self.client().await?;
        let told = client.simple_query(settings::of_connection(self.call_timeout)).await?.into_row().await?;
        let told = told.ok_or(Tds::Protocol("the server does not answer what it is asked".into()))?;
        Ok(Connection {
            client,
            schema: self.schema.clone(),
            ids: Ids::of_code_page(told.try_get("code_page")?),
            statements: HashMap::new(),
            is_in_use: false,
            used_at: Instant::now(),
        })
    }
}

impl ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = MssqlError;

    async fn connect(&self) -> Result<Connection, MssqlError> {
        // A server that says nothing must not keep the pool from trying again.
        let connected = ::tokio::time::timeout(self.connect_timeout, self.connection()).await;
        let connected = connected.unwrap_or(Err(MssqlError::TimedOut));
        if let Err(error) = &connected {
            self.failures.add(error.clone());
        }
        connected
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), MssqlError> {
        if connection.used_at.elapsed() < TRUSTED_FOR {
            return Ok(());
        }
        connection.run("SELECT 1").await?;
        Ok(())
    }

    /// A connection whose call was dropped or failed is not used again: the driver takes it for good, and would wait for the old
    /// answer first.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_in_use
    }
}

impl fmt::Debug for ConnectionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionManager").finish_non_exhaustive()
    }
}

/// A connection, and statements as they are on it.
pub struct Connection {
    client: Client<Compat<TcpStream>>,
    schema: Schema,
    ids: Ids,
    statements: HashMap<String, Arc<str>>,
    /// A call has begun, and not ended well.
    is_in_use: bool,
    used_at: Instant,
}

impl Connection {
    /// The driver's client, for statements of the host's own. The connection is closed when it comes back to the pool, unless it is said
    /// to be [`clean`](Self::clean) before: a future that is dropped half-way cannot say so.
    pub fn client(&mut self) -> &mut Client<Compat<TcpStream>> {
        self.is_in_use = true;
        &mut self.client
    }

    /// What the host did on it is over: every answer is read to its end, no transaction is open, and its settings are as they were.
    pub fn clean(&mut self) {
        self.is_in_use = false;
    }

    /// A statement in which words in braces stand for others, written out once.
    fn statement(&mut self, sql: &str) -> Arc<str> {
        if let Some(statement) = self.statements.get(sql) {
            return Arc::clone(statement);
        }
        let statement: Arc<str> = self.schema.in_sql(sql, self.ids).into();
        self.statements.insert(sql.to_owned(), Arc::clone(&statement));
        statement
    }

    /// Runs one batch, and reads all that it answers.
    async fn run(&mut self, batch: &str) -> Result<(), Tds> {
        self.is_in_use = true;
        let batch = self.schema.in_sql(batch, self.ids);
        self.client.simple_query(batch).await?.into_results().await?;
        self.ended();
        Ok(())
    }

    /// Runs statements with parameters, whose plan the server keeps.
    async fn query(&mut self, sql: &str, parameters: &[&dyn ToSql]) -> Result<Answer, Fault> {
        self.is_in_use = true;
        let sql = self.statement(sql);
        let results = self.client.query(&*sql, parameters).await?.into_results().await?;
        let mut rows: Vec<Row> = results.into_iter().flatten().collect();
        let end = rows.pop_if(|row| Columns::of(row).kind().is_ok_and(|kind| kind == "end"));
        let end = end.ok_or(Fault::Unfinished)?;
        self.ended();
        Ok(Answer { rows, end })
    }

    fn ended(&mut self) {
        self.is_in_use = false;
        self.used_at = Instant::now();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// What statements have answered: all rows, of whatever result. The last one says that it is: to the driver an answer that stops
/// too early is a whole one, as long as nothing in it is an error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Of kind `end`.
    pub(super) end: Row,
}

/// Runs statements in one round trip, and waits for their answer as long as a call may.
pub(super) async fn query(pool: &Pool, sql: &str, parameters: &[&dyn ToSql]) -> Result<Answer, Fault> {
    let mut connection = pool.take().await?;
    within(pool.call_timeout, connection.query(sql, parameters)).await.unwrap_or(Err(Fault::TimedOut))
}

/// The same of what only reads, and is no call of the port.
pub(super) async fn read(pool: &Pool, sql: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Row>, MssqlError> {
    query(pool, sql, parameters).await.map(|answer| answer.rows).map_err(Fault::of_opening)
}

/// Runs batches one after another on one connection, and waits for all of them so long.
pub(super) async fn run(pool: &Pool, batches: &[&str], timeout: Duration) -> Result<(), MssqlError> {
    let mut connection = pool.take().await?;
    let all = async {
        for batch in batches {
            connection.run(batch).await?;
        }
        Ok(())
    };
    let ended = within(timeout, all).await.ok_or(MssqlError::TimedOut)?;
    // Such a script sets more than a call expects.
    connection.is_in_use = true;
    ended
}
