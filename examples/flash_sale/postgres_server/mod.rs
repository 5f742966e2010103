//! A private PostgreSQL cluster: a real server on a free loopback port, in a temporary folder, that ends with whoever started it.
//!
//! For the sale, and for the tests and benches, which include this file too. It is stopped when the value is dropped; and when
//! the process that has it ends in any other way, killed with SIGKILL included, a watching shell notices that its standard
//! input has ended, and stops the server.

#![allow(dead_code, reason = "the sale, each test and each bench use their own part")]

mod cluster;
mod programs;

use std::io;
use std::net::TcpListener;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::cluster::Cluster;

/// How long a server may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Whether it writes to the disk what it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// As a server that sells.
    Durable,
    /// A machine that fails takes it all, and it is faster: for tests about something else.
    Forgetful,
}

/// A private server.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    cluster: Cluster,
    port: u16,
    /// The shell that watches it; none while it is stopped.
    shell: Mutex<Option<Child>>,
}

impl PostgresServer {
    /// Makes a cluster and starts its server. Fails with [`io::ErrorKind::NotFound`] and a line that says what to do when
    /// PostgreSQL is not installed.
    pub(crate) fn start(durability: Durability) -> io::Result<Self> {
        let cluster = Cluster::make(durability)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { cluster, port, shell: Mutex::new(None) };
        server.start_again()?;
        Ok(server)
    }

    /// The address of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://{}:{}@127.0.0.1:{}/postgres", cluster::USER, self.cluster.password(), self.port)
    }

    /// Stops it at once, as `pg_ctl stop -m immediate` does: it recovers from its log when it starts again.
    pub(crate) fn stop_immediately(&self) -> io::Result<()> {
        if let Some(mut shell) = self.shell().take() {
            // Waiting would close it, and the shell would take that for the end of everything.
            let _stdin = shell.stdin.take();
            self.cluster.signal("QUIT")?;
            shell.wait()?;
        }
        Ok(())
    }

    /// Starts it again on the same port. It answers by then.
    pub(crate) fn start_again(&self) -> io::Result<()> {
        let mut shell = self.shell();
        if shell.is_none() {
            *shell = Some(self.cluster.run(self.port)?);
        }
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while !self.cluster.is_ready(self.port)? {
            if let Some(Ok(Some(status))) = shell.as_mut().map(Child::try_wait) {
                return Err(io::Error::other(format!(
                    "the server ended with {status} and said: {}",
                    self.cluster.last_words()
                )));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// From now on it speaks TLS too, with this certificate and key, in PEM.
    pub(crate) fn speak_tls(&self, certificate: &str, key: &str) -> io::Result<()> {
        for (setting, name, text) in [("ssl_cert_file", "certificate", certificate), ("ssl_key_file", "key", key)] {
            let path = self.cluster.add_file(name, text)?;
            self.psql(&format!("ALTER SYSTEM SET {setting} = '{}'", path.display()))?;
        }
        self.psql("ALTER SYSTEM SET ssl = on")?;
        self.psql("SELECT pg_reload_conf()").map(drop)
    }

    /// Runs SQL with psql, and answers with what it prints: rows without decoration.
    pub(crate) fn psql(&self, sql: &str) -> io::Result<String> {
        self.cluster.psql(self.port, sql)
    }

    /// The server's log.
    pub(crate) fn said(&self) -> String {
        self.cluster.said()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same, in the background: until it is killed.
    pub(crate) fn start_psql(&self, sql: &str) -> io::Result<Child> {
        self.cluster.start_psql(self.port, sql)
    }

    fn shell(&self) -> MutexGuard<'_, Option<Child>> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut shell) = self.shell().take() {
            // The shell stops the server when its standard input ends.
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }
}
