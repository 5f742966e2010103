//! The hall: each seat in the colour of the process that sold it.

use std::collections::BTreeMap;

use super::Page;
use super::chart::n;
use super::escape::Text;
use super::layout::{Layout, Placed, STEP, bounds};
use super::palette;
use crate::audit::Seat as SoldSeat;
use crate::display::grouped;
use crate::hall::{Area, Row};

/// The side of a seat, and how round its corners are.
const SIDE: f64 = 0.78 * STEP;
const ROUND: f64 = 0.26 * STEP;

/// How wide the drawing is on a screen, in pixels: a desk's and a hand's.
const WIDE: f64 = 1_100.0;
const THIN: f64 = 350.0;

/// The bar of the standing places.
const BAR_WIDTH: f64 = 760.0;
const BAR_HEIGHT: f64 = 26.0;

/// The drawing, the standing places as a bar, and what the colours mean.
pub(super) fn card(page: &Page<'_>) -> String {
    let sold = &page.audited.sold;
    let disputed = sold.seats.values().filter(|seat| seat.disputed).count();
    let left = page.report.places.saturating_sub(sold.seats.len());
    let note = match page.report.processes {
        1 => "One process sold them all.".to_owned(),
        many => {
            format!("{many} processes sold from one inventory at the same time; the colour says which one sold a seat.")
        }
    };
    let legend = legend(page, disputed);
    format!(
        "<section class=\"card\" aria-labelledby=\"hall\">\n<h2 id=\"hall\">Who sold which seat</h2>\n\
         <p class=\"note\">{note}</p>\n{}{}{legend}</section>\n",
        drawing(page, left),
        standing(page),
    )
}

fn drawing(page: &Page<'_>, left: usize) -> String {
    let layout = Layout::of(&page.sale.hall);
    let names = page.sale.hall.areas.len() > 1 || !page.sale.hall.areas[0].name.is_empty();
    // Labels keep their size on the screen, whatever the drawing is scaled to.
    let on = |screen: f64, size: f64| n(size * (layout.width / screen).max(1.0));
    let (wide, thin) = (on(WIDE, 14.0), on(THIN, 11.0));
    let row_size = n(on(WIDE, 9.5).min(0.85 * STEP));
    let (above, beside) = (if names { wide + 1.3 * STEP } else { STEP }, 2.6 * STEP);
    let (width, height) = (n(layout.width + 2.0 * beside), n(layout.height + above + STEP));
    let areas: String = layout.areas.iter().map(|(area, rows)| block(page, area, rows)).collect();
    let many = if width > WIDE { " many" } else { "" };
    format!(
        "<svg class=\"hall{many}\" style=\"--wide:{wide}px;--thin:{thin}px;--row:{row_size}px;max-width:{}px\" \
         viewBox=\"{} {} {width} {height}\" role=\"img\" \
         aria-label=\"Plan of the hall: {} of {} seats sold, {} left\">\n{areas}</svg>\n",
        n(width * 1.2),
        n(-beside),
        n(-above),
        grouped(page.report.places_sold),
        grouped(page.report.places as u64),
        grouped(left as u64),
    )
}

fn block(page: &Page<'_>, area: &Area, rows: &[(&Row, Vec<Placed<'_>>)]) -> String {
    let (left, top, _, _) = bounds(rows.iter().flat_map(|(_, seats)| seats));
    let mut inner = format!(
        "<g>\n<text class=\"area\" x=\"{}\" y=\"{}\">{}</text>\n",
        n(left - SIDE / 2.0),
        n(top - STEP),
        Text(&area.name)
    );
    for (row, seats) in rows {
        inner += &row_label(row, seats);
        inner.extend(seats.iter().map(|placed| seat(page, area, row, placed)));
    }
    inner + "</g>\n"
}

/// What the plan calls a row, beyond the end of it that is further to the left, whichever way it bends.
fn row_label(row: &Row, seats: &[Placed<'_>]) -> String {
    let from_the_left = |one: &Placed<'_>, other: &Placed<'_>| one.x.total_cmp(&other.x);
    let (end, next) = match seats {
        [one] => (one, None),
        [first, second, ..] if seats.last().is_none_or(|last| from_the_left(first, last).is_le()) => {
            (first, Some(second))
        }
        [.., second, last] => (last, Some(second)),
        [] => return String::new(),
    };
    let (dx, dy) = next.map_or((-1.0, 0.0), |next| (end.x - next.x, end.y - next.y));
    let length = dx.hypot(dy).max(f64::MIN_POSITIVE);
    let (dx, dy) = (dx / length, dy / length);
    let class = if dx < -0.6 {
        "row end"
    } else if dx > 0.6 {
        "row"
    } else {
        "row mid"
    };
    let apart = 0.8 * STEP;
    let (x, y) = (n(end.x + dx * apart), n(end.y + dy * apart));
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", Text(&row.label))
}

fn seat(page: &Page<'_>, area: &Area, row: &Row, placed: &Placed<'_>) -> String {
    let id = Text(&placed.seat.id);
    let sold = page.audited.sold.seats.get(&placed.seat.id);
    let class = match sold {
        None => "free".to_owned(),
        Some(SoldSeat { worker, disputed, .. }) => palette::class(*worker) + if *disputed { " disputed" } else { "" },
    };
    let mut place = format!("{id} · {}", Text(&area.name));
    if !row.label.is_empty() {
        place += &format!(", row {}", Text(&row.label));
    }
    format!(
        "<rect data-seat=\"{id}\" class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"><title>{place} · {}</title></rect>\n",
        n(placed.x - SIDE / 2.0),
        n(placed.y - SIDE / 2.0),
        n(SIDE),
        n(SIDE),
        n(ROUND),
        fate(sold)
    )
}

/// What became of a seat.
fn fate(sold: Option<&SoldSeat>) -> String {
    let Some(SoldSeat { worker, at_us, disputed }) = sold else { return "left over".to_owned() };
    let by =
        worker.map_or_else(|| "sold, by no process that knows of it".to_owned(), |it| format!("sold by process {it}"));
    let when = match at_us {
        Some(at_us) => format!(" after {:.3} s", *at_us as f64 / 1e6),
        None => ", and its buyer was never told".to_owned(),
    };
    by + &when + if *disputed { " · store and logs disagree" } else { "" }
}

/// The standing places, one stretch for each process.
fn standing(page: &Page<'_>) -> String {
    let Some((_, places)) = page.sale.hall.standing_places() else { return String::new() };
    let mut by_worker: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    for booking in &page.audited.sold.standing {
        *by_worker.entry(booking.worker).or_insert(0) += booking.places;
    }
    let sold: u64 = by_worker.values().sum();
    // More than there is can only be sold when the audit fails, and is to be seen then.
    let all = sold.max(places.into());
    let width = |places: u64| BAR_WIDTH * places as f64 / all as f64;
    let mut at = 0;
    let mut stretches = String::new();
    for (worker, count) in &by_worker {
        let who = worker.map_or_else(|| "no process that knows of it".to_owned(), |it| format!("process {it}"));
        let (left, width) = (width(at), width(*count));
        // The mark in a colour is drawn once, not as wide as the stretch.
        let mark = match *worker {
            Some(_) if width > BAR_HEIGHT => format!(
                "<rect class=\"{} flat\" x=\"{}\" y=\"5\" width=\"16\" height=\"16\"/>",
                palette::class(*worker),
                n(left + width / 2.0 - 8.0)
            ),
            _ => String::new(),
        };
        stretches += &format!(
            "<g><title>{} sold by {who}</title><rect class=\"{}\" x=\"{}\" width=\"{}\" height=\"{BAR_HEIGHT}\"/>{mark}</g>",
            grouped(*count),
            palette::plain_class(*worker),
            n(left),
            n(width)
        );
        at += count;
    }
    format!(
        "<div class=\"standing\">\n<p><b>Standing area</b> <span>{0} of {1} sold</span></p>\n\
         <svg viewBox=\"0 0 {BAR_WIDTH} {BAR_HEIGHT}\" role=\"img\" aria-label=\"{0} of {1} standing places sold\">\n\
         <rect class=\"rest\" width=\"{BAR_WIDTH}\" height=\"{BAR_HEIGHT}\"/>{stretches}</svg>\n</div>\n",
        grouped(sold),
        grouped(places.into())
    )
}

fn legend(page: &Page<'_>, disputed: usize) -> String {
    let sold = &page.audited.sold;
    let mut by_worker: BTreeMap<Option<u32>, (u64, u64)> =
        (1..=page.sale.processes).map(|it| (Some(it), (0, 0))).collect();
    sold.seats.values().for_each(|seat| by_worker.entry(seat.worker).or_default().0 += 1);
    sold.standing.iter().for_each(|it| by_worker.entry(it.worker).or_default().1 += it.places);
    let seats_left = page.report.places.saturating_sub(sold.seats.len()) as u64;
    let standing_sold: u64 = sold.standing.iter().map(|it| it.places).sum();
    let standing_left = u64::from(page.sale.hall.standing).saturating_sub(standing_sold);
    let count = |seats: u64, standing: u64| {
        let more = if standing > 0 { format!(" + {}", grouped(standing)) } else { String::new() };
        grouped(seats) + &more
    };
    let item =
        |class: &str, name: &str, what: String| format!("<li>{}{name} <b>{what}</b></li>\n", palette::swatch(class));
    let mut list = String::new();
    // What no process knows of comes last.
    let (unknown, known): (Vec<_>, Vec<_>) = by_worker.into_iter().partition(|(worker, _)| worker.is_none());
    for (worker, (seats, standing)) in known.into_iter().chain(unknown) {
        let name = match worker {
            None => "No process".to_owned(),
            Some(worker) if page.audited.killed.contains(&worker) => format!("Process {worker} (killed)"),
            Some(worker) => format!("Process {worker}"),
        };
        list += &item(&palette::class(worker), &name, count(seats, standing));
    }
    list += &item("free", "Left over", count(seats_left, standing_left));
    if disputed > 0 {
        list += &item("free disputed", "Store and logs disagree", grouped(disputed as u64));
    }
    let unit = if page.sale.hall.standing == 0 && standing_sold == 0 { "seats" } else { "seats + standing places" };
    format!(
        "<ul class=\"legend\" aria-label=\"Colours, with {unit} of each\">\n{list}</ul>\n<p class=\"note unit\">Figures: {unit}</p>\n"
    )
}
