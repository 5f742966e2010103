//! The bars that a run is held to.

/// How often redlock must be had for each time that rslock's own `acquire` is.
const TIMES_RAW_MIN: f64 = 100.0;

/// Commands for each acquisition must be fewer.
const COMMANDS_BELOW: f64 = 1.0;

/// A process with less than this part of the mean is starved.
const FAIRNESS_MIN: f64 = 0.1;

/// The part of the time that a key must be held, which somebody always wants.
const HELD_SHARE_MIN: f64 = 0.9;

/// What the run was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) processes: u32,
    pub(crate) keys: u32,
    pub(crate) hold_us: u64,
    pub(crate) has_fault: bool,
}

/// What a lock has done in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) fairness: f64,
    pub(crate) commands_per_acquisition: f64,
    /// How long the key was held, as its holders have measured it and not as they were told to, of the whole time. That is
    /// how often it was held in a second, times how long.
    pub(crate) held_share: f64,
}

/// What became of a bar, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    Met(String),
    Missed(String),
    /// The run cannot tell.
    DoesNotApply(String),
}

impl Judgement {
    fn of(is_met: bool, line: String) -> Self {
        if is_met { Self::Met(line) } else { Self::Missed(line) }
    }

    pub(crate) fn is_missed(&self) -> bool {
        matches!(self, Self::Missed(_))
    }
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Met(line) => write!(f, "bar met: {line}"),
            Self::Missed(line) => write!(f, "bar MISSED: {line}"),
            Self::DoesNotApply(line) => write!(f, "bar does not apply: {line}"),
        }
    }
}

/// Judges every bar, in the same order: throughput beside rslock's own, commands, fairness, share of the time held.
pub(crate) fn judge(run: Run, redlock: Option<Figures>, raw: Option<Figures>) -> [Judgement; 4] {
    let unhurt = if run.keys != 1 {
        Err("there is more than one key".to_owned())
    } else if run.has_fault {
        Err("a server was hurt".to_owned())
    } else {
        redlock.ok_or_else(|| "redlock has not run".to_owned())
    };
    let without_hold = match &unhurt {
        Ok(_) if run.hold_us > 0 => Err("the key was held for a while".to_owned()),
        other => other.clone(),
    };
    let with_hold = match &unhurt {
        Ok(_) if run.hold_us == 0 => Err("the key was held for no time".to_owned()),
        other => other.clone(),
    };
    let with_raw = without_hold.clone().and_then(|redlock| {
        let raw = raw.ok_or_else(|| "rslock-raw has not run".to_owned());
        raw.map(|raw| (redlock, raw))
    });
    let with_others = match &without_hold {
        Ok(_) if run.processes < 2 => Err("there is one process".to_owned()),
        other => other.clone(),
    };
    [
        judged("times as often as rslock-raw", with_raw, |(redlock, raw)| {
            let is_met = redlock.per_second > 0.0 && redlock.per_second >= TIMES_RAW_MIN * raw.per_second;
            let times = redlock.per_second / raw.per_second;
            let of = format!("{:.0}/s and {:.0}/s", redlock.per_second, raw.per_second);
            (is_met, format!("{times:.0} ({of}), at least {TIMES_RAW_MIN}"))
        }),
        judged("commands for each acquisition", without_hold, |redlock| {
            // Where nothing was acquired, nothing was cheap.
            let is_met = redlock.per_second > 0.0 && redlock.commands_per_acquisition < COMMANDS_BELOW;
            (is_met, format!("{:.3}, less than {COMMANDS_BELOW}", redlock.commands_per_acquisition))
        }),
        judged("least of a process : mean", with_others, |redlock| {
            (redlock.fairness >= FAIRNESS_MIN, format!("{:.3}, at least {FAIRNESS_MIN}", redlock.fairness))
        }),
        judged("share of the time held", with_hold, |redlock| {
            (redlock.held_share >= HELD_SHARE_MIN, format!("{:.3}, at least {HELD_SHARE_MIN}", redlock.held_share))
        }),
    ]
}

fn judged<T>(bar: &str, applies: Result<T, String>, judge: impl FnOnce(T) -> (bool, String)) -> Judgement {
    match applies {
        Ok(figures) => {
            let (is_met, line) = judge(figures);
            Judgement::of(is_met, format!("{bar}: {line}"))
        }
        Err(why) => Judgement::DoesNotApply(format!("{bar}: {why}")),
    }
}
