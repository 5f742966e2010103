//! Connections, and which of them are good.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bb8::{ManageConnection, PooledConnection, RunError};
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Fault, PostgresError};
use super::schema::Schema;
use crate::ports::Runtime;

/// The pool. Whoever waits for a connection learns why there is none, which bb8 does not tell.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    connections: bb8::Pool<Manager>,
    failures: Arc<Failures>,
}

impl Pool {
    pub(super) fn new(builder: bb8::Builder<Manager>, manager: Manager) -> Self {
        let failures = Arc::clone(&manager.failures);
        // Whoever waits is told, and tries again by itself.
        Self { connections: builder.retry_connection(false).build_unchecked(manager), failures }
    }
}

/// A connection that was used so lately is taken for good: if it is not, that shows at once.
const TRUSTED_FOR: Duration = Duration::from_secs(30);

/// What each connection is told first. Lists, too, are read by an index, whenever their plan was made.
const SETTINGS: &str = "SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan; SET random_page_cost = 0.01; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET jit = off; SET client_encoding = 'UTF8'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Makes connections.
pub(super) struct Manager {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    runtime: Arc<dyn Runtime>,
    schema: Schema,
    call_timeout: Duration,
    failures: Arc<Failures>,
}

impl Manager {
    pub(super) fn new(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        runtime: Arc<dyn Runtime>,
        schema: Schema,
        call_timeout: Duration,
    ) -> Self {
        Self { config, tls, runtime, schema, call_timeout, failures: Arc::default() }
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

impl Manager {
    async fn connection(&self) -> Result<Connection, PostgresError> {
        let client = self.client().await?;
        let timeout = self.call_timeout.as_millis();
        // Host and server give up at the same time, and no lock is waited for beyond that.
        let timeouts = format!("SET statement_timeout = {timeout}; SET lock_timeout = {timeout}");
        client.batch_execute(&format!("{SETTINGS}; {timeouts}")).await?;
        Ok(Connection {
            client,
            schema: self.schema.clone(),
            statements: HashMap::new(),
            is_in_use: false,
            used_at: Instant::now(),
        })
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = PostgresError;

    async fn connect(&self) -> Result<Connection, PostgresError> {
        let connected = self.connection().await;
        if let Err(error) = &connected {
            self.failures.add(error.clone());
        }
        connected
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

/// Why connections could not be made.
#[derive(Debug, Default)]
struct Failures(Mutex<LastFailure>);

#[derive(Debug, Default)]
struct LastFailure {
    count: u64,
    error: Option<PostgresError>,
    listeners: Vec<oneshot::Sender<()>>,
}

impl Failures {
    fn state(&self) -> MutexGuard<'_, LastFailure> {
        // Nothing under this lock can leave it half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, error: PostgresError) {
        let listeners = {
            let mut state = self.state();
            state.count += 1;
            state.error = Some(error);
            std::mem::take(&mut state.listeners)
        };
        for listener in listeners {
            // Whoever listened may have a connection by now.
            let _ = listener.send(());
        }
    }

    /// How many there have been, and word of the next one.
    fn listen(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.listeners.retain(|listener| !listener.is_canceled());
        state.listeners.push(sender);
        (state.count, receiver)
    }

    /// The last one, if it came after so many.
    fn after(&self, count: u64) -> Option<PostgresError> {
        let state = self.state();
        state.error.clone().filter(|_| state.count > count)
    }
}

/// Takes a connection from the pool. What fails here has sent nothing.
async fn take(pool: &Pool) -> Result<PooledConnection<'_, Manager>, PostgresError> {
    let (before, mut failed) = pool.failures.listen();
    let mut taken = pin!(pool.connections.get());
    loop {
        match select(taken, failed).await {
            Either::Left((Ok(connection), _)) => return Ok(connection),
            Either::Left((Err(RunError::User(error)), _)) => return Err(error),
            Either::Left((Err(RunError::TimedOut), _)) => {
                return Err(pool.failures.after(before).unwrap_or(PostgresError::Busy));
            }
            // As long as there are others, one of them may come back in time.
            Either::Right((_, waiting)) => match pool.failures.after(before) {
                Some(error) if pool.connections.state().connections == 0 => return Err(error),
                _ => (taken, failed) = (waiting, pool.failures.listen().1),
            },
        }
    }
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
