//! What was asked for and answered about one reservation.

use uuid::Uuid;

use super::super::lines::Lines;

/// What somebody can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hold,
    Confirm,
    Release,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Hold, Self::Confirm, Self::Release];

    /// The name, as logs and stores write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Release => "release",
        }
    }
}

/// The story of a reservation, as the buyer knows it.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) customer: String,
    pub(crate) asked: Wanted,
    requests: [Request; 3],
}

/// What a hold asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) lines: Lines,
    /// Neighbouring places that the library chooses: of which area, and how many.
    pub(crate) best_available: Option<(String, usize)>,
}

impl Story {
    pub(super) fn new(customer: String, asked: Wanted) -> Self {
        Self { customer, asked, requests: Default::default() }
    }

    /// What became of a request.
    pub(crate) fn request(&self, kind: Kind) -> &Request {
        &self.requests[kind as usize]
    }

    pub(super) fn request_mut(&mut self, kind: Kind) -> &mut Request {
        &mut self.requests[kind as usize]
    }
}

/// What became of a request, sent once or several times under one operation id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The operation id, once it was sent.
    pub(crate) operation: Option<Uuid>,
    /// What was acknowledged.
    pub(crate) acknowledged: Option<Lines>,
    /// When that was said first, in microseconds since its worker began.
    pub(crate) acknowledged_at_us: Option<u64>,
    /// When it was asked for first, and when it was acknowledged first, as Unix times in microseconds.
    pub(crate) asked_at: Option<i64>,
    pub(crate) told_at: Option<i64>,
    /// The time from the one sending until the answer that a ticket was not free.
    pub(crate) unavailable: Option<(i64, i64)>,
    /// Whether it was said that it never happened and never will.
    pub(crate) refused_for_good: bool,
    sent: u32,
    answered: u32,
    /// How many of those sent may have been carried out, or may still be.
    open: u32,
    /// Whether it was sent to find out what became of it.
    resolves: bool,
}

/// What a worker was told.
#[derive(Debug)]
pub(super) enum Said {
    /// It was carried out, with these lines.
    Ok(Lines),
    /// This sending was refused, and says nothing of earlier ones.
    No,
    /// The same, because of how busy it is.
    Busy,
    /// It was refused for good: neither this sending nor an earlier one was carried out or ever will be.
    Never,
    /// The store failed, and this sending was not carried out.
    Failed,
    /// It may have been carried out, or may still be.
    Unknown,
}

impl Request {
    /// Whether anybody asked.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent > 0
    }

    /// Whether somebody still waits for an answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.answered < self.sent
    }

    /// Whether it may have been carried out, or not, as far as anybody was told.
    pub(crate) fn is_unknown(&self) -> bool {
        self.acknowledged.is_none() && !self.refused_for_good && self.open > 0
    }

    /// Whether it was carried out, as far as anybody was told, or may have been.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.acknowledged.is_some() || self.is_unknown()
    }

    /// It is sent (again).
    pub(super) fn send(&mut self, operation: Uuid, at: i64, resolves: bool) -> Result<(), &'static str> {
        if *self.operation.get_or_insert(operation) != operation {
            return Err("is asked for under two operation ids");
        }
        self.asked_at.get_or_insert(at);
        self.sent += 1;
        self.open += 1;
        self.resolves |= resolves;
        Ok(())
    }

    /// It is refused because a ticket is not free. Of several sendings it is not known which one this is about.
    pub(super) fn found_unavailable(&mut self, at: i64) {
        if let (1, Some(asked)) = (self.sent, self.asked_at) {
            self.unavailable = Some((asked, at));
        }
    }

    /// It is answered. An answer that contradicts an earlier one counts all the same.
    pub(super) fn answer(&mut self, said: Said, at_us: u64, at: i64) -> Result<(), &'static str> {
        if self.answered == self.sent {
            return Err("has more answers than it was sent");
        }
        self.answered += 1;
        let contradiction = self.contradiction(&said);
        match said {
            Said::Ok(lines) => {
                self.acknowledged = Some(lines);
                self.acknowledged_at_us.get_or_insert(at_us);
                self.told_at.get_or_insert(at);
            }
            Said::No | Said::Busy | Said::Failed => self.open = self.open.saturating_sub(1),
            Said::Never => self.refused_for_good = true,
            Said::Unknown => {}
        }
        contradiction.map_or(Ok(()), Err)
    }

    /// A refusal because of load, or a failure, may come after an acknowledgement: who clicks twice gets two answers.
    fn contradiction(&self, said: &Said) -> Option<&'static str> {
        match (said, &self.acknowledged) {
            (Said::Ok(lines), Some(before)) if before != lines => Some("was acknowledged twice, with different lines"),
            (Said::Ok(_), _) if self.refused_for_good => Some("was acknowledged after it was refused for good"),
            (Said::No | Said::Never, Some(_)) => Some("was refused after it was acknowledged"),
            (Said::Never, None) if !self.resolves => Some("was refused for good, and nobody resolved it"),
            _ => None,
        }
    }
}
