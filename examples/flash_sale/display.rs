//! What one sees while the sale runs: a bar on a terminal, now and then a plain line anywhere else.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::meter::Progress;
use crate::terminal::{Stream, tell};

/// How often the rate is measured.
const RATE_EVERY: Duration = Duration::from_millis(500);
/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows how far the sale is.
#[derive(Debug)]
pub(crate) struct Display {
    /// `None` when nobody watches.
    bar: Option<ProgressBar>,
    rate: f64,
    measured: (Instant, u64),
    printed: Instant,
}

impl Display {
    /// Starts at nothing.
    pub(crate) fn start() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(10));
            let style = match Stream::Error.is_colourful() {
                true => ProgressStyle::with_template("  {bar:30.cyan/dim} {percent:>3} %  {msg}"),
                false => ProgressStyle::with_template("  {bar:30} {percent:>3} %  {msg}"),
            };
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─"));
            bar
        });
        let now = Instant::now();
        Self { bar, rate: 0.0, measured: (now, 0), printed: now }
    }

    /// So much is done, by so many of the buyers.
    pub(crate) fn show(&mut self, progress: Progress, buyers: u64) {
        self.measure(progress.requests);
        let Progress { held, sold, finished, .. } = progress;
        let rate = self.rate.round() as u64;
        let (held, sold, rate) = (grouped(held), grouped(sold), grouped(rate));
        match &self.bar {
            Some(bar) => {
                bar.set_length(buyers.max(1));
                bar.set_position(finished);
                bar.set_message(format!("{held:>6} held  {sold:>6} sold  {rate:>7} requests/s"));
            }
            None if self.printed.elapsed() >= LINE_EVERY => {
                self.printed = Instant::now();
                let percent = 100 * finished / buyers.max(1);
                tell(format_args!("  {percent:>3} %  {held:>6} held  {sold:>6} sold  {rate:>7} requests/s"));
            }
            None => {}
        }
    }

    /// Says something without breaking the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(format_args!("  {line}"))),
            None => tell(format_args!("  {line}")),
        }
    }

    /// The sale is over.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn measure(&mut self, requests: u64) {
        let (at, before) = self.measured;
        let passed = at.elapsed();
        if passed >= RATE_EVERY {
            self.rate = requests.saturating_sub(before) as f64 / passed.as_secs_f64();
            self.measured = (Instant::now(), requests);
        }
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
