//! The PostgreSQL adapter, beyond what the conformance suite asks of every repository: on real servers of its own.
#![cfg(feature = "postgres")]

#[path = "common/authority.rs"]
mod authority;
#[path = "postgres_support/mod.rs"]
mod postgres_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use authority::Authority;
use futures_util::FutureExt;
use futures_util::future::join_all;
use postgres_support::blocker::{Blocker, is_waited_for};
use postgres_support::chain::chain;
use postgres_support::groups::{another_commit, event, load_event, new_event};
use postgres_support::postgres_server::{Durability, PostgresServer};
use postgres_support::runtime::TestRuntime;
use postgres_support::{AT_MOST, builder, migrated, server};
use ticket_reservation::adapters::postgres::{
    Finding, PostgresError, PostgresRepository, PostgresRepositoryBuilder, bb8,
};
use ticket_reservation::domain::{
    AreaId, CustomerId, Fingerprint, Lines, OperationId, OperationRecord, Place, PoolId, Record, RecordKey, Recorded,
    Reservation, ReservationId, ReservationState, TicketId, TicketState, Timestamp,
};
use ticket_reservation::ports::{
    Availability, Clock, Group, GroupOutcome, LoadRequest, Repository, RuntimeExt, StoreError, StoreErrorKind,
    TicketQuery, Write,
};
use tokio::net::TcpListener;

async fn refused(builder: PostgresRepositoryBuilder) -> StoreError {
    builder.build().expect("an address").load(&load_event()).await.expect_err("it cannot be used")
}

// ---- tables

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_instances_that_migrate_at_once_make_one_schema() {
    let instances: Vec<_> = (0..10).map(|_| builder("ten at once").build().expect("an address")).collect();
    for migrated in join_all(instances.iter().map(PostgresRepository::migrate)).await {
        migrated.expect("tables");
    }
    assert_eq!(server().psql("SELECT count(*) FROM \"ten at once\".store").unwrap(), "1");
    for instance in &instances {
        instance.open().await.expect("its tables");
    }
    let outcomes = instances[3].commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(outcomes, [GroupOutcome::Committed]);
    instances[0].migrate().await.expect("nothing is to be done");
    let found = instances[7].load(&load_event()).await.expect("a snapshot");
    assert_eq!(found.get(&RecordKey::Event).map(|it| it.version), Some(1), "what is there stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tables_it_says_what_to_do() {
    let repository = builder("nothing here").build().expect("an address");
    let error = repository.open().await.expect_err("no tables");
    assert!(matches!(error, PostgresError::NoSchema { .. }) && error.to_string().contains("migrate()"), "{error}");
    assert_eq!(repository.load(&load_event()).await.expect_err("no tables").kind(), StoreErrorKind::Permanent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_a_team_has_made_itself_are_used() {
    let repository = builder("by hand").build().expect("an address");
    server().psql(&repository.schema_sql()).expect("tables");
    repository.open().await.expect("its tables");
    assert_eq!(repository.availability(&event()).await.expect("an answer").areas, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_version_that_is_too_new_are_refused_and_those_of_a_newer_one_that_fits_are_not() {
    let repository = migrated("newer").await;
    server().psql("UPDATE newer.store SET schema_version = 3").expect("an answer");
    repository.open().await.expect("it says that version 1 may use it");
    server().psql("UPDATE newer.store SET compatible_with = 2").expect("an answer");
    for refused in [repository.open().await, repository.migrate().await] {
        let error = refused.expect_err("too new");
        assert!(matches!(error, PostgresError::NewerSchema { found: 3, needed: 2, known: 1 }), "{error:?}");
    }
}

// ---- what the server says

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_come_in_is_told_why_and_no_secret_is() {
    migrated("who").await;
    let port = server().port();
    let with = |url: String| PostgresRepository::builder(url, TestRuntime::current()).schema("who").plain_on_loopback();
    let wrong = refused(with(format!("postgresql://box_office:hunter2@127.0.0.1:{port}/postgres"))).await;
    assert!(chain(&wrong).contains("password authentication failed"), "{}", chain(&wrong));
    let nowhere = refused(with(server().url().replace("/postgres", "/elsewhere"))).await;
    assert!(chain(&nowhere).contains("does not exist"), "{}", chain(&nowhere));
    server().psql("CREATE ROLE usher LOGIN PASSWORD 'hunter2'").expect("a role");
    let forbidden = refused(with(format!("postgresql://usher:hunter2@127.0.0.1:{port}/postgres"))).await;
    assert!(chain(&forbidden).contains("permission denied"), "{}", chain(&forbidden));
    let tls = refused(PostgresRepository::builder(server().url(), TestRuntime::current()).schema("who")).await;
    for error in [wrong, nowhere, forbidden, tls] {
        assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
        assert!(!format!("{} {error:?}", chain(&error)).contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_may_be_there_later() {
    let url = server().url().replace(&server().port().to_string(), "1");
    let error = refused(PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback()).await;
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_breaks_a_rule_of_the_tables_is_an_alarm() {
    let repository = migrated("alarm").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let id = PoolId::new("floor").unwrap();
    let record = Record::Pool(ticket_reservation::domain::Pool { capacity: 1, held: 1, booked: 1 });
    let write = Write { key: RecordKey::Pool(id), version: 0, decided_at: Timestamp::from_micros(1), record };
    let error = repository
        .commit(&event(), &[Group { reads: vec![], writes: vec![write], ..Group::default() }])
        .await
        .expect_err("oversold");
    assert_eq!(error.kind(), StoreErrorKind::Permanent);
    assert!(chain(&error).contains("pool_is_not_oversold"), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_not_had_in_time_changes_nothing() {
    let repository = migrated("lock timeout").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let blocker = Blocker::start("lock timeout");
    let impatient = builder("lock timeout").call_timeout(Duration::from_millis(200)).build().expect("an address");
    let error = impatient.commit(&event(), &[another_commit()]).await.expect_err("somebody has the row");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    drop(blocker);
    let outcome = impatient.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed], "on the same connection or another");
}

/// That an operation is not purged is looked at before anything is written, and again once it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_a_purge_forgets_while_its_commit_waits_is_not_written() {
    let schema = "purged meanwhile";
    let repository = migrated(schema).await;
    let now = TestRuntime::current().unix_time();
    let an_hour_ago = now.before(Duration::from_secs(3_600));
    let write = |key, record| Write { key, version: 0, decided_at: now, record };
    let operation = |number| {
        let (event, fingerprint) = (event(), Fingerprint::from_bytes([0; 16]));
        let key = RecordKey::Operation(OperationId::from_parts(an_hour_ago, [number; 10]));
        write(key, Record::Operation(OperationRecord { event, fingerprint, recorded: Recorded::Voided }))
    };
    let of = |writes| Group { writes, ..Group::default() };
    let mut event_made_now = new_event();
    event_made_now.writes[0].decided_at = now;
    event_made_now.writes.push(operation(1));
    repository.commit(&event(), &[event_made_now]).await.expect("an answer");

    let id = ReservationId::from_parts(now, [1; 10]);
    let lines = Lines::merge(vec![TicketId::new("a").unwrap()], Vec::new()).unwrap();
    let booked = Reservation {
        id,
        event: event(),
        customer: CustomerId::new("ada").unwrap(),
        lines,
        state: ReservationState::Booked,
        held_at: now,
    };
    let late = of(vec![write(RecordKey::Reservation(id), Record::Reservation(booked)), operation(2)]);
    let forgotten = late.writes[1].key.clone();
    // Somebody has inserted the reservation, and the commit waits for what becomes of that.
    let blocker = Blocker::with(
        schema,
        &format!(
            "INSERT INTO \"{schema}\".reservation (reservation_id, event_id, customer_id, state, held_at, version, decided_at,
                tickets) VALUES ('{id}', 'gala', 'bob', 'booked', 1, 1, 1, '{{a}}')"
        ),
    );
    let (event, groups) = (event(), [late]);
    let commit = repository.commit(&event, &groups);
    let purge = async {
        is_waited_for(schema).await;
        let purged = repository.purge(Duration::from_secs(1_800), 10).await.expect("an answer");
        assert_eq!(purged.operations, 1, "the one that is there");
        drop(blocker);
    };
    let (outcomes, ()) = tokio::join!(commit, purge);
    let conflict = GroupOutcome::Conflict { stale: vec![forgotten.clone()] };
    assert_eq!(outcomes.expect("an answer"), [conflict]);
    let loaded = repository.load(&LoadRequest { event, records: vec![forgotten.clone()], free_in: Vec::new() }).await;
    assert!(loaded.expect("an answer").get(&forgotten).is_none_or(|it| it.record.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_during_a_commit_leaves_its_outcome_unknown() {
    let repository = migrated("ended").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let _blocker = Blocker::start("ended");
    let (groups, event) = ([another_commit()], event());
    let commit = repository.commit(&event, &groups);
    let end = async {
        is_waited_for("ended").await;
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%\"ended\".commit_groups%' AND pid <> pg_backend_pid()";
        server().psql(sql).expect("an answer");
    };
    let (error, ()) = tokio::join!(commit, end);
    let error = error.expect_err("its connection is gone");
    assert_eq!(error.kind(), StoreErrorKind::Unknown, "{}", chain(&error));
}

/// The next call would wait for its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_call_was_dropped_is_not_used_again() {
    // The server does not end the dropped call during this test.
    let patient = builder("dropped").call_timeout(Duration::from_secs(3_600));
    let repository = patient.pool_size(1).build().expect("an address");
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let _blocker = Blocker::start("dropped");
    {
        let (groups, event) = ([another_commit()], event());
        let mut commit = repository.commit(&event, &groups);
        assert!((&mut commit).now_or_never().is_none());
        let waits = std::pin::pin!(is_waited_for("dropped"));
        assert!(matches!(futures_util::future::select(commit, waits).await, futures_util::future::Either::Right(_)));
    }
    let event = event();
    let answer = tokio::time::timeout(AT_MOST, repository.availability(&event)).await;
    let found: Availability = answer.expect("it waits for the call that was dropped").expect("an answer");
    assert_eq!(found.areas, []);
}

/// It accepts connections and says nothing. Nobody waits for that, and it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_keeps_neither_a_call_nor_the_pool() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("postgresql://a:hunter2@{}/b", listener.local_addr().expect("an address"));
    let builder = PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback().pool_size(1);
    let repository = builder.acquire_timeout(Duration::from_millis(100)).build().expect("an address");
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok(connection) = listener.accept().await {
            kept.push(connection);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let calls = async {
        // The pool has room for one attempt at a time.
        while accepted.load(Ordering::SeqCst) < 3 {
            let error = repository.load(&load_event()).await.expect_err("nobody answers");
            assert_eq!(error.kind(), StoreErrorKind::Transient);
        }
        repository.check().await.expect_err("nobody answers");
        repository.migrate().await.expect_err("nobody answers");
    };
    tokio::time::timeout(AT_MOST, calls).await.expect("it is waited for");
    accepting.abort();
}

// ---- the check

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_lose_an_acknowledged_sale_is_found() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let found = async |server: &PostgresServer| {
        let builder = PostgresRepository::builder(server.url(), TestRuntime::current()).plain_on_loopback();
        let repository = builder.build().expect("an address");
        repository.migrate().await.expect("tables");
        repository.check().await.expect("an answer")
    };
    assert_eq!(found(&server).await, []);
    // Waiting for the own disk alone is too little where a standby is to be waited for.
    server.psql("ALTER SYSTEM SET synchronous_commit = local").expect("an answer");
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'").expect("an answer");
    server.psql("SELECT pg_reload_conf()").expect("an answer");
    let local = Finding::NotDurable { setting: "synchronous_commit".to_owned(), value: "local".to_owned() };
    assert_eq!(found(&server).await, [local]);
    server.psql("ALTER SYSTEM RESET synchronous_standby_names").expect("an answer");
    server.psql("ALTER SYSTEM SET synchronous_commit = off").expect("an answer");
    server.psql("ALTER SYSTEM SET default_transaction_read_only = on").expect("an answer");
    server.psql("SELECT pg_reload_conf()").expect("an answer");
    assert_eq!(found(&server).await, [Finding::ReadOnly], "what its connections may switch on is on");
    let is_off = |name: &str| Finding::NotDurable { setting: name.to_owned(), value: "off".to_owned() };
    let forgetful = found(self::server()).await;
    assert_eq!(forgetful, [is_off("fsync"), is_off("full_page_writes")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_missing_is_found_and_those_of_the_page_are_enough() {
    let owner = migrated("permissions").await;
    owner.commit(&event(), &[new_event()]).await.expect("an answer");
    server().psql("CREATE ROLE seller LOGIN PASSWORD 'hunter2'").expect("a role");
    let page = include_str!("../docs/backends/postgres.md");
    let grants: Vec<&str> = page.lines().filter(|line| line.starts_with("GRANT ")).collect();
    assert_eq!(grants.len(), 3);
    for grant in grants {
        server().psql(&grant.replace("ticket_reservation", "permissions")).expect("it is granted");
    }
    let url = format!("postgresql://seller:hunter2@127.0.0.1:{}/postgres", server().port());
    let builder =
        || PostgresRepository::builder(&url, TestRuntime::current()).schema("permissions").plain_on_loopback();
    let seller = builder().build().expect("an address");
    let lacking = async || -> Vec<String> {
        let found = seller.check().await.expect("an answer").into_iter();
        found.filter_map(|it| if let Finding::MissingPermission { of } = it { Some(of) } else { None }).collect()
    };
    assert_eq!(lacking().await, [""; 0]);
    seller.open().await.expect("its tables");
    assert_eq!(seller.commit(&event(), &[another_commit()]).await.expect("an answer"), [GroupOutcome::Committed]);
    seller.load(&load_event()).await.expect("a snapshot");
    seller.purge(Duration::ZERO, 10).await.expect("a step");
    for (privilege, table) in [
        ("UPDATE", "store"),
        ("INSERT", "event"),
        ("SELECT", "pool"),
        ("UPDATE", "allowance"),
        ("INSERT", "reservation"),
        ("DELETE", "hold"),
        ("DELETE", "operation"),
        ("DELETE", "change"),
    ] {
        server().psql(&format!("REVOKE {privilege} ON permissions.{table} FROM seller")).expect("an answer");
        assert_eq!(lacking().await, [format!("table {table}")], "without {privilege}");
        server().psql(&format!("GRANT {privilege} ON permissions.{table} TO seller")).expect("an answer");
    }
    server().psql("REVOKE UPDATE ON permissions.ticket FROM seller").expect("an answer");
    server().psql("REVOKE EXECUTE ON FUNCTION permissions.purge_step FROM seller, public").expect("an answer");
    assert_eq!(lacking().await, ["function purge_step", "table ticket"]);
}

// ---- TLS

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_with_the_authorities_that_are_trusted() {
    let (server, authority) = (PostgresServer::start(Durability::Forgetful).expect("a server"), Authority::new());
    let identity = authority.identity("127.0.0.1");
    server.speak_tls(&identity.certificate, &identity.key).expect("it speaks TLS");
    let builder = || PostgresRepository::builder(server.url(), TestRuntime::current());
    let repository = builder().root_certificates(authority.pem()).build().expect("an address");
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'ticket-reservation'";
    assert_eq!(server.psql(encrypted).expect("an answer"), "t");
    for unknown in [builder(), builder().root_certificates(Authority::new().pem())] {
        let error = refused(unknown).await;
        assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
        assert!(chain(&error).contains("TLS"), "{}", chain(&error));
    }
    let unusable = builder().root_certificates("none").build().expect_err("no certificate");
    assert!(matches!(unusable, PostgresError::Certificate { .. }));
}

/// Old versions of TLS are not spoken, whoever offers them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_tls_that_is_not_safe_is_refused() {
    let (server, authority) = (PostgresServer::start(Durability::Forgetful).expect("a server"), Authority::new());
    let identity = authority.identity("127.0.0.1");
    server.speak_tls(&identity.certificate, &identity.key).expect("it speaks TLS");
    for (setting, version) in [("ssl_min_protocol_version", "TLSv1"), ("ssl_max_protocol_version", "TLSv1.1")] {
        server.psql(&format!("ALTER SYSTEM SET {setting} = '{version}'")).expect("an old version");
    }
    server.psql("SELECT pg_reload_conf()").expect("it reads that");
    let builder = PostgresRepository::builder(server.url(), TestRuntime::current()).root_certificates(authority.pem());
    let error = refused(builder).await;
    assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
    assert!(chain(&error).contains("TLS"), "{}", chain(&error));
}

// ---- names

/// In a language's own order, `a` comes before `B`, and `é` before `z`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_compared_byte_by_byte_whatever_the_databases_language() {
    let language = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
    server().psql(&format!("CREATE DATABASE english {language}")).expect("a database");
    let url = server().url().replace("/postgres", "/english");
    let repository = PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback().build().unwrap();
    repository.migrate().await.expect("tables");
    let mut group = new_event();
    let ids = ["B", "Z", "a", "z", "é"];
    for id in ids {
        let place = Place { area: AreaId::new(id).unwrap(), row: 1, number: 1 };
        let record = Record::Ticket(ticket_reservation::domain::Ticket::available(place));
        let key = RecordKey::Ticket(TicketId::new(id).unwrap());
        group.writes.push(Write { key, version: 0, decided_at: Timestamp::from_micros(1), record });
    }
    repository.commit(&event(), &[group]).await.expect("an answer");
    let mut query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: 2 };
    let mut listed = Vec::new();
    loop {
        let page = repository.tickets(&query).await.expect("a page");
        let Some((last, ..)) = page.last() else { break };
        query.after = Some(last.clone());
        listed.extend(page.into_iter().map(|(id, ..)| id.to_string()));
    }
    assert_eq!(listed, ids);
    let areas = repository.availability(&event()).await.expect("an answer").areas;
    assert_eq!(areas.iter().map(|area| area.area.as_str()).collect::<Vec<_>>(), ids);
    let records = ids.map(|id| RecordKey::Ticket(TicketId::new(id).unwrap())).to_vec();
    let request = LoadRequest { event: event(), records: records.clone(), free_in: vec![AreaId::new("é").unwrap()] };
    let found = repository.load(&request).await.expect("a snapshot");
    assert!(records.iter().all(|key| found.get(key).is_some_and(|it| it.version == 1)));
    assert_eq!(found.free(&AreaId::new("é").unwrap()), Some(&[TicketId::new("é").unwrap()][..]));
}

// ---- plans

const SEATS: u32 = 20_000;

fn place(n: u32) -> Place {
    Place { area: AreaId::new(format!("area {}", n % 7)).unwrap(), row: n / 50, number: n }
}

fn seat(n: u32) -> TicketId {
    TicketId::new(format!("seat {n:06}")).unwrap()
}

/// Index entries that were read in a schema. Rows that are gone through and thrown away count, and so do those that are wanted.
fn index_entries_read(schema: &str) -> i64 {
    // A connection tells what it has done when it ends, at the latest.
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
         WHERE application_name = 'ticket-reservation' AND query LIKE '%\"{schema}\"%'"
    );
    server().psql(&end).expect("they end");
    let sql = format!("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = '{schema}'");
    server().psql(&sql).expect("an answer").parse().expect("a number")
}

/// On statements that were prepared when the tables were empty, as those of a service that has made them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_is_written_or_loaded_is_found_by_its_whole_key() {
    let repository = builder("plans").pool_size(1).build().expect("an address");
    repository.migrate().await.expect("tables");
    // All of the functions' statements are planned by this, on tables in which nothing is.
    let hold = |version: u64, seats: std::ops::Range<u32>| {
        let write = |n: u32| {
            let reservation = TestRuntime::current().reservation_id();
            let state = TicketState::Held { reservation, until: Timestamp::from_micros(4_000_000_000_000_000) };
            let record = Record::Ticket(ticket_reservation::domain::Ticket { place: place(n), state });
            Write { key: RecordKey::Ticket(seat(n)), version, decided_at: Timestamp::from_micros(1), record }
        };
        Group { reads: Vec::new(), writes: seats.map(write).collect(), ..Group::default() }
    };
    let load = |n: u32| LoadRequest {
        event: event(),
        records: vec![RecordKey::Event, RecordKey::Ticket(seat(n))],
        free_in: Vec::new(),
    };
    let committed = async |group: Group| {
        assert_eq!(repository.commit(&event(), &[group]).await.expect("an answer"), [GroupOutcome::Committed]);
    };
    committed(new_event()).await;
    repository.load(&load(0)).await.expect("a snapshot");
    committed(hold(0, 0..1)).await;
    committed(hold(1, 0..1)).await;
    for first in (1..SEATS).step_by(1_000) {
        committed(hold(0, first..SEATS.min(first + 1_000))).await;
    }
    // The connection that has all of those plans is still the one.
    const TIMES: u32 = 40;
    for n in 0..TIMES {
        repository.load(&load(1 + n * 97)).await.expect("a snapshot");
        committed(hold(1, 1 + n * 97..2 + n * 97)).await;
    }
    // A few for each seat of the import. Going through the event for each of the others would be ten times as many.
    let (read, most) = (index_entries_read("plans"), i64::from(SEATS) * 4 + i64::from(TIMES) * 50);
    assert!(read < most, "{read} index entries were read, and {most} would be many");
}

// ---- a pool of the host's own

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_own_pool_is_used_by_the_repository_and_by_the_host() {
    let mut own = None;
    let repository = builder("own pool").build_over(|manager| {
        own.insert(bb8::Pool::builder().max_size(1).test_on_check_out(false).build_unchecked(manager)).clone()
    });
    let (repository, own) = (repository.expect("an address"), own.expect("a pool"));
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(own.state().connections, 1);
    let id_of = async |says_so: bool| {
        let mut connection = own.get().await.expect("a connection");
        let row = connection.client().query_one("SELECT pg_backend_pid()", &[]).await.expect("a row");
        if says_so {
            connection.clean();
        }
        row.get::<_, i32>(0)
    };
    let first = id_of(true).await;
    repository.load(&load_event()).await.expect("a snapshot");
    assert_eq!(id_of(false).await, first);
    repository.load(&load_event()).await.expect("a snapshot");
    assert_ne!(id_of(true).await, first);
}

// ---- a full disk

/// As the server says it, from inside of the commit's own transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_transient_and_nothing_is_written() {
    let repository = migrated("full").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let full = "CREATE FUNCTION \"full\".fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER fails AFTER INSERT ON \"full\".change EXECUTE FUNCTION \"full\".fails()";
    server().psql(full).expect("a trigger");
    let error = repository.commit(&event(), &[another_commit()]).await.expect_err("it is full");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    server().psql("DROP TRIGGER fails ON \"full\".change").expect("room");
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed]);
}
