//! The end of a sale on the terminal: a table, and the verdict in one line.

use comfy_table::{CellAlignment, Table, presets};

use crate::args::{ContentionKind, LockKind, name};
use crate::audit::Audited;
use crate::display::grouped;
use crate::report::Report;
use crate::sale::Sale;
use crate::terminal::Stream;

/// What is about to be sold, and how.
pub(crate) fn heading(sale: &Sale) -> String {
    let Sale { hall, processes, concurrency, demand, seed, .. } = sale;
    let seats = grouped(hall.seats() as u64);
    let standing = grouped(u64::from(hall.standing));
    let buyers = grouped(u64::from(sale.buyers));
    let lock = match sale.lock {
        LockKind::None => "no lock".to_owned(),
        lock => format!("lock {} ({})", name(lock), name(sale.lock_policy)),
    };
    let contention = match sale.contention {
        ContentionKind::Wait => format!("waiting up to {} ms", sale.wait_ms),
        ContentionKind::Reject => "rejecting contention".to_owned(),
    };
    let combining = if sale.combining { "" } else { " · no combining" };
    format!(
        "{} · {seats} seats · {standing} standing\n\
         {buyers} buyers · {processes} × {concurrency} at once · demand {} · seed {seed}\n\
         store {} · {lock} · {contention}{combining}",
        Stream::Error.painted(&hall.name, "1"),
        name(*demand),
        name(sale.store),
    )
}

/// The figures in rows.
pub(crate) fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut row = |name: &str, figure: String, more: String| {
        table.add_row([format!(" {name}"), figure, more]);
    };
    let count = |number: u64| grouped(number);
    let rate = |per_second: f64| format!("{} /s", grouped(per_second.round() as u64));
    let Report { latency_ms, batches, .. } = report;
    row("seats sold", count(report.places_sold), format!("of {}", count(report.places as u64)));
    row("standing sold", count(report.standing_sold), format!("of {}", count(u64::from(report.standing))));
    row("bookings", count(report.bookings), rate(report.bookings_per_s));
    row("requests", count(report.requests), rate(report.requests_per_s));
    for (kind, refused) in &report.rejected {
        row(&format!("  {}", kind.replace('_', " ")), count(*refused), String::new());
    }
    if report.store_failed > 0 {
        row("store failed", count(report.store_failed), String::new());
    }
    let ms = |value: f64| format!("{value:.1}");
    let latency = [("p50", latency_ms.p50), ("p95", latency_ms.p95), ("p99", latency_ms.p99), ("max", latency_ms.max)];
    for (name, value) in latency {
        row(&format!("latency {name}"), ms(value), "ms".to_owned());
    }
    let sizes = format!("{:.1} requests each, at most {}", batches.mean_size, batches.max_size);
    row("commits", count(batches.commits), sizes);
    row("conflicts", count(batches.conflicts), String::new());
    row("locks taken", count(report.lock_acquisitions), String::new());
    row("workers killed", count(report.killed as u64), String::new());
    row("outcome unknown", count(report.unknown as u64), String::new());
    row("time", format!("{:.1}", report.seconds), "s".to_owned());
    if let Some(figures) = table.column_mut(1) {
        figures.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The audit's verdict, after what it found, in lines for a stream.
pub(crate) fn verdict(audited: &Audited, stream: Stream) -> String {
    let findings = &audited.findings;
    let read = format!(
        "{} reservations, {} changes and {} answers compared in {:.1} s",
        grouped(audited.reservations as u64),
        grouped(audited.changes as u64),
        grouped(audited.journal.answers.len() as u64),
        audited.took.as_secs_f64(),
    );
    if audited.passed() {
        let holds = "nothing sold twice, nothing acknowledged lost, nothing sold unasked,\n  \
                     pools within capacity, all or nothing, and the change feed tells the same story";
        return format!("{} {holds}\n  {read}\n", stream.painted("✔ audit passed:", "1;32"));
    }
    let mut text: String = findings.lines.iter().map(|line| format!("  {line}\n")).collect();
    if findings.untold() > 0 {
        text += &format!("  and {} more\n", grouped(findings.untold()));
    }
    let counts = format!(
        "{} sold twice, {} acknowledged and lost, {} sold unasked, {} other",
        findings.double_booked, findings.lost_acknowledged, findings.unrequested_sold, findings.other,
    );
    format!("{text}{} {counts}\n  {read}\n", stream.painted("✘ audit failed:", "1;31"))
}
