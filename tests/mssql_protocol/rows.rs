//! Rows of a load, each as a commit may have written it.

use ticket_reservation::domain::{AreaId, CustomerId, OperationId, RecordKey, ReservationId, Snapshot, Timestamp};
use ticket_reservation::ports::{LoadRequest, Repository, StoreError};

use super::answers::{TICKET, changed};
use super::scripted_tds::{Answer, Value};
use super::stage::{event, soon, stage};

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn customer() -> CustomerId {
    CustomerId::new("alice").unwrap()
}

pub(crate) fn stalls() -> AreaId {
    AreaId::new("stalls").unwrap()
}

pub(crate) fn reservation_id(number: u8) -> ReservationId {
    uuid::Uuid::from_bytes([number; 16]).into()
}

pub(crate) fn operation_id() -> OperationId {
    OperationId::from_parts(at(1_000_000), [5; 10])
}

pub(crate) fn uuid_of(number: u8) -> Value {
    vec![number; 16].into()
}

pub(crate) fn null() -> Value {
    Value::Null
}

pub(crate) fn number(it: i64) -> Value {
    it.into()
}

pub(crate) fn ticket_row(id: &str) -> Vec<Value> {
    let place = [id.into(), "stalls".into(), number(1), number(2)];
    let state = ["available".into(), null(), null(), null()];
    [&place[..], &state, &[number(4), number(700)]].concat()
}

pub(crate) fn held_ticket_row() -> Vec<Value> {
    let row = changed(TICKET, ticket_row("A 2"), "state", "held".into());
    changed(TICKET, changed(TICKET, row, "reservation_id", uuid_of(9)), "held_until", number(999))
}

pub(crate) fn allowance_row() -> Vec<Value> {
    vec!["alice".into(), number(2), number(1), number(5), number(600)]
}

pub(crate) fn reservation_row(id: u8) -> Vec<Value> {
    let names = [uuid_of(id), "gala".into(), "alice".into(), "held".into()];
    [&names[..], &[number(999), number(500), number(6), number(400)]].concat()
}

pub(crate) fn line_row(id: u8) -> Vec<Value> {
    vec![uuid_of(id), null(), "floor".into(), number(2)]
}

pub(crate) fn operation_row() -> Vec<Value> {
    let id = operation_id().as_uuid().as_bytes().to_vec();
    let names = [id.into(), "gala".into(), uuid_of(3), "hold".into(), uuid_of(9), "alice".into()];
    [&names[..], &[number(999), number(2), number(1), number(300)]].concat()
}

pub(crate) fn lapsed_row(id: &str, reservation: u8, held_until: i64) -> Vec<Value> {
    vec![id.into(), uuid_of(reservation), number(held_until)]
}

pub(crate) async fn loaded(request: &LoadRequest, answer: Answer) -> Result<Snapshot, StoreError> {
    let (server, repository) = stage().await;
    server.answers([answer]);
    soon(repository.load(request)).await
}

pub(crate) fn of(records: Vec<RecordKey>) -> LoadRequest {
    LoadRequest { event: event(), records, free_in: Vec::new() }
}
