use std::str::FromStr;

use ticket_reservation::domain::RecordKey;

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Ticket,
    Pool,
    Allowance,
    Reservation,
    Operation,
}

impl Kind {
    pub(crate) fn of(key: &RecordKey) -> Self {
        match key {
            RecordKey::Event => Self::Event,
            RecordKey::Ticket(_) => Self::Ticket,
            RecordKey::Pool(_) => Self::Pool,
            RecordKey::Allowance(_) => Self::Allowance,
            RecordKey::Reservation(_) => Self::Reservation,
            // Operations, and what is added one day.
            _ => Self::Operation,
        }
    }
}

/// How a store breaks its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Is busy now and then, which is allowed.
    Busy,
    /// Writes whatever it is told to.
    ChecksNoVersion,
    /// Checks what is written and forgets what was only read.
    ForgetsReads,
    /// Checks what was only read of one kind before the others, and not when it writes.
    ReadsTooEarly(Kind),
    /// Checks records that exist, and takes absence for granted.
    ForgetsAbsence,
    /// Overwrites what somebody else has created meanwhile.
    CreatesTwice,
    /// A record that somebody else has created meanwhile aborts the whole batch.
    DuplicatesAbort,
    /// Writes what it can of a group that conflicts.
    WritesInPart,
    /// One conflict fails the whole batch.
    FailsTheBatch,
    /// Never writes operations.
    DropsOperations,
    /// Takes a reservation's own word for the event that it belongs to.
    TrustsTheEvent,
    /// Leaves out what cannot be right, and says nothing.
    LeavesOutWhatIsWrong,
    /// The feed shows later rows first.
    SwapsTheFeed,
    /// The feed has a hole for every third row.
    LosesRows,
    /// A reader behind the purge gets what is left, and is told nothing.
    HidesTheTruncation,
    /// Loads without the lists of expired holds.
    ForgetsLapsed,
    /// Never says that there are more expired holds.
    ForgetsMore,
    /// Lists the expired holds of all pools and customers of that name.
    MixesLapsed,
    /// Shows the records of a load one after another, not as of one moment.
    ReadsInParts,
    /// Lists tickets as free that are not.
    ListsTooManyFree,
    /// Lists the free tickets of all areas of that name.
    MixesAreas,
    /// Reads either records or areas.
    ForgetsRecordsBesideAreas,
    /// Lists the tickets of all areas of that name.
    MixesTickets,
    /// Lists the reservations of all customers of that name.
    MixesReservations,
    /// Gives one row where none was asked for.
    GivesAtLeastOne,
    /// Gives all rows that are asked for.
    KnowsNoLongestPage,
    /// Lists the pools from the first one on, whatever page was asked for.
    RepeatsThePools,
    /// Keeps times in milliseconds.
    RoundsTimes,
    /// Knows no time after the year 9999.
    EndsIn9999,
    /// Purges without raising the limit.
    ForgetsTheLimit,
    /// Writes what depends on an operation that may have been purged.
    WritesWhatIsPurged,
    /// Raises the limit when what it is about is gone already.
    RaisesTheLimitLate,
    /// Purges everything in one step.
    PurgesAtOnce,
    /// Takes the limit of a step for that of each event.
    PurgesPerEvent,
    /// Each handle has a clock of its own.
    OwnClock,
    /// Forgets when a record was decided.
    ForgetsTheTime,
    /// Answers `Committed` and writes a part only.
    Forgets,
    /// Answers `Committed` and does nothing, now and then.
    LosesHolds,
    /// Shows the sweeper nothing.
    HidesFromTheSweeper,
    /// Asks to be polled again and again before it loads.
    AsksForPolls,
    /// Writes one record after another: whoever goes away meanwhile leaves a part.
    TearsWhatIsDropped,
    /// Gives a page of the feed that nobody has waited for to whoever asks next through the same handle.
    AnswersWhoCameBefore,
    /// Is installed by whoever finds it empty; more than a few who do that at once are in each other's way.
    InstallsForFew,
    /// Ignores the customer of a query.
    IgnoresTheCustomer,
    /// Leaves out of the free tickets of an area those that were sold once and given back.
    ForgetsWhatWasGivenBack,
    /// Leaves out of the expired holds of a customer those that are of tickets alone.
    ForgetsLapsedTickets,
    /// Counts the expired holds of all pools of that name as free.
    MixesAvailability,
    /// Shows an operation with its reservation as it is now, not as it was then.
    JoinsTheReservation,
    /// Takes customers for the same in a query whose names differ in case alone.
    FoldsCustomers,
    /// Takes areas for the same whose names differ in case alone, where it counts what is free.
    FoldsAreas,
    /// Begins a page of tickets after all names that differ from the last one in case alone.
    FoldsCursors,
    /// Takes customers for the same whose names differ in case alone, in a query over all events.
    FoldsCustomersOfAllEvents,
    /// Lists the reservations of one event when those of all are asked for.
    ForgetsOtherEvents,
}

/// Those that are planted in other processes too.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::None, Self::ChecksNoVersion, Self::LosesHolds, Self::WritesInPart, Self::InstallsForFew];
        known.into_iter().find(|fault| format!("{fault:?}") == text).ok_or_else(|| format!("no fault: {text}"))
    }
}
