//! What can go wrong, how often it does in one world, and how often it has.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::dice::Dice;
use super::executor::locked;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $fault:ident = $name:literal,)+) => {
        /// What can go wrong in a simulated world.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[doc = $doc])+ $fault,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fault,)+];

            /// What it is called in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }
        }
    };
}

faults! {
    /// A message to the store or to a lock node takes far longer than others.
    MessageDelayed = "message_delayed",
    /// A message to a lock node, or its answer, never arrives.
    MessageLost = "message_lost",
    /// A message arrives twice.
    MessageDuplicated = "message_duplicated",
    /// A process stands still for less than a lock's TTL.
    ProcessPaused = "process_paused",
    /// A process stands still for longer than a lock's TTL.
    ProcessPausedPastTtl = "process_paused_past_ttl",
    /// A process ends, at whatever it is.
    ProcessCrashed = "process_crashed",
    /// A process that crashed starts again.
    ProcessRestarted = "process_restarted",
    /// A process's clock runs too fast or too slow.
    ProcessClockDrifts = "process_clock_drifts",
    /// A process's time of day jumps ahead.
    ProcessClockAhead = "process_clock_ahead",
    /// A process's time of day jumps back.
    ProcessClockBack = "process_clock_back",
    /// A lock node ends and starts again with what it knew.
    NodeCrashed = "node_crashed",
    /// A lock node ends and starts again with nothing.
    NodeForgot = "node_forgot",
    /// A lock node stands still; what it is sent meanwhile it does afterwards.
    NodeFrozen = "node_frozen",
    /// Nothing reaches a lock node, and nothing comes from it.
    NodeCutOff = "node_cut_off",
    /// Nothing reaches a lock node.
    NodeUnreachable = "node_unreachable",
    /// Nothing comes from a lock node, which does what it is asked.
    NodeMute = "node_mute",
    /// A lock node's clock runs too fast or too slow.
    NodeClockDrifts = "node_clock_drifts",
    /// A lock node's clock jumps ahead: its keys end too early.
    NodeClockAhead = "node_clock_ahead",
    /// A lock node's clock jumps back: its keys end too late, until somebody puts it right.
    NodeClockBack = "node_clock_back",
    /// The lock grants everybody everything.
    LockGrantsAll = "lock_grants_all",
    /// The store answers everything late for a while.
    StoreSlow = "store_slow",
    /// The store refuses a call.
    StoreRefused = "store_refused",
    /// A commit is done, and its answer never comes.
    StoreUnknownDone = "store_unknown_done",
    /// A commit never arrives, and nobody says so.
    StoreUnknownNotDone = "store_unknown_not_done",
    /// A commit is done long after the caller stopped waiting for it.
    StoreUnknownDoneLate = "store_unknown_done_late",
    /// The connection ends while something is read.
    LostInLoad = "connection_lost_in_load",
    /// The connection ends before a commit is sent. To who asked it is the same as a refusal: a store's port tells both as a failure
    /// in passing, after which nothing was changed.
    LostBeforeCommit = "connection_lost_before_commit",
    /// The connection ends while a commit is under way, which is done or not.
    LostInCommit = "connection_lost_in_commit",
    /// The connection ends when a commit is done, before its answer.
    LostAfterCommit = "connection_lost_after_commit",
    /// The store's clock jumps ahead.
    StoreClockAhead = "store_clock_ahead",
    /// The store's clock jumps back.
    StoreClockBack = "store_clock_back",
    /// A caller goes away in the middle of a call.
    CallDropped = "call_dropped",
    /// Two processes settle expired holds at the same time.
    SweepersRaced = "sweepers_raced",
}

impl Fault {
    /// Whether there is nothing that it could happen to where there are no lock nodes.
    pub(super) fn needs_nodes(self) -> bool {
        matches!(
            self,
            Self::MessageLost
                | Self::NodeCrashed
                | Self::NodeForgot
                | Self::NodeFrozen
                | Self::NodeCutOff
                | Self::NodeUnreachable
                | Self::NodeMute
                | Self::NodeClockDrifts
                | Self::NodeClockAhead
                | Self::NodeClockBack
        )
    }

    /// Whether a network that is bad does it to many messages. Not every one repeats them.
    fn is_of_a_bad_network(self, repeats: bool) -> bool {
        matches!(self, Self::MessageDelayed | Self::MessageLost) || repeats && self == Self::MessageDuplicated
    }

    /// Whether it happens to the store, its calls or a time of day alone, of which no lock knows.
    pub(super) fn leaves_locks_alone(self) -> bool {
        matches!(
            self,
            Self::ProcessClockDrifts
                | Self::ProcessClockAhead
                | Self::ProcessClockBack
                | Self::NodeClockDrifts
                | Self::LockGrantsAll
                | Self::StoreSlow
                | Self::StoreRefused
                | Self::StoreUnknownDone
                | Self::StoreUnknownNotDone
                | Self::StoreUnknownDoneLate
                | Self::LostInLoad
                | Self::LostBeforeCommit
                | Self::LostInCommit
                | Self::LostAfterCommit
                | Self::StoreClockAhead
                | Self::StoreClockBack
                | Self::CallDropped
                | Self::SweepersRaced
        )
    }
}

/// How many of a thousand messages a bad network strikes, in each way that it is bad.
const BAD_NETWORK: u64 = 250;

const COUNT: usize = Fault::ALL.len();

/// How often each fault has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired([u64; COUNT]);

impl Default for Fired {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Fired {
    /// Each fault, and how often it has happened.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.iter().copied().zip(self.0)
    }

    /// How often this one has happened.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

/// What goes wrong in one world: some of all, each in its own measure, until the world is healed.
#[derive(Debug)]
pub(super) struct Trouble {
    /// In a thousand times.
    often: [u64; COUNT],
    dice: Mutex<Dice>,
    fired: [AtomicU64; COUNT],
    is_over: AtomicBool,
}

impl Trouble {
    /// Which faults there are is left to the dice: worlds with few of them find what worlds with all of them hide.
    pub(super) fn new(mut dice: Dice, possible: impl Fn(Fault) -> bool) -> Self {
        let share = *dice.one_of(&[0, 200, 500, 1_000]);
        let (is_network_bad, repeats) = (dice.per_mille(250), dice.per_mille(500));
        let mut often = [0; COUNT];
        for (fault, often) in Fault::ALL.iter().zip(&mut often) {
            let (measure, is_there) = (*dice.one_of(&[2, 10, 40]), dice.per_mille(share));
            let is_bad = is_network_bad && fault.is_of_a_bad_network(repeats);
            if (is_bad || is_there) && possible(*fault) {
                *often = if is_bad { BAD_NETWORK } else { measure };
            }
        }
        let fired = std::array::from_fn(|_| AtomicU64::new(0));
        Self { often, dice: Mutex::new(dice), fired, is_over: AtomicBool::new(false) }
    }

    /// Whether this fault is one of this world's.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.often[fault as usize] > 0 && !self.is_over.load(Ordering::Relaxed)
    }

    /// Whether it happens now. Then it has.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        let strikes = self.has(fault) && locked(&self.dice).per_mille(self.often[fault as usize]);
        if strikes {
            self.fire(fault);
        }
        strikes
    }

    /// It has happened.
    pub(super) fn fire(&self, fault: Fault) {
        self.fired[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn fired(&self) -> Fired {
        Fired(std::array::from_fn(|at| self.fired[at].load(Ordering::Relaxed)))
    }

    pub(super) fn with_dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut locked(&self.dice))
    }
}
