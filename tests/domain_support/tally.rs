//! How often which rare thing happened: a random test is worth as much as what it comes to.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<String, u32>);

impl Tally {
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_insert(0) += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_insert(0) += times;
        }
    }

    /// How often something happened whose name ends like this.
    pub(crate) fn of(&self, end: &str) -> u32 {
        self.0.iter().filter(|(what, _)| what.ends_with(end)).map(|(_, times)| times).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>8}  {what}"))
    }
}
