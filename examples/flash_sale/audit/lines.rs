//! The lines of a reservation, and whether the store's rows of them are in order.

use std::collections::HashSet;

use uuid::Uuid;

use super::books::{Books, Line};
use super::findings::{Findings, Wrong};

/// Tickets and quantities of pools, sorted by their ids. What stands there twice is here twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lines {
    pub(crate) tickets: Vec<String>,
    pub(crate) pools: Vec<(String, i64)>,
}

impl Lines {
    /// In whichever order.
    pub(crate) fn new(mut tickets: Vec<String>, mut pools: Vec<(String, i64)>) -> Self {
        tickets.sort_unstable();
        pools.sort_unstable();
        Self { tickets, pools }
    }
}

/// Each line is one ticket or some places of one pool, named once, in its reservation's event. A pool's line repeats
/// the deadline of its hold for as long as it counts there; nothing else has one.
pub(crate) fn check(books: &Books, event: &str, findings: &mut Findings) {
    for (id, lines) in &books.lines {
        let Some(reservation) = books.reservation(*id) else {
            findings.add(Wrong::Other, format!("there are lines of reservation {id}, which is not in the store"));
            continue;
        };
        check_each_once(*id, lines, findings);
        let until = reservation.state.until();
        for line in lines {
            let wrong = match (&line.ticket, &line.pool) {
                _ if line.event != event => "belongs to another event",
                (Some(_), None) if line.quantity != 1 => "is not one ticket",
                (Some(_), None) if line.held_until.is_some() => "is a ticket with a deadline of its own",
                (None, Some(_)) if line.quantity < 1 => "is no place of a pool",
                (None, Some(_)) if line.held_until != until => "has another deadline than its hold",
                (Some(_), None) | (None, Some(_)) => continue,
                _ => "is neither a ticket nor a pool",
            };
            findings.add(Wrong::Other, format!("line {} of reservation {id} {wrong}", line.number));
        }
    }
}

fn check_each_once(id: Uuid, lines: &[Line], findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (expected, line) in (1..).zip(lines) {
        if line.number != expected {
            findings.add(Wrong::Other, format!("reservation {id} has line {} where {expected} belongs", line.number));
        }
        if !seen.insert((&line.ticket, &line.pool)) {
            let what = line.ticket.as_ref().or(line.pool.as_ref()).map_or("nothing", String::as_str);
            findings.add(Wrong::Other, format!("reservation {id} has {what} twice"));
        }
    }
}
