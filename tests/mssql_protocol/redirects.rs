//! A gateway that sends new connections on to another address, as Azure SQL has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ticket_reservation::adapters::mssql::MssqlRepository;
use ticket_reservation::ports::StoreErrorKind::{Permanent, Transient};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::answers::commit_answer;
use super::chain::chain;
use super::runtime::TestRuntime;
use super::stage::{VERY_LONG, commit, commits, server};

/// Answers every login with another address. It serves until the test's runtime ends.
struct Gateway {
    port: u16,
    logins: Arc<AtomicUsize>,
}

impl Gateway {
    /// To this host and port; to itself without a port.
    async fn to(host: &'static str, port: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let logins = Arc::new(AtomicUsize::new(0));
        let counted = logins.clone();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.expect("a connection");
                read_message(&mut client).await;
                client.write_all(&packet(&prelogin_answer())).await.expect("a client");
                read_message(&mut client).await;
                counted.fetch_add(1, Ordering::Relaxed);
                client.write_all(&packet(&sent_on(host, port.unwrap_or(own)))).await.expect("a client");
            }
        });
        Self { port: own, logins }
    }

    fn repository(&self) -> MssqlRepository {
        let string = format!("Server=127.0.0.1,{};User ID=box_office;Password=hunter2", self.port);
        let builder = MssqlRepository::builder(string, TestRuntime::current()).plain_on_loopback();
        builder.acquire_timeout(VERY_LONG).build().expect("a connection string")
    }

    fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }
}

/// Reads packets up to the last one of a message.
async fn read_message(client: &mut TcpStream) {
    let mut header = [0; 8];
    while header[1] & 1 == 0 {
        client.read_exact(&mut header).await.expect("a packet");
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        client.read_exact(&mut vec![0; length - header.len()]).await.expect("a packet");
    }
}

/// An answer in one packet.
fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).expect("a short answer").to_be_bytes();
    [&[4, 1, length[0], length[1], 0, 0, 1, 0], body].concat()
}

/// A version, and no encryption (MS-TDS 2.2.6.5).
fn prelogin_answer() -> Vec<u8> {
    [&[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff][..], &[16, 0, 0x10, 0, 0, 0], &[2]].concat()
}

/// ENVCHANGE of type 20, and DONE (MS-TDS 2.2.7.9).
fn sent_on(host: &str, port: u16) -> Vec<u8> {
    let units: Vec<u8> = host.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = u16::try_from(host.encode_utf16().count()).expect("a short name").to_le_bytes();
    let value = [&[0][..], &port.to_le_bytes(), &length, &units].concat();
    let value_length = u16::try_from(value.len()).expect("a short name").to_le_bytes();
    let change = [&[20][..], &value_length, &value, &[0, 0]].concat();
    let change_length = u16::try_from(change.len()).expect("a short token").to_le_bytes();
    [&[0xe3][..], &change_length, &change, &[0xfd], &[0; 12]].concat()
}

#[tokio::test]
async fn a_connection_that_is_sent_on_goes_there() {
    let server = server().await;
    let gateway = Gateway::to("localhost", Some(server.port())).await;
    server.answers([commit_answer(&[]), commit_answer(&[])]);
    let repository = gateway.repository();
    commits(&repository).await;
    commits(&repository).await;
    assert_eq!((gateway.logins(), server.logins().len(), server.opened()), (1, 1, 1));
}

#[tokio::test]
async fn a_connection_that_is_sent_on_and_on_is_given_up() {
    let gateway = Gateway::to("127.0.0.1", None).await;
    let failed = commit(&gateway.repository()).await.expect_err("it leads nowhere");
    assert_eq!(failed.kind(), Transient, "{}", chain(&failed));
    assert!(chain(&failed).contains("sends every connection on"), "{}", chain(&failed));
    assert_eq!(gateway.logins(), 4);
}

/// Plain connections to this machine are allowed, and none to another. Linux takes this address for its own.
#[tokio::test]
async fn a_plain_connection_is_not_sent_on_to_another_machine() {
    let server = server().await;
    let gateway = Gateway::to("0.0.0.0", Some(server.port())).await;
    server.answers([commit_answer(&[])]);
    let outcome = commit(&gateway.repository()).await;
    assert_eq!(server.logins(), [], "another machine has heard the password");
    assert_eq!(outcome.expect_err("refused").kind(), Permanent);
}
