use std::fmt;
use std::time::Duration;

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The contract was kept.
    Passed,
    /// It was broken, or the case panicked or did not end.
    Failed {
        /// What was expected, and what was found.
        message: String,
    },
    /// The adapter declares that it lacks what the case is about.
    Skipped {
        /// What it lacks.
        reason: String,
    },
}

/// One case and what came of it.
#[derive(Debug, Clone)]
pub struct CaseReport {
    name: &'static str,
    verdict: Verdict,
    notes: Vec<String>,
    took: Duration,
    runs: u32,
}

impl CaseReport {
    pub(super) fn new(name: &'static str, verdict: Verdict, notes: Vec<String>, took: Duration, runs: u32) -> Self {
        Self { name, verdict, notes, took, runs }
    }

    /// Its name, `theme::sentence`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What came of it.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What it has to say besides: figures, and what the contract recommends and the adapter does not do.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// How often it was run: once, or again because it had failed while somebody set the machine's clock.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.runs
    }
}

impl CaseReport {
    /// Why it did not pass, and its notes.
    pub(super) fn why(&self) -> String {
        let why = match &self.verdict {
            Verdict::Passed => None,
            Verdict::Failed { message } => Some(message),
            Verdict::Skipped { reason } => Some(reason),
        };
        why.into_iter().chain(&self.notes).map(|text| format!(" - {text}")).collect()
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed { .. } => "FAILED",
            Verdict::Skipped { .. } => "skipped",
        };
        write!(f, "{word:7} {} ({} ms){}", self.name, self.took.as_millis(), self.why())
    }
}

/// What came of a suite, case by case. Its [`Display`](fmt::Display) prints a line for each, and a last one that
/// names those that were skipped.
///
/// ```
#[doc = doc_on_sale!()]
#[doc = doc_harness!()]
/// let settings = Settings::new().seed(7).only(|case| case == "leases::a_released_key_is_free");
/// let report = conformance::lock_with(Harness(runtime), &settings).await;
/// println!("{report}");
/// assert!(report.is_passed());
/// assert_eq!((report.failed().count(), report.skipped().count(), report.seed()), (0, 0, 7));
/// for case in report.cases() {
///     println!("{}: {:?} in {:?} {:?}", case.name(), case.verdict(), case.took(), case.notes());
/// }
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a report that nobody looks at finds nothing"]
pub struct Report {
    cases: Vec<CaseReport>,
    seed: u64,
    is_blocked: bool,
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A case has failed and still keeps a thread of the runtime.
    pub(super) fn set_blocked(&mut self) {
        self.is_blocked = true;
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn push(&mut self, case: CaseReport) {
        self.cases.push(case);
    }

    /// The cases, in the order in which they ran.
    #[must_use]
    pub fn cases(&self) -> &[CaseReport] {
        &self.cases
    }

    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| matches!(case.verdict, Verdict::Failed { .. }))
    }

    /// The cases that were skipped, because the adapter declares that it lacks what they are about.
    pub fn skipped(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| matches!(case.verdict, Verdict::Skipped { .. }))
    }

    /// The cases that were run more than once.
    pub(super) fn run_again(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| case.runs > 1)
    }

    /// The seed of everything random; [`Settings::seed`](super::Settings::seed) runs the suite with it again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether there are cases, and none of them failed. A case that is skipped does not fail it, and whoever writes the
    /// harness declares what is skipped: [`assert_skips_only`](Self::assert_skips_only) says what may be.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        !self.cases.is_empty() && self.failed().next().is_none()
    }

    /// Does nothing if [`Report::is_passed`], whatever was skipped. A test of an adapter had better call
    /// [`assert_skips_nothing`](Self::assert_skips_nothing) or [`assert_skips_only`](Self::assert_skips_only), or, of a
    /// [`Runner`](super::Runner), [`skips_nothing`](super::Runner::skips_nothing) or
    /// [`skips_only`](super::Runner::skips_only): then a harness that declares too much is noticed.
    ///
    /// # Panics
    ///
    /// With the whole report, if a case failed or there was none.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_harness!()]
    /// let settings = Settings::new().only(|case| case.starts_with("processes::"));
    /// let report = conformance::lock_with(Harness(runtime), &settings).await;
    /// // These locks live in one process, so nothing was proven at all.
    /// report.assert_passed();
    /// assert_eq!(report.skipped().count(), report.cases().len());
    #[doc = doc_end!()]
    /// ```
    pub fn assert_passed(&self) {
        assert!(self.is_passed(), "the adapter does not keep its contract:\n{self}");
    }

    /// Does nothing if [`Report::is_passed`], and every case was run.
    ///
    /// # Panics
    ///
    /// With the whole report, if a case failed or was skipped, or there was none.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_harness!()]
    /// let settings = Settings::new().only(|case| case.starts_with("leases::"));
    /// conformance::lock_with(Harness(runtime), &settings).await.assert_skips_nothing();
    #[doc = doc_end!()]
    /// ```
    pub fn assert_skips_nothing(&self) {
        self.assert_skips_only(&[]);
    }

    /// Does nothing if [`Report::is_passed`], and these cases were skipped at most, `theme::case`.
    ///
    /// # Panics
    ///
    /// With the whole report, if a case failed, another one was skipped, or there was none.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_harness!()]
    /// let settings = Settings::new().only(|case| case.starts_with("leases::") || case.starts_with("processes::"));
    /// conformance::lock_with(Harness(runtime), &settings).await.assert_skips_only(&[
    ///     "processes::of_many_processes_one_at_a_time_gets_in",
    ///     "processes::a_killed_process_locks_nothing_for_longer_than_its_ttl",
    /// ]);
    #[doc = doc_end!()]
    /// ```
    pub fn assert_skips_only(&self, cases: &[&str]) {
        self.assert_passed();
        let others: Vec<&str> = self.skipped().map(CaseReport::name).filter(|name| !cases.contains(name)).collect();
        assert!(others.is_empty(), "skipped, and must not be: {}\n{self}", others.join(", "));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cases.iter().try_for_each(|case| writeln!(f, "{case}"))?;
        let (failed, skipped): (_, Vec<_>) = (self.failed().count(), self.skipped().map(CaseReport::name).collect());
        let passed = self.cases.len() - failed - skipped.len();
        write!(f, "{passed} passed, {failed} failed, {} skipped", skipped.len())?;
        if failed > 0 {
            write!(f, " (seed {})", self.seed)?;
        }
        if !skipped.is_empty() {
            write!(f, "; NOT PROVEN: {}", skipped.join(", "))?;
        }
        let again: Vec<_> = self.run_again().map(CaseReport::name).collect();
        if again.is_empty() { Ok(()) } else { write!(f, "; RUN AGAIN: {}", again.join(", ")) }
    }
}
