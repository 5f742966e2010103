//! Ratios of pairs, and the bars that they are held to.

/// What a ratio must be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    None,
    AtMost(f64),
    AtLeast(f64),
}

pub(crate) fn ratios(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left / right).collect()
}

pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Prints the median, and says whether it is as it must be.
pub(crate) fn judge(what: &str, mut ratios: Vec<f64>, bar: Bar) -> bool {
    ratios.sort_by(f64::total_cmp);
    let at = |tenths: usize| ratios[(ratios.len() - 1) * tenths / 10];
    let (is_met, bar) = match bar {
        Bar::None => (true, "no bar".to_owned()),
        Bar::AtMost(most) => (at(5) <= most, format!("at most {most}")),
        Bar::AtLeast(least) => (at(5) >= least, format!("at least {least}")),
    };
    let missed = if is_met { "" } else { ", which it MISSES" };
    println!("{what}: {:.2} (eight of ten from {:.2} to {:.2}); {bar}{missed}", at(5), at(1), at(9));
    is_met
}
