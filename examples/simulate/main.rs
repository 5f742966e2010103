//! Sales in simulated worlds in which processes, locks, clocks and the store fail, and a checker that looks whether every promise
//! was kept.
//!
//! ```text
//! cargo run --release --features simulation --example simulate
//! cargo run --release --features simulation --example simulate -- --virtual-seconds 1000000 --seed 7 --json
//! cargo run --release --features simulation --example simulate -- --replay 9223372036854775807
//! cargo run --release --features simulation --example simulate -- --forever
//! ```

mod bugs;
mod experiment;
mod page;
mod runs;

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use ticket_reservation::simulation::{Report, Trace, Violation, run, run_world};

/// Sells in simulated worlds, and checks every promise.
#[derive(Debug, Parser)]
struct Args {
    /// How much virtual time the worlds have together, in seconds [default: 100000, and until it is found with --bug]
    #[arg(long, value_name = "N")]
    virtual_seconds: Option<u64>,
    /// What decides everything [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Runs one world again, and tells what happens in it
    #[arg(long, value_name = "WORLD", conflicts_with_all = ["virtual_seconds", "seed", "json", "forever", "bug_table"])]
    replay: Option<u64>,
    /// Goes on until it is stopped, or something is found
    #[arg(long)]
    forever: bool,
    /// Books with a lock alone, and with the booking service, in so many worlds whose processes stand still for longer than locks last
    #[arg(long, value_name = "WORLDS")]
    lock_experiment: Option<u64>,
    /// Lists the bugs that can be planted (built with RUSTFLAGS="--cfg planted_bugs")
    #[arg(long)]
    list_bugs: bool,
    /// Plants a bug, and looks for it until it is found (built with RUSTFLAGS="--cfg planted_bugs")
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Plants every bug, one after another, and writes what caught it between the marks of a file (built with RUSTFLAGS="--cfg planted_bugs")
    #[arg(long, value_name = "FILE")]
    bug_table: Option<std::path::PathBuf>,
    /// Writes what was run, and how often each fault happened, between the marks of a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["forever", "bug", "bug_table", "replay"])]
    run_table: Option<std::path::PathBuf>,
    /// How many worlds run at the same time [default: one for each processor]
    #[arg(long, value_name = "T")]
    threads: Option<NonZeroUsize>,
}

/// How long a run is that nobody has given a length.
const VIRTUAL_SECONDS: u64 = 100_000;

impl Args {
    fn threads(&self) -> NonZeroUsize {
        self.threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A reader that has gone away has seen enough.
    match tell(&args, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn tell(args: &Args, out: &mut impl io::Write) -> io::Result<ExitCode> {
    if args.list_bugs {
        return bugs::list(out);
    }
    if let Some(file) = &args.bug_table {
        return bugs::table(file, args.seed.unwrap_or(1), args.threads(), out);
    }
    if let Some(worlds) = args.lock_experiment {
        return experiment::tell(args.seed.unwrap_or(1), worlds, args.json, out);
    }
    if let Some(name) = &args.bug
        && !bugs::plant(name)
    {
        writeln!(io::stderr(), "there is no bug {name:?} in this build: --list-bugs lists those that there are")?;
        return Ok(ExitCode::from(2));
    }
    if let Some(world) = args.replay {
        return replay(world, out);
    }
    let threads = args.threads();
    let mut seed = args.seed.unwrap_or_else(rand::random);
    let seconds = args.virtual_seconds.unwrap_or(VIRTUAL_SECONDS);
    loop {
        let report = match &args.bug {
            None => run(seed, Duration::from_secs(seconds), threads),
            Some(bug) => bugs::look_for(bug, seed, args.virtual_seconds.map(Duration::from_secs), threads),
        };
        if args.json {
            writeln!(out, "{}", as_json(&report, args.bug.as_deref()))?;
        } else {
            in_words(&report, args.bug.as_deref(), out)?;
        }
        if !report.violations.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        if let Some(file) = &args.run_table {
            return runs::table(file, &report, seconds, out);
        }
        if !args.forever {
            return Ok(ExitCode::SUCCESS);
        }
        seed = seed.wrapping_add(1);
    }
}

/// The command that runs a world again.
fn command(world: u64, bug: Option<&str>) -> String {
    match bug {
        None => format!("cargo run --release --features simulation --example simulate -- --replay {world}"),
        Some(bug) => format!(
            "RUSTFLAGS=\"--cfg planted_bugs\" cargo run --release --features simulation --target-dir target/planted --example simulate -- --bug {bug} --replay {world}"
        ),
    }
}

fn as_json(report: &Report, bug: Option<&str>) -> Value {
    let violation = |(world, Violation { invariant, what }): &(u64, Violation)| json!({ "invariant": invariant.name(), "seed": world, "what": what, "replay": command(*world, bug) });
    json!({
        "seed": report.seed,
        "worlds": report.worlds,
        "virtual_seconds": report.virtual_time.as_secs(),
        "wall_seconds": report.wall_time.as_secs_f64(),
        "requests": report.requests,
        "bookings": report.bookings,
        "faults": report.faults.iter().map(|(fault, count)| (fault.name().to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "violations": report.violations.iter().map(violation).collect::<Vec<_>>(),
    })
}

fn in_words(report: &Report, bug: Option<&str>, out: &mut impl io::Write) -> io::Result<()> {
    let (virtual_seconds, wall_seconds) = (report.virtual_time.as_secs(), report.wall_time.as_secs_f64());
    writeln!(
        out,
        "seed {}: {} worlds, {virtual_seconds} virtual seconds in {wall_seconds:.1} s",
        report.seed, report.worlds
    )?;
    writeln!(out, "{} requests, {} bookings", report.requests, report.bookings)?;
    for (fault, count) in report.faults.iter() {
        writeln!(out, "  {:<32} {count:>9}", fault.name())?;
    }
    for (world, Violation { invariant, what }) in &report.violations {
        writeln!(out, "VIOLATION {}: {what}\n  {}", invariant.name(), command(*world, bug))?;
    }
    if report.violations.is_empty() {
        writeln!(out, "every promise was kept")?;
    }
    Ok(())
}

fn replay(world: u64, out: &mut impl io::Write) -> io::Result<ExitCode> {
    let trace = Trace::to(|at, line| {
        let _ = writeln!(io::stderr(), "{:>12.6} {line}", at.as_secs_f64());
    });
    let report = run_world(world, trace);
    let (virtual_seconds, requests) = (report.virtual_time.as_secs(), report.requests);
    writeln!(
        out,
        "world {world}: {virtual_seconds} virtual seconds, {requests} requests, digest {:016x}",
        report.digest
    )?;
    for (fault, count) in report.faults.iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "  {:<32} {count:>9}", fault.name())?;
    }
    for Violation { invariant, what } in &report.violations {
        writeln!(out, "VIOLATION {}: {what}", invariant.name())?;
    }
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
