//! What is asked, as commands, and what was answered.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Value};

use super::failure::refusal;
use crate::adapters::redlock::server::{Answer, Ask, ServerError};

pub(super) const SCRIPT: &str = include_str!("../script.lua");

/// Most keys of one script, so that none keeps a server busy for long. One ask is never divided. Fuzzed with a few, which is
/// quicker.
const KEYS_PER_SCRIPT_MAX: usize = if cfg!(fuzzing) { 4 } else { 256 };

/// The script with these asks, by its hash.
pub(super) fn script(hash: &str, asks: &[Ask]) -> Cmd {
    with_names(hash, asks, name)
}

/// The script that says who has the keys, and changes nothing.
pub(super) fn look(hash: &str, asks: &[Ask]) -> Cmd {
    with_names(hash, asks, |_| "L")
}

fn with_names(hash: &str, asks: &[Ask], name: impl Fn(&Ask) -> &'static str) -> Cmd {
    let keys = asks.iter().map(|ask| ask.keys().len()).sum();
    let mut script = room(asks, keys);
    script.arg("EVALSHA").arg(hash).arg(keys);
    for key in asks.iter().flat_map(Ask::keys) {
        script.arg(&**key);
    }
    for ask in asks {
        let ttl = match ask {
            Ask::Acquire { ttl, .. } | Ask::Extend { ttl, .. } => *ttl,
            Ask::Release { .. } => Duration::ZERO,
        };
        script.arg(name(ask)).arg(ask.keys().len()).arg(ask.token().as_bytes()).arg(milliseconds(ttl));
    }
    script
}

/// A command with room for these asks of so many keys, without growing: it is built for every node.
fn room(asks: &[Ask], keys: usize) -> Cmd {
    const OTHERS: usize = 6;
    const BYTES_OF_OTHERS: usize = 96;
    const BYTES_OF_AN_ASK: usize = 48;
    let bytes = asks.iter().flat_map(Ask::keys).map(|key| key.len()).sum::<usize>();
    Cmd::with_capacity(OTHERS + keys + 4 * asks.len(), BYTES_OF_OTHERS + bytes + BYTES_OF_AN_ASK * asks.len())
}

/// What an ask is called in the script.
fn name(ask: &Ask) -> &'static str {
    match ask {
        Ask::Acquire { .. } => "A",
        Ask::Extend { .. } => "E",
        Ask::Release { .. } => "R",
    }
}

/// An acquisition of one key and nothing else, as the command that every Redlock client sends.
pub(super) fn lone_set(asks: &[Ask]) -> Option<Cmd> {
    let [Ask::Acquire { keys, token, ttl }] = asks else { return None };
    let [key] = &keys[..] else { return None };
    let mut set = room(asks, 1);
    set.arg("SET").arg(&**key).arg(token.as_bytes()).arg("NX").arg("PX").arg(milliseconds(*ttl));
    Some(set)
}

/// Rounded up: a key must not end before its lease.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The asks, in parts of which each is one script.
pub(super) fn scripts(asks: &[Ask]) -> impl Iterator<Item = &[Ask]> {
    let mut rest = asks;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut keys = 0;
        let fits = rest.iter().take_while(|ask| {
            keys += ask.keys().len();
            keys <= KEYS_PER_SCRIPT_MAX
        });
        let (script, others) = rest.split_at(fits.count().max(1));
        rest = others;
        Some(script)
    })
}

/// What the script said to each ask.
pub(super) fn answers(asks: &[Ask], value: Value) -> Result<Vec<Answer>, ServerError> {
    let odd = || ServerError::Closed(Arc::from("it answered something else"));
    let Value::Array(values) = value else { return Err(odd()) };
    if values.len() != asks.len() {
        return Err(odd());
    }
    let answer = |(ask, value): (&Ask, Value)| match (ask, value) {
        (_, Value::BulkString(code)) => Ok(Answer::Refused(refusal(&String::from_utf8_lossy(&code)))),
        (_, Value::SimpleString(code)) => Ok(Answer::Refused(refusal(&code))),
        (Ask::Acquire { .. }, Value::Int(0)) | (Ask::Extend { .. } | Ask::Release { .. }, Value::Int(1)) => {
            Ok(Answer::Done)
        }
        (Ask::Acquire { .. }, Value::Int(held)) => {
            Ok(Answer::Held(u64::try_from(held).ok().map(|held| Duration::from_millis(held.saturating_sub(1)))))
        }
        (_, Value::Int(0)) => Ok(Answer::Absent),
        (_, Value::Int(_)) => Ok(Answer::NotOwner),
        _ => Err(odd()),
    };
    asks.iter().zip(values).map(answer).collect()
}
