//! A Redis server by its client: how it is connected to.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, InfoDict, RedisError, Value, cmd};
use async_trait::async_trait;

use super::commands::SCRIPT;
use super::failure::failure;
use super::link::{RedisLink, info, send};
use crate::adapters::redlock::config::{Credentials, Given, InvalidConfig, RedlockBuilder, RefusedClient};
use crate::adapters::redlock::server::{Connected, Life, Server, ServerError};

/// Most requests that wait to be written to one connection. With more, one could be written before another one that came
/// earlier: more than there ever are, as a node that stands still is soon left alone.
const REQUESTS_WAITING_MAX: usize = 1 << 20;

/// How many hexadecimal digits the hash of a script has, and a server's `run_id`.
const HASH_DIGITS: usize = 40;

impl RedlockBuilder {
    /// A node by a client of the host's, with whatever it is set to: credentials, certificates, timeouts of TCP.
    pub fn client(mut self, client: &Client) -> Self {
        self.given.push(Given::Server(RedisServer::of(client)));
        self
    }
}

/// A node by its URL.
pub(in super::super) fn server(
    url: &str,
    credentials: Option<&Credentials>,
    node: usize,
) -> Result<Arc<dyn Server>, InvalidConfig> {
    let unusable = |error: &RedisError| InvalidConfig::Url { node, why: error.category().to_owned() };
    let client = Client::open(url).map_err(|error| unusable(&error))?;
    let info = client.get_connection_info();
    let client = match credentials {
        Some(credentials) if info.redis_settings().password().is_none() => {
            let mut settings = info.redis_settings().clone().set_password(&credentials.password);
            if let (None, Some(user)) = (settings.username(), &credentials.user) {
                settings = settings.set_username(user);
            }
            Client::open(info.clone().set_redis_settings(settings)).map_err(|error| unusable(&error))?
        }
        _ => client,
    };
    RedisServer::of(&client).map_err(|RefusedClient| InvalidConfig::UnverifiedTls { node })
}

struct RedisServer {
    name: String,
    address: String,
    client: Client,
}

impl RedisServer {
    fn of(client: &Client) -> Result<Arc<dyn Server>, RefusedClient> {
        let info = client.get_connection_info();
        let database = match info.redis_settings().db() {
            0 => String::new(),
            database => format!("/{database}"),
        };
        let address = info.addr().to_string();
        let name = format!("{address}{database}");
        if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() {
            if *insecure {
                return Err(RefusedClient);
            }
            choose_crypto();
        }
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.clone().set_tcp_settings(tcp)).unwrap_or_else(|_| client.clone());
        Ok(Arc::new(Self { name, address, client }))
    }
}

/// TLS needs a provider of cryptography. Where the host has chosen none for its process, it is ring.
fn choose_crypto() {
    static CHOSEN: LazyLock<()> = LazyLock::new(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // If the host chooses in this very moment, its choice stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    });
    LazyLock::force(&CHOSEN);
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Server for RedisServer {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Connected, ServerError> {
        // The engine measures both times.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(REQUESTS_WAITING_MAX);
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(failure)?;
        let load = cmd("SCRIPT").arg("LOAD").arg(SCRIPT).to_owned();
        let hash = match send(&mut connection, &load).await? {
            Value::BulkString(hash) => String::from_utf8(hash).ok(),
            Value::SimpleString(hash) => Some(hash),
            _ => None,
        };
        let hash = hash.filter(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let hash = hash.ok_or_else(|| ServerError::Closed(Arc::from("it does not name the script")))?;
        let life = info(&mut connection, "server").await?.and_then(|info| life(&info));
        Ok(Connected { link: Arc::new(RedisLink::new(connection, Arc::from(hash))), life })
    }
}

fn life(info: &InfoDict) -> Option<Life> {
    let run_id: String = info.get("run_id").filter(|id: &String| id.len() <= HASH_DIGITS)?;
    let uptime: u64 = info.get("uptime_in_seconds")?;
    Some(Life { run_id: Arc::from(run_id), uptime: Duration::from_secs(uptime) })
}
