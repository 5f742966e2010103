use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::checkpoint::Checkpoints;
use super::connection::Options;
use super::error::{Fault, SqliteError};
use super::schema;
use super::thread::Session;
use super::transaction::{Transactions, prepare};
use crate::domain::Timestamp;
use crate::ports::{Extended, LockKey, LockToken, Released, Runtime};

/// How many expired leases an acquisition sweeps away, at most, for each key that it wants: more than it can add, so
/// that the table stays small.
const SWEEP_PER_KEY: usize = 4;

/// A key and the secret that its lease has or would have.
pub(super) type Claim = (LockKey, LockToken);

/// What became of a claim: taken, or held by someone else for so long yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Ours,
    Others(Duration),
}

/// How long a lease lasts.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// By the clock and the row.
    seems: Duration,
    /// Its TTL. Where that is less, the clock has stepped back since.
    at_most: Duration,
}

impl Left {
    fn taken(self) -> Taken {
        Taken::Others(self.seems.min(self.at_most))
    }
}

/// The lock's side of the thread.
#[derive(Debug)]
pub(super) struct Leases<'c> {
    runtime: Arc<dyn Runtime>,
    transactions: Transactions<'c>,
    held_until: Statement<'c>,
    shorten: Statement<'c>,
    take: Statement<'c>,
    extend: Statement<'c>,
    release: Statement<'c>,
    sweep: Statement<'c>,
    checkpoints: Checkpoints<'c>,
}

/// How the lock's file is opened.
#[derive(Debug)]
pub(super) struct LeaseSession {
    pub(super) options: Options,
    pub(super) runtime: Arc<dyn Runtime>,
}

/// Leases are disposable, so a file that is gone after a failure is made anew.
impl Session for LeaseSession {
    type Ready<'c> = Leases<'c>;

    fn open(&self) -> Result<Connection, SqliteError> {
        schema::LEASES.open(&self.options).map(|(connection, _)| connection)
    }

    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Leases<'c>> {
        let prepare = |sql| prepare(connection, sql);
        Ok(Leases {
            runtime: Arc::clone(&self.runtime),
            transactions: Transactions::new(connection)?,
            held_until: prepare("SELECT expires_at, ttl FROM lease WHERE lock_key = ?1 AND expires_at > ?2")?,
            shorten: prepare("UPDATE lease SET expires_at = ?2 + ttl WHERE lock_key = ?1 AND expires_at > ?2 + ttl")?,
            take: prepare(
                "INSERT INTO lease (lock_key, token, expires_at, ttl) VALUES (?1, ?2, ?3, ?3 - ?4)
                 ON CONFLICT (lock_key) DO UPDATE
                     SET token = excluded.token, expires_at = excluded.expires_at, ttl = excluded.ttl
                     WHERE lease.expires_at <= ?4",
            )?,
            extend: prepare(
                "UPDATE lease SET expires_at = MAX(expires_at, ?3), ttl = MAX(expires_at, ?3) - ?4
                 WHERE lock_key = ?1 AND token = ?2 AND expires_at > ?4",
            )?,
            release: prepare("DELETE FROM lease WHERE lock_key = ?1 AND token = ?2 RETURNING expires_at")?,
            sweep: prepare(
                "DELETE FROM lease WHERE lock_key IN (SELECT lock_key FROM lease WHERE expires_at <= ?1 LIMIT ?2)",
            )?,
            checkpoints: Checkpoints::new(connection, &self.options)?,
        })
    }

    fn tidy_up(leases: &mut Leases<'_>) {
        if leases.transactions.take_committed() {
            leases.checkpoints.run_if_due();
        }
    }
}

impl Leases<'_> {
    /// Takes the keys that are free; with `all_or_none`, only if all of them are.
    pub(super) fn take(&mut self, claims: &[Claim], ttl: Duration, all_or_none: bool) -> Result<Vec<Taken>, Fault> {
        // Whoever comes too late is told so without waiting for the write lock.
        let (held, clock_stepped_back) = self.look(claims)?;
        if clock_stepped_back {
            self.shorten(claims)?;
        }
        let free = held.iter().filter(|taken| **taken == Taken::Ours).count();
        if free == 0 || (all_or_none && free < claims.len()) {
            return Ok(held);
        }
        self.transactions.begin_write()?;
        let taken = self.take_in_transaction(claims, ttl);
        let nothing = match &taken {
            Ok(taken) if all_or_none => taken.iter().any(|taken| *taken != Taken::Ours),
            Ok(taken) => taken.iter().all(|taken| *taken != Taken::Ours),
            Err(_) => true,
        };
        if nothing { self.transactions.undo(taken) } else { self.end(taken) }
    }

    /// Who holds the keys at this moment, and whether one of them seems to be held for longer than it can be.
    fn look(&mut self, claims: &[Claim]) -> Result<(Vec<Taken>, bool), Fault> {
        self.transactions.begin_read()?;
        let now = self.runtime.unix_time();
        let mut clock_stepped_back = false;
        let held = claims.iter().map(|(key, _)| {
            let left = self.left(key, now)?;
            clock_stepped_back |= left.is_some_and(|left| left.seems > left.at_most);
            Ok(left.map_or(Taken::Ours, Left::taken))
        });
        let held = held.collect();
        Ok((self.transactions.undo(held)?, clock_stepped_back))
    }

    /// Leaves no lease more than its TTL.
    fn shorten(&mut self, claims: &[Claim]) -> Result<(), Fault> {
        self.transactions.begin_write()?;
        let now = self.runtime.unix_time().as_micros();
        let shortened =
            claims.iter().try_for_each(|(key, _)| Ok(self.shorten.execute(params![key.as_str(), now]).map(drop)?));
        self.end(shortened)
    }

    /// How long a lease lasts yet; `None` when there is none.
    fn left(&mut self, key: &LockKey, now: Timestamp) -> Result<Option<Left>, Fault> {
        let left = self.held_until.query_row(params![key.as_str(), now.as_micros()], |row| {
            let (until, ttl): (i64, i64) = (row.get(0)?, row.get(1)?);
            let at_most = Duration::from_micros(u64::try_from(ttl).unwrap_or(0));
            Ok(Left { seems: Timestamp::from_micros(until).since(now), at_most })
        });
        Ok(left.optional()?)
    }

    fn take_in_transaction(&mut self, claims: &[Claim], ttl: Duration) -> Result<Vec<Taken>, Fault> {
        let now = self.runtime.unix_time();
        let until = now.after(ttl).as_micros();
        let sweep_max = i64::try_from(claims.len().saturating_mul(SWEEP_PER_KEY)).unwrap_or(i64::MAX);
        self.sweep.execute(params![now.as_micros(), sweep_max])?;
        let mut taken = Vec::with_capacity(claims.len());
        for (key, token) in claims {
            let rows = self.take.execute(params![key.as_str(), token.as_bytes(), until, now.as_micros()])?;
            taken.push(if rows == 1 { Taken::Ours } else { self.left(key, now)?.map_or(Taken::Ours, Left::taken) });
        }
        Ok(taken)
    }

    /// Moves the ends of leases that are still alive, never to an earlier time.
    pub(super) fn extend(&mut self, claims: &[Claim], ttl: Duration) -> Result<Vec<Extended>, Fault> {
        self.transactions.begin_write()?;
        let now = self.runtime.unix_time();
        let until = now.after(ttl).as_micros();
        let extended: Result<Vec<Extended>, Fault> = claims
            .iter()
            .map(|(key, token)| {
                let parameters = params![key.as_str(), token.as_bytes(), until, now.as_micros()];
                let rows = self.extend.execute(parameters)?;
                Ok(if rows == 1 { Extended::Extended } else { Extended::Lost })
            })
            .collect();
        self.end(extended)
    }

    /// Removes leases that are still their claimants'.
    pub(super) fn release(&mut self, claims: &[Claim]) -> Result<Vec<Released>, Fault> {
        self.transactions.begin_write()?;
        let now = self.runtime.unix_time();
        let released: Result<Vec<Released>, Fault> = claims.iter().map(|claim| self.release_one(claim, now)).collect();
        self.end(released)
    }

    fn release_one(&mut self, (key, token): &Claim, now: Timestamp) -> Result<Released, Fault> {
        let parameters = params![key.as_str(), token.as_bytes()];
        let until: Option<i64> = self.release.query_row(parameters, |row| row.get(0)).optional()?;
        Ok(match until {
            Some(until) if until > now.as_micros() => Released::Released,
            Some(_) => Released::Expired,
            None if self.left(key, now)?.is_none() => Released::Expired,
            None => Released::NotOwner,
        })
    }

    /// Commits what was written, unless that failed.
    fn end<T>(&mut self, written: Result<T, Fault>) -> Result<T, Fault> {
        if written.is_err() {
            return self.transactions.undo(written);
        }
        self.transactions.commit()?;
        written
    }
}
