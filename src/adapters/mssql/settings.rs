//! What a connection sets for itself.

use std::time::Duration;

use super::schema::Ids;

/// What a new connection is told first. Host and server give up at the same time; a statement that fails ends its transaction. The
/// rest is what indexes with a condition ask for. The server answers how it keeps ids.
pub(super) fn of_connection(call_timeout: Duration) -> String {
    format!(
        "SET LOCK_TIMEOUT {}; SET XACT_ABORT ON; SET NOCOUNT ON; SET IMPLICIT_TRANSACTIONS OFF; \
         SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; \
         SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; SELECT {}",
        call_timeout.as_millis(),
        Ids::CODE_PAGE
    )
}
