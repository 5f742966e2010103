//! The flash sale's audit reads what was kept, again and again, and changes nothing of it.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use std::fs;
use std::path::Path;

use flash_sale_support::flash_sale;
use flash_sale_support::kept::{Copy, FREE, OTHER};
use ticket_reservation::adapters::sqlite::rusqlite::Connection;

#[test]
fn a_good_sale_passes_again_and_again_and_its_store_stays_as_it_is() {
    let copy = Copy::new();
    let before = fs::read(copy.file("store.db")).expect("the store");
    copy.assert_passes();
    copy.assert_passes();
    assert!(fs::read(copy.file("store.db")).expect("the store") == before, "the store has changed");
}

#[test]
fn the_verdict_says_what_was_checked() {
    let run = Copy::new().audit();
    for words in ["sold twice", "lost", "unasked", "pools", "all or nothing", "change feed"] {
        assert!(run.stdout.contains(words), "{words:?} is not in\n{}", run.stdout);
    }
    assert_eq!(run.stderr, "");
}

/// Killed workers leave what they wrote last in the log beside the file.
#[test]
fn what_stands_in_the_log_beside_the_file_counts() {
    let copy = Copy::new();
    let writer = copy.store();
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE pool SET capacity = capacity + 1").expect("a change");
    let files = ["store.db", "store.db-wal"].map(|name| (name, fs::read(copy.file(name)).expect(name)));
    drop(writer);
    for (name, bytes) in files {
        fs::write(copy.file(name), bytes).expect(name);
    }
    copy.assert_finds(OTHER, "the plan has 80");
}

#[test]
fn a_store_that_is_gone_is_not_made_anew() {
    let copy = Copy::new();
    fs::remove_file(copy.file("store.db")).expect("the store");
    copy.audit().assert_refused("is gone");
    assert!(!copy.file("store.db").exists());
}

#[test]
fn a_store_that_is_no_store_does_not_pass_and_stays_as_it_is() {
    let junk = "not a database, and long enough to be read as one".repeat(100);
    for (content, words) in [("", "is empty"), ("short", "cannot read the store"), (&junk, "not a database")] {
        let copy = Copy::new();
        fs::write(copy.file("store.db"), content).expect("a file");
        let run = copy.audit();
        assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{run:?}");
        assert!(run.stderr.contains(words), "{words:?} is not in {}", run.stderr);
        assert_eq!(fs::read_to_string(copy.file("store.db")).expect("the file"), content);
    }
}

#[test]
fn a_database_without_the_tables_is_not_given_any() {
    let copy = Copy::new();
    fs::remove_file(copy.file("store.db")).expect("the store");
    let other = Connection::open(copy.file("store.db")).expect("a database");
    other.execute_batch("CREATE TABLE mine (x)").expect("a table");
    drop(other);
    let run = copy.audit();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("no such table"), "{run:?}");
    assert_eq!(copy.sql("SELECT count(*) FROM sqlite_schema"), "1");
}

#[test]
fn a_row_that_cannot_be_read_is_no_proof_and_nothing_is_removed() {
    let row = format!("UPDATE ticket SET reservation_id = x'00' WHERE ticket_id = ({FREE})");
    let copy = Copy::new().tamper([row]);
    let run = copy.audit();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("cannot read the store"), "{run:?}");
    assert!(copy.file("worker-1.log").exists() && copy.file("store.db").exists());
}

#[test]
fn without_a_kept_sale_there_is_nothing_to_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = |folder: &Path| flash_sale(["audit", folder.to_str().expect("UTF-8")]);
    audit(folder.path()).assert_refused("no kept sale here");
    audit(&folder.path().join("nowhere")).assert_refused("no kept sale here");
}

#[test]
fn a_sale_that_has_not_ended_has_no_verdict() {
    Copy::new().edit("course.log", |text| text.replace("ended\n", "")).audit().assert_refused("has not ended");
    let copy = Copy::new();
    fs::remove_file(copy.file("course.log")).expect("the parent's log");
    copy.audit().assert_refused("has not ended");
}
