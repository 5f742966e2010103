//! The event's own terms: on sale, always open, without a limit, as it was created.

use super::books::{Books, Event};
use super::findings::{Findings, Wrong};

/// Checks the event, and that nothing is counted for customers where there is no limit.
pub(crate) fn check(books: &Books, findings: &mut Findings) {
    let terms = Event { state: "on_sale".to_owned(), opens_at: None, closes_at: None, limit_per_customer: None };
    match &books.event {
        None => findings.add(Wrong::Other, "the event is not in the store"),
        Some(row) if row.content != terms => {
            findings.add(Wrong::Other, format!("the event is not as it was created: {:?}", row.content));
        }
        Some(_) => {}
    }
    for customer in books.allowances.keys() {
        findings.add(Wrong::Other, format!("places are counted for {customer}, and the event has no limit"));
    }
}
