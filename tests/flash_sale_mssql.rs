//! The flash sale on the SQL Server that the environment names, if it names one. Its tables are those of the default schema.
#![cfg(all(target_os = "linux", feature = "mssql"))]

mod flash_sale_support;
#[path = "../benches/common/mssql_server.rs"]
mod mssql_server;

use flash_sale_support::{Run, flash_sale, number, report, run, words};

/// A sale with these arguments.
fn sell(connection_string: &str, line: &str) -> Run {
    let mut arguments = words("--store mssql --insecure --json --store-url");
    arguments.push(connection_string.to_owned());
    arguments.extend(words(line));
    flash_sale(arguments)
}

#[test]
fn processes_without_a_lock_sell_nothing_twice() {
    let Some(connection_string) = mssql_server::connection_string() else { return };
    let sold = report(&sell(&connection_string, "--processes 3 --buyers 300 --concurrency 40 --pay-ms 0 --lock none"));
    assert_eq!((&sold["store"], &sold["lock"]), (&"mssql".into(), &"none".into()));
    assert!(number(&sold, "bookings") > 100, "{sold}");
}

#[test]
fn a_lock_that_lies_sells_nothing_twice() {
    let Some(connection_string) = mssql_server::connection_string() else { return };
    let line = "--processes 3 --buyers 300 --concurrency 40 --pay-ms 0 --lock grants-all --lock-policy event --demand hot-seat";
    report(&sell(&connection_string, line));
}

#[test]
fn killed_workers_lose_nothing_that_was_acknowledged() {
    let Some(connection_string) = mssql_server::connection_string() else { return };
    let line = "--processes 4 --buyers 600 --concurrency 40 --pay-ms 20 --kill-workers 2";
    let sold = report(&sell(&connection_string, line));
    assert_eq!(number(&sold, "killed"), 2, "{sold}");
}

#[test]
fn what_cannot_be_done_is_one_line() {
    run("--store mssql").assert_refused("--store mssql needs --store-url");
    run("--store mssql --store-url Server=127.0.0.1,1;Encrypt=false;UID=a;PWD=hunter2")
        .assert_said("danger_plain_connections");
    run("--store mssql --store-url Server=127.0.0.1,1;TrustServerCertificate=yes;UID=a;PWD=hunter2")
        .assert_said("danger_any_certificate");
    run("--store mssql --insecure --store-url Server=127.0.0.1,1;UID=a;PWD=hunter2").assert_said("the store");
}
