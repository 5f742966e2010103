//! What a record must be, wherever it was read.

use std::error::Error;

use ticket_reservation::domain::{
    AreaId, BlockReason, CustomerId, LINES_MAX, Lines, OperationRecord, Pool, PoolId, Record, RecordKey, Recorded,
    Reservation, Snapshot, Ticket, TicketId, TicketState,
};
use ticket_reservation::ports::{ChangesError, StoreError, StoreErrorKind};

/// Longest text of an error with all its causes, in bytes: it does not repeat what it has found.
const MESSAGE_BYTES_MAX: usize = 600;

/// Nothing was changed, and that is for good: somebody has to look at the file.
pub(crate) fn failed(error: &StoreError) {
    assert_eq!(error.kind(), StoreErrorKind::Permanent, "{error:?}");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.len() <= MESSAGE_BYTES_MAX, "{} bytes: {text:.200}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

pub(crate) fn changes_failed(error: &ChangesError) {
    match error {
        ChangesError::Store(error) => failed(error),
        ChangesError::Truncated { .. } => {}
        _ => panic!("{error:?}"),
    }
}

pub(crate) fn snapshot(snapshot: &Snapshot, keys: &[RecordKey]) {
    for key in keys {
        let found = snapshot.get(key).expect("what was asked for is there, or that it is absent");
        assert_eq!(found.version == 0, found.record.is_none(), "{key:?}: {found:?}");
        if let Some(it) = &found.record {
            record(key, it);
        }
    }
}

pub(crate) fn record(key: &RecordKey, record: &Record) {
    match (key, record) {
        (RecordKey::Event, Record::Event(_)) | (RecordKey::Allowance(_), Record::Allowance(_)) => {}
        (RecordKey::Ticket(id), Record::Ticket(it)) => ticket(id, it),
        (RecordKey::Pool(id), Record::Pool(it)) => pool(id, it),
        (RecordKey::Reservation(id), Record::Reservation(it)) => {
            assert_eq!(*id, it.id);
            reservation(it);
        }
        (RecordKey::Operation(_), Record::Operation(it)) => operation(it),
        _ => panic!("{key:?} is {record:?}"),
    }
}

pub(crate) fn ticket(id: &TicketId, ticket: &Ticket) {
    assert!(TicketId::new(id).is_ok() && AreaId::new(&ticket.place.area).is_ok());
    if let TicketState::Blocked { reason } = &ticket.state {
        assert!(BlockReason::new(reason).is_ok());
    }
}

pub(crate) fn pool(id: &PoolId, pool: &Pool) {
    assert!(PoolId::new(id).is_ok());
    let taken = u64::from(pool.held) + u64::from(pool.booked);
    assert!(taken <= u64::from(pool.capacity), "{id} is oversold: {pool:?}");
}

pub(crate) fn reservation(reservation: &Reservation) {
    assert!(CustomerId::new(&reservation.customer).is_ok());
    let Reservation { lines, .. } = reservation;
    assert!(lines.tickets().len() + lines.pools().len() <= LINES_MAX);
    assert_eq!(Lines::merge(lines.tickets().iter().cloned(), lines.pools().iter().cloned()).as_ref(), Ok(lines));
}

fn operation(operation: &OperationRecord) {
    if let Recorded::Applied { customer: Some(customer), .. } = &operation.recorded {
        assert!(CustomerId::new(customer).is_ok());
    }
}
