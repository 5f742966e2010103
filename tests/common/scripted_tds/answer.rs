//! What is answered to a request.

use std::time::Duration;

use super::script::{Gate, Wait};
use super::table::Table;
use super::tokens::{self, Message};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Table { table: Table, is_whole: bool },
    Affected(u64),
    Error(Message),
    Raw(Vec<u8>),
    Wait(Wait),
    Cut,
}

/// What is answered to one request.
///
/// It has no end of its own: a batch ends with the DONE of its last statement, and a procedure with RETURNSTATUS and
/// DONEPROC, so that the same answer does for both.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(super) steps: Vec<Step>,
    pub(super) status: i32,
    pub(super) has_end: bool,
    pub(super) packet_bytes: Option<usize>,
    pub(super) cut: Option<Cut>,
}

/// Where the connection ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// When so much of the request has been read.
    Reading(usize),
    /// When so much of the answer has been sent.
    Answering(usize),
}

impl Answer {
    /// Nothing but its end.
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), status: 0, has_end: true, packet_bytes: None, cut: None }
    }

    /// A result set, as one statement.
    pub(crate) fn rows(table: Table) -> Self {
        Self::new().then_rows(table)
    }

    /// A statement that has changed so many rows.
    pub(crate) fn affected(rows: u64) -> Self {
        Self::new().then_affected(rows)
    }

    pub(crate) fn error(message: Message) -> Self {
        Self::new().then_error(message)
    }

    /// Nothing, ever.
    pub(crate) fn never() -> Self {
        Self::new().wait(Wait::Forever)
    }

    /// The request is read, and the connection ends.
    pub(crate) fn cut() -> Self {
        Self::new().cut_after(0)
    }

    /// The connection ends when so many bytes of the request have been read, which is then not in the log. A shorter
    /// one is read as a whole.
    pub(crate) fn cut_reading_after(bytes: usize) -> Self {
        Self { cut: Some(Cut::Reading(bytes)), ..Self::new() }
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn then_rows(self, table: Table) -> Self {
        self.step(Step::Table { table, is_whole: true })
    }

    /// A result set that does not end: what follows is in the middle of it.
    pub(crate) fn then_some_rows(self, table: Table) -> Self {
        self.step(Step::Table { table, is_whole: false })
    }

    pub(crate) fn then_affected(self, rows: u64) -> Self {
        self.step(Step::Affected(rows))
    }

    /// A statement that fails. What follows is that of a batch that goes on.
    pub(crate) fn then_error(self, message: Message) -> Self {
        self.step(Step::Error(message))
    }

    pub(crate) fn then_info(self, message: &Message) -> Self {
        let mut token = Vec::new();
        tokens::put_info(message, &mut token);
        self.then_bytes(token)
    }

    /// A transaction begins, as ENVCHANGE tells it, and has this descriptor.
    pub(crate) fn then_begun(self, descriptor: u64) -> Self {
        let mut token = Vec::new();
        tokens::put_transaction(true, descriptor.to_le_bytes(), &mut token);
        self.then_bytes(token)
    }

    /// The transaction of this descriptor ends, as ENVCHANGE tells it.
    pub(crate) fn then_ended(self, descriptor: u64) -> Self {
        let mut token = Vec::new();
        tokens::put_transaction(false, descriptor.to_le_bytes(), &mut token);
        self.then_bytes(token)
    }

    /// Any tokens, or what is none.
    pub(crate) fn then_bytes(self, tokens: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Raw(tokens.into()))
    }

    /// What has been said until here is sent, and the rest later.
    pub(crate) fn wait(self, wait: Wait) -> Self {
        self.step(Step::Wait(wait))
    }

    pub(crate) fn delay(self, time: Duration) -> Self {
        self.wait(Wait::For(time))
    }

    pub(crate) fn until(self, gate: &Gate) -> Self {
        self.wait(Wait::Until(gate.clone()))
    }

    /// What has been said until here is sent, and the connection ends.
    pub(crate) fn then_cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// What the procedure returns.
    pub(crate) fn returns(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// The last packet comes without the tokens of an end.
    pub(crate) fn without_end(mut self) -> Self {
        self.has_end = false;
        self
    }

    /// Its packets have at most so many bytes, of which 8 are the header.
    pub(crate) fn in_packets_of(mut self, bytes: usize) -> Self {
        self.packet_bytes = Some(bytes);
        self
    }

    /// The connection ends when so many bytes of the answer have been sent, headers of packets and all. After the last
    /// byte, the client has the whole answer.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(Cut::Answering(bytes));
        self
    }

    /// The connection ends when the whole answer has been sent.
    pub(crate) fn closes(self) -> Self {
        self.cut_after(usize::MAX)
    }
}
