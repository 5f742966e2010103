//! Runs cases one after another, and none of them can stop the others.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::alarm::Alarm;
use super::check::{Checked, Failure};
use super::common::Common;
use super::report::{CaseReport, Report, Verdict};
use super::settings::Settings;
use super::worker;
use crate::ports::{BoxFuture, Runtime};

/// How often a case is run at most, when the machine's clock is set each time.
const RUNS_MAX: u32 = 3;

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

/// What the cases of a suite work with.
pub(super) trait Bench: Send + Sync + 'static {
    /// Lets go of every handle, and then of what they are handles on.
    fn close(self) -> BoxFuture<'static, ()>;
}

/// Runs those cases that are wanted, each on a bench of its own, which may depend on the case's name.
pub(super) async fn run<B: Bench>(
    cases: &'static [Case<B>],
    settings: &Settings,
    runtime: &Arc<dyn Runtime>,
    set_up: impl Fn(&'static str, Common) -> BoxFuture<'static, Result<B, Failure>>,
) -> Report {
    let seed = settings.seed_or_draw(&**runtime);
    let mut report = Report::new(seed);
    let mut blocked_by = None;
    for case in cases.iter().filter(|case| settings.wants(case.name)) {
        let (started, common) = (runtime.now(), Common::new(runtime, seed, settings.suite_name()));
        let (verdict, runs) = match blocked_by {
            Some(blocking) => (Verdict::Failed { message: format!("not run: {blocking} still blocks the runtime") }, 0),
            None => match run_fairly(case, settings, &common, &set_up).await {
                (Run::Ended(verdict), runs) => (verdict, runs),
                (Run::Blocks(verdict), runs) => {
                    blocked_by = Some(case.name);
                    report.set_blocked();
                    (verdict, runs)
                }
            },
        };
        let took = runtime.now().saturating_duration_since(started);
        let case = CaseReport::new(case.name, verdict, common.notes(), took, runs);
        settings.tell(&case);
        report.push(case);
    }
    report
}

/// A case that fails while the machine's clock is set is run again: leases that are kept by that clock may have ended early,
/// which says nothing about the adapter. Says how often it was run.
async fn run_fairly<B: Bench>(
    case: &Case<B>,
    settings: &Settings,
    common: &Common,
    set_up: &impl Fn(&'static str, Common) -> BoxFuture<'static, Result<B, Failure>>,
) -> (Run, u32) {
    let mut runs = 0;
    loop {
        let (clocks, common) = (settings.clocks(), common.again());
        let run = run_case(case, settings, common.clone(), set_up(case.name, common.clone())).await;
        runs += 1;
        match (run, settings.clocks().set_since(clocks)) {
            (Run::Ended(Verdict::Failed { message }), Some(set)) if runs < RUNS_MAX => {
                common.note(format!("run again, as {set}: {message}"));
            }
            (run, _) => return (run, runs),
        }
    }
}

/// The case is a task of the runtime, and the watch over it is kept outside: an adapter that blocks its thread and
/// never yields is noticed too.
async fn run_case<B: Bench>(
    case: &Case<B>,
    settings: &Settings,
    common: Common,
    set_up: BoxFuture<'static, Result<B, Failure>>,
) -> Run {
    if worker::is_worker() {
        // A test program that starts itself without end is stopped here.
        let message = "this process is a worker of the suite: it runs `conformance::worker`, or a `Runner` has `main`";
        return Run::Ended(Verdict::Failed { message: message.to_owned() });
    }
    let (sender, receiver) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = case.run;
    common.runtime.spawn(Box::pin(async move {
        let attempt = Box::pin(attempt(set_up, run));
        if let Either::Left((verdict, _)) = select(attempt, stopped).await {
            // Nobody listens when the suite itself was dropped.
            let _ = sender.send(verdict);
        }
    }));
    let limit = settings.time_max();
    let failed = |message: &str| Verdict::Failed { message: message.to_owned() };
    let run = match select(receiver, Alarm::after(limit)).await {
        Either::Left((Ok(verdict), _)) => Run::Ended(verdict),
        Either::Left((Err(_), _)) => Run::Ended(failed("the runtime dropped the case's task")),
        Either::Right((_, receiver)) => {
            drop(stop);
            common.children.end();
            let verdict = failed(&format!("did not end within {} ms", limit.as_millis()));
            match select(receiver, Alarm::after(STOP_TIME_MAX)).await {
                Either::Left(_) => Run::Ended(verdict),
                Either::Right(_) => Run::Blocks(verdict),
            }
        }
    };
    common.children.end();
    run
}

/// What became of one case.
enum Run {
    Ended(Verdict),
    /// It has failed, and cannot even be stopped: it keeps a thread of the runtime.
    Blocks(Verdict),
}

/// How long a case that has taken too long may take to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

async fn attempt<B: Bench>(
    set_up: BoxFuture<'static, Result<B, Failure>>,
    run: for<'b> fn(&'b B) -> BoxFuture<'b, Checked>,
) -> Verdict {
    let attempt = async {
        let bench = set_up.await?;
        let checked = caught(run(&bench)).await;
        caught(bench.close().map(Ok)).await.and(checked)
    };
    match caught(attempt).await {
        Ok(()) => Verdict::Passed,
        Err(Failure::Failed(message)) => Verdict::Failed { message },
        Err(Failure::Skipped(reason)) => Verdict::Skipped { reason },
    }
}

/// A panic is a failure like any other.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Instant, SystemTime};

    use super::super::block_on::block_on;
    use super::super::clocks::Clocks;
    use super::*;
    use crate::domain::Timestamp;
    use crate::ports::Clock;

    /// A thread for each task.
    #[derive(Debug)]
    struct Threads;

    impl Clock for Threads {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn unix_time(&self) -> Timestamp {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Timestamp::EPOCH.after(since)
        }
    }

    impl Runtime for Threads {
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            Box::pin(Alarm::after(duration))
        }

        fn spawn(&self, task: BoxFuture<'static, ()>) {
            std::thread::spawn(move || block_on(task));
        }

        fn random(&self) -> u64 {
            1
        }
    }

    /// Fails as often as this says.
    struct FailsAtFirst(Arc<AtomicU32>);

    impl Bench for FailsAtFirst {
        fn close(self) -> BoxFuture<'static, ()> {
            Box::pin(async {})
        }
    }

    async fn fails_at_first(bench: &FailsAtFirst) -> Checked {
        let left = bench.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Err(Failure::new("not yet")) } else { Ok(()) }
    }

    const CASES: &[Case<FailsAtFirst>] =
        &[Case { name: "suite::fails_at_first", run: |bench| Box::pin(fails_at_first(bench)) }];

    /// Of a machine whose clock is set forward by a minute whenever somebody looks, or by nobody.
    fn report(failures: u32, is_set: bool) -> Report {
        let runtime: Arc<dyn Runtime> = Arc::new(Threads);
        let (begin, looks) = (Clocks::read(), AtomicU32::new(0));
        let settings = Settings::new().seed(1).with_clocks(move || {
            let minutes = if is_set { looks.fetch_add(1, Ordering::SeqCst) } else { 0 };
            let gone = begin.monotonic.elapsed();
            Clocks { wall: begin.wall + gone + Duration::from_secs(60) * minutes, monotonic: begin.monotonic + gone }
        });
        let failures = Arc::new(AtomicU32::new(failures));
        block_on(run(CASES, &settings, &runtime, |_, _| {
            let bench = FailsAtFirst(Arc::clone(&failures));
            Box::pin(async move { Ok(bench) })
        }))
    }

    #[test]
    fn a_case_that_failed_while_the_clock_was_set_is_run_again_and_says_so() {
        let report = report(2, true);
        assert!(report.is_passed(), "{report}");
        assert_eq!(report.cases()[0].runs(), 3);
        let text = report.to_string();
        assert_eq!(
            text.matches("run again, as the machine's clock was set forward by 60000 ms: not yet").count(),
            2,
            "{text}"
        );
        assert!(text.ends_with("; RUN AGAIN: suite::fails_at_first"), "{text}");
    }

    #[test]
    fn a_case_that_fails_while_nobody_sets_the_clock_has_failed() {
        let report = report(1, false);
        assert!(!report.is_passed() && report.cases()[0].runs() == 1, "{report}");
    }

    #[test]
    fn a_case_is_not_run_again_for_ever() {
        let report = report(u32::MAX, true);
        assert!(!report.is_passed() && report.cases()[0].runs() == RUNS_MAX, "{report}");
    }
}
