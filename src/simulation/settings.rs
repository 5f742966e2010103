use std::time::Duration;

use super::clock::time_of_day;
use super::dice::Dice;
use crate::booking::{Contention, LockOutage, LockPolicy, LockScope};
use crate::domain::{LatePayment, Policies, SalesWindow};

/// Which lock the processes of a world have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockKind {
    None,
    /// The quorum engine over so many nodes.
    Redlock(usize),
    /// One that grants everybody everything.
    GrantsAll,
}

/// One world, as its seed has it.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) length: Duration,
    pub(super) processes: usize,
    pub(super) customers: usize,
    /// How long a customer thinks between two purchases, at most.
    pub(super) pace_ms: u64,
    pub(super) rows: u32,
    pub(super) seats_in_row: u32,
    /// When the sale opens and closes, if not at once and never, by a clock that is right.
    pub(super) opens: Option<Duration>,
    pub(super) closes: Option<Duration>,
    /// The capacity of each pool.
    pub(super) pools: Vec<u32>,
    /// How many of a thousand holds are of places of pools alone, where there are pools.
    pub(super) standing_per_mille: u64,
    pub(super) limit_per_customer: Option<u32>,
    pub(super) hold_ttl: Duration,
    pub(super) late_payment: LatePayment,
    /// Somebody settles expired holds, and forgets what is old: so many at a time.
    pub(super) sweeps: bool,
    pub(super) sweep_max: usize,
    /// For how long operations are remembered.
    pub(super) retention: Duration,
    pub(super) lock: LockKind,
    pub(super) lock_policy: LockPolicy,
    pub(super) lock_outage: LockOutage,
    pub(super) contention: Contention,
    pub(super) batch_max: usize,
    /// How far clocks are off, in parts of a million, at most.
    pub(super) drift_ppm_max: u64,
}

/// How long a lock lasts that its holder does not extend.
pub(super) const LOCK_TTL: Duration = Duration::from_secs(2);

impl Settings {
    /// Whether operations are forgotten while the sale goes on.
    pub(super) fn forgets(&self) -> bool {
        self.retention < self.length
    }

    /// When places may be held.
    pub(super) fn window(&self) -> SalesWindow {
        SalesWindow { opens: self.opens.map(time_of_day), closes: self.closes.map(time_of_day) }
    }

    pub(super) fn of(dice: &mut Dice) -> Self {
        let lock = match dice.below(8) {
            0 | 1 => LockKind::None,
            2 => LockKind::GrantsAll,
            3 => LockKind::Redlock(1),
            4 => LockKind::Redlock(5),
            _ => LockKind::Redlock(3),
        };
        let policies = [
            LockPolicy::Always(LockScope::Ticket),
            LockPolicy::Always(LockScope::Area),
            LockPolicy::Always(LockScope::Event),
            LockPolicy::Adaptive,
        ];
        // A short rush for little, or a long sale.
        let is_rush = dice.per_mille(500);
        let rush = |dice: &mut Dice, rush: (u64, u64), sale: (u64, u64)| {
            let (low, high) = if is_rush { rush } else { sale };
            dice.between(low, high)
        };
        let is_short = dice.per_mille(300);
        let retention =
            if is_short { Duration::from_secs(dice.between(35, 120)) } else { Policies::default().retention };
        let length = Duration::from_secs(rush(dice, (20, 60), (400, 2_400)));
        let third = length.as_millis() as u64 / 3;
        let opens = dice.per_mille(200).then(|| dice.millis(0, third.min(15_000)));
        let closes = dice.per_mille(150).then(|| length - dice.millis(0, third));
        let wait = Contention::Wait(Duration::from_secs(dice.between(1, 10)));
        Self {
            length,
            opens,
            closes,
            processes: rush(dice, (2, 4), (1, 4)) as usize,
            customers: rush(dice, (6, 20), (2, 12)) as usize,
            pace_ms: rush(dice, (5, 400), (4_000, 40_000)),
            rows: rush(dice, (1, 2), (1, 3)) as u32,
            seats_in_row: rush(dice, (1, 3), (1, 6)) as u32,
            pools: (0..dice.below(3)).map(|_| *dice.one_of(&[1, 3, 6, 12, 12, 100])).collect(),
            standing_per_mille: *dice.one_of(&[400, 400, 950]),
            limit_per_customer: if dice.per_mille(400) { Some(dice.between(1, 6) as u32) } else { None },
            hold_ttl: Duration::from_secs(rush(dice, (1, 5), (1, 20))),
            late_payment: *dice.one_of(&[LatePayment::Refuse, LatePayment::Refuse, LatePayment::RebookIfFree]),
            sweeps: is_short || dice.per_mille(600),
            sweep_max: *dice.one_of(&[16, 16, 400]),
            retention,
            lock,
            lock_policy: *dice.one_of(&policies),
            lock_outage: *dice.one_of(&[LockOutage::GoOn, LockOutage::Wait]),
            contention: if dice.per_mille(250) { Contention::Reject } else { wait },
            batch_max: *dice.one_of(&[1, 4, 1_024]),
            drift_ppm_max: *dice.one_of(&[0, 200, 5_000]),
        }
    }
}
