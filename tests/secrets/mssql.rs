//! SQL Server: scripted, refusing, silent, and gone.

use ticket_reservation::adapters::mssql::{MssqlRepository, MssqlRepositoryBuilder, bb8};

use super::answers::{commit_answer, error, settings_answer, small_load_answer};
use super::authority::Authority;
use super::collector::Collector;
use super::runtime::TestRuntime;
use super::scripted_tds::{Answer, Encryption, LoginAnswer, Message, TdsServer, Tls};
use super::secret::Secrets;
use super::stores::call_all;
use super::wrong_strings::WRONG;
use super::{NOT_LONG, soon};

const RIGHT: &str = "mssql-right-1f6e93";
const APART: &str = "mssql-apart-b40c7d";
const LOST: &str = "mssql-lost-92ce08";
const KEY: &str = "mssql-key-60ab5f";

async fn server(encryption: Encryption) -> TdsServer {
    let server = TdsServer::with(encryption).await;
    server.rule(|request| request.sql().ends_with("AS code_page").then(|| settings_answer(Some(65_001))));
    server
}

fn string(server: &TdsServer) -> String {
    format!("Server=tcp:127.0.0.1,{};Database=sale;User ID=box_office;Password={RIGHT}", server.port())
}

fn builder(server: &TdsServer) -> MssqlRepositoryBuilder {
    MssqlRepository::builder(string(server), TestRuntime::current()).plain_on_loopback()
}

/// Builds it and makes every call, and says how many failed; `None` when it could not be built.
async fn use_it(said: &Collector, what: &str, builder: MssqlRepositoryBuilder) -> Option<usize> {
    said.debug(what, &builder);
    let built = builder.build();
    said.answer(what, &built);
    let repository = built.ok()?;
    let ready = [
        said.answer(what, &soon(repository.migrate()).await),
        said.answer(what, &soon(repository.open()).await),
        said.answer(what, &soon(repository.check()).await),
    ];
    Some(call_all(said, what, &repository).await + ready.iter().filter(|good| !**good).count())
}

pub(crate) async fn say_everything(said: &'static Collector, secrets: &mut Secrets) {
    for (what, secret) in [("right", RIGHT), ("given apart", APART), ("lost", LOST), ("key", KEY)] {
        secrets.plant(&format!("SQL Server's password, {what}"), secret);
    }
    that_answer(said).await;
    that_let_nobody_in(said).await;
    that_end(said).await;
    with_tls(said).await;
    what_is_no_connection_string(said);
}

/// Answers and errors of every kind.
async fn that_answer(said: &Collector) {
    let server = server(Encryption::NotSupported).await;
    server.answers([commit_answer(&[]), commit_answer(&[0]), error(1205, 13), small_load_answer()]);
    server.otherwise(|_| Some(error(50_000, 16)));
    let repository = builder(&server).build().expect("a connection string");
    assert_eq!(call_all(said, "answers and errors", &repository).await, 8);
    let without = string(&server).replace(&format!(";Password={RIGHT}"), "");
    let apart = MssqlRepository::builder(without, TestRuntime::current()).password(APART).plain_on_loopback();
    assert!(use_it(said, "a password apart", apart).await.is_some());
    assert!(server.logins().iter().any(|login| login.password == RIGHT), "nobody heard the password");
    assert!(server.logins().iter().any(|login| login.password == APART), "nobody heard the password");
    let mut own = None;
    let repository = builder(&server).build_over(|manager| {
        said.debug("a manager", &manager);
        own.insert(bb8::Pool::builder().max_size(1).build_unchecked(manager)).clone()
    });
    said.answer("over a pool", &repository);
    let pool = own.expect("a pool");
    said.debug("a pool", &pool);
    let connection = soon(pool.get()).await.expect("a connection");
    said.debug("a connection", &*connection);
}

async fn that_let_nobody_in(said: &Collector) {
    let refusal = Message::new(18_456, "Login failed for user 'box_office'.").class(14);
    for answer in [LoginAnswer::Refuse(refusal), LoginAnswer::Hang, LoginAnswer::Close, LoginAnswer::Mute] {
        let server = server(Encryption::NotSupported).await;
        server.login_otherwise(answer);
        let builder = builder(&server).acquire_timeout(NOT_LONG);
        assert_eq!(use_it(said, "nobody is let in", builder).await, Some(14));
    }
}

/// They do not answer, hang up in the middle of an answer, and are gone.
async fn that_end(said: &Collector) {
    let server = server(Encryption::NotSupported).await;
    let repository = builder(&server).call_timeout(NOT_LONG).acquire_timeout(NOT_LONG).build().expect("a string");
    for answer in [Answer::never(), Answer::cut(), small_load_answer().cut_after(20), Answer::cut_reading_after(10)] {
        server.otherwise(move |_| Some(answer.clone()));
        call_all(said, "a server that ends", &repository).await;
    }
    server.stop().await;
    assert_eq!(call_all(said, "a server that is gone", &repository).await, 11);
}

async fn with_tls(said: &Collector) {
    for encryption in [Encryption::NotSupported, Encryption::Declined] {
        let server = server(encryption).await;
        let builder = MssqlRepository::builder(string(&server), TestRuntime::current()).acquire_timeout(NOT_LONG);
        assert_eq!(use_it(said, "a server without TLS", builder).await, Some(14));
    }
    let authority = Authority::new();
    let identity = authority.identity("127.0.0.1");
    let server = server(Encryption::Required(Tls::new(&identity.certificate, &identity.key))).await;
    server.otherwise(|_| Some(error(50_000, 16)));
    let encrypted = || MssqlRepository::builder(string(&server), TestRuntime::current());
    assert_eq!(use_it(said, "an unknown authority", encrypted().acquire_timeout(NOT_LONG)).await, Some(14));
    assert_eq!(server.logins(), []);
    assert!(use_it(said, "TLS", encrypted().root_certificates(authority.pem())).await.is_some());
    assert!(server.logins().iter().any(|login| login.password == RIGHT), "nobody heard the password");
}

fn what_is_no_connection_string(said: &Collector) {
    for rest in WRONG.into_iter().chain([""]) {
        let strings = [
            format!("Server=127.0.0.1;Password={LOST};{rest}"),
            format!("Password={LOST};{rest}"),
            format!("Server=10.0.0.1;Pwd={LOST};{rest}"),
            format!("Server=127.0.0.1;{LOST};{rest}"),
            format!("jdbc:sqlserver://127.0.0.1;password={LOST};{rest}"),
            format!("{LOST}{rest}"),
        ];
        for string in strings {
            let builder = MssqlRepository::builder(string, TestRuntime::current()).plain_on_loopback().password(LOST);
            said.debug("no connection string", &builder);
            said.answer("no connection string", &builder.build());
        }
    }
    let builder = MssqlRepository::builder("Server=127.0.0.1", TestRuntime::current()).root_certificates(KEY);
    said.debug("a certificate", &builder);
    said.answer("a certificate", &builder.build());
}
