//! What the charts share: a frame with axes, round steps, and how figures are written.

/// The drawing of a chart, in its own unit; the page scales it.
pub(super) const WIDTH: f64 = 560.0;
pub(super) const LEFT: f64 = 52.0;
pub(super) const RIGHT: f64 = WIDTH - 12.0;

/// A coordinate, short.
pub(super) fn n(value: f64) -> f64 {
    (value * 10.0).round() / 10.0 + 0.0
}

/// A round step that divides `max` into at most `most` parts: 1, 2 or 5 times a power of ten.
pub(super) fn round_step(max: f64, most: f64) -> f64 {
    let least = (max / most).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * 0.999).unwrap_or(least)
}

/// Whole multiples of `step` from 0 up to `max`.
pub(super) fn ticks(max: f64, step: f64) -> impl Iterator<Item = f64> {
    (0_u32..=1_000).map(move |nth| f64::from(nth) * step).take_while(move |tick| *tick <= max * 1.000_001)
}

/// Lines across for the vertical axis from 0 at `bottom` to `max` at `top`, with what they stand for.
pub(super) fn grid(top: f64, bottom: f64, max: f64, step: f64, label: impl Fn(f64) -> String) -> String {
    ticks(max, step)
        .map(|tick| {
            let y = n(bottom - (bottom - top) * tick / max);
            let class = if tick == 0.0 { "axis" } else { "grid" };
            format!(
                "<path class=\"{class}\" d=\"M{LEFT} {y}H{RIGHT}\"/><text class=\"tick end\" x=\"{}\" y=\"{}\">{}</text>\n",
                LEFT - 8.0,
                n(y + 4.0),
                label(tick)
            )
        })
        .collect()
}

/// What stands below the horizontal axis.
pub(super) fn below(x: f64, bottom: f64, label: &str) -> String {
    format!("<text class=\"tick mid\" x=\"{}\" y=\"{}\">{label}</text>\n", n(x), n(bottom + 20.0))
}

/// A chart in its frame. What it shows is said in words too.
pub(super) fn frame(height: f64, words: &str, inner: &str) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{words}\">\n{inner}</svg>\n"
    )
}

/// A time in a unit that suits it.
pub(super) fn time(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{} ms", rounded(ms, 2)),
        ms if ms < 10.0 => format!("{} ms", rounded(ms, 1)),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{} s", rounded(ms / 1_000.0, 2)),
    }
}

/// A number with so many decimals at most.
pub(super) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale + 0.0
}
