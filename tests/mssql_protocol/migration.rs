//! Making the tables, and looking whether they are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository};

use super::answers::{commit_answer, end, settings_answer};
use super::chain::chain;
use super::scripted_tds::{Answer, Call, Message, Request, Table, TdsServer, Type};
use super::stage::{builder, calls, commits, is_settings, number_of, repository, soon, stage};

/// Whether somebody has made the tables, of this version.
#[derive(Clone, Default)]
struct Tables(Arc<AtomicBool>);

impl Tables {
    fn make(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn answer(&self, request: &Request) -> Option<Answer> {
        let sql = request.sql();
        if sql.contains("sys.tables") {
            return Some(looked(self.0.load(Ordering::Relaxed)));
        }
        if sql.contains("compatible_with FROM") {
            return Some(versions(1, 1));
        }
        if sql == "COMMIT TRANSACTION" {
            self.make();
        }
        matches!(request.call, Call::Batch(_)).then(Answer::new)
    }
}

/// Whether the store's table is there.
fn looked(is_there: bool) -> Answer {
    let rows = Table::new([("object_id", Type::Int)]);
    Answer::rows(if is_there { rows.row([5_i32.into()]) } else { rows }).then_rows(end())
}

fn versions(found: i64, needed: i64) -> Answer {
    let columns = [("schema_version", Type::BigInt), ("compatible_with", Type::BigInt)];
    Answer::rows(Table::new(columns).row([found.into(), needed.into()])).then_rows(end())
}

/// A database without tables, in which they can be made.
async fn empty() -> (TdsServer, MssqlRepository, Tables) {
    let (server, repository) = stage().await;
    let tables = Tables::default();
    let theirs = tables.clone();
    server.otherwise(move |request| theirs.answer(request));
    (server, repository, tables)
}

/// The batches that make the tables.
fn script(server: &TdsServer) -> Vec<Request> {
    calls(server).into_iter().filter(|request| matches!(request.call, Call::Batch(_))).collect()
}

/// The batch that makes the store's table fails so.
fn making_fails(server: &TdsServer, tables: &Tables, with: Answer, somebody_else_makes_them: bool) {
    let tables = tables.clone();
    server.rule(move |request| {
        if !request.sql().contains(".store (") || !matches!(request.call, Call::Batch(_)) {
            return None;
        }
        if somebody_else_makes_them {
            tables.make();
        }
        Some(with.clone())
    });
}

#[tokio::test]
async fn tables_are_made_in_one_transaction_on_one_connection_by_one_at_a_time() {
    let (server, repository, _) = empty().await;
    soon(repository.migrate()).await.expect("tables");
    let script = script(&server);
    let (first, last) = (script[0].sql(), script[script.len() - 1].sql());
    assert!(first.contains("BEGIN TRANSACTION") && first.contains("sp_getapplock"), "{first}");
    assert!(first.contains("@LockOwner = 'Transaction'") && first.contains("LOCK_TIMEOUT 600000"), "{first}");
    assert_eq!(last, "COMMIT TRANSACTION");
    assert!(script.iter().all(|batch| batch.connection == script[0].connection));
    let made: Vec<&str> = script[1..script.len() - 1].iter().map(Request::sql).collect();
    for object in ["TABLE [ticket_reservation].store", "PROCEDURE [ticket_reservation].commit_groups"] {
        assert_eq!(made.iter().filter(|batch| batch.contains(&format!("CREATE {object}"))).count(), 1, "{object}");
    }
    for batch in made {
        assert!(!batch.contains("\nGO") && !batch.contains('{'), "{batch}");
        assert!(!batch.contains("CREATE PROCEDURE") || batch.matches("CREATE ").count() == 1, "{batch}");
    }
}

/// The script has set more than a call expects.
#[tokio::test]
async fn the_connection_that_made_the_tables_is_not_used_for_calls() {
    let (server, repository, _) = empty().await;
    soon(repository.migrate()).await.expect("tables");
    let made_on = script(&server)[0].connection;
    server.wait_closed(1).await;
    server.answers([commit_answer(&[])]);
    commits(&repository).await;
    assert!(
        calls(&server)
            .iter()
            .skip_while(|it| it.sql() != "COMMIT TRANSACTION")
            .skip(1)
            .all(|it| { it.connection != made_on })
    );
}

#[tokio::test]
async fn tables_that_are_there_are_not_made() {
    let (server, repository, tables) = empty().await;
    tables.make();
    soon(repository.migrate()).await.expect("nothing is to be done");
    soon(repository.open()).await.expect("tables");
    assert_eq!((script(&server), server.opened()), (vec![], 1));
}

#[tokio::test]
async fn who_comes_second_finds_the_tables() {
    for failure in [
        Answer::error(Message::new(2714, "There is already an object named 'store' in the database.")),
        Answer::error(Message::new(1205, "Deadlock victim.").class(13)),
        Answer::cut(),
    ] {
        let (server, repository, tables) = empty().await;
        making_fails(&server, &tables, failure, true);
        soon(repository.migrate()).await.expect("somebody else's tables");
        assert!(script(&server).iter().all(|batch| batch.sql() != "COMMIT TRANSACTION"));
    }
}

#[tokio::test]
async fn who_may_not_make_tables_is_told_so() {
    let (server, repository, tables) = empty().await;
    making_fails(&server, &tables, Answer::error(Message::new(262, "CREATE TABLE permission denied.")), false);
    let failed = soon(repository.migrate()).await.expect_err("no permission");
    assert_eq!(number_of(&failed), Some(262));
    assert!(chain(&failed).contains("permission denied"), "{}", chain(&failed));
    assert!(script(&server).iter().all(|batch| batch.sql() != "COMMIT TRANSACTION"));
    server.wait_closed(1).await;
}

/// Its answer is lost, and the tables are there or not.
#[tokio::test]
async fn a_migration_whose_end_is_lost_looks_whether_it_happened() {
    for happened in [true, false] {
        let (server, repository, tables) = empty().await;
        server.rule({
            let tables = tables.clone();
            move |request| {
                (request.sql() == "COMMIT TRANSACTION").then(|| {
                    tables.0.store(happened, Ordering::Relaxed);
                    Answer::cut()
                })
            }
        });
        assert_eq!(soon(repository.migrate()).await.is_ok(), happened);
        assert_eq!(soon(repository.open()).await.is_ok(), happened);
    }
}

#[tokio::test]
async fn a_lock_that_somebody_keeps_ends_the_migration() {
    let (server, repository, _) = empty().await;
    let kept = "somebody else makes the tables, and does not end";
    server
        .rule(move |request| request.sql().contains("sp_getapplock").then(|| Answer::error(Message::new(52004, kept))));
    let failed = soon(repository.migrate()).await.expect_err("it is kept");
    assert_eq!(number_of(&failed), Some(52004));
    assert_eq!(script(&server).len(), 1);
}

/// Servers before 2019 have no collations for UTF-8.
#[tokio::test]
async fn ids_are_kept_as_the_server_can() {
    for (code_page, column, other) in [
        (Some(65_001), "varchar(64) COLLATE Latin1_General_100_BIN2_UTF8", "nvarchar(64) COLLATE"),
        (None, "nvarchar(64) COLLATE Latin1_General_100_BIN2", "BIN2_UTF8"),
    ] {
        let server = TdsServer::start().await;
        server.rule(move |request| is_settings(request).then(|| settings_answer(code_page)));
        let tables = Tables::default();
        server.otherwise(move |request| tables.answer(request));
        soon(repository(&server).migrate()).await.expect("tables");
        let script = script(&server);
        let made = script.iter().map(Request::sql).find(|batch| batch.contains("CREATE TABLE")).expect("tables");
        assert!(made.contains(column) && !made.contains(other), "{made}");
    }
}

#[tokio::test]
async fn tables_of_a_version_that_is_too_new_are_refused_and_those_of_a_newer_one_that_fits_are_not() {
    for (found, needed, fits) in [(1, 1, true), (99, 1, true), (99, 99, false), (2, 2, false)] {
        let (server, repository) = stage().await;
        server.answers([looked(true), versions(found, needed), looked(true), versions(found, needed)]);
        for opened in [soon(repository.open()).await, soon(repository.migrate()).await] {
            match opened {
                Ok(()) => assert!(fits),
                Err(MssqlError::NewerSchema { found: it, needed: least, known: 1 }) => {
                    assert_eq!((it, least, fits), (found, needed, false));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(script(&server), []);
    }
}

#[tokio::test]
async fn without_tables_it_says_what_to_do() {
    let (server, repository) = stage().await;
    server.answers([looked(false)]);
    let failed = soon(repository.open()).await.expect_err("no tables");
    assert!(matches!(&failed, MssqlError::NoSchema { schema } if schema == "ticket_reservation"), "{failed:?}");
    assert!(failed.to_string().contains("migrate()"), "{failed}");
    assert_eq!(calls(&server)[0].values()[0].as_text(), Some("ticket_reservation"));
}

#[tokio::test]
async fn a_look_whose_answer_stops_too_early_does_not_say_that_there_are_no_tables() {
    for answer in [Answer::new(), Answer::cut(), Answer::rows(Table::new([("object_id", Type::Int)]))] {
        let (server, repository) = stage().await;
        server.answers([answer]);
        let failed = soon(repository.migrate()).await.expect_err("no answer");
        assert!(!matches!(failed, MssqlError::NoSchema { .. }), "{failed:?}");
        assert_eq!(script(&server), [], "nothing is made");
    }
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let server = super::stage::server().await;
    for name in ["", "a\0b", &"x".repeat(129), &"🎫".repeat(65)] {
        let refused = builder(&server).schema(name).build().expect_err("no name");
        assert!(matches!(refused, MssqlError::SchemaName { .. }), "{refused:?}");
    }
    builder(&server).schema("🎫".repeat(64)).build().expect("128 units");
}
