//! What reads the tables where ids are texts and the current schema is the store's.

pub(super) const EVENT: &str = "SELECT version, decided_at, state, opens_at, closes_at, limit_per_customer,
        change_sequence, changes_purged_through
    FROM event WHERE event_id = $1";
pub(super) const TICKETS: &str = "SELECT ticket_id, version, decided_at, area_id, row_rank, place_number, state,
        reservation_id, held_until, block_reason
    FROM ticket WHERE event_id = $1";
pub(super) const POOLS: &str =
    "SELECT pool_id, version, decided_at, capacity, held, booked FROM pool WHERE event_id = $1";
pub(super) const ALLOWANCES: &str = "SELECT customer_id, version, decided_at, held, booked
    FROM allowance WHERE event_id = $1";
pub(super) const RESERVATIONS: &str =
    "SELECT reservation_id, version, decided_at, customer_id, state, held_until, held_at
    FROM reservation WHERE event_id = $1";
/// Also those that only one of their event and their reservation knows.
pub(super) const LINES: &str = "SELECT reservation_id, line, event_id, ticket_id, pool_id, quantity, held_until
    FROM reservation_line
    WHERE event_id = $1 OR reservation_id IN (SELECT reservation_id FROM reservation WHERE event_id = $1)
    ORDER BY reservation_id, line";
pub(super) const OPERATIONS: &str = "SELECT operation_id, kind, reservation_id, customer_id, decided_at
    FROM operation WHERE event_id = $1";
pub(super) const CHANGES: &str = "SELECT * FROM change WHERE event_id = $1 ORDER BY sequence";
