//! The command line.

use std::time::Duration;

use clap::Parser;

/// One pool in PostgreSQL, through the service and by hand.
#[derive(Debug, Clone, Parser)]
#[command(name = "hot_pool", about)]
pub(crate) struct Args {
    /// Rounds that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How long each side has for each demand in a round
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Run for a moment, without bounds
    #[arg(long)]
    test: bool,
    /// Cargo says it to every bench that is to measure
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    /// Whether it measures, and does not only show that it works.
    pub(crate) fn measures(&self) -> bool {
        self.bench && !self.test
    }

    pub(crate) fn rounds(&self) -> u32 {
        if self.measures() { self.rounds } else { 1 }
    }

    /// How long a turn is measured.
    pub(crate) fn time(&self) -> Duration {
        if self.measures() { Duration::from_secs(self.seconds) } else { Duration::from_millis(200) }
    }
}
