//! What is sent: all of it, in values alone.

use serde_json::{Value as Json, json};
use ticket_reservation::domain::{
    AreaId, CustomerId, EventId, OperationId, Pool, Record, RecordKey, ReservationId, Timestamp,
};
use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, PoolShift, Repository, Write};

use super::answers::{commit_answer, load_answer, settings_answer, small_load_answer};
use super::scripted_tds::{Encryption, Request, TdsServer, Type, Value};
use super::stage::{
    calls, event, group, is_settings, load_request, pool_id, repository, soon, stage, ticket_id, ticket_write,
};

const COMMIT: &str = "EXEC [ticket_reservation].commit_groups @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, @P11";
const LOAD: &str = "EXEC [ticket_reservation].load_records @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9";

/// Where the parameters of a commit are.
const PARTS: usize = 1;
const CHECKS: usize = 3;
const TICKETS: usize = 5;
const POOLS: usize = 6;

/// What would do harm if it were SQL or JSON, and what takes two units of UTF-16.
const AWKWARD: [&str; 7] = [
    "'; DROP TABLE ticket; --",
    "@P1",
    "{schema}",
    "\"],[\"",
    "back\\slash",
    "𝔸🎫\u{10FFFF}",
    "N'x' OR 1=1; EXEC xp_cmdshell 'dir'",
];

fn json_of(request: &Request, at: usize) -> Json {
    serde_json::from_str(request.values()[at].as_text().expect("a text")).expect("JSON")
}

#[tokio::test]
async fn a_commit_of_two_thousand_tickets_arrives_whole_in_small_packets_and_in_parts() {
    let server = TdsServer::with_packets_of(Encryption::NotSupported, 512).await;
    server.rule(|request| is_settings(request).then(|| settings_answer(Some(65_001))));
    let repository = repository(&server);
    let writes: Vec<Write> = (0..2_000).map(|it| ticket_write(&format!("seat {it:04}"), "stalls")).collect();
    server.answers([commit_answer(&[])]);
    let outcomes = soon(repository.commit(&event(), &[Group { reads: vec![], writes, ..Group::default() }])).await;
    assert_eq!(outcomes.expect("an answer"), [GroupOutcome::Committed]);
    let sent = calls(&server).remove(0);
    assert_eq!(sent.largest_packet_bytes, 512);
    assert_eq!(sent.values()[PARTS], &Value::Int(2));
    let rows = json_of(&sent, TICKETS);
    let rows = rows.as_array().expect("rows");
    assert_eq!((rows.len(), json_of(&sent, CHECKS).as_array().map(Vec::len)), (2_000, Some(2_000)));
    for (number, row) in rows.iter().enumerate() {
        let part = number / 1_000;
        let expected = json!([
            part,
            0,
            number + 1,
            0,
            0,
            format!("seat {number:04}"),
            "stalls",
            1,
            1,
            "available",
            null,
            null,
            null
        ]);
        assert_eq!(*row, expected);
    }
}

#[tokio::test]
async fn ids_are_values_of_a_commit_and_never_its_text() {
    let (server, repository) = stage().await;
    for awkward in AWKWARD {
        server.answers([commit_answer(&[])]);
        let event = EventId::new(awkward).unwrap();
        let writes = vec![ticket_write(awkward, awkward)];
        let groups = [Group { reads: vec![(RecordKey::Pool(pool_id(awkward)), 3)], writes, ..Group::default() }];
        soon(repository.commit(&event, &groups)).await.expect("an answer");
        let sent = calls(&server).pop().expect("a request");
        assert_eq!(sent.sql(), COMMIT);
        assert_eq!(sent.values()[0].as_text(), Some(awkward));
        let row = &json_of(&sent, TICKETS)[0];
        assert_eq!((row[5].as_str(), row[6].as_str()), (Some(awkward), Some(awkward)));
        let checks =
            json!([[0, 0, "pool", awkward, null, 3, null, null], [1, 0, "ticket", awkward, null, 0, null, null]]);
        assert_eq!(json_of(&sent, CHECKS), checks);
    }
}

#[tokio::test]
async fn ids_are_values_of_a_load_and_never_its_text() {
    let (server, repository) = stage().await;
    for awkward in AWKWARD {
        server.answers([load_answer([])]);
        let records = vec![
            RecordKey::Event,
            RecordKey::Ticket(ticket_id(awkward)),
            RecordKey::Pool(pool_id(awkward)),
            RecordKey::Allowance(CustomerId::new(awkward).unwrap()),
        ];
        let free_in = vec![AreaId::new(awkward).unwrap()];
        let request = LoadRequest { event: EventId::new(awkward).unwrap(), records, free_in };
        soon(repository.load(&request)).await.expect("a snapshot");
        let sent = calls(&server).pop().expect("a request");
        assert_eq!(sent.sql(), LOAD);
        assert_eq!(sent.values()[0].as_text(), Some(awkward));
        for at in [3, 4, 5, 8] {
            assert_eq!(json_of(&sent, at), json!([awkward]));
        }
        assert_eq!((json_of(&sent, 6), json_of(&sent, 7)), (json!([]), json!([])));
    }
}

/// SQL Server reads the first three parts of a UUID's text with their bytes in the other order.
#[tokio::test]
async fn uuids_are_sent_so_that_the_server_keeps_their_bytes() {
    let (server, repository) = stage().await;
    server.answers([load_answer([])]);
    let id: ReservationId = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let operation = OperationId::from_parts(Timestamp::EPOCH, [0xab; 10]);
    let records = vec![RecordKey::Reservation(id), RecordKey::Operation(operation)];
    soon(repository.load(&LoadRequest { event: event(), records, free_in: vec![] })).await.expect("a snapshot");
    let sent = calls(&server).remove(0);
    assert_eq!(json_of(&sent, 6), json!(["33221100-5544-7766-8899-aabbccddeeff"]));
    let swapped = uuid::Uuid::from_bytes_le(*operation.as_uuid().as_bytes()).to_string();
    assert_eq!(json_of(&sent, 7), json!([swapped]));
}

#[tokio::test]
async fn the_largest_numbers_arrive_as_they_are() {
    let (server, repository) = stage().await;
    server.answers([commit_answer(&[])]);
    let mut largest = group("floor");
    largest.writes[0].version = i64::MAX.unsigned_abs();
    largest.writes[0].decided_at = Timestamp::from_micros(i64::MIN);
    largest.writes[0].record = Record::Pool(Pool { capacity: u32::MAX, held: 1, booked: u32::MAX - 1 });
    soon(repository.commit(&event(), &[largest])).await.expect("an answer");
    let row = json!([0, 0, 1, i64::MAX, i64::MIN, "floor", u32::MAX, 1, u32::MAX - 1, null, null]);
    assert_eq!(json_of(&calls(&server)[0], POOLS), json!([row]));
}

/// Where the group only counts, both in its check and in what it writes.
#[tokio::test]
async fn it_is_said_by_how_much_a_pool_is_moved() {
    let (server, repository) = stage().await;
    server.answers([commit_answer(&[])]);
    let mut counting = group("floor");
    counting.writes[0].version = 7;
    counting.writes[0].record = Record::Pool(Pool { capacity: 9, held: 4, booked: 3 });
    counting.shifts = vec![PoolShift { pool: pool_id("floor"), held: 2, booked: -1 }];
    soon(repository.commit(&event(), &[counting])).await.expect("an answer");
    let sent = calls(&server).remove(0);
    let checks = json!([[0, 0, "event", null, null, 1, null, null], [1, 0, "pool", "floor", null, 7, 2, -1]]);
    assert_eq!(json_of(&sent, CHECKS), checks);
    let row = &json_of(&sent, POOLS)[0];
    assert_eq!(
        row.as_array().expect("a row")[5..],
        [json!("floor"), json!(9), json!(4), json!(3), json!(2), json!(-1)]
    );
}

/// So that the server keeps one plan for all of them.
#[tokio::test]
async fn statements_of_one_kind_have_one_text_and_one_declaration() {
    let (server, repository) = stage().await;
    server.answers([small_load_answer(), small_load_answer()]);
    for records in [vec![], load_request().records] {
        soon(repository.load(&LoadRequest { event: event(), records, free_in: vec![] })).await.expect("a snapshot");
    }
    let sent = calls(&server);
    assert_eq!((sent[0].sql(), sent[0].declarations()), (sent[1].sql(), sent[1].declarations()));
    let kinds: Vec<Type> = sent[0].parameters().iter().map(|parameter| parameter.kind).collect();
    assert_eq!(kinds[..3], [Type::NVarChar(4_000), Type::Bit, Type::BigInt]);
}

#[tokio::test]
async fn the_schema_is_named_as_the_host_names_it() {
    let server = super::stage::server().await;
    let repository = super::stage::builder(&server).schema("the ']' hall").build().expect("a connection string");
    server.answers([load_answer([])]);
    soon(repository.load(&load_request())).await.expect("a snapshot");
    assert!(calls(&server)[0].sql().starts_with("EXEC [the ']]' hall].load_records @P1, "));
}
