//! The Redis servers of a sale's lock: those that were named, or private ones.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::args::{LockKind, SaleArgs};
use crate::failure::Failure;

/// Addresses, which may have passwords in them: workers are told, and nobody else.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Urls(pub(crate) Vec<String>);

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|url| without_secrets(url))).finish()
    }
}

/// Private servers are there until this is dropped.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) urls: Urls,
    #[cfg(any(feature = "redlock", feature = "rslock"))]
    _private: Option<crate::redis_servers::RedisServers>,
}

#[cfg(any(feature = "redlock", feature = "rslock"))]
impl Nodes {
    /// What the sale's lock needs. A lock without servers needs nothing.
    pub(crate) fn of(args: &SaleArgs) -> Result<Self, Failure> {
        if !args.lock().is_on_redis() || !args.redis.is_empty() {
            return Ok(Self { urls: Urls(args.redis.clone()), _private: None });
        }
        let private = crate::redis_servers::RedisServers::start(PRIVATE);
        let private = private.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::usage(format!("{error}, or name servers with --redis")),
            _ => Failure::caused("the Redis servers", &error),
        })?;
        Ok(Self { urls: Urls(private.urls()), _private: Some(private) })
    }
}

#[cfg(not(any(feature = "redlock", feature = "rslock")))]
impl Nodes {
    /// Nothing: no lock that is compiled in has servers.
    pub(crate) fn of(_: &SaleArgs) -> Result<Self, Failure> {
        Ok(Self { urls: Urls::default() })
    }
}

/// How many servers a sale starts: one may fail.
#[cfg(any(feature = "redlock", feature = "rslock"))]
const PRIVATE: usize = 3;

/// Refuses what is no address of a Redis server. Its password is not repeated.
pub(crate) fn check(url: &str, lock: LockKind) -> Result<(), Failure> {
    let shown = without_secrets(url);
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| ["redis", "rediss"].contains(scheme)) else {
        return Err(Failure::usage(format!("--redis {shown} is no redis:// or rediss:// address")));
    };
    let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    // The port stands behind the last colon, unless that is one of an IPv6 address.
    let (host, port) = address.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((address, "0"));
    if host.is_empty() || port.parse::<u16>().is_err() || !database.chars().all(|digit| digit.is_ascii_digit()) {
        let form = format!("{scheme}://[USER:PASSWORD@]HOST[:PORT][/DATABASE]");
        return Err(Failure::usage(format!("--redis {shown} cannot be used: it is to be like {form}")));
    }
    if scheme == "rediss" && lock == LockKind::Rslock && !cfg!(feature = "redlock") {
        return Err(Failure::usage(format!("--redis {shown} needs TLS: add --features redlock, which brings it")));
    }
    Ok(())
}

/// An address without user, password and options.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let (address, hidden) = rest.rsplit_once('@').map_or((rest, ""), |(_, address)| (address, "***@"));
    let (address, _) = address.split_once('?').unwrap_or((address, ""));
    format!("{scheme}{hidden}{address}")
}
