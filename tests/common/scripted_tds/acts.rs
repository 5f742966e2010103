//! From an answer to what goes over the wire.

use super::answer::{Answer, Cut, Step};
use super::request::Kind;
use super::script::Wait;
use super::tokens::{self, DONE_COUNT, DONE_ERROR, DONE_MORE, Done};
use super::wire;

/// What is to be done for an answer, in order.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Whole packets, or the beginning of some.
    Send(Vec<u8>),
    Wait(Wait),
    /// The connection ends.
    Cut,
}

impl Answer {
    /// After how many bytes of the request the connection ends.
    pub(crate) fn cuts_reading(&self) -> Option<usize> {
        if let Some(Cut::Reading(bytes)) = self.cut { Some(bytes) } else { None }
    }

    /// How many bytes the answer has, headers of packets and all.
    pub(crate) fn wire_bytes(&self, kind: Kind) -> usize {
        let whole = Self { cut: None, ..self.clone() };
        let sent = |act: Act| if let Act::Send(bytes) = act { bytes.len() } else { 0 };
        whole.acts(kind, wire::PACKET_BYTES).into_iter().map(sent).sum()
    }

    /// What is to be done, over a connection whose packets have at most so many bytes.
    pub(crate) fn acts(&self, kind: Kind, packet_bytes: usize) -> Vec<Act> {
        let packet_bytes = self.packet_bytes.unwrap_or(packet_bytes);
        let mut acts = Vec::new();
        let mut pending = Vec::new();
        for piece in self.pieces(kind) {
            let act = match piece {
                Piece::Tokens(tokens) => {
                    pending.extend(tokens);
                    continue;
                }
                Piece::Wait(wait) => Act::Wait(wait),
                Piece::Cut => Act::Cut,
            };
            let said = std::mem::take(&mut pending);
            if !said.is_empty() {
                acts.push(Act::Send(wire::answer_packets(&said, packet_bytes, true)));
            }
            acts.push(act);
            if matches!(acts.last(), Some(Act::Cut)) {
                break;
            }
        }
        if !matches!(acts.last(), Some(Act::Cut)) {
            acts.push(Act::Send(wire::answer_packets(&pending, packet_bytes, false)));
        }
        match self.cut {
            Some(Cut::Answering(bytes)) => cut(acts, bytes),
            Some(Cut::Reading(_)) => vec![Act::Cut],
            None => acts,
        }
    }

    fn pieces(&self, kind: Kind) -> Vec<Piece> {
        let is_statement =
            |step: &Step| matches!(step, Step::Table { is_whole: true, .. } | Step::Affected(_) | Step::Error(_));
        let last = self.steps.iter().rposition(is_statement);
        let ends_batch = |at| kind == Kind::Batch && self.has_end && last == Some(at);
        let done = if kind == Kind::Batch { Done::Batch } else { Done::InProcedure };
        let mut pieces = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let mut out = Vec::new();
            let more = if ends_batch(at) { 0 } else { DONE_MORE };
            match step {
                Step::Table { table, is_whole } => {
                    tokens::put_table(table, &mut out);
                    if *is_whole {
                        tokens::put_done(done, DONE_COUNT | more, table.rows().len() as u64, &mut out);
                    }
                }
                Step::Affected(rows) => tokens::put_done(done, DONE_COUNT | more, *rows, &mut out),
                Step::Error(message) => {
                    tokens::put_error(message, &mut out);
                    tokens::put_done(done, DONE_ERROR | more, 0, &mut out);
                }
                Step::Raw(bytes) => out.extend(bytes),
                Step::Wait(_) | Step::Cut => {}
            }
            pieces.push(match step {
                Step::Wait(wait) => Piece::Wait(wait.clone()),
                Step::Cut => Piece::Cut,
                _ => Piece::Tokens(out),
            });
        }
        if self.has_end {
            pieces.push(Piece::Tokens(self.end(kind, last.is_some())));
        }
        pieces
    }

    fn end(&self, kind: Kind, has_statement: bool) -> Vec<u8> {
        let mut out = Vec::new();
        match kind {
            Kind::Batch if has_statement => {}
            Kind::Batch => tokens::put_done(Done::Batch, 0, 0, &mut out),
            Kind::Procedure => {
                let failed = self.steps.iter().any(|step| matches!(step, Step::Error(_)));
                tokens::put_return_status(self.status, &mut out);
                tokens::put_done(Done::Procedure, if failed { DONE_ERROR } else { 0 }, 0, &mut out);
            }
        }
        out
    }
}

enum Piece {
    Tokens(Vec<u8>),
    Wait(Wait),
    Cut,
}

/// Ends after so many bytes.
fn cut(acts: Vec<Act>, mut left: usize) -> Vec<Act> {
    let mut out = Vec::new();
    for act in acts {
        if left == 0 {
            break;
        }
        out.push(match act {
            Act::Send(mut bytes) => {
                bytes.truncate(left);
                left -= bytes.len();
                Act::Send(bytes)
            }
            other => other,
        });
    }
    out.push(Act::Cut);
    out
}
