//! Lists, the change feed, and forgetting.

use std::time::Duration;

use ticket_reservation::adapters::mssql::MssqlRepository;
use ticket_reservation::domain::{AreaId, RecordKey};
use ticket_reservation::ports::StoreErrorKind::{self, Permanent, Transient, Unknown};
use ticket_reservation::ports::{
    ChangesError, PoolQuery, Purged, Repository, ReservationQuery, StoreError, TicketQuery,
};

use super::answers::{ID, POOL, begin, end, error, load_end, pool_row, table};
use super::scripted_tds::{Answer, Table, TdsServer, Type, Value};
use super::stage::{calls, event, pool_id, soon, stage, ticket_id};

/// How many calls there are that only read.
const READS: usize = 6;

fn kind<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

/// What is known after a call that only reads, if it fails.
async fn read(repository: &MssqlRepository, which: usize) -> Option<StoreErrorKind> {
    let (event, limit) = (event(), 10);
    let tickets = TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit };
    let pools = PoolQuery { event: event.clone(), after: None, limit };
    let reservations = ReservationQuery { event: None, customer: None, state: None, after: None, limit };
    soon(async {
        match which {
            0 => kind(repository.tickets(&tickets).await),
            1 => kind(repository.pools(&pools).await),
            2 => kind(repository.reservations(&reservations).await),
            3 => kind(repository.availability(&event).await),
            4 => kind(repository.lapsed(limit).await),
            _ => match repository.changes(&event, 0, limit).await {
                Err(ChangesError::Store(error)) => Some(error.kind()),
                Err(other) => panic!("{other:?}"),
                Ok(_) => None,
            },
        }
    })
    .await
}

#[tokio::test]
async fn no_query_ever_leaves_anything_unknown() {
    let (server, repository) = stage().await;
    for which in 0..READS {
        for (answer, known) in [
            (error(1205, 13), Transient),
            (error(2627, 14), Transient),
            (error(99999, 16), Transient),
            (error(596, 21).closes(), Transient),
            (error(40197, 17), Transient),
            (error(229, 14), Permanent),
            (error(208, 16), Permanent),
            (Answer::cut(), Transient),
            (Answer::new(), Transient),
            (Answer::rows(begin(1, 1)), Transient),
            (Answer::rows(table("surprise", &[], [vec![]])).then_rows(load_end(1, None)), Permanent),
        ] {
            server.answers([answer]);
            assert_eq!(read(&repository, which).await, Some(known), "of query {which}");
        }
    }
}

#[tokio::test]
async fn a_query_whose_answer_is_cut_anywhere_lists_nothing() {
    let (server, repository) = stage().await;
    let rows = table("pool", POOL, [pool_row("floor", [1, 0, 0]), pool_row("gallery", [1, 0, 0])]);
    let answer = Answer::rows(rows).then_rows(end()).in_packets_of(60);
    let bytes = answer.wire_bytes(super::scripted_tds::Kind::Procedure);
    for cut in 0..bytes {
        server.answers([answer.clone().cut_after(cut)]);
        assert_eq!(read(&repository, 1).await, Some(Transient), "after {cut} of {bytes} bytes");
    }
    server.answers([answer]);
    let query = PoolQuery { event: event(), after: Some(pool_id("a")), limit: 10 };
    let ids: Vec<_> = soon(repository.pools(&query)).await.expect("a list").into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, [pool_id("floor"), pool_id("gallery")]);
}

#[tokio::test]
async fn what_a_query_names_is_a_value_and_never_its_text() {
    const AWKWARD: &str = "'; DROP TABLE ticket; --𝔸";
    let (server, repository) = stage().await;
    server.answers([Answer::rows(end())]);
    let query = TicketQuery {
        event: event(),
        area: Some(AreaId::new(AWKWARD).unwrap()),
        only_available: true,
        after: Some(ticket_id(AWKWARD)),
        limit: usize::MAX,
    };
    assert_eq!(soon(repository.tickets(&query)).await.expect("a list"), []);
    let sent = calls(&server).remove(0);
    assert!(!sent.sql().contains("DROP"), "{}", sent.sql());
    let awkward = Value::from(AWKWARD);
    let page = i64::try_from(ticket_reservation::ports::PAGE_MAX).unwrap();
    assert_eq!(sent.values(), [&"gala".into(), &awkward, &page.into(), &awkward]);
}

// ---- the change feed

const CHANGE: [(&str, Type); 9] = [
    ("kind", Type::NVarChar(32)),
    ("sequence", Type::BigInt),
    ("decided_at", Type::BigInt),
    ("version", Type::BigInt),
    ("pool_id", ID),
    ("capacity", Type::BigInt),
    ("held", Type::BigInt),
    ("booked", Type::BigInt),
    ("event_id", ID),
];

fn feed(sequences: &[i64], purged_through: i64) -> Answer {
    let row = |table: Table, sequence: &i64| {
        let numbers = [*sequence, 5, 1].map(Value::from);
        let pool = ["floor".into(), 10_i64.into(), 0_i64.into(), 0_i64.into(), "gala".into()];
        table.row([&["pool".into()][..], &numbers, &pool].concat())
    };
    let rows = sequences.iter().fold(Table::new(CHANGE), row);
    let columns = &[("changes_purged_through", Type::BigInt)];
    Answer::rows(rows).then_rows(table("end", columns, [vec![purged_through.into()]]))
}

#[tokio::test]
async fn a_page_of_the_feed_is_read_in_its_order() {
    let (server, repository) = stage().await;
    server.answers([feed(&[8, 9], 7)]);
    let changes = soon(repository.changes(&event(), 7, 10)).await.expect("a page");
    assert_eq!(changes.iter().map(|it| it.sequence).collect::<Vec<_>>(), [8, 9]);
    assert!(changes.iter().all(|it| it.key == RecordKey::Pool(pool_id("floor"))));
}

#[tokio::test]
async fn a_reader_whose_position_is_purged_is_told_so() {
    let (server, repository) = stage().await;
    server.answers([feed(&[8, 9], 7)]);
    let truncated = soon(repository.changes(&event(), 6, 10)).await.expect_err("rows are missing");
    assert!(matches!(truncated, ChangesError::Truncated { purged_through: 7 }), "{truncated:?}");
}

#[tokio::test]
async fn a_feed_with_nonsense_in_it_is_refused() {
    let (server, repository) = stage().await;
    server.answers([feed(&[-1], 0)]);
    assert_eq!(read(&repository, 5).await, Some(Permanent));
}

// ---- forgetting

fn purged(operations: i64, changes: i64, done_with: Option<&str>) -> Answer {
    let columns = &[("operations", Type::BigInt), ("changes", Type::BigInt), ("done_with", ID)];
    Answer::rows(table("end", columns, [vec![operations.into(), changes.into(), done_with.into()]]))
}

async fn purge(server: &TdsServer, repository: &MssqlRepository, answer: Answer) -> Result<Purged, StoreError> {
    server.answers([answer]);
    soon(repository.purge(Duration::from_secs(1), 10)).await
}

#[tokio::test]
async fn a_step_of_forgetting_goes_on_where_the_last_one_ended() {
    let (server, repository) = stage().await;
    let first = purge(&server, &repository, purged(3, 4, Some("gala"))).await.expect("a step");
    assert_eq!(first, Purged { operations: 3, changes: 4 });
    purge(&server, &repository.clone(), purged(0, 0, Some(""))).await.expect("a step");
    purge(&server, &repository, purged(0, 0, None)).await.expect("a step");
    let from: Vec<_> = calls(&server).iter().map(|it| it.values()[2].as_text().map(str::to_owned)).collect();
    assert_eq!(from, [Some(String::new()), Some("gala".to_owned()), Some(String::new())]);
}

#[tokio::test]
async fn a_step_of_forgetting_whose_answer_is_lost_may_have_happened() {
    let (server, repository) = stage().await;
    for (answer, known) in [
        (Answer::cut(), Unknown),
        (Answer::new(), Unknown),
        (error(99999, 16), Unknown),
        (error(1205, 13), Transient),
        (error(229, 14), Permanent),
    ] {
        assert_eq!(kind(purge(&server, &repository, answer).await), Some(known));
    }
    purge(&server, &repository, purged(0, 0, None)).await.expect("a step");
    assert!(calls(&server).iter().all(|it| it.values()[2].as_text() == Some("")), "it has not gone on");
}
