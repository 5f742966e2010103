//! What a lock is worth by itself.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use ticket_reservation::simulation::{Booked, Experiment, lock_experiment};

pub(crate) fn tell(seed: u64, worlds: u64, as_json: bool, out: &mut impl Write) -> io::Result<ExitCode> {
    let Experiment { lock_only, ours } = lock_experiment(seed, worlds);
    if as_json {
        let value = json!({ "seed": seed, "worlds": worlds, "lock_only": value(lock_only), "ours": value(ours) });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{worlds} worlds, locks of 2 s, processes that stand still for 5 s")?;
        for (name, booked) in [("lock, check, write", lock_only), ("booking service", ours)] {
            let Booked { tickets, twice } = booked;
            writeln!(
                out,
                "  {name:<20} {tickets:>7} tickets booked, {twice:>6} of them twice ({:.2} %)",
                100.0 * share(booked)
            )?;
        }
    }
    Ok(if ours.twice == 0 && ours.tickets > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn share(booked: Booked) -> f64 {
    booked.twice as f64 / booked.tickets.max(1) as f64
}

fn value(booked: Booked) -> Value {
    json!({ "tickets": booked.tickets, "twice": booked.twice, "share": share(booked) })
}
