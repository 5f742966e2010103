use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Config, Host, SslMode};

use super::error::PostgresError;
use super::pool::{ConnectionManager, Pool};
use super::repository::PostgresRepository;
use super::schema::Schema;
use super::tls;
use crate::adapters::pooling::Options;
use crate::ports::Runtime;

/// The schema unless the builder says otherwise.
pub const SCHEMA_DEFAULT: &str = "ticket_reservation";

/// How the connection may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Never,
    OnLoopback,
    Everywhere,
}

/// Options of a [`PostgresRepository`].
///
/// Its setters, all at once:
///
/// ```no_run
/// # use std::{sync::Arc, time::Duration};
/// # use ticket_reservation::{adapters::postgres::PostgresRepository, ports::Runtime};
/// # async fn open(runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
/// let repository = PostgresRepository::builder("postgresql://box_office@db.example/sale", runtime)
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
pub struct PostgresRepositoryBuilder {
    url: String,
    runtime: Arc<dyn Runtime>,
    schema: String,
    password: Option<String>,
    certificates: Vec<String>,
    plain: Plain,
    options: Options,
}

impl PostgresRepositoryBuilder {
    pub(super) fn new(url: String, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            url,
            runtime,
            schema: SCHEMA_DEFAULT.to_owned(),
            password: None,
            certificates: Vec::new(),
            plain: Plain::Never,
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

    /// Trusts certificates of these authorities, in PEM, and not those that the system trusts.
    pub fn root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Connects without TLS to this machine: to a loopback address or a Unix socket. Other hosts are refused.
    pub fn plain_on_loopback(mut self) -> Self {
        self.plain = Plain::OnLoopback;
        self
    }

    /// Connects without TLS to whatever host: whoever is in between reads and changes everything, passwords included.
    pub fn danger_plain_connections(mut self) -> Self {
        self.plain = Plain::Everywhere;
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

    /// How long a call waits for its answer, 10 ms to an hour; the server gives up at the same time. Default:
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

    /// Makes the repository. It connects when it is first used; [`PostgresRepository::migrate`] or
    /// [`PostgresRepository::open`] come first.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] when the connection string cannot be used, or asks for less than verified TLS.
    pub fn build(self) -> Result<PostgresRepository, PostgresError> {
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
    /// # use ticket_reservation::{adapters::postgres::{PostgresRepository, bb8}, ports::Runtime};
    /// # async fn open(url: &str, runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut own = None;
    /// let repository = PostgresRepository::builder(url, runtime).build_over(|manager| {
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
    ) -> Result<PostgresRepository, PostgresError> {
        let Options { acquire_timeout, call_timeout, .. } = self.options.bounded();
        let schema = Schema::new(&self.schema)?;
        let mut config = parse(&self.url, self.plain)?;
        if let (None, Some(password)) = (config.get_password(), &self.password) {
            config.password(password);
        }
        let tls = match self.plain {
            Plain::Never => {
                config.ssl_mode(SslMode::Require);
                Some(tls::connector(&self.certificates)?)
            }
            Plain::OnLoopback | Plain::Everywhere => {
                config.ssl_mode(SslMode::Disable);
                None
            }
        };
        config.connect_timeout(acquire_timeout).application_name("ticket-reservation");
        let manager = ConnectionManager::new(
            config,
            tls,
            Arc::clone(&self.runtime),
            schema.clone(),
            acquire_timeout,
            call_timeout,
        );
        Ok(PostgresRepository::over(Pool::new(manager, pool), schema, self.runtime))
    }
}

fn parse(url: &str, plain: Plain) -> Result<Config, PostgresError> {
    let asks_for_tls = |mode: &str| ["require", "verify-ca", "verify-full"].contains(&mode);
    match (sslmode(url), plain) {
        (Some(mode), Plain::Never) if !asks_for_tls(&mode) => return Err(weak(mode)),
        (Some(mode), Plain::OnLoopback | Plain::Everywhere) if asks_for_tls(&mode) => {
            let why = format!("it asks for TLS (sslmode={mode}), and the builder was told to connect without");
            return Err(PostgresError::Config { why });
        }
        _ => {}
    }
    // The driver knows no mode but `require` that is safe, and verifies all of them alike.
    let known = url.replace("sslmode=verify-ca", "sslmode=require").replace("sslmode=verify-full", "sslmode=require");
    let config: Config = known.parse().map_err(|error: tokio_postgres::Error| PostgresError::Config {
        // Its own words, and those of its source, do not repeat what was given but for names of options.
        why: error.to_string(),
    })?;
    if config.get_hosts().is_empty() {
        return Err(PostgresError::Config { why: "it names no host".to_owned() });
    }
    // Part of a password, where an `@` in it is not written `%40`, or parts of the string are not parted; so it is not repeated.
    let has = |what: fn(char) -> bool| {
        config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains(what)))
    };
    if has(|it| it == '@') {
        return Err(PostgresError::Config { why: "a host has an @: in a password it is written %40".to_owned() });
    }
    if has(|it| it.is_whitespace() || it == '=' || it == ';') {
        return Err(PostgresError::Config {
            why: "a host is none: options are parted by spaces, or by & in a URL".to_owned(),
        });
    }
    // Where it is given, it is what the driver connects to.
    if plain == Plain::OnLoopback
        && let Some(address) = config.get_hostaddrs().iter().find(|address| !address.is_loopback())
    {
        return Err(PostgresError::NotLoopback { host: address.to_string() });
    }
    if plain == Plain::OnLoopback
        && let Some(host) = config.get_hosts().iter().find(|host| !is_here(host))
    {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        return Err(PostgresError::NotLoopback { host });
    }
    Ok(config)
}

fn weak(mode: String) -> PostgresError {
    // Anything else may be the rest of a string whose parts are not parted, and hold a password.
    if !["disable", "allow", "prefer"].contains(&mode.as_str()) {
        return PostgresError::Config { why: "its sslmode is none that is known".to_owned() };
    }
    PostgresError::WeakTls { mode, call: "plain_on_loopback() or danger_plain_connections" }
}

/// What a connection string says about TLS, in either of its two forms.
fn sslmode(url: &str) -> Option<String> {
    let (_, after) = url.rsplit_once("sslmode")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let end = value.find(|it: char| it == '&' || it.is_whitespace()).unwrap_or(value.len());
    Some(value[..end].trim_matches('\'').to_owned())
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl fmt::Debug for PostgresRepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRepositoryBuilder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_string_says_about_tls_is_found_in_both_forms() {
        assert_eq!(sslmode("postgresql://a@b/c?connect_timeout=1&sslmode=disable&x=1").as_deref(), Some("disable"));
        assert_eq!(sslmode("host=b sslmode = 'prefer' user=a").as_deref(), Some("prefer"));
        assert_eq!(sslmode("host=b user=a"), None);
    }

    #[test]
    fn less_than_verified_tls_is_refused_with_the_name_of_the_call() {
        for mode in ["disable", "allow", "prefer"] {
            let refused = parse(&format!("postgresql://a@b/c?sslmode={mode}"), Plain::Never).unwrap_err();
            assert!(refused.to_string().contains("danger_plain_connections()"), "{refused}");
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            parse(&format!("postgresql://a@b/c?sslmode={mode}"), Plain::Never).unwrap();
        }
    }

    #[test]
    fn tls_that_is_asked_for_is_not_left_out_in_silence() {
        for plain in [Plain::OnLoopback, Plain::Everywhere] {
            let refused = parse("host=localhost user=a sslmode=verify-full", plain).unwrap_err();
            assert!(refused.to_string().contains("sslmode=verify-full"), "{refused}");
            parse("host=localhost user=a sslmode=disable", plain).unwrap();
        }
    }

    #[test]
    fn plain_connections_stay_on_this_machine() {
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            parse(&format!("postgresql://a@{host}/c"), Plain::OnLoopback).unwrap();
        }
        parse("host=/var/run/postgresql user=a", Plain::OnLoopback).unwrap();
        let refused = parse("postgresql://a@10.0.0.1/c", Plain::OnLoopback).unwrap_err();
        assert!(matches!(refused, PostgresError::NotLoopback { .. }));
        parse("host=localhost hostaddr=127.0.0.1 user=a", Plain::OnLoopback).unwrap();
        let elsewhere = parse("host=localhost hostaddr=10.0.0.1 user=a", Plain::OnLoopback).unwrap_err();
        assert!(elsewhere.to_string().contains("10.0.0.1"), "{elsewhere}");
        parse("postgresql://a@10.0.0.1/c", Plain::Everywhere).unwrap();
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_its_password() {
        let strings = [
            "postgresql://a:hunter2@",
            "a:hunter2@b",
            "postgresql://a:hunter2@b:port/c",
            "password=hunter2",
            "postgresql://a@b/c?sslmode=disable;password=hunter2",
            "host=b sslmode=hunter2",
            "host=b;password=hunter2 user=a",
            "postgresql://a@b;password=hunter2/c",
        ];
        for url in strings {
            for plain in [Plain::Never, Plain::OnLoopback, Plain::Everywhere] {
                let refused = parse(url, plain).unwrap_err();
                assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
            }
        }
    }
}
