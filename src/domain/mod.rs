//! The rules of selling limited inventory, as pure functions over values.
//!
//! Nothing here waits, reads a clock, draws a random number or talks to the outside. Whoever holds a
//! [`Snapshot`] of the records a [`Command`] concerns can ask [`decide()`] what happens, and gets either a
//! [`ChangeSet`] or a [`Rejection`]. Every store, every test and every simulator runs this one code.

mod action_kind;
mod best_available;
mod change_set;
mod command;
mod decide;
mod event;
mod fingerprint;
mod free_list;
mod ids;
mod lines;
mod operation;
mod policies;
mod pool;
mod receipt;
mod record;
mod record_key;
mod rejection;
mod reservation;
mod snapshot;
mod ticket;
mod time;
mod view;

pub use action_kind::ActionKind;
pub use best_available::{BestAvailable, pick};
pub use change_set::ChangeSet;
pub use command::{Action, Command, CreateEvent, Hold, IMPORT_CHUNK_MAX, Import, Transfer};
pub use decide::{OPERATION_CLOCK_SKEW_MAX, decide, expire, void};
pub use event::{Event, EventState, SalesWindow};
pub use fingerprint::Fingerprint;
pub use ids::{AreaId, BlockReason, CustomerId, EventId, InvalidId, OperationId, PoolId, ReservationId, TicketId};
pub use lines::{InvalidLines, LINES_MAX, Lines};
pub use operation::{OperationRecord, Recorded};
pub use policies::{InvalidPolicies, LatePayment, Policies};
pub use pool::{Allowance, Pool};
pub use receipt::{Outcome, Receipt};
pub use record::{Record, Versioned};
pub use record_key::RecordKey;
pub use rejection::Rejection;
pub use reservation::{Reservation, ReservationState};
pub use snapshot::{Lapsed, LapsedOf, Snapshot};
pub use ticket::{Place, Ticket, TicketState};
pub use time::Timestamp;
pub use view::View;
