//! How long answers took.

use super::Page;
use super::chart::{self, LEFT, RIGHT, n};
use crate::display::grouped;

/// Bars in a power of ten.
const BARS: f64 = 6.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 330.0;
const HEIGHT: f64 = 362.0;

/// A histogram over the logarithm of the latency, with the percentiles in it.
pub(super) fn card(page: &Page<'_>) -> String {
    let latency = &page.report.latency_ms;
    let words = format!(
        "Latency of {} answers: half within {}, 95 % within {}, 99 % within {}, all within {}",
        grouped(page.report.requests),
        chart::time(latency.p50),
        chart::time(latency.p95),
        chart::time(latency.p99),
        chart::time(latency.max)
    );
    let bar_of = |us: u64| (us.max(1) as f64).log10().mul_add(BARS, 1e-9).floor() as i32;
    let bars: Vec<i32> = page.audited.journal.latencies_us().map(bar_of).collect();
    let (Some(first), Some(last)) = (bars.iter().min(), bars.iter().max()) else {
        return card_of("<p class=\"none\">There was no answer.</p>\n");
    };
    // One bar of air at each end.
    let (first, last) = (first - 1, last + 1);
    let mut counts = vec![0_u64; (last - first + 1) as usize];
    bars.iter().for_each(|bar| counts[(bar - first) as usize] += 1);
    let most = counts.iter().max().copied().unwrap_or(1) as f64;
    let step = chart::round_step(most, 4.0).max(1.0);
    let max = (most / step).ceil() * step;

    let bar_width = (RIGHT - LEFT) / counts.len() as f64;
    let x = |us: f64| LEFT + (us.max(1.0).log10() * BARS - f64::from(first)) * bar_width;
    let mut inner = chart::grid(TOP, BOTTOM, max, step, |count| grouped(count as u64));
    for (nth, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = ((BOTTOM - TOP) * *count as f64 / max).max(1.0);
        let edge = |bar: f64| chart::time(10_f64.powf((f64::from(first) + bar) / BARS) / 1_000.0);
        inner += &format!(
            "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"1.5\"><title>{} to {}: {}</title></rect>\n",
            n(LEFT + nth as f64 * bar_width + 1.0),
            n(BOTTOM - height),
            n((bar_width - 2.0).max(0.5)),
            n(height),
            edge(nth as f64),
            edge(nth as f64 + 1.0),
            grouped(*count),
        );
    }
    for power in 0..10 {
        let us = 10_f64.powi(power);
        let at = x(us);
        if (LEFT..=RIGHT - 6.0).contains(&at) && us.log10() * BARS >= f64::from(first) {
            inner += &format!("<path class=\"axis\" d=\"M{0} {BOTTOM}v5\"/>", n(at));
            inner += &chart::below(at, BOTTOM, &chart::time(us / 1_000.0));
        }
    }
    inner += &percentiles(page, x);
    card_of(&chart::frame(HEIGHT, &words, &inner))
}

fn card_of(inner: &str) -> String {
    format!(
        "<section class=\"card half\" aria-labelledby=\"latency\">\n<h2 id=\"latency\">How long answers took</h2>\n\
         <p class=\"note\">Answers by latency, on a logarithmic scale</p>\n{inner}</section>\n"
    )
}

/// A line for each percentile. The labels are to the left of their lines, and the shorter the line the lower, so that no
/// line goes through the label of another.
fn percentiles(page: &Page<'_>, x: impl Fn(f64) -> f64) -> String {
    let latency = &page.report.latency_ms;
    let (mut lines, mut labels) = (String::new(), String::new());
    for (nth, (name, ms)) in (0_u8..).zip([("p99", latency.p99), ("p95", latency.p95), ("p50", latency.p50)]) {
        let (at, y) = (x(ms * 1_000.0), 14.0 + 19.0 * f64::from(nth));
        let (class, dx) = if at < LEFT + 100.0 { ("mark-label", 6.0) } else { ("mark-label end", -6.0) };
        lines += &format!("<path class=\"percentile\" d=\"M{} {}V{BOTTOM}\"/>\n", n(at), n(y - 11.0));
        labels += &format!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"><tspan class=\"dim\">{name}</tspan> {}</text>\n",
            n(at + dx),
            n(y),
            chart::time(ms)
        );
    }
    lines + &labels
}
