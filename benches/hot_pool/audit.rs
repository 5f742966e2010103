//! At the end: whether everything acknowledged is in the store.

use std::error::Error;

use crate::postgres_server::PostgresServer;
use crate::rounds::Acknowledged;

/// Compares the pool's counts, and the reservations themselves, with what was acknowledged. No request has failed by then, so all of
/// them are equal; says so where they are not.
pub(crate) fn is_kept(
    server: &PostgresServer,
    event: &str,
    acknowledged: Acknowledged,
) -> Result<bool, Box<dyn Error>> {
    let Acknowledged { held, booked } = acknowledged;
    let expected = format!("{held} {booked} {held} {booked}");
    let found = server.psql(&format!(
        "SELECT concat_ws(' ', p.held + p.booked, p.booked, count(r), count(r) FILTER (WHERE r.state = 'booked'))
            FROM ticket_reservation.pool AS p
            LEFT JOIN ticket_reservation.reservation AS r ON r.event_id = p.event_id AND r.state IN ('held', 'booked')
            WHERE p.event_id = '{event}' GROUP BY p.held, p.booked"
    ))?;
    let is_kept = found == expected;
    if !is_kept {
        eprintln!(
            "hot_pool: of {event:?} {expected} were acknowledged (held, booked; twice), and the store has {found}"
        );
    }
    Ok(is_kept)
}
