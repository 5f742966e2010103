#![no_main]
//! Texts and numbers that a caller sends, into every validated type.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use ticket_reservation::domain::{
    AreaId, BlockReason, CustomerId, EventId, InvalidId, InvalidLines, LINES_MAX, Lines, OperationId, Policies, PoolId,
    ReservationId, TicketId, Timestamp,
};
use ticket_reservation::ports::LockKey;
use ticket_reservation::uuid::Uuid;

/// Longest text id and longest lock key, in bytes, as documented.
const TEXT_ID_BYTES_MAX: usize = 64;
const LOCK_KEY_BYTES_MAX: usize = 256;

/// Longest message of an error, in bytes: it does not repeat what it refuses.
const MESSAGE_BYTES_MAX: usize = 200;

/// The milliseconds that a UUID of version 7 has room for.
const UUID_MILLIS_MAX: u64 = (1 << 48) - 1;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    bytes: [u8; 16],
    micros: i64,
    other_micros: i64,
    duration: Duration,
    policies: [Duration; 3],
    /// By the first letter of a name, with a quantity.
    pools: Vec<(u8, u32)>,
    tickets: u16,
    text: &'a str,
}

fuzz_target!(|data: &[u8]| {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    texts(input.text);
    uuids(input.text, input.bytes, Timestamp::from_micros(input.micros));
    times(Timestamp::from_micros(input.micros), Timestamp::from_micros(input.other_micros), input.duration);
    lines(input.tickets, &input.pools);
    policies(input.policies);
});

fn texts(text: &str) {
    text_id::<EventId>(text);
    text_id::<TicketId>(text);
    text_id::<PoolId>(text);
    text_id::<AreaId>(text);
    text_id::<CustomerId>(text);
    text_id::<BlockReason>(text);
    match LockKey::new(text) {
        Ok(key) => {
            assert!((1..=LOCK_KEY_BYTES_MAX).contains(&text.len()));
            assert_eq!((key.as_str(), key.to_string().as_str()), (text, text));
        }
        Err(error) => {
            assert!(!(1..=LOCK_KEY_BYTES_MAX).contains(&text.len()));
            assert_plain(&error);
        }
    }
}

/// A text is an id exactly if the rules of the documentation say so, and stays the same text.
fn text_id<T>(text: &str)
where
    T: FromStr<Err = InvalidId> + TryFrom<String, Error = InvalidId> + AsRef<str> + Display + Debug + Ord,
{
    let is_allowed = (1..=TEXT_ID_BYTES_MAX).contains(&text.len())
        && !text.chars().any(char::is_control)
        && text.trim().len() == text.len();
    match T::from_str(text) {
        Ok(id) => {
            assert!(is_allowed, "{text:?}");
            assert_eq!((id.as_ref(), id.to_string().as_str()), (text, text));
            assert_eq!(T::try_from(id.to_string()).as_ref(), Ok(&id));
        }
        Err(error) => {
            assert!(!is_allowed, "{text:?}: {error}");
            assert_eq!(T::try_from(text.to_owned()).unwrap_err(), error);
            assert_plain(&error);
        }
    }
}

fn uuids(text: &str, bytes: [u8; 16], time: Timestamp) {
    uuid::<ReservationId>(text);
    uuid::<OperationId>(text);
    let uuid = Uuid::from_bytes(bytes);
    let reservation = ReservationId::from(uuid);
    assert_eq!(reservation.to_string().parse(), Ok(reservation));
    match OperationId::try_from(uuid) {
        Ok(operation) => {
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(operation.to_string().parse(), Ok(operation));
            assert_eq!(Uuid::from(operation), uuid);
        }
        Err(error) => assert_eq!((error, uuid.get_version_num() == 7), (InvalidId::NotVersion7, false)),
    }
    // An id from the far past or future keeps as much of its time as it has room for.
    let [random @ .., _, _, _, _, _, _] = bytes;
    let made = OperationId::from_parts(time, random);
    let millis = u64::try_from(time.as_micros() / 1_000).unwrap_or(0).min(UUID_MILLIS_MAX);
    assert_eq!(made.made_at(), Timestamp::EPOCH.after(Duration::from_millis(millis)), "{time}");
    assert_eq!(made.as_uuid().get_version_num(), 7);
    assert_eq!(made.to_string().parse(), Ok(made));
    let reservation_of_then = ReservationId::from_parts(time, random);
    assert_eq!(
        reservation_of_then.cmp(&reservation),
        reservation_of_then.to_string().cmp(&reservation.to_string()),
        "ids are in the order of their texts"
    );
}

fn uuid<T>(text: &str)
where
    T: FromStr<Err = InvalidId> + Display + Debug + PartialEq,
{
    match T::from_str(text) {
        Ok(id) => assert_eq!(T::from_str(&id.to_string()), Ok(id)),
        Err(error) => assert_plain(&error),
    }
}

fn times(time: Timestamp, other: Timestamp, duration: Duration) {
    let micros = i128::try_from(duration.as_micros()).unwrap_or(i128::MAX).min(i128::from(i64::MAX));
    let cut = |sum: i128| sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    let of = |time: Timestamp| i128::from(time.as_micros());
    assert_eq!(of(time.after(duration)), cut(of(time) + micros), "later");
    assert_eq!(of(time.before(duration)), cut(of(time) - micros), "earlier");
    let since = (of(time) - of(other)).clamp(0, i128::from(i64::MAX));
    assert_eq!(time.since(other).as_micros(), u128::try_from(since).unwrap());
    // What is shown can be read back.
    let shown = time.to_string();
    let (seconds, decimals) = shown.split_once('.').unwrap();
    assert_eq!(decimals.len(), 6, "{shown}");
    assert_eq!(format!("{seconds}{decimals}").parse(), Ok(time.as_micros()), "{shown}");
}

/// Quantities add up, or are refused with the reason that is true.
fn lines(tickets: u16, pools: &[(u8, u32)]) {
    let tickets = usize::from(tickets) % (2 * LINES_MAX);
    let named = (0..tickets).map(|n| TicketId::new(format!("T{n}")).unwrap());
    let pools: Vec<(PoolId, u32)> = pools.iter().map(|(n, it)| (PoolId::new(format!("P{n}")).unwrap(), *it)).collect();
    let sum: u64 = pools.iter().map(|(_, quantity)| u64::from(*quantity)).sum::<u64>() + tickets as u64;
    match Lines::merge(named, pools.clone()) {
        Ok(lines) => {
            assert!(lines.tickets().len() + lines.pools().len() <= LINES_MAX);
            assert_eq!(u64::from(lines.places()), sum);
            assert!(lines.pools().iter().all(|(_, quantity)| *quantity > 0));
            assert_eq!(lines.check_not_empty().is_err(), sum == 0);
            let again = Lines::merge(lines.tickets().iter().cloned(), lines.pools().iter().cloned());
            assert_eq!(again, Ok(lines));
        }
        Err(InvalidLines::ZeroQuantity) => assert!(pools.iter().any(|(_, quantity)| *quantity == 0)),
        Err(InvalidLines::Overflow) => assert!(sum > u64::from(u32::MAX)),
        Err(InvalidLines::TooMany { lines }) => assert!(lines > LINES_MAX && lines <= tickets + pools.len()),
        Err(error) => panic!("{error} cannot be"),
    }
}

fn policies([hold_ttl, hold_ttl_max, retention]: [Duration; 3]) {
    let policies = Policies { hold_ttl, hold_ttl_max, retention, ..Policies::default() };
    let is_allowed = hold_ttl >= Duration::from_millis(1) && hold_ttl <= hold_ttl_max && hold_ttl_max < retention;
    assert_eq!(policies.check().is_ok(), is_allowed, "{policies:?}");
}

/// One short line.
fn assert_plain(error: &dyn std::error::Error) {
    let message = error.to_string();
    assert!(message.len() <= MESSAGE_BYTES_MAX && !message.chars().any(char::is_control), "{message:?}");
}
