//! What PostgreSQL says, and what is known then: the table of the adapter's error module, on a real server.
#![cfg(feature = "postgres")]

#[path = "postgres_errors/connections.rs"]
mod connections;
#[path = "postgres_support/mod.rs"]
mod postgres_support;
#[path = "postgres_errors/times.rs"]
mod times;

use postgres_support::blocker::Blocker;
use postgres_support::chain::chain;
use postgres_support::failing::{self, MOMENTS, Moment};
use postgres_support::groups::{event, load_event, new_event};
use postgres_support::{migrated, server};
use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::domain::{
    AreaId, EventId, Fingerprint, OperationId, OperationRecord, Place, Record, RecordKey, Recorded, Ticket, TicketId,
    TicketState, Timestamp,
};
use ticket_reservation::ports::StoreErrorKind::{self, Permanent, Transient, Unknown};
use ticket_reservation::ports::{Clock, Group, GroupOutcome, LoadRequest, Repository, StoreError, Write};

/// Codes, and what a commit and a load come to.
type Case = (&'static [&'static str], StoreErrorKind, StoreErrorKind);

const CASES: [Case; 11] = [
    // The statement was rolled back.
    (&["40000", "40001", "40002", "40P01"], Transient, Transient),
    (&["55P03", "57014", "cancelled"], Transient, Transient),
    // It may pass.
    (&["53000", "53100", "53200", "53300", "53400"], Transient, Transient),
    // It may be a failover.
    (&["25006"], Transient, Transient),
    // Another connection has what this one lacks.
    (&["26000", "25P02"], Transient, Transient),
    // An invariant is broken.
    (&["23000", "23502", "23503", "23505", "23514", "23P01", "TR002"], Permanent, Permanent),
    // Someone has to repair something.
    (&["28000", "28P01", "3D000", "42501", "42P01", "42883", "42703", "TR003"], Permanent, Permanent),
    // The same would happen again. A cached plan is not the only reason for 0A000.
    (&["0A000", "22003", "25001", "54000", "55000", "58030", "P0001", "XX000", "XX001", "99999"], Permanent, Permanent),
    // Who says so may stand between the server and the adapter.
    (&["08000", "08003", "08006", "08007", "08P01"], Unknown, Transient),
    (&["57000", "57P01", "57P02", "57P03", "57P05", "40003"], Unknown, Transient),
    // A fatal error, which no function can raise.
    (&["ended"], Unknown, Transient),
];

fn cases() -> impl Iterator<Item = (&'static str, StoreErrorKind, StoreErrorKind)> {
    CASES.into_iter().flat_map(|(codes, commit, load)| codes.iter().map(move |code| (*code, commit, load)))
}

/// A schema in which insertions into that table fail.
async fn failing(schema: &str, table: &str, moment: Moment) -> PostgresRepository {
    let repository = migrated(schema).await;
    failing::prepare(schema);
    failing::insertions(schema, table, moment);
    repository
}

/// A new event of that id, and an operation.
async fn commit(repository: &PostgresRepository, id: &str) -> Result<Vec<GroupOutcome>, StoreError> {
    let now = postgres_support::runtime::TestRuntime::current().unix_time();
    let (event, fingerprint) = (EventId::new(id).unwrap(), Fingerprint::from_bytes([0; 16]));
    let key = RecordKey::Operation(OperationId::from_parts(now, [1; 10]));
    let record = Record::Operation(OperationRecord { event: event.clone(), fingerprint, recorded: Recorded::Voided });
    let mut group = new_event();
    group.writes.push(Write { key, version: 0, decided_at: now, record });
    repository.commit(&event, &[group]).await
}

async fn load(repository: &PostgresRepository, id: &str) -> Result<(), StoreError> {
    repository.load(&LoadRequest { event: EventId::new(id).unwrap(), ..load_event() }).await.map(drop)
}

fn kind_of<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    answer.expect_err("an error").kind()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_says_what_is_known_after_a_commit_which_has_written_nothing() {
    for moment in MOMENTS {
        let schema = format!("codes {moment:?}");
        let repository = failing(&schema, "change", moment).await;
        for (code, known, _) in cases() {
            assert_eq!(kind_of(commit(&repository, code).await), known, "after {code} {moment:?}");
            assert_eq!(failing::rows(&schema), "0", "after {code} {moment:?}");
        }
        assert_eq!(failing::count(&schema), cases().count(), "each is tried once");
        commit(&repository, "gala").await.expect("an event like others");
        assert_eq!(failing::rows(&schema), "3");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_says_what_is_known_after_a_load_which_is_never_nothing() {
    let schema = "codes of loads";
    let repository = migrated(schema).await;
    failing::prepare(schema);
    failing::loads(schema);
    for (code, _, known) in cases() {
        assert_eq!(kind_of(load(&repository, code).await), known, "after {code}");
    }
    assert_eq!(failing::count(schema), cases().count(), "each is tried once");
    load(&repository, "gala").await.expect("an event like others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_keeps_what_the_server_has_said() {
    let repository = failing("words", "change", Moment::InIt).await;
    let error = commit(&repository, "XX000").await.expect_err("an error");
    assert!(chain(&error).contains("as a test wants it"), "{}", chain(&error));
}

// ---- lost races

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_loses_every_race_is_tried_six_times_and_has_changed_nothing() {
    for moment in MOMENTS {
        let schema = format!("races {moment:?}");
        let repository = failing(&schema, "change", moment).await;
        assert_eq!(kind_of(commit(&repository, "TR001").await), Transient, "{moment:?}");
        assert_eq!(failing::count(&schema), 6, "{moment:?}");
        assert_eq!(failing::rows(&schema), "0", "{moment:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sixth_attempt_can_win() {
    for moment in MOMENTS {
        let schema = format!("won {moment:?}");
        let repository = failing(&schema, "change", moment).await;
        assert_eq!(commit(&repository, "sixth").await.expect("an answer"), [GroupOutcome::Committed], "{moment:?}");
        assert_eq!(failing::count(&schema), 6, "{moment:?}");
        assert_eq!(failing::rows(&schema), "3", "{moment:?}");
    }
}

/// Of an operation there can be one by somebody else, who has not committed when it is looked for. Everything else is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_a_lost_race_where_an_operation_is_inserted_and_an_alarm_where_it_cannot_be() {
    for (table, moment, known, tries) in [
        ("operation", Moment::InIt, Transient, 6),
        ("operation", Moment::AtItsEnd, Permanent, 1),
        ("event", Moment::InIt, Permanent, 1),
    ] {
        let schema = format!("duplicates in {table} {moment:?}");
        let repository = failing(&schema, table, moment).await;
        assert_eq!(kind_of(commit(&repository, "23505").await), known, "{schema}");
        assert_eq!(failing::count(&schema), tries, "{schema}");
        assert_eq!(failing::rows(&schema), "0", "{schema}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_violation_where_an_operation_is_inserted_is_an_alarm() {
    let repository = failing("violations", "operation", Moment::InIt).await;
    assert_eq!(kind_of(commit(&repository, "23514").await), Permanent);
    assert_eq!(failing::count("violations"), 1);
}

// ---- a deadlock

fn ticket(version: u64) -> Group {
    let place = Place { area: AreaId::new("stalls").unwrap(), row: 1, number: 1 };
    let record = Record::Ticket(Ticket { place, state: TicketState::Available });
    let key = RecordKey::Ticket(TicketId::new("a").unwrap());
    let writes = vec![Write { key, version, decided_at: Timestamp::from_micros(1), record }];
    Group { writes, ..Group::default() }
}

/// The commit has the event and waits for the ticket; somebody has the ticket, and waits for the event from then on. The other one
/// never looks for deadlocks, so the commit finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_ends_in_a_deadlock_has_written_nothing() {
    let schema = "deadlock";
    migrated(schema).await.commit(&event(), &[new_event()]).await.expect("an answer");
    // Whoever waits looks once, and the other one must wait by then.
    server().psql("ALTER ROLE box_office SET deadlock_timeout = '3s'").expect("an answer");
    let repository = postgres_support::builder(schema).build().expect("an address");
    repository.commit(&event(), &[ticket(0)]).await.expect("an answer");
    let somebody = Blocker::with(
        schema,
        &format!(
            "SET LOCAL deadlock_timeout = '10min'; SELECT version FROM \"{schema}\".ticket FOR UPDATE;
            DO $$ BEGIN
                WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                        AND query LIKE '%\"{schema}\".commit_groups%' AND pid <> pg_backend_pid()) LOOP
                    PERFORM pg_stat_clear_snapshot();
                    PERFORM pg_sleep(0.01);
                END LOOP;
            END $$;
            SELECT version FROM \"{schema}\".event FOR UPDATE"
        ),
    );
    let error = repository.commit(&event(), &[ticket(1)]).await.expect_err("both wait");
    assert!(chain(&error).contains("deadlock detected"), "{}", chain(&error));
    assert_eq!(error.kind(), Transient);
    drop(somebody);
    let version = server().psql(&format!("SELECT version FROM \"{schema}\".ticket")).expect("an answer");
    assert_eq!(version, "1");
    assert_eq!(repository.commit(&event(), &[ticket(1)]).await.expect("an answer"), [GroupOutcome::Committed]);
}
