//! Every operation that took effect is recorded under its id, so that it cannot take effect again, and no other is.

use std::collections::HashSet;

use uuid::Uuid;

use super::books::{Books, Operation, ReservationState};
use super::findings::{Findings, Wrong};
use super::journal::{Journal, Kind, Request, Story};

/// The kind of an operation that was refused for good.
const VOIDED: &str = "voided";

/// What the sale's organiser did: nobody's log has that.
const ORGANISER: [&str; 2] = ["create_event", "import"];

/// Holds the records of operations against the logs.
pub(crate) fn check(books: &Books, journal: &Journal, findings: &mut Findings) {
    let mut sent = HashSet::new();
    for (reservation, story) in &journal.stories {
        let state = books.reservation(*reservation).map(|found| &found.state);
        for kind in Kind::ALL {
            let request = story.request(kind);
            let Some(id) = request.operation else { continue };
            sent.insert(id);
            let happened = match kind {
                Kind::Hold => state.is_some(),
                Kind::Confirm => state == Some(&ReservationState::Booked),
                Kind::Release => state == Some(&ReservationState::Released),
            };
            let found = books.operations.get(&id);
            if let Some(wrong) = wrong(*reservation, story, kind, request, found, happened) {
                let kind = kind.name();
                findings.add(Wrong::Other, format!("operation {id}, the {kind} of {reservation}, {wrong}"));
            }
        }
    }
    for (id, operation) in &books.operations {
        if !sent.contains(id) && !ORGANISER.contains(&operation.kind.as_str()) {
            let line = format!("operation {id} is recorded as {}, and no log sent it", operation.kind);
            findings.add(Wrong::Other, line);
        }
    }
}

fn wrong(
    reservation: Uuid,
    story: &Story,
    kind: Kind,
    request: &Request,
    found: Option<&Operation>,
    happened: bool,
) -> Option<&'static str> {
    let Some(found) = found else {
        return match () {
            () if request.acknowledged.is_some() => Some("was acknowledged and is not recorded"),
            () if request.refused_for_good => Some("was refused for good and is not recorded"),
            () if happened => Some("happened and is not recorded"),
            () => None,
        };
    };
    match found.kind.as_str() {
        VOIDED if request.acknowledged.is_some() => Some("was acknowledged and is recorded as refused"),
        VOIDED if happened => Some("happened and is recorded as refused"),
        VOIDED => None,
        recorded if recorded != kind.name() => Some("is recorded as something else"),
        _ if found.reservation != Some(reservation) => Some("is recorded for another reservation"),
        _ if found.customer.as_ref() != Some(&story.customer) => Some("is recorded for another customer"),
        _ if !request.may_have_happened() => Some("was refused and is recorded as carried out"),
        _ if !happened => Some("is recorded as carried out and did not happen"),
        _ => None,
    }
}
