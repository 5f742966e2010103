//! What may be asked for, as it is read from an input.

use std::time::Duration;

use arbitrary::Arbitrary;

/// Most steps of one run, and most commands of one step: a run must not take long.
const STEPS_MAX: usize = 64;
const DEEDS_MAX: usize = 8;

#[derive(Debug, Arbitrary)]
pub(crate) struct Input {
    pub(crate) books_late_payments: bool,
    /// Most requests of one batch.
    pub(crate) batch_max: u8,
    /// The event is created and its hall imported before anything else.
    pub(crate) opening: Option<Opening>,
    steps: Vec<Step>,
}

impl Input {
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().take(STEPS_MAX)
    }
}

#[derive(Debug, Clone, Arbitrary)]
pub(crate) struct Opening {
    pub(crate) limit: Option<u32>,
    pub(crate) capacities: [u32; 2],
}

#[derive(Debug, Arbitrary)]
pub(crate) enum Step {
    /// Asked for at once, of one event.
    Ask {
        event: bool,
        deeds: Vec<Deed>,
    },
    Clock(ClockMove),
    Purge {
        limit: u8,
    },
    Sweep {
        limit: u8,
    },
}

impl Step {
    pub(crate) fn deeds(deeds: &[Deed]) -> &[Deed] {
        &deeds[..deeds.len().min(DEEDS_MAX)]
    }
}

#[derive(Debug, Arbitrary)]
pub(crate) enum ClockMove {
    Minutes(i8),
    /// To a deadline, give or take microseconds.
    Deadline {
        n: u8,
        micros: i8,
    },
    To(i64),
}

#[derive(Debug, Arbitrary)]
pub(crate) enum Deed {
    Ask(Wish),
    /// Under an id that was made at another time.
    AskLate(Wish, i64),
    /// A command that was given before, once more.
    Again(u8),
    /// Another one under its id.
    Instead(u8, Wish),
    /// What became of a command that was given before is made final.
    Resolve(u8),
}

/// How long a hold shall last.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Ttl {
    Usual,
    Minutes(u8),
    Any(Duration),
}

impl Ttl {
    pub(crate) fn duration(self) -> Option<Duration> {
        match self {
            Self::Usual => None,
            Self::Minutes(minutes) => Some(Duration::from_secs(60 * u64::from(minutes))),
            Self::Any(duration) => Some(duration),
        }
    }
}

/// Names are numbers here, of few things that exist and some that do not.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Wish {
    Create {
        limit: Option<u32>,
        opens: Option<i64>,
        closes: Option<i64>,
    },
    Import {
        tickets: Vec<(u8, Option<(u32, u32)>)>,
        pools: Vec<(u8, u32)>,
        last: bool,
    },
    Hold {
        id: u8,
        who: u8,
        tickets: Vec<u8>,
        pools: Vec<(u8, u32)>,
        best: Option<(bool, u32)>,
        ttl: Ttl,
    },
    Extend(u8, Who, Ttl),
    Confirm(u8, Who),
    Release(u8, Who),
    Cancel(u8, Who),
    Transfer(u8, Who, u8),
    Block(Vec<u8>),
    Unblock(Vec<u8>),
    /// More lines than are allowed.
    BlockMany(u16),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Who {
    Owner,
    Customer(u8),
}
