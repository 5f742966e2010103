//! How the sale went over time.

use super::Page;
use super::chart::{self, LEFT, RIGHT, n};
use crate::audit::Kind;
use crate::display::grouped;

const TOP: f64 = 14.0;
const BOTTOM: f64 = 196.0;
/// The smaller chart below, on the same axis of time.
const RATE_TOP: f64 = 236.0;
const RATE_BOTTOM: f64 = 306.0;
const HEIGHT: f64 = 338.0;

/// How often the curves are looked at, and the most bars of the smaller chart.
const SAMPLES: u32 = 240;
const BINS: f64 = 60.0;

/// Changes of a count: when, in microseconds, and by how much.
type Changes = Vec<(u64, i64)>;

/// The curves by what buyers were told: what was sold and held, and how many answers there were.
pub(super) fn card(page: &Page<'_>) -> String {
    let answers = &page.audited.journal.answers;
    let end_us = answers.iter().map(|answer| answer.at_us).max().unwrap_or(0).max(1_000);
    let (seats, standing, held) = changes(page);
    let lines: Vec<(&str, &str, Vec<i64>)> =
        [("seats", "Seats sold", seats), ("standing", "Standing sold", standing), ("held", "Held, not paid yet", held)]
            .into_iter()
            .filter(|(_, _, changes)| !changes.is_empty())
            .map(|(class, name, changes)| (class, name, sample(changes, end_us)))
            .collect();
    let most = lines.iter().flat_map(|(_, _, values)| values).max().copied().unwrap_or(0).max(1) as f64;
    let step = chart::round_step(most, 4.0).max(1.0);
    let max = (most / step).ceil() * step;
    let seconds = end_us as f64 / 1e6;
    let x = |s: f64| LEFT + (RIGHT - LEFT) * s / seconds;

    let mut inner = chart::grid(TOP, BOTTOM, max, step, |places| grouped(places as u64));
    for (class, name, values) in &lines {
        let points: Vec<String> = (0_u32..)
            .zip(values)
            .map(|(nth, value)| {
                let at = x(seconds * f64::from(nth) / f64::from(SAMPLES));
                format!("{} {}", n(at), n(BOTTOM - (BOTTOM - TOP) * (*value).max(0) as f64 / max))
            })
            .collect();
        inner += &format!("<path class=\"line {class}\" d=\"M{}\"><title>{name}</title></path>\n", points.join("L"));
    }
    inner += &rate(page, seconds);
    let second = chart::round_step(seconds, 6.0);
    for tick in chart::ticks(seconds, second) {
        inner += &format!("<path class=\"axis\" d=\"M{0} {RATE_BOTTOM}v5\"/>", n(x(tick)));
        inner += &chart::below(x(tick), RATE_BOTTOM, &format!("{} s", chart::rounded(tick, 3)));
    }
    let legend: String = lines
        .iter()
        .map(|(class, name, values)| {
            let last = values.last().copied().unwrap_or(0).max(0).unsigned_abs();
            let line = "<svg class=\"swatch wide\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">";
            format!(
                "<li>{line}<path class=\"line {class}\" d=\"M2 6H26\"/></svg>{name} <b>{}</b></li>\n",
                grouped(last)
            )
        })
        .collect();
    let words = format!(
        "In {seconds:.1} seconds, {} seats and {} standing places were sold with {} answers",
        grouped(page.report.places_sold),
        grouped(page.report.standing_sold),
        grouped(page.report.requests)
    );
    format!(
        "<section class=\"card half\" aria-labelledby=\"curve\">\n<h2 id=\"curve\">How it sold</h2>\n\
         <p class=\"note\">Places over time, and below them the answers per second</p>\n{}<ul class=\"legend\">\n{legend}</ul>\n</section>\n",
        chart::frame(HEIGHT, &words, &inner)
    )
}

/// Seats sold, standing places sold, and places held but not sold. A hold that nobody ended lapses.
fn changes(page: &Page<'_>) -> (Changes, Changes, Changes) {
    let (mut seats, mut standing, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let ttl_us = u64::try_from(page.sale.hold_ttl().as_micros()).unwrap_or(u64::MAX);
    for story in page.audited.journal.stories.values() {
        let told = |kind| {
            let request = story.request(kind);
            request.acknowledged_at_us.zip(request.acknowledged.as_ref())
        };
        let places = |pools: &[(String, i64)]| pools.iter().map(|(_, quantity)| *quantity).sum::<i64>();
        if let Some((at, lines)) = told(Kind::Confirm) {
            seats.push((at, lines.tickets.len() as i64));
            standing.push((at, places(&lines.pools)));
        }
        if let Some((at, lines)) = told(Kind::Hold) {
            let count = lines.tickets.len() as i64 + places(&lines.pools);
            let ended = told(Kind::Confirm).or(told(Kind::Release)).map(|(at, _)| at);
            held.push((at, count));
            held.push((ended.unwrap_or(at.saturating_add(ttl_us)), -count));
        }
    }
    for changes in [&mut seats, &mut standing, &mut held] {
        changes.retain(|(_, by)| *by != 0);
        changes.sort_unstable();
    }
    (seats, standing, held)
}

/// The count at equal steps from the start to the end.
fn sample(changes: Changes, end_us: u64) -> Vec<i64> {
    let mut changes = changes.into_iter().peekable();
    let mut count = 0;
    let mut at = |until: u64| {
        while let Some((_, by)) = changes.next_if(|(at, _)| *at <= until) {
            count += by;
        }
        count
    };
    (0..=SAMPLES).map(|nth| at((end_us as f64 * f64::from(nth) / f64::from(SAMPLES)).ceil() as u64)).collect()
}

/// Answers per second.
fn rate(page: &Page<'_>, seconds: f64) -> String {
    let width = chart::round_step(seconds, BINS);
    let mut counts = vec![0_u64; (seconds / width).ceil().max(1.0) as usize];
    let last = counts.len() - 1;
    for answer in &page.audited.journal.answers {
        counts[((answer.at_us as f64 / 1e6 / width) as usize).min(last)] += 1;
    }
    let rate = |count: u64| count as f64 / width;
    let most = counts.iter().map(|count| rate(*count)).fold(1.0, f64::max);
    let step = chart::round_step(most, 2.0);
    let max = (most / step).ceil() * step;
    let mut inner = format!("<text class=\"tick\" x=\"{LEFT}\" y=\"{}\">answers / s</text>\n", RATE_TOP - 12.0);
    inner += &chart::grid(RATE_TOP, RATE_BOTTOM, max, step, |rate| grouped(rate as u64));
    let bar = (RIGHT - LEFT) * width / seconds;
    for (nth, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (RATE_BOTTOM - RATE_TOP) * rate(*count) / max;
        let left = LEFT + nth as f64 * bar;
        inner += &format!(
            "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{} s: {} per second</title></rect>\n",
            n(left + 0.5),
            n(RATE_BOTTOM - height),
            n((bar.min(RIGHT - left) - 1.0).max(0.5)),
            n(height),
            chart::rounded(nth as f64 * width, 3),
            grouped(rate(*count).round() as u64),
        );
    }
    inner
}
