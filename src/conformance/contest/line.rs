//! What buyers write down, as text between processes.

use std::fmt;
use std::str::FromStr;

use crate::conformance::check::Failure;
use crate::domain::ReservationId;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::conformance) enum Asked {
    Hold,
    Confirm,
    Cancel,
}

/// Something that a buyer knows: what is being asked for (before it is sent), and what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum Word {
    Sent,
    Done,
    Refused,
    Unknown,
}

/// One line of a log: a word about a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) struct Line {
    pub(in crate::conformance) asked: Asked,
    pub(in crate::conformance) word: Word,
    pub(in crate::conformance) reservation: ReservationId,
}

const ASKED: [(Asked, &str); 3] = [(Asked::Hold, "hold"), (Asked::Confirm, "confirm"), (Asked::Cancel, "cancel")];
const WORDS: [(Word, &str); 4] =
    [(Word::Sent, "sent"), (Word::Done, "done"), (Word::Refused, "refused"), (Word::Unknown, "unknown")];

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = ASKED.iter().find(|(asked, _)| *asked == self.asked).map_or("", |(_, text)| text);
        let word = WORDS.iter().find(|(word, _)| *word == self.word).map_or("", |(_, text)| text);
        write!(f, "{asked} {word} {}", self.reservation)
    }
}

impl FromStr for Line {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = text.split(' ').collect();
        let no_line = || Failure::new(format!("not a line of a log: {text:?}"));
        let [asked, word, reservation] = fields[..] else { return Err(no_line()) };
        let asked = ASKED.iter().find(|(_, text)| *text == asked).ok_or_else(no_line)?.0;
        let word = WORDS.iter().find(|(_, text)| *text == word).ok_or_else(no_line)?.0;
        Ok(Self { asked, word, reservation: reservation.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_their_way_through_text() {
        for (word, _) in WORDS {
            for (asked, _) in ASKED {
                let line = Line { asked, word, reservation: uuid::Uuid::from_u128(7).into() };
                assert_eq!(line.to_string().parse::<Line>().ok(), Some(line));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert!("confirm maybe 00000000-0000-0000-0000-000000000007".parse::<Line>().is_err());
        assert!("buy done 00000000-0000-0000-0000-000000000007".parse::<Line>().is_err());
        assert!("confirm done".parse::<Line>().is_err());
    }
}
