//! A test program of its own: the suites of an adapter, and the processes that they start.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use super::arguments::Arguments;
use super::block_on::{block_on, block_on_task};
use super::check::Failure;
use super::harness::{LockHarness, RepositoryHarness};
use super::lock::{lock_cases, lock_with};
use super::report::{CaseReport, Report};
use super::repository::{repository_cases, repository_with};
use super::settings::Settings;
use super::worker::{WORKER_ADDRESS, WORKER_SUITE, WorkerError, is_worker, lock_worker, tell, worker};

/// The `main` of a test program without libtest's (`harness = false`), because the program is also the worker process of
/// its suites. It understands what `cargo test` and `cargo nextest` pass: `--list`, `--exact`, `--ignored`, `--skip`,
/// filters. Each case is a test, `name::repository::theme::case` or `name::lock::theme::case`.
///
/// The thread that calls [`Runner::run`] only waits: the harness's runtime must run what it is told to spawn on threads
/// of its own. That way an adapter that blocks is a failed case, and not the end of the program.
///
/// ```
/// # use std::{process::ExitCode, sync::Arc};
/// # use ticket_reservation::{adapters::memory::MemoryRepository, ports::*};
#[doc = doc_harness!()]
/// # #[cfg(feature = "tokio")]
/// fn main() -> ExitCode {
///     # use ticket_reservation::adapters::tokio::TokioRuntime;
///     let tokio = tokio::runtime::Runtime::new().expect("a runtime");
///     let runtime = TokioRuntime::new(tokio.handle().clone());
///     Runner::new().lock("memory", Harness(Arc::new(runtime))).run()
/// }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
#[must_use = "nothing is tested before it runs"]
pub struct Runner {
    arguments: Arguments,
    suites: Vec<Suite>,
}

struct Suite {
    name: String,
    /// The cases that may be skipped; without a list, all.
    skips_only: Option<Vec<String>>,
    kind: Kind,
}

enum Kind {
    Repository(Arc<dyn RepositoryHarness>),
    Lock(Arc<dyn LockHarness>),
}

impl Runner {
    /// With the arguments of the command line.
    pub fn new() -> Self {
        Self { arguments: Arguments::read(std::env::args().skip(1)), suites: Vec::new() }
    }

    /// Adds the suite for repositories, under the adapter's name.
    pub fn repository(mut self, adapter: &str, harness: impl RepositoryHarness + 'static) -> Self {
        let kind = Kind::Repository(Arc::new(harness));
        self.suites.push(Suite { name: format!("{adapter}::repository"), skips_only: None, kind });
        self
    }

    /// Adds the suite for locks, under the adapter's name.
    pub fn lock(mut self, adapter: &str, harness: impl LockHarness + 'static) -> Self {
        let kind = Kind::Lock(Arc::new(harness));
        self.suites.push(Suite { name: format!("{adapter}::lock"), skips_only: None, kind });
        self
    }

    /// The suite that was added last has what every case is about: a case that is skipped counts as failed.
    ///
    /// ```
    /// # use std::{process::ExitCode, sync::Arc};
    /// # use ticket_reservation::{adapters::memory::MemoryRepository, ports::*};
    #[doc = doc_harness!()]
    /// # #[cfg(feature = "tokio")]
    /// fn main() {
    ///     # use ticket_reservation::adapters::tokio::TokioRuntime;
    ///     # let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    ///     # let runtime = TokioRuntime::new(tokio.handle().clone());
    ///     // These locks live in one process, so what is about several is skipped.
    ///     let run = Runner::new().lock("memory", Harness(Arc::new(runtime))).skips_nothing().run();
    ///     assert_eq!(run, ExitCode::FAILURE);
    /// }
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// ```
    pub fn skips_nothing(self) -> Self {
        self.skips_only(&[])
    }

    /// The suite that was added last skips these cases at most, `theme::case`, because its adapter declares to lack what
    /// they are about: any other case that is skipped counts as failed.
    ///
    /// ```
    /// # use std::{process::ExitCode, sync::Arc};
    /// # use ticket_reservation::{adapters::memory::MemoryRepository, ports::*};
    #[doc = doc_harness!()]
    /// # #[cfg(feature = "tokio")]
    /// fn main() {
    ///     # use ticket_reservation::adapters::tokio::TokioRuntime;
    ///     # let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    ///     # let runtime = TokioRuntime::new(tokio.handle().clone());
    ///     let run = Runner::new().lock("memory", Harness(Arc::new(runtime))).skips_only(&[
    ///         "processes::of_many_processes_one_at_a_time_gets_in",
    ///         "processes::a_killed_process_locks_nothing_for_longer_than_its_ttl",
    ///     ]);
    ///     assert_eq!(run.run(), ExitCode::SUCCESS);
    /// }
    /// # #[cfg(not(feature = "tokio"))]
    /// # fn main() {}
    /// ```
    pub fn skips_only(mut self, cases: &[&str]) -> Self {
        if let Some(suite) = self.suites.last_mut() {
            suite.skips_only = Some(cases.iter().map(ToString::to_string).collect());
        }
        self
    }

    /// Runs what the command line asks for and prints a line for each case; in a worker process, does its job.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if is_worker() {
            return match self.work() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            };
        }
        let tests = self.suites.iter().flat_map(Suite::tests).filter(|test| self.arguments.wants(test));
        if self.arguments.list {
            tests.for_each(|test| println!("{test}: test"));
            return ExitCode::SUCCESS;
        }
        self.test()
    }

    fn test(self) -> ExitCode {
        let started = Instant::now();
        let arguments = Arc::new(self.arguments);
        let (mut ran, mut skipped, mut again, mut failed) = (0, Vec::new(), Vec::new(), Vec::new());
        let mut is_blocked = false;
        for suite in &self.suites {
            let report = suite.run(&arguments);
            is_blocked |= report.is_blocked();
            ran += report.cases().len();
            let named = |case: &CaseReport| format!("{}::{}", suite.name, case.name());
            skipped.extend(report.skipped().map(named));
            again.extend(report.run_again().map(named));
            let forbidden = report.skipped().filter(|case| !suite.may_skip(case.name()));
            failed.extend(report.failed().map(|case| format!("FAILED {}{}", named(case), case.why())));
            failed.extend(forbidden.map(|case| format!("FAILED {} (skipped)", named(case))));
            if report.failed().next().is_some() {
                failed.push(format!("the seed of {} was {}", suite.name, report.seed()));
            }
        }
        let failures = failed.iter().filter(|text| text.starts_with("FAILED")).count();
        let took = started.elapsed().as_secs_f64();
        let listed = |what, names: &[String]| match names {
            [] => String::new(),
            names => format!("; {what}: {}", names.join(", ")),
        };
        let (unproven, repeated) = (listed("NOT PROVEN", &skipped), listed("RUN AGAIN", &again));
        println!("{ran} cases, {} skipped, {failures} failed, {took:.1} s{unproven}{repeated}", skipped.len());
        failed.iter().for_each(|text| println!("{text}"));
        if is_blocked {
            // A runtime waits for its threads when it is dropped, and one of them never comes back.
            std::process::exit(1);
        }
        if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The other end of a suite's processes.
    fn work(&self) -> Result<(), WorkerError> {
        let (name, address) = (std::env::var(WORKER_SUITE), std::env::var_os(WORKER_ADDRESS));
        let suite = self.suites.iter().find(|suite| name.as_deref() == Ok(&suite.name));
        let (Some(suite), Some(address)) = (suite, address) else {
            return tell(Err(Failure::new(format!("a worker without a store ({name:?})"))));
        };
        // In a task, where an adapter finds what it needs of the runtime.
        let done = match &suite.kind {
            Kind::Repository(harness) => {
                let (harness, runtime) = (Arc::clone(harness), harness.runtime());
                block_on_task(&*harness.runtime(), async move {
                    match harness.join(&address).await {
                        Ok(repository) => worker(repository, runtime).await,
                        Err(error) => tell(Err(Failure::of_harness("joining the store", &error))),
                    }
                })
            }
            Kind::Lock(harness) => {
                let (harness, runtime) = (Arc::clone(harness), harness.runtime());
                block_on_task(&*harness.runtime(), async move {
                    match harness.join(&address).await {
                        Ok(lock) => lock_worker(lock, runtime).await,
                        Err(error) => tell(Err(Failure::of_harness("joining the locks", &error))),
                    }
                })
            }
        };
        done.unwrap_or_else(|| tell(Err(Failure::new("its task panicked, or the runtime dropped it"))))
    }
}

impl Default for Runner {
    fn default() -> Self {
        Self::new()
    }
}

impl Suite {
    fn tests(&self) -> Vec<String> {
        let cases = match &self.kind {
            Kind::Repository(_) => repository_cases(),
            Kind::Lock(_) => lock_cases(),
        };
        cases.into_iter().map(|case| format!("{}::{case}", self.name)).collect()
    }

    fn may_skip(&self, case: &str) -> bool {
        self.skips_only.as_ref().is_none_or(|cases| cases.iter().any(|may| may == case))
    }

    fn run(&self, arguments: &Arc<Arguments>) -> Report {
        let (arguments, name, of_line) = (Arc::clone(arguments), self.name.clone(), self.name.clone());
        let settings = Settings::new()
            .suite(&self.name)
            .only(move |case| arguments.wants(&format!("{name}::{case}")))
            .on_case(move |case| println!("{of_line:18} {case}"));
        match &self.kind {
            Kind::Repository(harness) => block_on(repository_with(Arc::clone(harness), &settings)),
            Kind::Lock(harness) => block_on(lock_with(Arc::clone(harness), &settings)),
        }
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let suites: Vec<&str> = self.suites.iter().map(|suite| suite.name.as_str()).collect();
        f.debug_struct("Runner").field("suites", &suites).finish_non_exhaustive()
    }
}
