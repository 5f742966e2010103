//! Private Redis servers: real `redis-server` processes on free loopback ports, in memory alone, that end with whoever
//! started them.
//!
//! For the sale, and for the tests and benches, which include this file too. [`RedisServers::start`] answers when every
//! server does. They are stopped when the value is dropped; and when the process that has it ends in any other way,
//! killed with SIGKILL included, a watching shell notices that its standard input has ended, and stops its server.
//!
//! A server can be killed, restarted with nothing in its memory on the same port, and made to stand still. A
//! [`SilentServer`] is one that accepts connections and says nothing.

#![allow(dead_code, unused_imports, reason = "the sale, each test and each bench use their own part")]

mod process;
mod resp;
mod server;
mod silent;

use std::io;
use std::ops::Deref;

pub(crate) use server::RedisServer;
pub(crate) use silent::SilentServer;

/// Independent servers, which know nothing of one another.
#[derive(Debug)]
pub(crate) struct RedisServers(Vec<RedisServer>);

impl RedisServers {
    /// Starts so many. Fails with [`io::ErrorKind::NotFound`] and a line that says what to do when `redis-server` is not
    /// installed.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        (0..count).map(|_| RedisServer::start()).collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// Their addresses: `redis://127.0.0.1:PORT`.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.0.iter().map(RedisServer::url).collect()
    }
}

impl Deref for RedisServers {
    type Target = [RedisServer];

    fn deref(&self) -> &[RedisServer] {
        &self.0
    }
}
