//! A colour for each process, that people who see colours differently can tell apart too.
//!
//! Eight hues after Okabe and Ito, "Color Universal Design" (2008), as `--p1` to `--p8` in the style; from the ninth process
//! on they come again with a mark in them.

/// How many hues there are.
const HUES: u32 = 8;

/// What tells processes of one hue apart, drawn in a square of side 1.
const MARKS: [&str; 4] = [
    "",
    "<circle class=\"mark\" cx=\".5\" cy=\".5\" r=\".22\"/>",
    "<path class=\"mark\" d=\"M0 .7 .7 0H1V.3L.3 1H0z\"/>",
    "<path class=\"mark\" d=\"M.2 .4H.8V.6H.2z\"/>",
];

/// The class of what a process sold, or of what is sold and no process says that it did.
pub(super) fn class(worker: Option<u32>) -> String {
    worker.map_or_else(|| "nobody".to_owned(), |worker| format!("p{worker}"))
}

/// The same without the mark.
pub(super) fn plain_class(worker: Option<u32>) -> String {
    class(worker.map(hue))
}

fn hue(worker: u32) -> u32 {
    (worker - 1) % HUES + 1
}

/// The rules for the classes.
pub(super) fn style(workers: u32) -> String {
    let rule = |worker: u32| match worker {
        1..=HUES => format!(".p{worker}{{fill:var(--p{worker})}}\n"),
        _ => format!(".p{worker}{{fill:url(#f{worker})}}\n"),
    };
    (1..=workers).map(rule).collect()
}

/// What the rules refer to.
pub(super) fn patterns(workers: u32) -> String {
    if workers <= HUES {
        return String::new();
    }
    let pattern = |worker: u32| {
        let mark = MARKS[((worker - 1) / HUES) as usize % MARKS.len()];
        format!(
            "<pattern id=\"f{worker}\" width=\"1\" height=\"1\" patternContentUnits=\"objectBoundingBox\">\
             <rect class=\"p{}\" width=\"1\" height=\"1\"/>{mark}</pattern>\n",
            hue(worker)
        )
    };
    let patterns: String = (HUES + 1..=workers).map(pattern).collect();
    format!("<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n{patterns}</defs></svg>\n")
}

/// A small square in the colour.
pub(super) fn swatch(class: &str) -> String {
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 20 20\" aria-hidden=\"true\">\
         <rect class=\"{class}\" x=\"1\" y=\"1\" width=\"18\" height=\"18\" rx=\"5\"/></svg>"
    )
}
