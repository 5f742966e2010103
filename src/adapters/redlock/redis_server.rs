//! Redis servers, reached with the redis crate. No other file names it.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, InfoDict, RedisError, Value, cmd};
use ::tokio::task::unconstrained;
use async_trait::async_trait;

use super::check::Finding;
use super::config::{Credentials, Given, InvalidConfig, RedlockBuilder, RefusedClient};
use super::error::{Refusal, RefusalKind};
use super::server::{Answer, Ask, Connected, Life, Link, Server, ServerError};
use crate::ports::{BoxFuture, LockToken};

pub use ::redis;

const SCRIPT: &str = include_str!("script.lua");

/// Most keys of one script, so that none keeps a server busy for long. One ask is never divided. Fuzzed with a few, which is
/// quicker.
const KEYS_PER_SCRIPT_MAX: usize = if cfg!(fuzzing) { 4 } else { 256 };

/// Most requests that wait to be written to one connection. With more, one could be written before another one that came
/// earlier: more than there ever are, as a node that stands still is soon left alone.
const REQUESTS_WAITING_MAX: usize = 1 << 20;

/// Longest code of an error and longest name of a policy, in bytes: Redis' own have up to 16.
const WORD_BYTES_MAX: usize = 32;

/// How many hexadecimal digits the hash of a script has, and a server's `run_id`.
const HASH_DIGITS: usize = 40;

/// For how long a health check sets its key.
const CHECK_TTL: Duration = Duration::from_secs(1);

impl RedlockBuilder {
    /// A node by a client of the host's, with whatever it is set to: credentials, certificates, timeouts of TCP.
    pub fn client(mut self, client: &Client) -> Self {
        self.given.push(Given::Server(RedisServer::of(client)));
        self
    }
}

/// A node by its URL.
pub(super) fn server(
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
        Ok(Connected { link: Arc::new(RedisLink { connection, hash: Arc::from(hash) }), life })
    }
}

#[derive(Clone)]
struct RedisLink {
    connection: MultiplexedConnection,
    hash: Arc<str>,
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").finish_non_exhaustive()
    }
}

impl Link for RedisLink {
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Result<Vec<Answer>, ServerError>> {
        let mut link = self.clone();
        // Written in the order in which they are first polled: tokio must not put off a busy task's.
        Box::pin(unconstrained(async move {
            // A lone key needs no script, unless someone has it: then the script says for how long. It must not try again to
            // take the key: what was asked after this on the same connection may have been done meanwhile.
            if let Some(set) = lone_set(&asks) {
                if send(&mut link.connection, &set).await? == Value::Okay {
                    return Ok(vec![Answer::Done]);
                }
                let look = link.script(&asks, |_| "L");
                return answers(&asks, send(&mut link.connection, &look).await?);
            }
            let scripts: Vec<&[Ask]> = scripts(&asks).collect();
            if let [asks] = scripts[..] {
                let script = link.script(asks, name);
                let value = send(&mut link.connection, &script).await?;
                return answers(asks, value);
            }
            let mut pipeline = ::redis::pipe();
            for asks in &scripts {
                pipeline.add_command(link.script(asks, name));
            }
            let count = scripts.len();
            let values = link.connection.send_packed_commands(&pipeline, 0, count).await.map_err(failure)?;
            let mut all = Vec::with_capacity(asks.len());
            for (asks, value) in scripts.into_iter().zip(values) {
                match value.extract_error().map_err(failure).and_then(|value| answers(asks, value)) {
                    Ok(answers) => all.extend(answers),
                    // What other scripts have done stands.
                    Err(ServerError::Refused(refusal)) => {
                        all.extend(asks.iter().map(|_| Answer::Refused(refusal.clone())));
                    }
                    Err(closed) => return Err(closed),
                }
            }
            Ok(all)
        }))
    }

    fn check(&self, key: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>> {
        let mut link = self.clone();
        Box::pin(async move {
            let mut findings = Vec::new();
            match info(&mut link.connection, "replication").await? {
                None => findings.push(Finding::InfoNotPermitted),
                Some(info) if info.get::<String>("role").is_some_and(|role| role != "master") => {
                    findings.push(Finding::Replica);
                }
                Some(_) => {}
            }
            let memory = info(&mut link.connection, "memory").await?;
            if let Some(policy) = memory.and_then(|info| info.get::<String>("maxmemory_policy"))
                && policy != "noeviction"
            {
                findings.push(Finding::Eviction { policy: Arc::from(word(&policy)) });
            }
            let token = LockToken::from_bytes([0; 16]);
            let asks = [
                Ask::Acquire { keys: vec![Arc::clone(&key)], token, ttl: CHECK_TTL },
                // For longer than it has, so that it is really extended.
                Ask::Extend { key: Arc::clone(&key), token, ttl: CHECK_TTL * 2 },
                Ask::Release { key, token },
            ];
            let answers = match link.ask(Arc::from(asks)).await {
                Ok(answers) => answers,
                Err(ServerError::Refused(refusal)) => vec![Answer::Refused(refusal)],
                Err(closed) => return Err(closed),
            };
            let refusal = answers.into_iter().find_map(|answer| match answer {
                Answer::Refused(refusal) => Some(refusal),
                _ => None,
            });
            // A replica says so already.
            if let Some(refusal) = refusal.filter(|it| it.kind != RefusalKind::ReadOnly) {
                findings.push(Finding::Refused(refusal));
            }
            Ok(findings)
        })
    }
}

impl RedisLink {
    /// The script with these asks, by its hash.
    fn script(&self, asks: &[Ask], name: impl Fn(&Ask) -> &'static str) -> Cmd {
        let keys = asks.iter().map(|ask| ask.keys().len()).sum();
        let mut script = room(asks, keys);
        script.arg("EVALSHA").arg(&*self.hash).arg(keys);
        for key in asks.iter().flat_map(Ask::keys) {
            script.arg(&**key);
        }
        for ask in asks {
            let ttl = match ask {
                Ask::Acquire { ttl, .. } | Ask::Extend { ttl, .. } => *ttl,
                Ask::Release { .. } => Duration::ZERO,
            };
            script.arg(name(ask)).arg(ask.keys().len()).arg(ask.token().as_bytes()).arg(milliseconds(ttl));
        }
        script
    }
}

/// A command with room for these asks of so many keys, without growing: it is built for every node.
fn room(asks: &[Ask], keys: usize) -> Cmd {
    const OTHERS: usize = 6;
    const BYTES_OF_OTHERS: usize = 96;
    const BYTES_OF_AN_ASK: usize = 48;
    let bytes = asks.iter().flat_map(Ask::keys).map(|key| key.len()).sum::<usize>();
    Cmd::with_capacity(OTHERS + keys + 4 * asks.len(), BYTES_OF_OTHERS + bytes + BYTES_OF_AN_ASK * asks.len())
}

/// What an ask is called in the script.
fn name(ask: &Ask) -> &'static str {
    match ask {
        Ask::Acquire { .. } => "A",
        Ask::Extend { .. } => "E",
        Ask::Release { .. } => "R",
    }
}

/// An acquisition of one key and nothing else, as the command that every Redlock client sends.
fn lone_set(asks: &[Ask]) -> Option<Cmd> {
    let [Ask::Acquire { keys, token, ttl }] = asks else { return None };
    let [key] = &keys[..] else { return None };
    let mut set = room(asks, 1);
    set.arg("SET").arg(&**key).arg(token.as_bytes()).arg("NX").arg("PX").arg(milliseconds(*ttl));
    Some(set)
}

/// Rounded up: a key must not end before its lease.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The asks, in parts of which each is one script.
fn scripts(asks: &[Ask]) -> impl Iterator<Item = &[Ask]> {
    let mut rest = asks;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut keys = 0;
        let fits = rest.iter().take_while(|ask| {
            keys += ask.keys().len();
            keys <= KEYS_PER_SCRIPT_MAX
        });
        let (script, others) = rest.split_at(fits.count().max(1));
        rest = others;
        Some(script)
    })
}

/// What the script said to each ask.
fn answers(asks: &[Ask], value: Value) -> Result<Vec<Answer>, ServerError> {
    let odd = || ServerError::Closed(Arc::from("it answered something else"));
    let Value::Array(values) = value else { return Err(odd()) };
    if values.len() != asks.len() {
        return Err(odd());
    }
    let answer = |(ask, value): (&Ask, Value)| match (ask, value) {
        (_, Value::BulkString(code)) => Ok(Answer::Refused(refusal(&String::from_utf8_lossy(&code)))),
        (_, Value::SimpleString(code)) => Ok(Answer::Refused(refusal(&code))),
        (Ask::Acquire { .. }, Value::Int(0)) | (Ask::Extend { .. } | Ask::Release { .. }, Value::Int(1)) => {
            Ok(Answer::Done)
        }
        (Ask::Acquire { .. }, Value::Int(held)) => {
            Ok(Answer::Held(u64::try_from(held).ok().map(|held| Duration::from_millis(held.saturating_sub(1)))))
        }
        (_, Value::Int(0)) => Ok(Answer::Absent),
        (_, Value::Int(_)) => Ok(Answer::NotOwner),
        _ => Err(odd()),
    };
    asks.iter().zip(values).map(answer).collect()
}

/// An error's code, as some versions put a sign before it.
fn refusal(code: &str) -> Refusal {
    Refusal::from_code(word(code.trim_start_matches('-')))
}

/// The beginning of what a server says, as far as it may stand in a log.
fn word(said: &str) -> &str {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    &said[..said.bytes().take(WORD_BYTES_MAX).take_while(is_plain).count()]
}

async fn send(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, ServerError> {
    let value = connection.send_packed_command(command).await.and_then(Value::extract_error);
    value.map_err(failure)
}

/// A section of INFO. `None` when the user may not ask for it.
async fn info(connection: &mut MultiplexedConnection, section: &str) -> Result<Option<InfoDict>, ServerError> {
    match send(connection, cmd("INFO").arg(section)).await {
        Ok(value) => Ok(::redis::from_redis_value(value).ok()),
        Err(ServerError::Refused(refusal)) if refusal.kind == RefusalKind::Permission => Ok(None),
        Err(error) => Err(error),
    }
}

fn life(info: &InfoDict) -> Option<Life> {
    let run_id: String = info.get("run_id").filter(|id: &String| id.len() <= HASH_DIGITS)?;
    let uptime: u64 = info.get("uptime_in_seconds")?;
    Some(Life { run_id: Arc::from(run_id), uptime: Duration::from_secs(uptime) })
}

/// What an error of the redis crate means. Texts of servers are not repeated, beyond their codes.
fn failure(error: RedisError) -> ServerError {
    match error.code() {
        // The script must be loaded again, which every new connection begins with.
        Some("NOSCRIPT") => ServerError::Closed(Arc::from("it has forgotten the script")),
        // The redis crate drops the code of what comes before the first command, such as SELECT.
        Some("ERR") if error.detail().is_some_and(|text| text.contains("has no permissions")) => {
            ServerError::Refused(Refusal::from_code("NOPERM"))
        }
        Some(code) => ServerError::Refused(refusal(code)),
        None if error.kind() == ::redis::ErrorKind::AuthenticationFailed => {
            ServerError::Refused(Refusal::from_code("WRONGPASS"))
        }
        None => ServerError::Closed(Arc::from(describe(&error))),
    }
}

fn describe(error: &RedisError) -> String {
    // The source is shared, and not of the type of what it shares.
    match std::error::Error::source(error).filter(|_| error.is_io_error()) {
        Some(io) => io.to_string(),
        None => error.category().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_server_says_no_more_than_a_word_is_repeated() {
        assert_eq!(&*refusal("-NOPERM").code, "NOPERM");
        assert_eq!(word("allkeys-lru"), "allkeys-lru");
        assert_eq!(word(&"A".repeat(1_000_000)), "A".repeat(WORD_BYTES_MAX));
        for (said, repeated) in [("OOM\x1b[2J", "OOM"), ("\0", ""), ("É", ""), ("", "")] {
            assert_eq!(word(said), repeated, "{said:?}");
        }
    }
}
