use std::collections::BTreeSet;

use super::error::BookingError;
use super::service::BookingService;
use crate::domain::{
    Action, BlockReason, Command, EventId, LINES_MAX, Outcome, Record, RecordKey, Rejection, Ticket, TicketId,
    TicketState, Timestamp,
};
use crate::ports::LoadRequest;

/// What blocking or unblocking many tickets came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BlockReport {
    /// How many tickets this call has changed.
    pub changed: u32,
    /// Which are not as was asked for. They stay as they are.
    pub refused: Vec<RefusedTicket>,
}

/// A ticket that was not blocked, or not unblocked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedTicket {
    /// Which.
    pub ticket: TicketId,
    /// Why: what it was when it was looked at after the refusal. `None`: the event has no such ticket.
    pub state: Option<TicketState>,
}

impl BookingService {
    /// Takes any number of tickets off sale, in commands of at most [`LINES_MAX`]. Those that are held, sold, blocked for
    /// another reason or not there are left out, and the report says so. What is blocked for this reason already is as
    /// asked for, so that a broken call is simply started again. Each command waits for others in its way, whatever the
    /// service's contention policy.
    ///
    /// It is not one moment: while the first tickets are blocked already, the last ones may still be sold.
    /// [`block`](Self::block) blocks all or none.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). What was blocked before the failure stays so. Of an unknown outcome there is nothing to
    /// resolve: call it again with the same tickets.
    ///
    /// # Cancellation
    ///
    /// Commands already sent are carried out.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let hold = Hold::new(service.new_reservation_id(), alice, Lines::merge([ticket(4)?], [])?);
    /// # let _ = service.hold(&event, service.new_operation_id(), hold).await?;
    /// let seats = (1..=4).map(ticket).collect::<Result<Vec<_>, _>>()?;
    /// let report = service.block_many(&event, seats, BlockReason::new("camera stand")?).await?;
    /// assert_eq!(report.changed, 3);
    /// // Alice holds seat 4.
    /// assert_eq!(report.refused[0].ticket, ticket(4)?);
    /// assert!(matches!(report.refused[0].state, Some(TicketState::Held { .. })));
    #[doc = doc_end!()]
    /// ```
    pub async fn block_many(
        &self,
        event: &EventId,
        tickets: Vec<TicketId>,
        reason: BlockReason,
    ) -> Result<BlockReport, BookingError> {
        let wanted = TicketState::Blocked { reason: reason.clone() };
        let block = |tickets| Action::Block { tickets, reason: reason.clone() };
        self.change_many(event, tickets, block, |ticket, _| ticket.state == wanted).await
    }

    /// Puts any number of blocked tickets on sale again, in commands of at most [`LINES_MAX`]. Those that are held, sold or
    /// not there are left out, and the report says so. What is available already is as asked for, so that a broken call is
    /// simply started again. Each command waits for others in its way, whatever the service's contention policy.
    ///
    /// It is not one moment; [`unblock`](Self::unblock) unblocks all or none.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). What was unblocked before the failure stays so. Of an unknown outcome there is nothing
    /// to resolve: call it again with the same tickets.
    ///
    /// # Cancellation
    ///
    /// Commands already sent are carried out.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let reason = BlockReason::new("camera stand")?;
    /// # let _ = service.block(&event, service.new_operation_id(), vec![ticket(1)?], reason).await?;
    /// let report = service.unblock_many(&event, vec![ticket(1)?, ticket(2)?, ticket(9)?]).await?;
    /// assert_eq!(report.changed, 1);
    /// // Ticket 2 was on sale; there is no ticket 9.
    /// assert_eq!(report.refused.len(), 1);
    /// assert_eq!((&report.refused[0].ticket, &report.refused[0].state), (&ticket(9)?, &None));
    #[doc = doc_end!()]
    /// ```
    pub async fn unblock_many(&self, event: &EventId, tickets: Vec<TicketId>) -> Result<BlockReport, BookingError> {
        let unblock = |tickets| Action::Unblock { tickets };
        self.change_many(event, tickets, unblock, Ticket::is_available).await
    }

    async fn change_many(
        &self,
        event: &EventId,
        tickets: Vec<TicketId>,
        action: impl Fn(Vec<TicketId>) -> Action,
        is_as_asked_for: impl Fn(&Ticket, Timestamp) -> bool,
    ) -> Result<BlockReport, BookingError> {
        let mut report = BlockReport::default();
        // Each once, so that none meets what this call has made of it.
        let tickets: Vec<TicketId> = tickets.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        for chunk in tickets.chunks(LINES_MAX) {
            let mut chunk = chunk.to_vec();
            // Each round leaves out at least one: first those that are not there, then those that are taken. Another one is
            // needed only if others take some meanwhile.
            while !chunk.is_empty() {
                match self.change(event, action(chunk.clone())).await {
                    Err(BookingError::Rejected(
                        Rejection::UnknownTickets { tickets }
                        | Rejection::Unavailable { tickets }
                        | Rejection::NotBlocked { tickets },
                    )) => {
                        chunk.retain(|ticket| tickets.binary_search(ticket).is_err());
                        let (found, now) = self.look_at(event, tickets).await?;
                        let refused = found.into_iter().filter_map(|(ticket, found)| match found {
                            Some(found) if is_as_asked_for(&found, now) => None,
                            found => Some(RefusedTicket { ticket, state: found.map(|found| found.state) }),
                        });
                        report.refused.extend(refused);
                    }
                    answer => {
                        report.changed = report.changed.saturating_add(answer?);
                        break;
                    }
                }
            }
        }
        report.refused.sort_by(|left, right| left.ticket.cmp(&right.ticket));
        Ok(report)
    }

    async fn change(&self, event: &EventId, action: Action) -> Result<u32, BookingError> {
        let command = Command { event: event.clone(), operation: self.new_operation_id(), action };
        match self.submit_waiting(command).await?.outcome {
            Outcome::Inventory { changed } => Ok(changed),
            Outcome::Reservation(_) => Err(Rejection::OperationReused.into()),
        }
    }

    /// What tickets are, and when.
    async fn look_at(
        &self,
        event: &EventId,
        tickets: Vec<TicketId>,
    ) -> Result<(Vec<(TicketId, Option<Ticket>)>, Timestamp), BookingError> {
        let records = tickets.iter().cloned().map(RecordKey::Ticket).collect();
        let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
        let snapshot = self.repository().load(&request).await.map_err(BookingError::Failed)?;
        let ticket = |id: TicketId| match snapshot.get(&RecordKey::Ticket(id.clone())).map(|found| &found.record) {
            Some(Some(Record::Ticket(ticket))) => (id, Some(ticket.clone())),
            _ => (id, None),
        };
        Ok((tickets.into_iter().map(ticket).collect(), snapshot.clock()))
    }
}
