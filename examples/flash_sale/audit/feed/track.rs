//! The records of one kind, as the feed has them so far.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use super::super::books::Row;
use super::super::findings::{Findings, Wrong};

/// Keeps the last row of each record.
pub(super) struct Track<'b, K: ?Sized, T> {
    what: &'static str,
    last: HashMap<&'b K, &'b Row<T>>,
}

impl<'b, K: ?Sized + Eq + Ord + Hash + Display, T: PartialEq> Track<'b, K, T> {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last: HashMap::new() }
    }

    /// Takes in a row, the next version of its record, and answers the one before.
    pub(super) fn step(&mut self, at: i64, key: &'b K, row: &'b Row<T>, findings: &mut Findings) -> Option<&'b Row<T>> {
        let before = self.last.insert(key, row);
        let what = self.what;
        let expected = before.map_or(1, |before| before.version + 1);
        if row.version != expected {
            let line = format!("change {at} makes version {} of {what} {key}, not {expected}", row.version);
            findings.add(Wrong::Other, line);
        }
        if before.is_some_and(|before| row.decided_at < before.decided_at) {
            findings.add(Wrong::Other, format!("change {at} of {what} {key} was decided before the one it follows"));
        }
        before
    }

    /// The last row of every record.
    pub(super) fn last(&self) -> &HashMap<&'b K, &'b Row<T>> {
        &self.last
    }

    /// The table has the last row of every record, and nothing else.
    pub(super) fn compare(mut self, table: impl IntoIterator<Item = (&'b K, &'b Row<T>)>, findings: &mut Findings) {
        let what = self.what;
        for (key, row) in table {
            match self.last.remove(key) {
                None => findings.add(Wrong::Other, format!("the change feed does not know {what} {key}")),
                Some(last) if last != row => {
                    findings.add(Wrong::Other, format!("the change feed ends with another {what} {key}"));
                }
                Some(_) => {}
            }
        }
        let mut gone: Vec<_> = self.last.into_keys().collect();
        gone.sort_unstable();
        for key in gone {
            findings.add(Wrong::Other, format!("the change feed has {what} {key}, which is not in the store"));
        }
    }
}
