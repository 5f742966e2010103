use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tiberius::{AuthMethod, Config, EncryptionLevel};

use super::connection_string::ConnectionString;
use super::error::MssqlError;
use super::pool::{ConnectionManager, Pool};
use super::repository::MssqlRepository;
use super::schema::Schema;
use crate::adapters::certificates;
use crate::adapters::pooling::Options;
use crate::ports::Runtime;

/// The schema unless the builder says otherwise.
pub const SCHEMA_DEFAULT: &str = "ticket_reservation";

/// Where SQL Server listens unless the connection string says otherwise.
const PORT_DEFAULT: u16 = 1433;

/// How the connection may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Verified,
    /// Encrypted, to whoever is there.
    Unverified,
    NotOnLoopback,
    Never,
}

/// Options of a [`MssqlRepository`].
///
/// Its setters, all at once:
///
/// ```no_run
/// # use std::{sync::Arc, time::Duration};
/// # use ticket_reservation::{adapters::mssql::MssqlRepository, ports::Runtime};
/// # async fn open(runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
/// let repository = MssqlRepository::builder("Server=db.example;Database=sale;User ID=box_office", runtime)
///     .schema("sale")
///     .password("from the host's own secrets")
///     .pool_size(16)
///     .acquire_timeout(Duration::from_secs(2))
///     .call_timeout(Duration::from_secs(5))
///     .idle_timeout(Duration::from_secs(60))
///     .max_lifetime(Duration::from_secs(600))
///     .build()?;
/// repository.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct MssqlRepositoryBuilder {
    connection_string: String,
    runtime: Arc<dyn Runtime>,
    schema: String,
    password: Option<String>,
    certificates: Vec<String>,
    tls: Tls,
    options: Options,
}

impl MssqlRepositoryBuilder {
    pub(super) fn new(connection_string: String, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            connection_string,
            runtime,
            schema: SCHEMA_DEFAULT.to_owned(),
            password: None,
            certificates: Vec::new(),
            tls: Tls::Verified,
            options: Options::default(),
        }
    }

    /// The schema that the tables are in. Default: [`SCHEMA_DEFAULT`].
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The password, where the connection string has none.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Trusts certificates of these authorities, in PEM, beside those that the system trusts.
    pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Connects without TLS to this machine: to a loopback address. Other hosts are refused.
    pub fn plain_on_loopback(mut self) -> Self {
        self.tls = Tls::NotOnLoopback;
        self
    }

    /// Connects without TLS to whatever host: whoever is in between reads and changes everything, passwords included.
    pub fn danger_plain_connections(mut self) -> Self {
        self.tls = Tls::Never;
        self
    }

    /// Connects with TLS and takes every certificate, as `TrustServerCertificate=true` asks for: who listens only reads nothing, but
    /// who answers in the server's place reads and changes everything, passwords included.
    pub fn danger_any_certificate(mut self) -> Self {
        self.tls = Tls::Unverified;
        self
    }

    /// How many connections there are at most, from 1. An event uses one at a time, and each query one. Default:
    /// [`POOL_SIZE_DEFAULT`](super::POOL_SIZE_DEFAULT).
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.options.size = connections;
        self
    }

    /// How long a call waits for a connection, a new one included, before it fails as transient; 10 ms at least. Default:
    /// [`ACQUIRE_TIMEOUT_DEFAULT`](super::ACQUIRE_TIMEOUT_DEFAULT).
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.options.acquire_timeout = timeout;
        self
    }

    /// How long a call waits for its answer, 10 ms to an hour; the server waits for locks so long. Default:
    /// [`CALL_TIMEOUT_DEFAULT`](super::CALL_TIMEOUT_DEFAULT).
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.options.call_timeout = timeout;
        self
    }

    /// How long a connection that nobody uses is kept, 10 ms at least. Default: ten minutes.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// How old a connection may become, 10 ms at least. Default: half an hour.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.max_lifetime = lifetime;
        self
    }

    /// Makes the repository. It connects when it is first used; [`MssqlRepository::migrate`] or
    /// [`MssqlRepository::open`] come first.
    ///
    /// # Errors
    ///
    /// [`MssqlError`] when the connection string cannot be used, or asks for less than verified TLS.
    pub fn build(self) -> Result<MssqlRepository, MssqlError> {
        let options = self.options.bounded();
        self.build_over(|manager| options.pool(manager))
    }

    /// The same over a pool of the host's own, of the connections that this manager makes: its size, its timeouts and its statistics
    /// are the host's, and so are statements of its own on these connections. [`acquire_timeout`](Self::acquire_timeout) bounds how long
    /// one connection takes to make; [`pool_size`](Self::pool_size),
    /// [`idle_timeout`](Self::idle_timeout) and [`max_lifetime`](Self::max_lifetime) do nothing then.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use ticket_reservation::{adapters::mssql::{MssqlRepository, bb8}, ports::Runtime};
    /// # async fn open(url: &str, runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut own = None;
    /// let repository = MssqlRepository::builder(url, runtime).build_over(|manager| {
    ///     let pool = bb8::Pool::builder().max_size(32).min_idle(4).build_unchecked(manager);
    ///     own.insert(pool).clone()
    /// })?;
    /// repository.migrate().await?;
    /// # let _ = own;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_over(
        self,
        pool: impl FnOnce(ConnectionManager) -> bb8::Pool<ConnectionManager>,
    ) -> Result<MssqlRepository, MssqlError> {
        let Options { acquire_timeout, call_timeout, .. } = self.options.bounded();
        let schema = Schema::new(&self.schema)?;
        let mut config = self.config()?;
        // How long connecting takes is the manager's to say, and how long a call takes the pool's.
        config.handshake_timeout(None);
        config.command_timeout(None);
        let stays_here = self.tls == Tls::NotOnLoopback;
        let manager = ConnectionManager::new(config, stays_here, schema.clone(), acquire_timeout, call_timeout);
        Ok(MssqlRepository::over(Pool::new(manager, pool), schema, self.runtime))
    }

    fn config(&self) -> Result<Config, MssqlError> {
        let refuse = |why: &str| Err(MssqlError::Config { why: why.to_owned() });
        let said = ConnectionString::parse(&self.connection_string)?;
        let Some(host) = &said.host else { return refuse("it names no host") };
        let Some(user) = &said.user else { return refuse("it names no user") };
        self.is_no_weaker_than_meant(&said, host)?;
        let mut config = Config::new();
        config.host(host);
        config.port(said.port.unwrap_or(PORT_DEFAULT));
        let password = said.password.as_ref().or(self.password.as_ref()).map_or("", String::as_str);
        config.authentication(AuthMethod::sql_server(user, password));
        if let Some(database) = &said.database {
            config.database(database);
        }
        config.application_name(said.application.as_deref().unwrap_or("ticket-reservation"));
        if let Some(host) = &said.host_in_certificate {
            config.hostname_in_certificate(host);
        }
        match self.tls {
            Tls::Verified => {
                config.encryption(EncryptionLevel::Required);
                for pem in &self.certificates {
                    // The driver reads them when it connects, which is too late to say what is wrong.
                    certificates::trust(&mut RootCertStore::empty(), pem)
                        .map_err(|why| MssqlError::Certificate { why })?;
                    config.trust_cert_ca_bundle(pem.as_bytes());
                }
            }
            Tls::Unverified => {
                config.encryption(EncryptionLevel::Required);
                config.trust_cert();
            }
            Tls::NotOnLoopback | Tls::Never => config.encryption(EncryptionLevel::NotSupported),
        }
        Ok(config)
    }

    fn is_no_weaker_than_meant(&self, said: &ConnectionString, host: &str) -> Result<(), MssqlError> {
        let is_plain = matches!(self.tls, Tls::NotOnLoopback | Tls::Never);
        match &said.encrypt {
            Some((setting, false)) if !is_plain => {
                let call = "plain_on_loopback() or danger_plain_connections";
                return Err(MssqlError::WeakTls { setting: setting.clone(), call });
            }
            Some((setting, true)) if is_plain => {
                let why = format!("it asks for TLS ({setting}), and the builder was told to connect without");
                return Err(MssqlError::Config { why });
            }
            _ => {}
        }
        if said.trusts_any_certificate && self.tls == Tls::Verified {
            let setting = "TrustServerCertificate=true".to_owned();
            return Err(MssqlError::WeakTls { setting, call: "danger_any_certificate" });
        }
        if self.tls == Tls::NotOnLoopback && !is_here(host) {
            return Err(MssqlError::NotLoopback { host: host.to_owned() });
        }
        Ok(())
    }
}

pub(super) fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for MssqlRepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MssqlRepositoryBuilder").field("schema", &self.schema).finish_non_exhaustive()
    }
}
