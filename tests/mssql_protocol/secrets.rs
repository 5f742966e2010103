//! Passwords are told to the server, and to nobody else.

use std::fmt::Debug;

use ticket_reservation::adapters::mssql::{MssqlRepository, MssqlRepositoryBuilder};

use super::answers::error;
use super::chain::chain;
use super::runtime::TestRuntime;
use super::scripted_tds::{Encryption, LoginAnswer, Message, TdsServer};
use super::stage::{
    PASSWORD, builder, commit, connection_string, default_builder, load, repository, server, server_with, soon,
};
use super::wrong_strings::WRONG;

fn assert_keeps_quiet(shown: impl Debug) {
    for shown in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

fn assert_error_keeps_quiet(error: impl std::error::Error) {
    assert!(!chain(&error).contains(PASSWORD), "{}", chain(&error));
    assert_keeps_quiet(error);
}

/// Builders whose password comes this way and that way.
fn builders(server: &TdsServer) -> [MssqlRepositoryBuilder; 2] {
    let without = connection_string(server).replace(&format!(";Password={PASSWORD}"), "");
    assert_keeps_quiet(&without);
    [builder(server), MssqlRepository::builder(without, TestRuntime::current()).password(PASSWORD).plain_on_loopback()]
}

#[tokio::test]
async fn builders_and_repositories_show_no_password() {
    let server = server().await;
    for builder in builders(&server) {
        assert_keeps_quiet(&builder);
        let repository = builder.build().expect("a connection string");
        assert_keeps_quiet(&repository);
        server.answers([error(1205, 13)]);
        assert_error_keeps_quiet(commit(&repository).await.expect_err("an error"));
        assert_keeps_quiet(&repository);
    }
    assert!(server.logins().iter().all(|login| login.password == PASSWORD));
}

#[tokio::test]
async fn the_password_of_the_connection_string_comes_first() {
    let server = server().await;
    let repository = builder(&server).password("another").build().expect("a connection string");
    server.answers([error(1205, 13)]);
    commit(&repository).await.expect_err("an error");
    assert_eq!(server.logins()[0].password, PASSWORD);
}

#[tokio::test]
async fn a_failed_login_shows_no_password() {
    let server = server().await;
    server.login_otherwise(LoginAnswer::Refuse(Message::new(18456, "Login failed for user 'box_office'.").class(14)));
    let repository = repository(&server);
    assert_error_keeps_quiet(commit(&repository).await.expect_err("refused"));
    assert_error_keeps_quiet(load(&repository).await.expect_err("refused"));
    assert_error_keeps_quiet(soon(repository.migrate()).await.expect_err("refused"));
    server.stop().await;
    assert_error_keeps_quiet(load(&repository).await.expect_err("nobody is there"));
}

#[tokio::test]
async fn a_refused_server_shows_no_password() {
    let server = server_with(Encryption::NotSupported).await;
    let repository = default_builder(&server).build().expect("a connection string");
    assert_error_keeps_quiet(commit(&repository).await.expect_err("refused"));
    assert_error_keeps_quiet(soon(repository.open()).await.expect_err("refused"));
}

#[tokio::test]
async fn a_refused_connection_string_shows_no_password() {
    for rest in WRONG {
        for string in [format!("Server=127.0.0.1;Password={PASSWORD};{rest}"), format!("Password={PASSWORD};{rest}")] {
            let builder = MssqlRepository::builder(string, TestRuntime::current());
            assert_error_keeps_quiet(builder.build().expect_err(rest));
        }
    }
    let far = format!("Server=10.0.0.1;User ID=x;Password={PASSWORD}");
    let builder = MssqlRepository::builder(far, TestRuntime::current()).plain_on_loopback();
    assert_error_keeps_quiet(builder.build().expect_err("another machine"));
}
