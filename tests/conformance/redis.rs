//! Three Redis servers for all cases of a process, started when the first one needs them. Each lock space has a prefix of
//! its own.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, PoisonError};

use ticket_reservation::conformance::HarnessError;
use ticket_reservation::ports::Runtime;

use crate::redis_servers::RedisServers;

#[derive(Clone)]
pub(super) struct Redis {
    servers: Arc<Mutex<Option<RedisServers>>>,
    pub(super) runtime: Arc<dyn Runtime>,
}

/// How other processes find a lock space: its prefix and the servers, in one line.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) key_prefix: String,
    pub(super) urls: Vec<String>,
}

impl Redis {
    pub(super) fn new(runtime: &Arc<dyn Runtime>) -> Self {
        Self { servers: Arc::default(), runtime: Arc::clone(runtime) }
    }

    /// A lock space of which nothing is held.
    pub(super) fn fresh(&self) -> Result<Address, HarnessError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.is_none() {
            *servers = Some(RedisServers::start(3)?);
        }
        let urls = servers.as_ref().map(RedisServers::urls).unwrap_or_default();
        Ok(Address { key_prefix: format!("{:016x}:", self.runtime.random()), urls })
    }
}

impl Address {
    pub(super) fn to_line(&self) -> String {
        format!("{} {}", self.key_prefix, self.urls.join(" "))
    }

    pub(super) fn of_line(line: &OsStr) -> Result<Self, HarnessError> {
        let mut words = line.to_str().ok_or("not UTF-8")?.split(' ').map(ToOwned::to_owned);
        Ok(Self { key_prefix: words.next().ok_or("no prefix")?, urls: words.collect() })
    }
}
