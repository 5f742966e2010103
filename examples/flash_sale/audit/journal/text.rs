//! One line of a log, read back.

use uuid::Uuid;

use super::super::lines::Lines;
use super::story::{Kind, Said, Wanted};
use crate::log;

/// A line.
pub(super) enum Line {
    Sent(Sent),
    Answered(Answered),
    /// The worker was told to begin, at this Unix time in microseconds.
    Began(i64),
    /// The worker ended by itself.
    End,
}

/// A request was sent.
pub(super) struct Sent {
    pub(super) operation: Uuid,
    pub(super) at_us: u64,
    pub(super) resolves: bool,
    pub(super) kind: Kind,
    pub(super) reservation: Uuid,
    pub(super) customer: String,
    pub(super) asked: Wanted,
}

/// A request was answered.
pub(super) struct Answered {
    pub(super) operation: Uuid,
    pub(super) at_us: u64,
    pub(super) latency_us: u64,
    pub(super) said: Said,
    /// The kind of a refusal.
    pub(super) why: String,
}

/// Reads a line.
pub(super) fn line(line: &str) -> Option<Line> {
    if line == log::END {
        return Some(Line::End);
    }
    let mut fields = line.split('\t');
    let what = fields.next()?;
    if what == "B" {
        return Some(Line::Began(fields.next()?.parse().ok()?));
    }
    let operation = fields.next()?.parse().ok()?;
    match what {
        "S" => sent(operation, false, fields).map(Line::Sent),
        "R" => sent(operation, true, fields).map(Line::Sent),
        "A" => answered(operation, fields).map(Line::Answered),
        _ => None,
    }
}

fn sent<'l>(operation: Uuid, resolves: bool, mut fields: impl Iterator<Item = &'l str>) -> Option<Sent> {
    let at_us = fields.next()?.parse().ok()?;
    let name = fields.next()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
    let reservation = fields.next()?.parse().ok()?;
    let customer = fields.next()?.to_owned();
    let asked = wanted(fields)?;
    let is_hold = kind == Kind::Hold;
    (is_hold != (asked == Wanted::default())).then_some(Sent {
        operation,
        at_us,
        resolves,
        kind,
        reservation,
        customer,
        asked,
    })
}

fn answered<'l>(operation: Uuid, mut fields: impl Iterator<Item = &'l str>) -> Option<Answered> {
    let at_us = fields.next()?.parse().ok()?;
    let latency_us = fields.next()?.parse().ok()?;
    let mut why = String::new();
    let said = match fields.next()? {
        "ok" => {
            let acknowledged = wanted(&mut fields)?;
            acknowledged.best_available.is_none().then_some(Said::Ok(acknowledged.lines))?
        }
        "failed" => Said::Failed,
        "unknown" => Said::Unknown,
        refused => {
            why = fields.next()?.to_owned();
            match refused {
                "no" => Said::No,
                "busy" => Said::Busy,
                "never" => Said::Never,
                _ => return None,
            }
        }
    };
    fields.next().is_none().then_some(Answered { operation, at_us, latency_us, said, why })
}

fn wanted<'l>(fields: impl Iterator<Item = &'l str>) -> Option<Wanted> {
    let mut tickets = Vec::new();
    let mut pools = Vec::new();
    let mut best_available = None;
    for field in fields {
        match field.split_once('=')? {
            ("t", ticket) => tickets.push(ticket.to_owned()),
            ("p", line) => {
                let (quantity, pool) = line.split_once('=')?;
                pools.push((pool.to_owned(), quantity.parse().ok()?));
            }
            ("n", line) => {
                let (quantity, area) = line.split_once('=')?;
                best_available = Some((area.to_owned(), quantity.parse().ok()?));
            }
            _ => return None,
        }
    }
    Some(Wanted { lines: Lines::new(tickets, pools), best_available })
}
