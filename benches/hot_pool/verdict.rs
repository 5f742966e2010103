//! What is printed, and what it is held to.

use crate::orders::Demand;
use crate::rounds::Pair;

/// How many times as many the service sells, at least, in the median of the rounds.
const RATIO_MIN: f64 = 25.0;

/// More requests than this are decided in a commit, in the mean.
const REQUESTS_MIN: f64 = 50.0;

/// Which share of the processors others may use, in the median: less than half of one of two.
const OTHERS_MAX: f64 = 0.2;

pub(crate) fn print_heading() {
    println!(
        "{:<8}{:<8}{:>10}{:>12}{:>8}{:>16}{:>12}{:>10}{:>15}{:>16}{:>8}",
        "round",
        "demand",
        "service/s",
        "by hand/s",
        "ratio",
        "requests/commit",
        "conflicts",
        "p95 ms",
        "least process",
        "by hand p95 ms",
        "others",
    );
}

pub(crate) fn print(round: &str, pair: &Pair) {
    let Pair { service, by_hand, .. } = pair;
    println!(
        "{round:<8}{:<8}{:>10.0}{:>12.0}{:>8.1}{:>16.0}{:>12}{:>10.1}{:>15.2}{:>16.1}{:>6.0} %",
        pair.demand.name(),
        service.per_second,
        by_hand.per_second,
        pair.ratio(),
        each(service.requests, service.commits),
        service.conflicts,
        service.p95_ms,
        service.least_share,
        by_hand.p95_ms,
        pair.others * 100.0,
    );
}

/// Prints the medians. Whether they are as they must be, where they are held to it.
pub(crate) fn judge(pairs: &[Pair], is_bound: bool) -> bool {
    let mut is_met = true;
    for demand in Demand::ALL {
        let of_demand = || pairs.iter().filter(move |pair| pair.demand == demand);
        let ratios = sorted(of_demand().map(Pair::ratio));
        let ratio = median(&ratios);
        let sum = |count: fn(&Pair) -> u64| of_demand().map(count).sum::<u64>();
        let (requests, commits) = (sum(|it| it.service.requests), sum(|it| it.service.commits));
        let (each, conflicts) = (each(requests, commits), sum(|it| it.service.conflicts));
        println!(
            "{}: {ratio:.1} times as many as by hand ({:.1} to {:.1}){}; {each:.0} requests in each of {commits} commits{}; \
             {conflicts} conflicts",
            demand.name(),
            ratios[0],
            ratios[ratios.len() - 1],
            bound(is_bound, ratio >= RATIO_MIN, &format!("at least {RATIO_MIN}")),
            bound(is_bound, each > REQUESTS_MIN, &format!("more than {REQUESTS_MIN}")),
        );
        is_met &= ratio >= RATIO_MIN && each > REQUESTS_MIN;
    }
    let others = median(&sorted(pairs.iter().map(|pair| pair.others)));
    if is_bound && others > OTHERS_MAX {
        println!("others use {:.0} % of the processors, so the ratios say nothing: measure again", others * 100.0);
        is_met = false;
    }
    is_met || !is_bound
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// Of two in the middle, the lower one.
fn median(sorted: &[f64]) -> f64 {
    sorted[(sorted.len() - 1) / 2]
}

fn bound(is_bound: bool, is_met: bool, bound: &str) -> String {
    match (is_bound, is_met) {
        (false, _) => String::new(),
        (true, true) => format!(", bound {bound}"),
        (true, false) => format!(", bound {bound}, which it MISSES"),
    }
}

fn each(requests: u64, commits: u64) -> f64 {
    requests as f64 / commits.max(1) as f64
}
