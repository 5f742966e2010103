//! What a connection, and each of the functions in the database, sets for itself.

use std::fmt::Write as _;
use std::time::Duration;

/// Plans are made once for each connection, perhaps while the tables are empty, and must be good when they are full: by the index,
/// whatever the planner thinks of the size of a table.
const PLANS: [(&str, &str); 7] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("random_page_cost", "0.01"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The settings of a function, which are part of its definition.
pub(super) fn of_function() -> String {
    let set: Vec<String> = PLANS.iter().map(|(name, value)| format!("SET {name} = {value}")).collect();
    set.join("\n")
}

/// What a new connection is told first. Host and server give up at the same time, no lock is waited for beyond that, and what is
/// acknowledged is on the disk.
pub(super) fn of_connection(call_timeout: Duration) -> String {
    let timeout = call_timeout.as_millis();
    let mut set = format!(
        "SET default_transaction_isolation = 'read committed'; SET client_encoding = 'UTF8'; \
         SET statement_timeout = {timeout}; SET lock_timeout = {timeout}; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    );
    for (name, value) in PLANS {
        // Writing to a string cannot fail.
        let _ = write!(set, "; SET {name} = {value}");
    }
    set
}
