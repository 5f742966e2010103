//! What is found in a store, which other programs can change.

use std::fmt::Display;

use crate::domain::Pool;

/// Longest text that an error repeats of what was found, in bytes: a text in a store may be as long as the store lets it be.
const TOLD_BYTES_MAX: usize = 120;

/// What was found, as an error tells it: on one line, and not for longer than a line.
pub(super) fn told(found: impl Display) -> String {
    let mut told = String::new();
    for character in found.to_string().chars() {
        if told.len() > TOLD_BYTES_MAX {
            told.push('…');
            break;
        }
        if character.is_control() { told.extend(character.escape_default()) } else { told.push(character) }
    }
    told
}

/// The version of a record that is there, or its position in the change feed, or what is wrong with it: they count from 1.
pub(super) fn version(number: u64) -> Result<u64, &'static str> {
    if number == 0 { Err("a version of 0") } else { Ok(number) }
}

/// A pool, or what is wrong with it.
pub(super) fn pool(capacity: u32, held: u32, booked: u32) -> Result<Pool, String> {
    if u64::from(held) + u64::from(booked) > u64::from(capacity) {
        return Err(format!("{held} held and {booked} booked of {capacity}"));
    }
    Ok(Pool { capacity, held, booked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_one_line_of_bounded_length() {
        assert_eq!(told("on_sale"), "on_sale");
        assert_eq!(told("a\nb\0"), "a\\nb\\u{0}");
        for character in ["a", "€", "\u{85}"] {
            let told = told(character.repeat(1_000_000));
            assert!(told.len() < TOLD_BYTES_MAX + 16 && told.ends_with('…'), "{told}");
        }
    }

    #[test]
    fn versions_count_from_1() {
        assert_eq!(version(1), Ok(1));
        assert!(version(0).is_err());
    }

    #[test]
    fn a_pool_is_never_oversold() {
        assert_eq!(pool(9, 4, 5), Ok(Pool { capacity: 9, held: 4, booked: 5 }));
        assert!(pool(9, 4, 6).is_err());
        assert!(pool(u32::MAX, u32::MAX, 1).is_err());
    }
}
