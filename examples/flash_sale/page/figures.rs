//! The figures.

use super::Page;
use super::chart::{rounded, time};
use super::escape::Text;
use crate::display::grouped;
use crate::report::Report;

const TWICE: &str = "Sold twice";

/// The few that matter most.
pub(super) fn tiles(page: &Page<'_>) -> String {
    let Report { latency_ms, .. } = page.report;
    let report = page.report;
    let of = |all: u64| format!("of {}", grouped(all));
    let rate = |per_second: f64| format!("{} per second", grouped(per_second.round() as u64));
    let mut tiles = vec![("Seats sold", grouped(report.places_sold), of(report.places as u64))];
    if report.standing > 0 {
        tiles.push(("Standing sold", grouped(report.standing_sold), of(report.standing.into())));
    }
    tiles.extend([
        (TWICE, grouped(report.double_booked), "must be 0".to_owned()),
        ("Bookings", grouped(report.bookings), rate(report.bookings_per_s)),
        ("Requests", grouped(report.requests), rate(report.requests_per_s)),
        ("Latency p99", time(latency_ms.p99), format!("p50 {}", time(latency_ms.p50))),
    ]);
    let tile = |(name, figure, more): (&str, String, String)| {
        let wrong = name == TWICE && report.double_booked > 0;
        format!(
            "<div{}><dt>{name}</dt><dd><b>{figure}</b> <span>{more}</span></dd></div>\n",
            if wrong { " class=\"wrong\"" } else { "" }
        )
    };
    let tiles: String = tiles.into_iter().map(tile).collect();
    format!("<dl class=\"tiles\" aria-label=\"Key figures\">\n{tiles}</dl>\n")
}

/// What a refusal of this kind means to a reader. [`Rejection::kind`](ticket_reservation::domain::Rejection::kind) has the
/// names.
fn in_words(kind: &str) -> String {
    let words = match kind {
        "unavailable" => "Seats already taken",
        "insufficient" => "Not enough standing places left",
        "no_neighbours" => "No seats side by side left",
        "limit_reached" => "Over the limit per customer",
        "hold_expired" => "Paid after the hold had ended",
        "not_on_sale" => "Not on sale",
        "contended" => "Others were in the way",
        "overloaded" => "Too many were waiting",
        "deadline_passed" => "Waited too long",
        "shutting_down" => "The process was shutting down",
        other => return other.replace('_', " "),
    };
    words.to_owned()
}

/// Refusals by kind.
pub(super) fn refusals(page: &Page<'_>) -> String {
    let rejected = &page.report.rejected;
    let all: u64 = rejected.values().sum();
    let mut sorted: Vec<(&String, &u64)> = rejected.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let most = sorted.first().map_or(1, |(_, count)| **count).max(1);
    let row = |(kind, count): (&String, &u64)| {
        let share = rounded(100.0 * *count as f64 / most as f64, 1);
        format!(
            "<tr><th scope=\"row\" title=\"{}\">{}</th><td class=\"meter\"><span style=\"width:{share}%\"></span></td><td>{}</td></tr>\n",
            Text(kind),
            Text(&in_words(kind)),
            grouped(*count)
        )
    };
    let rows: String = sorted.into_iter().map(row).collect();
    let body = if rows.is_empty() {
        "<p class=\"none\">Nobody was refused.</p>\n".to_owned()
    } else {
        format!("<table class=\"bars\">\n<tbody>\n{rows}</tbody>\n</table>\n")
    };
    format!(
        "<section class=\"card half\" aria-labelledby=\"refused\">\n<h2 id=\"refused\">Who was refused, and why</h2>\n\
         <p class=\"note\">{} of {} answers were refusals</p>\n{body}</section>\n",
        grouped(all),
        grouped(page.report.requests)
    )
}

/// All figures.
pub(super) fn table(page: &Page<'_>) -> String {
    let report = page.report;
    let Report { latency_ms, batches, .. } = report;
    let mut rows = vec![
        ("Duration", format!("{} s", rounded(report.seconds, 2))),
        ("Requests", grouped(report.requests)),
        ("Bookings", grouped(report.bookings)),
        ("Latency p50", time(latency_ms.p50)),
        ("Latency p95", time(latency_ms.p95)),
        ("Latency p99", time(latency_ms.p99)),
        ("Latency, longest", time(latency_ms.max)),
    ];
    // An audit of a kept sale has nobody to ask for these.
    if batches.commits > 0 {
        rows.extend([
            ("Commits", grouped(batches.commits)),
            ("Requests per commit", format!("{} on average, at most {}", batches.mean_size, grouped(batches.max_size))),
            ("Conflicts", grouped(batches.conflicts)),
            ("Locks taken", grouped(report.lock_acquisitions)),
        ]);
    }
    rows.extend([
        ("Processes killed", grouped(report.killed as u64)),
        ("Outcome unknown", grouped(report.unknown as u64)),
        ("Store failures", grouped(report.store_failed)),
        (TWICE, grouped(report.double_booked)),
        ("Acknowledged and lost", grouped(report.lost_acknowledged)),
        ("Sold unasked", grouped(report.unrequested_sold)),
    ]);
    let row = |(name, figure): (&str, String)| format!("<tr><th scope=\"row\">{name}</th><td>{figure}</td></tr>\n");
    let rows: String = rows.into_iter().map(row).collect();
    format!(
        "<section class=\"card half tall\" aria-labelledby=\"figures\">\n<h2 id=\"figures\">Figures</h2>\n\
         <table class=\"figures\">\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )
}
