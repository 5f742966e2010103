//! Pools stay within their capacity and count what the reservations count.

use std::collections::BTreeMap;

use ticket_reservation::domain::{PoolId, ReservationState};

use super::books::Books;
use super::findings::{Findings, Wrong};

/// Checks every pool.
pub(crate) fn check(books: &Books, plan: &[(PoolId, u32)], findings: &mut Findings) {
    let mut sums: BTreeMap<&PoolId, (u64, u64)> = BTreeMap::new();
    for (_, reservation) in books.reservations.values() {
        for (pool, quantity) in reservation.lines.pools() {
            let (held, booked) = sums.entry(pool).or_default();
            match reservation.state {
                ReservationState::Held { .. } => *held += u64::from(*quantity),
                ReservationState::Booked => *booked += u64::from(*quantity),
                _ => {}
            }
        }
    }
    for (id, capacity) in plan {
        match books.pools.get(id) {
            None => findings.add(Wrong::Other, format!("pool {id} of the plan is gone")),
            Some((_, pool)) if pool.capacity != *capacity => {
                let found = pool.capacity;
                findings.add(Wrong::Other, format!("pool {id} has {found} places, the plan has {capacity}"));
            }
            Some(_) => {}
        }
        let (_, booked) = sums.get(id).copied().unwrap_or_default();
        if booked > u64::from(*capacity) {
            findings.add(Wrong::DoubleBooked, format!("{booked} places of pool {id} are booked, of {capacity}"));
        }
    }
    for (id, (_, pool)) in &books.pools {
        let counted = (u64::from(pool.held), u64::from(pool.booked));
        let summed = sums.remove(id).unwrap_or_default();
        if counted.0 + counted.1 > u64::from(pool.capacity) {
            let (held, booked) = counted;
            let line = format!("pool {id} has {held} places held and {booked} booked, of {}", pool.capacity);
            findings.add(Wrong::DoubleBooked, line);
        }
        if counted != summed {
            let line = format!("pool {id} counts (held, booked) {counted:?}, its reservations {summed:?}");
            findings.add(Wrong::Other, line);
        }
        if !plan.iter().any(|(planned, _)| planned == id) {
            let wrong = if pool.booked > 0 { Wrong::UnrequestedSold } else { Wrong::Other };
            findings.add(wrong, format!("pool {id} is not in the plan"));
        }
    }
    for id in sums.into_keys() {
        findings.add(Wrong::Other, format!("pool {id} is reserved and does not exist"));
    }
}
