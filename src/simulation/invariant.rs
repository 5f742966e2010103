macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $invariant:ident = $name:literal,)+) => {
        /// What is true of every run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Invariant {
            $($(#[doc = $doc])+ $invariant,)+
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$invariant,)+];

            /// What it is called in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$invariant => $name,)+
                }
            }
        }
    };
}

invariants! {
    /// At every moment a ticket has one live owner at most: it changes hands only when its hold was given back or has expired.
    OneOwner = "one_owner",
    /// At every moment what is held and booked of a pool, and what a customer has, is within its bound, and is the sum of the
    /// reservations.
    Capacity = "capacity",
    /// At every moment a reservation has all that it consists of, or nothing.
    AllOrNothing = "all_or_nothing",
    /// A hold is confirmed before its deadline, by the store's clock, or never, and is not ended before it.
    DeadlineKept = "deadline_kept",
    /// Places are held while the sale is open, by the store's clock, and not before or after.
    InWindow = "in_window",
    /// No record is decided before the decision that it follows.
    TimeGoesOn = "time_goes_on",
    /// What was acknowledged is there, as it was acknowledged.
    AcknowledgedKept = "acknowledged_kept",
    /// What was answered with a refusal has not happened.
    RefusedDidNothing = "refused_did_nothing",
    /// Nothing is there that nobody asked for.
    NothingUnasked = "nothing_unasked",
    /// What was done is what was asked for, by who may ask for it, and so are the answers.
    AsAsked = "as_asked",
    /// What a commit only read is still so when it writes.
    ReadsHold = "reads_hold",
    /// An operation is decided once at most, also when its record is forgotten since: then its id is refused.
    DoneOnce = "done_once",
    /// The same operation id has the same answer, as long as operations are remembered.
    SameAnswer = "same_answer",
    /// What a call did happened between its beginning and its answer, and what it was refused for was so then: every ticket and
    /// every pool is linearizable.
    Linearizable = "linearizable",
    /// The change feed tells what is in the tables, without a gap.
    FeedTellsAll = "feed_tells_all",
    /// When nothing goes wrong any more, what expired can be sold soon.
    ExpiredIsSellable = "expired_is_sellable",
    /// When nothing goes wrong any more, every call has an answer soon, and processes come to rest.
    CallsEnd = "calls_end",
    /// Two never hold a lock at the same time, by their own clocks, as long as nodes do what Redlock asks of them.
    LockExcludes = "lock_excludes",
    /// As long as nothing goes wrong near it, a lock that is kept alive is not lost.
    LeasesKept = "leases_kept",
    /// When nothing goes wrong any more, a lock that was given back, or not won, is free at once on every node, and not only after
    /// its TTL.
    LocksGivenBack = "locks_given_back",
    /// When nothing goes wrong any more, every lock is free after its TTL.
    LocksEnd = "locks_end",
    /// Nothing panics.
    NoPanic = "no_panic",
}

/// What was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was broken.
    pub invariant: Invariant,
    /// By what.
    pub what: String,
}
