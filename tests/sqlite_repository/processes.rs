//! Many that open one empty file at once, in processes of their own and in one, and lose no update.

use std::process::Command as Process;
use std::time::Duration;

use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::domain::{Record, RecordKey};
use ticket_reservation::ports::{GroupOutcome, PAGE_MAX, Repository, StoreErrorKind};

use crate::fixture::{a_pool, an_event, commit, event_id, group, load, pool_id, write};

/// Adds one to the pool's capacity, `times` times, each decided on what was loaded, with a line in the feed.
async fn count_up(repository: &dyn Repository, times: u32) {
    let key = RecordKey::Pool(pool_id());
    let mut left = times;
    while left > 0 {
        let snapshot = load(repository, vec![key.clone()]).await;
        let found = snapshot.get(&key).unwrap();
        let Some(Record::Pool(pool)) = &found.record else { panic!("no pool") };
        let next = write(key.clone(), found.version, a_pool(pool.capacity + 1, 0, 0));
        match repository.commit(&event_id(), &[group(vec![next])]).await {
            Ok(outcomes) if outcomes == [GroupOutcome::Committed] => left -= 1,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Transient, "{error:?}"),
        }
    }
}

async fn assert_counted(repository: &dyn Repository, expected: u32) {
    let changes = repository.changes(&event_id(), 2, PAGE_MAX).await.unwrap();
    let counted: Vec<u32> = changes
        .iter()
        .map(|change| match &change.record {
            Record::Pool(pool) => pool.capacity,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counted, (1..=expected).collect::<Vec<_>>());
    assert!(changes.iter().zip(3..).all(|(change, sequence)| change.sequence == sequence));
}

/// The path of the file that a child process of the test below works on.
const CHILD_FILE: &str = "SQLITE_REPOSITORY_TEST_FILE";

#[test]
fn ten_processes_open_an_empty_file_at_once_and_lose_no_update_without_a_lock() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Some(path) = std::env::var_os(CHILD_FILE) {
        let repository = SqliteRepository::builder(path).busy_timeout(Duration::from_secs(60)).open().unwrap();
        runtime.block_on(async {
            // Whoever comes first makes the event.
            let made = [group(vec![
                write(RecordKey::Event, 0, an_event(None)),
                write(RecordKey::Pool(pool_id()), 0, a_pool(0, 0, 0)),
            ])];
            repository.commit(&event_id(), &made).await.unwrap();
            count_up(&repository, 20).await;
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    let name = "processes::ten_processes_open_an_empty_file_at_once_and_lose_no_update_without_a_lock";
    let children: Vec<_> = (0..10)
        .map(|_| {
            Process::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(CHILD_FILE, &path)
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let repository = SqliteRepository::builder(&path).open().unwrap();
    runtime.block_on(assert_counted(&repository, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_open_an_empty_file_at_once_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    let opened = std::thread::scope(|scope| {
        let handles: Vec<_> =
            (0..10).map(|_| scope.spawn(|| SqliteRepository::builder(&path).open().unwrap())).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    commit(
        &opened[0],
        vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(0, 0, 0))],
    )
    .await;
    futures_util::future::join_all(opened.iter().map(|repository| count_up(repository, 20))).await;
    assert_counted(&opened[9], 200).await;
}
