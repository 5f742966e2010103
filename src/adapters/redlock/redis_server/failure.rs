//! What went wrong, in words of our own.

use std::sync::Arc;

use ::redis::RedisError;

use crate::adapters::redlock::error::Refusal;
use crate::adapters::redlock::server::ServerError;

/// Longest code of an error and longest name of a policy, in bytes: Redis' own have up to 16.
const WORD_BYTES_MAX: usize = 32;

/// What an error of the redis crate means. Texts of servers are not repeated, beyond their codes.
pub(super) fn failure(error: RedisError) -> ServerError {
    match error.code() {
        // The script must be loaded again, which every new connection begins with.
        Some("NOSCRIPT") => ServerError::Closed(Arc::from("it has forgotten the script")),
        // The redis crate drops the code of what comes before the first command, such as SELECT.
        Some("ERR") if error.detail().is_some_and(|text| text.contains("has no permissions")) => {
            ServerError::Refused(Refusal::from_code("NOPERM"))
        }
        Some(code) => ServerError::Refused(refusal(code)),
        None if error.kind() == ::redis::ErrorKind::AuthenticationFailed => {
            ServerError::Refused(Refusal::from_code("WRONGPASS"))
        }
        None => ServerError::Closed(Arc::from(describe(&error))),
    }
}

fn describe(error: &RedisError) -> String {
    // The source is shared, and not of the type of what it shares.
    match std::error::Error::source(error).filter(|_| error.is_io_error()) {
        Some(io) => io.to_string(),
        None => error.category().to_owned(),
    }
}

/// An error's code, as some versions put a sign before it.
pub(super) fn refusal(code: &str) -> Refusal {
    Refusal::from_code(word(code.trim_start_matches('-')))
}

/// The beginning of what a server says, as far as it may stand in a log.
pub(super) fn word(said: &str) -> &str {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    &said[..said.bytes().take(WORD_BYTES_MAX).take_while(is_plain).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_server_says_no_more_than_a_word_is_repeated() {
        assert_eq!(&*refusal("-NOPERM").code, "NOPERM");
        assert_eq!(word("allkeys-lru"), "allkeys-lru");
        assert_eq!(word(&"A".repeat(1_000_000)), "A".repeat(WORD_BYTES_MAX));
        for (said, repeated) in [("OOM\x1b[2J", "OOM"), ("\0", ""), ("É", ""), ("", "")] {
            assert_eq!(word(said), repeated, "{said:?}");
        }
    }
}
