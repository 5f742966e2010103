//! A server that speaks TDS 7.4 as SQL Server does, over real sockets, and says what a test has told it to.
//!
//! It understands what clients send (PRELOGIN, LOGIN7, batches, procedures, the transaction manager, attentions), keeps
//! it for the test, and runs no SQL. Answers come from rules, then from a queue, then from a default. What is not as
//! MS-TDS has it, and a request for which nothing is scripted, ends the connection and makes the test panic as soon as
//! it looks.
//!
//! ```ignore
//! let server = TdsServer::start().await;
//! let seats = Table::new([("id", Type::BigInt), ("name", Type::NVarChar(40))]).row([7_i64.into(), "A 1".into()]);
//! server.answers([Answer::rows(seats).then_affected(3), Answer::error(Message::new(1205, "…").class(13))]);
//! // … the client connects to `server.port()` and asks …
//! assert_eq!(server.requests_reach(2).await[0].values(), [&Value::from("A 1")]);
//! ```
#![allow(dead_code, reason = "each test file uses its own part")]

mod acts;
mod answer;
mod handshake;
mod hearing;
mod login;
mod reader;
mod request;
mod script;
mod server;
mod state;
mod table;
mod tls;
mod tokens;
mod types;
mod value;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use self::{
    answer::Answer,
    handshake::Encryption,
    login::Login,
    request::{Call, Kind, Parameter, Request, Transaction},
    script::{Gate, LoginAnswer, Wait},
    table::Table,
    tls::Tls,
    tokens::Message,
    types::Type,
    value::Value,
};
use self::{server::Settings, state::Shared};

/// A server on 127.0.0.1. A clone is the same one; when the last is dropped, all its connections end.
#[derive(Clone)]
pub(crate) struct TdsServer(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl TdsServer {
    /// Without encryption.
    pub(crate) async fn start() -> Self {
        Self::with(Encryption::NotSupported).await
    }

    pub(crate) async fn with(encryption: Encryption) -> Self {
        Self::with_packets_of(encryption, 32_767).await
    }

    /// Packets have at most so many bytes, or fewer when the client wants it.
    pub(crate) async fn with_packets_of(encryption: Encryption, packet_bytes_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::new(Settings { encryption, packet_bytes_max }));
        let listening = tokio::spawn(server::listen(listener, shared.clone()));
        Self(Arc::new(Inner { shared, address, listening: Mutex::new(Some(listening)) }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.address.port()
    }

    // ---- the script

    /// The next requests, of any connection, are answered so, one after another.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) -> &Self {
        self.0.shared.change(|state| state.answers.extend(answers));
        self
    }

    /// A request for which this has an answer has it, and takes none from the queue. An earlier rule goes first.
    pub(crate) fn rule(&self, rule: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> &Self {
        self.0.shared.change(|state| state.rules.push(Arc::new(rule)));
        self
    }

    /// What is answered when the queue is empty.
    pub(crate) fn otherwise(&self, default: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> &Self {
        self.0.shared.change(|state| state.default = Some(Arc::new(default)));
        self
    }

    /// How the logins of the next connections go, one after another. All later ones go as
    /// [`TdsServer::login_otherwise`] has it, which is well.
    pub(crate) fn logins_go(&self, answers: impl IntoIterator<Item = LoginAnswer>) -> &Self {
        self.0.shared.change(|state| state.login_answers.extend(answers));
        self
    }

    pub(crate) fn login_otherwise(&self, answer: LoginAnswer) -> &Self {
        self.0.shared.change(|state| state.login_default = Some(answer));
        self
    }

    /// Attentions are counted, and otherwise not heeded.
    pub(crate) fn ignore_attention(&self, ignores: bool) -> &Self {
        self.0.shared.change(|state| state.ignores_attention = ignores);
        self
    }

    /// All connections of now end.
    pub(crate) fn close_all(&self) {
        self.0.shared.change(|state| state.open.values().for_each(|connection| connection.abort()));
    }

    /// Nobody listens any more, and all connections end.
    pub(crate) async fn stop(&self) {
        let listening = self.listening().take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
        }
        self.close_all();
        self.0.shared.until("only connections that have ended", |state| state.open.is_empty().then_some(())).await;
    }

    /// Listens again, at the same address.
    pub(crate) async fn start_again(&self) {
        let listener = TcpListener::bind(self.0.address).await.expect("the port");
        *self.listening() = Some(tokio::spawn(server::listen(listener, self.0.shared.clone())));
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.0.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- what it has seen

    /// All requests of all connections, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.shared.look(|state| state.requests.clone())
    }

    pub(crate) fn logins(&self) -> Vec<Login> {
        self.0.shared.look(|state| state.logins.clone())
    }

    /// How many attentions have come.
    pub(crate) fn attentions(&self) -> usize {
        self.0.shared.look(|state| state.attentions)
    }

    /// How many requests were cut while they were read.
    pub(crate) fn cut_requests(&self) -> usize {
        self.0.shared.look(|state| state.cut_requests)
    }

    /// How many answers are in the queue still.
    pub(crate) fn answers_left(&self) -> usize {
        self.0.shared.look(|state| state.answers.len())
    }

    /// How many connections have ever been opened.
    pub(crate) fn opened(&self) -> usize {
        self.0.shared.look(|state| state.opened)
    }

    /// The numbers of the connections that are open.
    pub(crate) fn open(&self) -> Vec<usize> {
        self.0.shared.look(|state| state.open.keys().copied().collect())
    }

    /// Why connections have ended that neither side has ended in good order: what a handshake failed of, for example.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.0.shared.look(|state| state.errors.clone())
    }

    // ---- waiting for it

    /// Waits until so many requests have come in all, and returns all of them.
    pub(crate) async fn requests_reach(&self, count: usize) -> Vec<Request> {
        let enough = |state: &state::State| (state.requests.len() >= count).then(|| state.requests.clone());
        self.0.shared.until(&format!("{count} requests"), enough).await
    }

    /// Waits until so many answers have been sent to their end, in all.
    pub(crate) async fn answers_sent_reach(&self, count: usize) {
        let enough = |state: &state::State| (state.answers_sent >= count).then_some(());
        self.0.shared.until(&format!("{count} answers"), enough).await;
    }

    /// Waits until so many logins have come in all.
    pub(crate) async fn logins_reach(&self, count: usize) -> Vec<Login> {
        let enough = |state: &state::State| (state.logins.len() >= count).then(|| state.logins.clone());
        self.0.shared.until(&format!("{count} logins"), enough).await
    }

    /// Waits until so many attentions have come in all.
    pub(crate) async fn attentions_reach(&self, count: usize) {
        let enough = |state: &state::State| (state.attentions >= count).then_some(());
        self.0.shared.until(&format!("{count} attentions"), enough).await;
    }

    /// Waits until so many connections have been opened in all.
    pub(crate) async fn wait_opened(&self, count: usize) {
        let enough = |state: &state::State| (state.opened >= count).then_some(());
        self.0.shared.until(&format!("{count} connections"), enough).await;
    }

    /// Waits until so many connections have ended in all, by whichever side.
    pub(crate) async fn wait_closed(&self, count: usize) {
        let enough = |state: &state::State| (state.closed() >= count).then_some(());
        self.0.shared.until(&format!("{count} connections that have ended"), enough).await;
    }
}

impl std::fmt::Debug for TdsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TdsServer").field(&self.0.address).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let listening = self.listening.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(listening) = listening.take() {
            listening.abort();
        }
        self.shared.change(|state| state.open.values().for_each(|connection| connection.abort()));
        // A test that has not looked must not overlook it.
        if !std::thread::panicking() {
            self.shared.look(|_| ());
        }
    }
}
