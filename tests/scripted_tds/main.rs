//! The scripted server, as the real client sees it.
#![cfg(feature = "mssql")]

mod answers;
#[path = "../common/authority.rs"]
mod authority;
mod logins;
mod odd;
#[path = "../common/scripted_tds/mod.rs"]
mod scripted_tds;
mod trouble;
mod values;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use scripted_tds::{Answer, Table, TdsServer, Type, Value};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

type TdsClient = Client<Compat<TcpStream>>;

/// How long a test may wait for anything.
const AT_MOST: Duration = Duration::from_secs(30);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, what).await.expect("it does not take so long")
}

/// Of a client that logs in without encryption.
fn config(server: &TdsServer) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(server.port());
    config.authentication(AuthMethod::sql_server("seller", "päss🎫word"));
    config.database("tickets");
    config.application_name("box office");
    config.encryption(EncryptionLevel::NotSupported);
    config
}

async fn connect_with(config: Config) -> Result<TdsClient, Error> {
    let socket = TcpStream::connect(config.get_addr()).await?;
    soon(Client::connect(config, socket.compat_write())).await
}

async fn connect(server: &TdsServer) -> TdsClient {
    connect_with(config(server)).await.expect("a login")
}

/// One column and one row.
fn single(kind: Type, value: impl Into<Value>) -> Table {
    Table::new([("it", kind)]).row([value.into()])
}

fn seven() -> Answer {
    Answer::rows(single(Type::BigInt, 7_i64))
}

/// Asks for a number and gets it.
async fn number(client: &mut TdsClient) -> Result<i64, Error> {
    let rows = soon(client.query("SELECT it", &[])).await?;
    let row = soon(rows.into_row()).await?.expect("a row");
    Ok(row.get(0).expect("a number"))
}

fn assert_io<T: Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
}
