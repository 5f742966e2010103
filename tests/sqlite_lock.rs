//! The sqlite lock, beyond what the conformance suite asks of every lock.
#![cfg(feature = "sqlite")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;
use ticket_reservation::adapters::sqlite::{SqliteError, SqliteLock, SqliteRepository};
use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{Attempt, BoxFuture, Clock, Extended, Lease, Lock, LockKey, Released, Runtime};

/// A runtime whose clocks move only when they are told to, together.
#[derive(Debug)]
struct StoppedRuntime {
    start: Instant,
    passed_micros: AtomicI64,
    draws: AtomicU64,
}

impl StoppedRuntime {
    fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), passed_micros: AtomicI64::new(0), draws: AtomicU64::new(seed) })
    }

    fn pass(&self, time: Duration) {
        self.passed_micros.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for StoppedRuntime {
    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.passed_micros.load(Ordering::SeqCst) as u64)
    }
    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + self.passed_micros.load(Ordering::SeqCst))
    }
}

impl Runtime for StoppedRuntime {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
    fn random(&self) -> u64 {
        self.draws.fetch_add(1, Ordering::SeqCst)
    }
}

const TTL: Duration = Duration::from_secs(10);

fn key(text: &str) -> LockKey {
    LockKey::new(text).unwrap()
}

fn open(path: &Path, runtime: &Arc<StoppedRuntime>) -> SqliteLock {
    SqliteLock::builder(path, runtime.clone()).open().unwrap()
}

async fn take(lock: &SqliteLock, text: &str) -> Attempt<Lease> {
    lock.acquire_each(&[key(text)], TTL).await.unwrap().remove(0)
}

async fn granted(lock: &SqliteLock, text: &str) -> Lease {
    match take(lock, text).await {
        Attempt::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn retry_after<T: std::fmt::Debug>(attempt: Attempt<T>) -> Duration {
    match attempt {
        Attempt::Contended { retry_after } => retry_after,
        other => panic!("{other:?}"),
    }
}

/// Two processes on one file, as far as the file can tell, with one clock.
fn pair(folder: &Path) -> (SqliteLock, SqliteLock, Arc<StoppedRuntime>) {
    let runtime = StoppedRuntime::new(0);
    let path = folder.join("leases.db");
    (open(&path, &runtime), open(&path, &runtime), runtime)
}

#[tokio::test]
async fn a_key_that_is_held_is_contended_for_as_long_as_its_ttl_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, runtime) = pair(folder.path());
    let _lease = granted(&ours, "k").await;
    runtime.pass(Duration::from_secs(4));
    assert_eq!(retry_after(take(&theirs, "k").await), Duration::from_secs(6));
    runtime.pass(Duration::from_secs(6) - Duration::from_micros(1));
    assert_eq!(retry_after(take(&theirs, "k").await), Duration::from_micros(1));
    runtime.pass(Duration::from_micros(1));
    let _lease = granted(&theirs, "k").await;
}

#[tokio::test]
async fn when_the_clock_steps_back_a_lease_lasts_no_longer_than_its_ttl_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let early = open(&path, &StoppedRuntime::new(0));
    let ahead = StoppedRuntime::new(0);
    ahead.pass(Duration::from_secs(3_600));
    let _lease = granted(&open(&path, &ahead), "k").await;
    assert_eq!(retry_after(take(&early, "k").await), TTL);
    let later = StoppedRuntime::new(0);
    later.pass(TTL);
    let _lease = granted(&open(&path, &later), "k").await;
}

#[tokio::test]
async fn a_lease_for_ever_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (lock, other, _) = pair(folder.path());
    lock.acquire_each(&[key("k")], Duration::MAX).await.unwrap_err();
    lock.acquire_all(&[key("k")], Duration::from_secs(1_000_000_000_000)).await.unwrap_err();
    let _lease = granted(&other, "k").await;
}

#[tokio::test]
async fn a_lock_and_a_repository_never_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (sale, leases) = (folder.path().join("sale.db"), folder.path().join("leases.db"));
    let _repository = SqliteRepository::builder(&sale).open().unwrap();
    let error = SqliteLock::builder(&sale, StoppedRuntime::new(0)).open().unwrap_err();
    assert!(matches!(error, SqliteError::ForeignFile { .. }), "{error:?}");
    let _lock = open(&leases, &StoppedRuntime::new(0));
    let error = SqliteRepository::builder(&leases).open().unwrap_err();
    assert!(matches!(error, SqliteError::ForeignFile { .. }), "{error:?}");
}

#[tokio::test]
async fn a_lease_ends_for_its_holder_before_anyone_else_can_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, _, runtime) = pair(folder.path());
    let lease = granted(&ours, "k").await;
    assert_eq!(lease.deadline(), runtime.now() + TTL - TTL / 100 - Duration::from_millis(2));
    let short = ours.acquire_each(&[key("short")], Duration::from_millis(1)).await.unwrap().remove(0);
    let Attempt::Granted(short) = short else { panic!() };
    assert_eq!(short.deadline(), runtime.now());
}

#[tokio::test]
async fn a_released_key_is_free_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, _) = pair(folder.path());
    let lease = granted(&ours, "k").await;
    assert_eq!(ours.release(vec![lease]).await.unwrap(), [Released::Released]);
    let _lease = granted(&theirs, "k").await;
}

#[tokio::test]
async fn releasing_frees_nobody_elses_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, runtime) = pair(folder.path());
    let old = granted(&ours, "k").await;
    let unclaimed = granted(&ours, "other").await;
    runtime.pass(TTL);
    let _lease = granted(&theirs, "k").await;
    let released = ours.release(vec![old.clone(), unclaimed]).await.unwrap();
    assert_eq!(released, [Released::NotOwner, Released::Expired]);
    retry_after(take(&ours, "k").await);
    runtime.pass(TTL);
    assert_eq!(ours.release(vec![old]).await.unwrap(), [Released::Expired]);
}

#[tokio::test]
async fn extending_moves_the_deadline_and_keeps_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, runtime) = pair(folder.path());
    let mut leases = [granted(&ours, "k").await];
    let before = leases[0].deadline();
    runtime.pass(Duration::from_secs(5));
    assert_eq!(ours.extend(&mut leases, TTL).await.unwrap(), [Extended::Extended]);
    assert_eq!(leases[0].deadline(), before + Duration::from_secs(5));
    runtime.pass(Duration::from_secs(6));
    assert_eq!(retry_after(take(&theirs, "k").await), Duration::from_secs(4));
}

#[tokio::test]
async fn a_lease_that_is_lost_is_not_taken_again_by_extending_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, runtime) = pair(folder.path());
    let mut leases = [granted(&ours, "expired").await, granted(&ours, "released").await, granted(&ours, "kept").await];
    ours.release(vec![leases[1].clone()]).await.unwrap();
    let before = leases[0].deadline();
    assert_eq!(ours.extend(&mut leases[1..], TTL * 2).await.unwrap(), [Extended::Lost, Extended::Extended]);
    runtime.pass(TTL);
    assert_eq!(ours.extend(&mut leases, TTL).await.unwrap(), [Extended::Lost, Extended::Lost, Extended::Extended]);
    assert_eq!(leases[0].deadline(), before);
    let _first = granted(&theirs, "expired").await;
    let _second = granted(&theirs, "released").await;
    retry_after(take(&theirs, "kept").await);
}

#[tokio::test]
async fn all_keys_are_taken_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, runtime) = pair(folder.path());
    let _early = granted(&ours, "b").await;
    runtime.pass(Duration::from_secs(3));
    let _late = granted(&ours, "c").await;
    let attempt = theirs.acquire_all(&[key("a"), key("b"), key("c")], TTL).await.unwrap();
    assert_eq!(retry_after(attempt), TTL, "all are free when the last one is");
    let _free = granted(&ours, "a").await;
    match theirs.acquire_all(&[key("x"), key("y")], TTL).await.unwrap() {
        Attempt::Granted(leases) => {
            assert_eq!(leases.iter().map(|lease| lease.key().as_str()).collect::<Vec<_>>(), ["x", "y"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_key_has_its_own_answer_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, _) = pair(folder.path());
    let _lease = granted(&ours, "b").await;
    let answers = theirs.acquire_each(&[key("c"), key("b"), key("a")], TTL).await.unwrap();
    let granted: Vec<Option<&str>> = answers
        .iter()
        .map(|answer| match answer {
            Attempt::Granted(lease) => Some(lease.key().as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(granted, [Some("c"), None, Some("a")]);
    assert!(theirs.acquire_each(&[], TTL).await.unwrap().is_empty());
    assert!(matches!(theirs.acquire_all(&[], TTL).await.unwrap(), Attempt::Granted(leases) if leases.is_empty()));
}

#[tokio::test]
async fn keys_are_compared_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, _) = pair(folder.path());
    let _lease = granted(&ours, "A").await;
    let _lower = granted(&theirs, "a").await;
    let _space = granted(&theirs, "A ").await;
}

#[tokio::test]
async fn every_lease_has_its_own_token() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, _, _) = pair(folder.path());
    let (first, second) = (granted(&ours, "a").await, granted(&ours, "b").await);
    assert_ne!(first.token().as_bytes(), second.token().as_bytes());
}

#[tokio::test]
async fn an_acquisition_whose_caller_has_gone_leaves_nothing_locked() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs, _) = pair(folder.path());
    for _ in 0..50 {
        let keys = [key("k")];
        // Polled once, so that it is on its way, and dropped. The call after it comes after whatever it did.
        if let Some(answer) = ours.acquire_each(&keys, TTL).now_or_never() {
            let Attempt::Granted(lease) = answer.unwrap().remove(0) else { panic!("contended") };
            ours.release(vec![lease]).await.unwrap();
        }
        let _other = ours.release(vec![granted(&ours, "other").await]).await.unwrap();
        let lease = granted(&theirs, "k").await;
        assert_eq!(theirs.release(vec![lease]).await.unwrap(), [Released::Released]);
    }
}

#[tokio::test]
async fn leases_that_nobody_released_are_swept_away() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, _, runtime) = pair(folder.path());
    for number in 0..40 {
        let _lease = granted(&ours, &format!("k{number}")).await;
        runtime.pass(TTL);
    }
    let outside = Connection::open(folder.path().join("leases.db")).unwrap();
    let rows: i64 = outside.query_row("SELECT count(*) FROM lease", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_batch_sweeps_away_more_than_it_adds() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, _, runtime) = pair(folder.path());
    for batch in 0..10 {
        let keys: Vec<LockKey> = (0..100).map(|number| key(&format!("{batch}/{number}"))).collect();
        let attempts = ours.acquire_each(&keys, TTL).await.unwrap();
        assert!(attempts.iter().all(|attempt| matches!(attempt, Attempt::Granted(_))));
        runtime.pass(TTL);
    }
    let outside = Connection::open(folder.path().join("leases.db")).unwrap();
    let rows: i64 = outside.query_row("SELECT count(*) FROM lease", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 100);
}

#[tokio::test]
async fn a_busy_file_is_an_error_and_not_contention() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let runtime = StoppedRuntime::new(0);
    let lock = SqliteLock::builder(&path, runtime).busy_timeout(Duration::from_millis(20)).open().unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock.acquire_each(&[key("k")], TTL).await.unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    let _lease = granted(&lock, "k").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_want_a_key_at_once_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let locks: Vec<SqliteLock> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..8)
            .map(|seed| {
                let path = &path;
                scope.spawn(move || open(path, &StoppedRuntime::new(seed * 1_000_000)))
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    for round in 0..20 {
        let text = format!("round {round}");
        let attempts = futures_util::future::join_all(locks.iter().map(|lock| take(lock, &text))).await;
        let winners = attempts.iter().filter(|attempt| matches!(attempt, Attempt::Granted(_))).count();
        assert_eq!(winners, 1);
    }
}

#[test]
fn a_newer_schema_and_a_file_that_is_no_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    drop(open(&path, &StoppedRuntime::new(0)));
    let outside = Connection::open(&path).unwrap();
    outside.execute_batch("UPDATE lease_store SET schema_version = 2, compatible_with = 2").unwrap();
    let error = SqliteLock::builder(&path, StoppedRuntime::new(0)).open().unwrap_err();
    assert!(matches!(error, SqliteError::NewerSchema { .. }), "{error:?}");

    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear customer, ".repeat(1_000)).unwrap();
    let error = SqliteLock::builder(&path, StoppedRuntime::new(0)).open().unwrap_err();
    assert!(matches!(error, SqliteError::NotADatabase { .. }), "{error:?}");
}

#[tokio::test]
async fn closing_ends_every_file_handle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let lock = open(&path, &StoppedRuntime::new(0));
    let _lease = granted(&lock, "k").await;
    assert!(path.with_file_name("leases.db-wal").exists());
    lock.close().await;
    // The last one to close a file in WAL mode takes the log away.
    assert!(!path.with_file_name("leases.db-wal").exists());
    let repository = SqliteRepository::builder(folder.path().join("sale.db")).open().unwrap();
    repository.close().await;
    assert!(!path.with_file_name("sale.db-wal").exists());
}
