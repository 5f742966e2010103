//! What one run went through, as a page tells it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use ticket_reservation::simulation::Report;

use super::page;

/// Fails if something never happened, or if less was asked for than once in a second.
pub(crate) fn table(file: &Path, report: &Report, asked_seconds: u64, out: &mut impl Write) -> io::Result<ExitCode> {
    let seconds = report.virtual_time.as_secs();
    let never: Vec<&str> = report.faults.iter().filter(|(_, count)| *count == 0).map(|(it, _)| it.name()).collect();
    if !never.is_empty() || report.requests < seconds {
        writeln!(out, "never happened: {never:?}; {} requests in {seconds} s", report.requests)?;
        return Ok(ExitCode::FAILURE);
    }
    let mut text = format!(
        "`--seed {} --virtual-seconds {asked_seconds}`: {} worlds, {} virtual seconds, {} requests, {} bookings, nothing broken.\n\n\
         | what went wrong | times |\n| --- | ---: |\n",
        report.seed,
        grouped(report.worlds),
        grouped(seconds),
        grouped(report.requests),
        grouped(report.bookings),
    );
    for (fault, count) in report.faults.iter() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` | {} |", fault.name(), grouped(count));
    }
    page::fill(file, "simulated", &text)?;
    Ok(ExitCode::SUCCESS)
}

/// With a comma after every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}
