//! Names that stores write down and hosts count by: they never change.

use std::time::Duration;

use ticket_reservation::domain::{
    ActionKind, AreaId, InvalidLines, PoolId, Rejection, ReservationState, TicketId, Timestamp,
};

/// Every rejection with its name, and whether it is about load.
fn rejections() -> Vec<(Rejection, &'static str, bool)> {
    let tickets = vec![TicketId::new("A1").unwrap()];
    let (pool, area) = (PoolId::new("floor").unwrap(), AreaId::new("A").unwrap());
    let second = Duration::from_secs(1);
    vec![
        (Rejection::InvalidLines(InvalidLines::Empty), "invalid_lines", false),
        (Rejection::InvalidTtl { max: second }, "invalid_ttl", false),
        (Rejection::UnknownEvent, "unknown_event", false),
        (Rejection::EventExists, "event_exists", false),
        (Rejection::NotOnSale { opens: None, closes: None }, "not_on_sale", false),
        (Rejection::UnknownTickets { tickets: tickets.clone() }, "unknown_tickets", false),
        (Rejection::UnknownPool { pool: pool.clone() }, "unknown_pool", false),
        (Rejection::UnknownReservation, "unknown_reservation", false),
        (Rejection::ReservationExists, "reservation_exists", false),
        (
            Rejection::InventoryMismatch { tickets: tickets.clone(), pools: vec![pool.clone()] },
            "inventory_mismatch",
            false,
        ),
        (Rejection::Unavailable { tickets: tickets.clone() }, "unavailable", false),
        (Rejection::Insufficient { pool, wanted: 2, free: 1 }, "insufficient", false),
        (Rejection::NoNeighbours { area, wanted: 2, free: 1 }, "no_neighbours", false),
        (Rejection::LimitReached { limit: 4, taken: 3, wanted: 2 }, "limit_reached", false),
        (Rejection::HoldExpired, "hold_expired", false),
        (Rejection::NotOwner, "not_owner", false),
        (Rejection::WrongState { state: "held" }, "wrong_state", false),
        (Rejection::ExtensionLimit { until: Timestamp::EPOCH }, "extension_limit", false),
        (Rejection::NotBlocked { tickets }, "not_blocked", false),
        (Rejection::OperationReused, "operation_reused", false),
        (Rejection::OperationTooOld, "operation_too_old", false),
        (Rejection::OperationFromFuture, "operation_from_future", false),
        (Rejection::OperationVoided, "operation_voided", false),
        (Rejection::Contended { retry_after: second }, "contended", true),
        (Rejection::Overloaded, "overloaded", true),
        (Rejection::DeadlinePassed, "deadline_passed", true),
        (Rejection::ShuttingDown, "shutting_down", true),
    ]
}

#[test]
fn every_rejection_keeps_its_name() {
    for (rejection, name, _) in rejections() {
        assert_eq!(rejection.kind(), name, "{rejection:?}");
    }
}

#[test]
fn only_how_busy_the_service_is_counts_as_load() {
    for (rejection, _, about_load) in rejections() {
        assert_eq!(rejection.is_about_load(), about_load, "{rejection:?}");
    }
}

#[test]
fn every_kind_of_action_keeps_its_name() {
    let names = ActionKind::ALL.map(ActionKind::name);
    let kept =
        ["create_event", "import", "hold", "extend", "confirm", "release", "cancel", "transfer", "block", "unblock"];
    assert_eq!(names, kept);
}

#[test]
fn a_kind_of_action_is_found_by_its_name_alone() {
    for kind in ActionKind::ALL {
        assert_eq!(ActionKind::from_name(kind.name()), Some(kind));
    }
    for other in ["", "Hold", "hold ", "expire"] {
        assert_eq!(ActionKind::from_name(other), None, "{other:?}");
    }
}

#[test]
fn every_state_of_a_reservation_keeps_its_name() {
    for (state, name) in [
        (ReservationState::Held { until: Timestamp::EPOCH }, "held"),
        (ReservationState::Booked, "booked"),
        (ReservationState::Released, "released"),
        (ReservationState::Cancelled, "cancelled"),
        (ReservationState::Expired, "expired"),
    ] {
        assert_eq!(state.name(), name);
    }
}
