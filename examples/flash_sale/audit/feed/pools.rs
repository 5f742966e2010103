//! What may happen to a pool.

use super::super::books::{Pool, Row};
use super::super::findings::{Findings, Wrong};

/// It is within its capacity at every moment; what is sold stays sold.
pub(super) fn pool_changed(at: i64, id: &str, before: Option<&Row<Pool>>, after: &Row<Pool>, findings: &mut Findings) {
    let Pool { capacity, held, booked } = after.content;
    if held + booked > capacity || held < 0 || booked < 0 {
        let line = format!("change {at} has {held} places of pool {id} held and {booked} booked, of {capacity}");
        findings.add(Wrong::DoubleBooked, line);
    }
    let begins = Pool { capacity, held: 0, booked: 0 };
    let before = before.map(|row| &row.content);
    if before.is_none() && after.content != begins {
        findings.add(Wrong::Other, format!("change {at} begins pool {id} with places taken"));
    }
    let before = before.unwrap_or(&begins);
    if capacity != before.capacity {
        findings.add(Wrong::Other, format!("change {at} gives pool {id} another capacity"));
    }
    if booked < before.booked {
        findings.add(Wrong::Other, format!("change {at} takes sold places of pool {id} back"));
    }
}
