//! Pools stay within their capacity and count what the reservations count.

use std::collections::BTreeMap;

use super::books::{Books, ReservationState};
use super::findings::{Findings, Wrong};

/// Checks every pool against the plan: there is one, if any, of so many places.
pub(crate) fn check(books: &Books, plan: Option<(&str, u32)>, findings: &mut Findings) {
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for reservation in books.reservations.values().map(|row| &row.content) {
        for (pool, quantity) in &reservation.lines.pools {
            let (held, booked) = sums.entry(pool).or_default();
            match reservation.state {
                ReservationState::Held { .. } => *held += quantity,
                ReservationState::Booked => *booked += quantity,
                _ => {}
            }
        }
    }
    if let Some((id, capacity)) = plan {
        check_planned(books, id, capacity.into(), sums.get(id).copied().unwrap_or_default(), findings);
    }
    for (id, pool) in books.pools.iter().map(|(id, row)| (id, &row.content)) {
        let counted = (pool.held, pool.booked);
        let summed = sums.remove(id.as_str()).unwrap_or_default();
        if pool.held + pool.booked > pool.capacity {
            let (held, booked) = counted;
            let line = format!("pool {id} has {held} places held and {booked} booked, of {}", pool.capacity);
            findings.add(Wrong::DoubleBooked, line);
        }
        if counted != summed {
            let line = format!("pool {id} counts (held, booked) {counted:?}, its reservations {summed:?}");
            findings.add(Wrong::Other, line);
        }
        if plan.is_none_or(|(planned, _)| planned != id) {
            let wrong = if pool.booked > 0 { Wrong::UnrequestedSold } else { Wrong::Other };
            findings.add(wrong, format!("pool {id} is not in the plan"));
        }
    }
    for id in sums.into_keys() {
        findings.add(Wrong::Other, format!("pool {id} is reserved and does not exist"));
    }
}

fn check_planned(books: &Books, id: &str, capacity: i64, (_, booked): (i64, i64), findings: &mut Findings) {
    match books.pools.get(id).map(|row| row.content.capacity) {
        None => findings.add(Wrong::Other, format!("pool {id} of the plan is gone")),
        Some(found) if found != capacity => {
            findings.add(Wrong::Other, format!("pool {id} has {found} places, the plan has {capacity}"));
        }
        Some(_) => {}
    }
    if booked > capacity {
        findings.add(Wrong::DoubleBooked, format!("{booked} places of pool {id} are booked, of {capacity}"));
    }
}
