//! The lines of a reservation in one column of the change feed: `{"tickets":["A-1"],"pools":{"standing":2}}`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::domain::{Lines, PoolId, TicketId};

/// Writes the lines into `text`, over what was there.
pub(super) fn write(text: &mut String, lines: &Lines) {
    text.clear();
    text.push_str("{\"tickets\":[");
    for (at, ticket) in lines.tickets().iter().enumerate() {
        separate(text, at);
        quote(text, ticket.as_str());
    }
    text.push_str("],\"pools\":{");
    for (at, (pool, quantity)) in lines.pools().iter().enumerate() {
        separate(text, at);
        quote(text, pool.as_str());
        // Writing to a string cannot fail.
        let _ = write!(text, ":{quantity}");
    }
    text.push_str("}}");
}

fn separate(text: &mut String, at: usize) {
    if at > 0 {
        text.push(',');
    }
}

/// Ids have no control characters, so two characters are all that JSON wants escaped (RFC 8259, section 7).
fn quote(text: &mut String, id: &str) {
    text.push('"');
    for character in id.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
}

/// Reads lines back; what is wrong with them otherwise.
pub(super) fn read(text: &str) -> Result<Lines, String> {
    let lines: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (Some(tickets), Some(pools)) = (lines["tickets"].as_array(), lines["pools"].as_object()) else {
        return Err("no tickets or no pools".to_owned());
    };
    let tickets: Vec<TicketId> = tickets.iter().map(ticket).collect::<Result<_, _>>()?;
    let pools: Vec<(PoolId, u32)> = pools.iter().map(pool).collect::<Result<_, _>>()?;
    Lines::merge(tickets, pools).map_err(|error| error.to_string())
}

fn ticket(id: &Value) -> Result<TicketId, String> {
    let id = id.as_str().ok_or("a ticket is no text")?;
    TicketId::new(id).map_err(|error| error.to_string())
}

fn pool((id, quantity): (&String, &Value)) -> Result<(PoolId, u32), String> {
    let quantity = quantity.as_u64().and_then(|quantity| u32::try_from(quantity).ok()).ok_or("no quantity")?;
    Ok((PoolId::new(id).map_err(|error| error.to_string())?, quantity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(tickets: &[&str], pools: &[(&str, u32)]) -> Lines {
        let tickets = tickets.iter().map(|id| TicketId::new(id).unwrap());
        Lines::merge(tickets, pools.iter().map(|(id, quantity)| (PoolId::new(id).unwrap(), *quantity))).unwrap()
    }

    #[test]
    fn lines_come_back_as_they_were_written() {
        let hard = lines(&["A-1", "\"", "\\\"x\\", "Übergröße ☃"], &[("standing", 2), ("a\\b", u32::MAX - 6)]);
        for lines in [Lines::default(), lines(&["A"], &[]), lines(&[], &[("p", 1)]), hard] {
            let mut text = "left over".to_owned();
            write(&mut text, &lines);
            assert_eq!(read(&text), Ok(lines), "{text}");
        }
    }

    #[test]
    fn the_text_is_plain_json() {
        let mut text = String::new();
        write(&mut text, &lines(&["A-1", "A-2"], &[("standing", 2)]));
        assert_eq!(text, r#"{"tickets":["A-1","A-2"],"pools":{"standing":2}}"#);
    }

    #[test]
    fn what_is_no_set_of_lines_is_refused() {
        for text in ["", "[]", "{}", r#"{"tickets":[1],"pools":{}}"#, r#"{"tickets":[],"pools":{"p":-1}}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
