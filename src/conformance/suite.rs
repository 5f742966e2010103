//! Runs cases one after another, and none of them can stop the others.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::check::{Checked, Failure};
use super::report::{CaseReport, Report, Verdict};
use crate::ports::{BoxFuture, Runtime};

/// What a case may take at most, on a slow machine.
const CASE_TIME_MAX: Duration = Duration::from_secs(120);

/// One behaviour of the contract.
pub(super) struct Case<B> {
    /// `theme::sentence`.
    pub(super) name: &'static str,
    pub(super) run: for<'b> fn(&'b B) -> BoxFuture<'b, Checked>,
}

/// Lists the cases of modules: `cases![module { case, case } ...]`.
macro_rules! cases {
    ($($module:ident { $($name:ident),+ $(,)? })+) => {
        &[$($($crate::conformance::suite::Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |bench| Box::pin($module::$name(bench)),
        }),+),+]
    };
}
pub(super) use cases;

/// What a case is given, and what it leaves behind.
pub(super) trait Bench: Sync {
    fn notes(&self) -> Vec<String>;
}

/// Runs those cases whose names are wanted, each on a bench of its own.
pub(super) async fn run<B: Bench, F: Future<Output = Result<B, Failure>> + Send>(
    cases: &[Case<B>],
    wanted: impl Fn(&str) -> bool,
    runtime: &Arc<dyn Runtime>,
    set_up: impl Fn() -> F,
) -> Report {
    let mut report = Report::default();
    for case in cases.iter().filter(|case| wanted(case.name)) {
        let started = runtime.now();
        let (verdict, notes) = run_case(case, runtime, &set_up).await;
        let took = runtime.now().saturating_duration_since(started);
        report.push(CaseReport::new(case.name, verdict, notes, took));
    }
    report
}

async fn run_case<B: Bench, F: Future<Output = Result<B, Failure>> + Send>(
    case: &Case<B>,
    runtime: &Arc<dyn Runtime>,
    set_up: &impl Fn() -> F,
) -> (Verdict, Vec<String>) {
    let attempt = async {
        let bench = match AssertUnwindSafe(set_up()).catch_unwind().await {
            Ok(Ok(bench)) => bench,
            Ok(Err(failure)) => return (verdict(Ok(Err(failure))), Vec::new()),
            Err(panic) => return (verdict(Err(panic)), Vec::new()),
        };
        let checked = AssertUnwindSafe((case.run)(&bench)).catch_unwind().await;
        (verdict(checked), bench.notes())
    };
    match select(Box::pin(attempt), runtime.sleep(CASE_TIME_MAX)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            (Verdict::Failed { message: format!("did not end within {} s", CASE_TIME_MAX.as_secs()) }, Vec::new())
        }
    }
}

fn verdict(checked: Result<Checked, Box<dyn Any + Send>>) -> Verdict {
    match checked {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(Failure::Failed(message))) => Verdict::Failed { message },
        Ok(Err(Failure::Skipped(reason))) => Verdict::Skipped { reason },
        Err(panic) => Verdict::Failed { message: panic_message(&*panic) },
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}
