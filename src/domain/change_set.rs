use super::receipt::Receipt;
use super::record::Record;
use super::record_key::RecordKey;
use super::time::Timestamp;

/// What a decided command changes: whole records, and the answer that is true once they are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// The decision time.
    pub at: Timestamp,
    /// The new content of every record that changes, each record once. Empty when an earlier success is repeated.
    pub writes: Vec<(RecordKey, Record)>,
    /// The answer; `None` for what no caller asked for (expiry, voiding).
    pub receipt: Option<Receipt>,
}
