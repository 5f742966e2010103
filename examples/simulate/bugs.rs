//! Bugs that are planted, and what catches them.

#[cfg(not(planted_bugs))]
pub(crate) use without::{list, look_for, plant, table};

#[cfg(planted_bugs)]
pub(crate) use with::{list, look_for, plant, table};

#[cfg(not(planted_bugs))]
mod without {
    use std::io::{self, Write};
    use std::num::NonZeroUsize;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::Duration;

    use ticket_reservation::simulation::{Report, run};

    fn none() -> io::Result<ExitCode> {
        writeln!(io::stderr(), "no bug is in this build: build it with RUSTFLAGS=\"--cfg planted_bugs\"")?;
        Ok(ExitCode::from(2))
    }

    pub(crate) fn list(_: &mut impl Write) -> io::Result<ExitCode> {
        none()
    }

    pub(crate) fn table(_: &Path, _: u64, _: NonZeroUsize, _: &mut impl Write) -> io::Result<ExitCode> {
        none()
    }

    pub(crate) fn plant(_: &str) -> bool {
        false
    }

    pub(crate) fn look_for(_: &str, seed: u64, virtual_time: Option<Duration>, threads: NonZeroUsize) -> Report {
        run(seed, virtual_time.unwrap_or_default(), threads)
    }
}

#[cfg(planted_bugs)]
mod with {
    use std::fmt::Write as _;
    use std::io::{self, Write};
    use std::num::NonZeroUsize;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::Duration;

    use ticket_reservation::planted::{self, Bug};
    use ticket_reservation::simulation::{Report, Trace, run_until, run_world};

    use crate::page;

    /// In so much virtual time each of them must show: several times what the rarest takes.
    const LONG_ENOUGH: Duration = Duration::from_secs(10_000_000);

    pub(crate) fn list(out: &mut impl Write) -> io::Result<ExitCode> {
        for bug in Bug::ALL {
            writeln!(out, "{} {}", bug.name(), bug.breaks().name())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }

    pub(crate) fn plant(name: &str) -> bool {
        let bug = named(name);
        planted::plant(bug);
        bug.is_some()
    }

    /// Runs worlds until the bug shows in what it must break.
    pub(crate) fn look_for(name: &str, seed: u64, virtual_time: Option<Duration>, threads: NonZeroUsize) -> Report {
        let breaks = named(name).map(Bug::breaks);
        run_until(seed, virtual_time.unwrap_or(LONG_ENOUGH), threads, |broken| Some(broken) == breaks)
    }

    /// The table has as many of them.
    const SEEDS: u64 = 3;

    /// How many worlds it takes until the bug shows in what it must break, in one where nothing is broken without it.
    fn worlds_until(bug: Bug, seed: u64, threads: NonZeroUsize) -> Option<u64> {
        planted::plant(Some(bug));
        let report = look_for(bug.name(), seed, None, threads);
        planted::plant(None);
        let (world, _) = report.violations.iter().find(|(_, violation)| violation.invariant == bug.breaks())?;
        run_world(*world, Trace::off()).violations.is_empty().then_some(report.worlds)
    }

    /// Fails if one of them is not caught by what must catch it.
    pub(crate) fn table(file: &Path, seed: u64, threads: NonZeroUsize, out: &mut impl Write) -> io::Result<ExitCode> {
        let mut rows = String::from("| bug | what is wrong | caught by | worlds |\n| --- | --- | --- | ---: |\n");
        let mut is_missed = false;
        for bug in Bug::ALL {
            let found: Vec<Option<u64>> = (seed..seed + SEEDS).map(|seed| worlds_until(*bug, seed, threads)).collect();
            is_missed |= found.contains(&None);
            let worlds =
                found.iter().map(|it| it.map_or_else(|| "**not caught**".to_owned(), |worlds| worlds.to_string()));
            let worlds = worlds.collect::<Vec<_>>().join(", ");
            writeln!(out, "{:<26} {:<22} {worlds}", bug.name(), bug.breaks().name())?;
            let _ = writeln!(rows, "| `{}` | {} | `{}` | {worlds} |", bug.name(), bug.about(), bug.breaks().name());
        }
        planted::plant(None);
        page::fill(file, "planted bugs", &rows)?;
        Ok(if is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
