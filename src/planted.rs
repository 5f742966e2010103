//! Bugs that are planted on purpose, to see whether the simulator's checker finds them. Compiled with `--cfg planted_bugs` alone, which is
//! no feature and in no release.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::Timestamp;
use crate::simulation::Invariant;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident = $name:literal breaks $invariant:ident,)+) => {
        /// A mistake that others have made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Bug {
            $($(#[doc = $doc])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)+];

            /// What it is called.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }

            /// What it is, in words.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$bug => concat!($($doc),+).trim_ascii(),)+
                }
            }

            /// What it must be caught by.
            #[must_use]
            pub fn breaks(self) -> Invariant {
                match self {
                    $(Self::$bug => Invariant::$invariant,)+
                }
            }
        }
    };
}

bugs! {
    /// A commit does not look whether what it writes is still as it was read.
    NoVersionCheck = "no_version_check" breaks OneOwner,
    /// A commit does not look whether what it only read is still so.
    ReadsNotGuarded = "reads_not_guarded" breaks ReadsHold,
    /// The versions are compared, and some time later the rows are written.
    CheckThenWrite = "check_then_write" breaks OneOwner,
    /// A commit that lost its race is told that it was written.
    ConflictIsCommitted = "conflict_is_committed" breaks AcknowledgedKept,
    /// Of the rows of a group one is not written.
    GroupInPart = "group_in_part" breaks AllOrNothing,
    /// Of the groups of a call the last is not written, and nobody is told.
    BatchInPart = "batch_in_part" breaks AcknowledgedKept,
    /// The record of an operation is written by another transaction, which may not come.
    OperationApart = "operation_apart" breaks AcknowledgedKept,
    /// Operations are forgotten as soon as they are done.
    OperationsForgotten = "operations_forgotten" breaks AcknowledgedKept,
    /// What a customer has already is not written down.
    AllowanceForgotten = "allowance_forgotten" breaks Capacity,
    /// A row of the change feed is left out.
    FeedRowLost = "feed_row_lost" breaks FeedTellsAll,
    /// Expired holds that count in a pool are not looked at.
    LapsedForgotten = "lapsed_forgotten" breaks ExpiredIsSellable,
    /// Whether a hold has expired is judged by the clock of the process.
    ProcessClockDecides = "process_clock_decides" breaks DeadlineKept,
    /// A decision is made at the time that the clock says, even if that was before the decision that it follows.
    ClockStepsBack = "clock_steps_back" breaks TimeGoesOn,
    /// Who settles expired holds does not look whether somebody else has.
    SweeperWithoutOwner = "sweeper_without_owner" breaks AllOrNothing,
    /// Callers are answered before the commit.
    AnswerBeforeCommit = "answer_before_commit" breaks Linearizable,
    /// Refusals are answered before what they are founded on is committed.
    RefusalBeforeCommit = "refusal_before_commit" breaks Linearizable,
    /// A commit whose outcome is unknown is taken for one that failed.
    UnknownIsFailed = "unknown_is_failed" breaks RefusedDidNothing,
    /// A commit whose outcome is unknown is taken for one that was done.
    UnknownIsDone = "unknown_is_done" breaks AcknowledgedKept,
    /// Nothing is found of a commit whose outcome is unknown, and that is taken for its end: it may still arrive.
    AbsenceIsNo = "absence_is_no" breaks RefusedDidNothing,
    /// A call waits for its answer for ever.
    NoCallTimeout = "no_call_timeout" breaks CallsEnd,
    /// A lock is released whoever has it.
    ReleaseWithoutCompare = "release_without_compare" breaks LockExcludes,
    /// A lock is taken whoever has it.
    AcquireOverwrites = "acquire_overwrites" breaks LockExcludes,
    /// A lock that has ended is extended, whoever has it meanwhile.
    ExtendRecreates = "extend_recreates" breaks LockExcludes,
    /// A lock has no time limit on its nodes.
    NoTtl = "no_ttl" breaks LocksEnd,
    /// One node is enough for a lock.
    MinorityQuorum = "minority_quorum" breaks LockExcludes,
    /// A lock is used for longer than its nodes keep it.
    LeasePastDeadline = "lease_past_deadline" breaks LockExcludes,
    /// A lock is not extended while it is held.
    KeepAliveStops = "keep_alive_stops" breaks LeasesKept,
    /// A node that misses a release is not told later.
    OwedReleasesForgotten = "owed_releases_forgotten" breaks LocksGivenBack,
    /// What some nodes have granted of a lock that was not won is not given back.
    LosersKeep = "losers_keep" breaks LocksGivenBack,
    /// A node that has forgotten everything counts at once.
    NoQuarantine = "no_quarantine" breaks LockExcludes,
    /// Operations are purged, and nobody is told up to where.
    PurgeWithoutHorizon = "purge_without_horizon" breaks DoneOnce,
    /// An operation is carried out however old its id is.
    OldIdsTaken = "old_ids_taken" breaks DoneOnce,
    /// Whose a reservation is is not looked at.
    AnyonesReservation = "anyones_reservation" breaks AsAsked,
    /// A load brings a reservation that is there as if it were not.
    ReservationOverlooked = "reservation_overlooked" breaks Linearizable,
    /// Who reads a change feed that is purged beyond where they are reads on behind the gap.
    GapUntold = "gap_untold" breaks FeedTellsAll,
    /// Places of a pool are counted on top of what others have counted, without a look at its capacity.
    RoomNotLookedAt = "room_not_looked_at" breaks Capacity,
    /// A store that may carry out a call twice counts on in pools.
    RepeatedCallsCount = "repeated_calls_count" breaks RefusedDidNothing,
    /// A commit that arrives when its operation may have been done, and purged, is written.
    PurgedOperationsWritten = "purged_operations_written" breaks DoneOnce,
    /// Places are held whether the sale is open or not.
    WindowIgnored = "window_ignored" breaks InWindow,
    /// An operation id that is used for something else has the answer of what it was used for before.
    ContentNotCompared = "content_not_compared" breaks SameAnswer,
}

/// The one that is planted: its number from 1, or 0.
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// From now on there is this bug in the whole process, or none.
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as usize + 1), Ordering::Relaxed);
}

/// Whether there is this bug.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.load(Ordering::Relaxed) == bug as usize + 1
}

/// Before which time a commit takes operations to be purged.
pub(crate) fn purged_before(before: Timestamp) -> Timestamp {
    if is(Bug::PurgedOperationsWritten) { Timestamp::from_micros(i64::MIN) } else { before }
}

/// When a record was decided, for decisions that follow.
pub(crate) fn as_decided(at: Timestamp) -> Timestamp {
    if is(Bug::ClockStepsBack) { Timestamp::EPOCH } else { at }
}
