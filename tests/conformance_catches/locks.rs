//! Locks that break one promise each.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::conformance::faults::GrantsAll;
use ticket_reservation::conformance::{self, HarnessError, LockCapability, LockHarness, LockSpace, Settings, Verdict};
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released, Runtime};

use crate::runtime::TestRuntime;

/// What a lock gets wrong, one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    GrantsAll,
    KeepsSomeOfAll,
    ExtendsLost,
    AllNeverExpire,
    EachNeverExpires,
    LateDeadlineOfAll,
    LateDeadlineOfEach,
    LateDeadlineOfExtension,
    /// The time of a lease begins when its answer is seen.
    LateStartOfAll,
    LateStartOfEach,
    LateStartOfExtension,
    /// Says that it has extended, and has not.
    ExtendsNothing,
    /// Lets a lease end earlier that it is to extend by less than is left.
    Shortens,
    /// The same, and answers so late that its caller may have gone; who stays is told of the old deadline.
    ShortensWhatIsDropped,
    /// Answers for fewer leases than it was given.
    ForgetsAnAnswer,
    /// Tells whoever is refused its own TTL.
    TellsOwnTtl,
    /// Takes one key after another, and gives back what it has when one is refused.
    KeyByKey,
    /// A caller who goes away while it is answered leaves its keys taken.
    KeepsWhatIsDropped,
    /// None: it waits for its turn before it grants, as one over a wire.
    WaitsItsTurn,
}

#[derive(Debug, Clone)]
struct Faulty {
    inner: MemoryLock,
    runtime: Arc<dyn Runtime>,
    fault: Fault,
}

/// How long the lock's store takes to answer.
const LATE: Duration = Duration::from_millis(2);

impl Faulty {
    fn ttl(&self, never: Fault, ttl: Duration) -> Duration {
        if self.fault == never { ttl * 1_000 } else { ttl }
    }

    async fn key_by_key(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let mut taken = Vec::new();
        let mut keys: Vec<&LockKey> = keys.iter().collect();
        keys.sort();
        for key in keys {
            match self.inner.acquire_all(std::slice::from_ref(key), ttl).await? {
                Attempt::Granted(leases) => taken.extend(leases),
                contended => {
                    self.runtime.sleep(LATE).await;
                    self.inner.release(taken).await?;
                    return Ok(contended);
                }
            }
        }
        Ok(Attempt::Granted(taken))
    }

    async fn wait_its_turn(&self) {
        if self.fault == Fault::WaitsItsTurn {
            tokio::task::yield_now().await;
        }
    }

    /// What was done is done when its caller goes away meanwhile.
    async fn answer_late(&self) {
        if self.fault == Fault::KeepsWhatIsDropped {
            self.runtime.sleep(LATE).await;
        }
    }

    async fn shorten(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let keys: Vec<LockKey> = leases.iter().map(|lease| lease.key().clone()).collect();
        self.inner.release(leases.to_vec()).await?;
        let Attempt::Granted(taken) = self.inner.acquire_all(&keys, ttl).await? else {
            return Ok(vec![Extended::Lost; leases.len()]);
        };
        if self.fault == Fault::ShortensWhatIsDropped {
            self.runtime.sleep(LATE).await;
            self.inner.release(taken).await?;
            // Under other tokens, but long enough for who is not the owner to see.
            let _ = self.inner.acquire_all(&keys, LATE * 100_000).await?;
        } else {
            leases.clone_from_slice(&taken);
        }
        Ok(vec![Extended::Extended; leases.len()])
    }

    async fn alter<'l>(
        &self,
        late_start: Fault,
        late_deadline: Fault,
        ttl: Duration,
        leases: impl Iterator<Item = &'l mut Lease> + Send,
    ) {
        if self.fault == late_start {
            self.runtime.sleep(LATE).await;
            let now = self.runtime.now();
            leases.for_each(|lease| lease.set_deadline(now + ttl));
        } else if self.fault == late_deadline {
            leases.for_each(|lease| lease.set_deadline(lease.deadline() + Duration::from_secs(1)));
        }
    }
}

#[async_trait]
impl Lock for Faulty {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        if self.fault == Fault::KeyByKey {
            return self.key_by_key(keys, ttl).await;
        }
        self.wait_its_turn().await;
        let mut attempt = self.inner.acquire_all(keys, self.ttl(Fault::AllNeverExpire, ttl)).await?;
        if let Attempt::Granted(leases) = &mut attempt {
            self.alter(Fault::LateStartOfAll, Fault::LateDeadlineOfAll, ttl, leases.iter_mut()).await;
        } else if self.fault == Fault::KeepsSomeOfAll {
            let _ = self.inner.acquire_each(keys, ttl).await?;
        } else if self.fault == Fault::TellsOwnTtl {
            attempt = Attempt::Contended { retry_after: ttl };
        }
        self.answer_late().await;
        Ok(attempt)
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        self.wait_its_turn().await;
        let mut attempts = self.inner.acquire_each(keys, self.ttl(Fault::EachNeverExpires, ttl)).await?;
        let mut leases = Vec::new();
        for attempt in &mut attempts {
            if let Attempt::Granted(lease) = attempt {
                leases.push(lease);
            }
        }
        self.alter(Fault::LateStartOfEach, Fault::LateDeadlineOfEach, ttl, leases.into_iter()).await;
        self.answer_late().await;
        Ok(attempts)
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        if self.fault == Fault::ExtendsNothing {
            return Ok(vec![Extended::Extended; leases.len()]);
        }
        if matches!(self.fault, Fault::Shortens | Fault::ShortensWhatIsDropped) {
            return self.shorten(leases, ttl).await;
        }
        let mut extended = self.inner.extend(leases, ttl).await?;
        self.alter(Fault::LateStartOfExtension, Fault::LateDeadlineOfExtension, ttl, leases.iter_mut()).await;
        if self.fault == Fault::ExtendsLost {
            for (lease, extended) in leases.iter().zip(&mut extended) {
                if *extended == Extended::Lost {
                    let _ = self.inner.acquire_all(std::slice::from_ref(lease.key()), ttl).await?;
                    *extended = Extended::Extended;
                }
            }
        }
        if self.fault == Fault::ForgetsAnAnswer {
            extended.pop();
        }
        Ok(extended)
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        self.inner.release(leases).await
    }
}

struct Harness {
    fault: Fault,
    runtime: Arc<dyn Runtime>,
    lacks: &'static [LockCapability],
}

impl Harness {
    fn new(fault: Fault) -> Self {
        Self { fault, runtime: TestRuntime::current(), lacks: &[] }
    }
}

struct Space(Arc<dyn Lock>);

#[async_trait]
impl LockHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        let runtime = Arc::clone(&self.runtime);
        Ok(Box::new(Space(if self.fault == Fault::GrantsAll {
            Arc::new(GrantsAll::new(runtime))
        } else {
            Arc::new(Faulty { inner: MemoryLock::new(Arc::clone(&runtime)), runtime, fault: self.fault })
        })))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime)
    }

    fn lacks(&self) -> &[LockCapability] {
        self.lacks
    }
}

#[async_trait]
impl LockSpace for Space {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(Arc::clone(&self.0)))
    }

    /// A test program with libtest's `main` starts the one test that is the worker.
    fn worker(&self) -> Option<Command> {
        let mut command = Command::new(std::env::current_exe().expect("this program's path"));
        command.args(["locks::the_other_end", "--exact", "--nocapture"]).env(OTHER_END, "grants all");
        Some(command)
    }
}

/// Says to a process that it is the other end of a lock that grants everything.
const OTHER_END: &str = "CONFORMANCE_CATCHES_LOCK";

/// Not a test by itself: what the other processes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_end() {
    if std::env::var_os(OTHER_END).is_some() {
        let runtime: Arc<dyn Runtime> = TestRuntime::current();
        let lock = Arc::new(GrantsAll::new(Arc::clone(&runtime)));
        if conformance::lock_worker(lock, runtime).await.is_err() {
            // Without a backtrace for each process that finds another one inside.
            std::process::exit(1);
        }
    }
}

async fn is_caught(fault: Fault, cases: &'static [&'static str]) {
    let settings = Settings::new().only(move |name| cases.contains(&name));
    let report = conformance::lock_with(Harness::new(fault), &settings).await;
    assert_eq!(report.cases().len(), cases.len(), "not all of {cases:?} are cases of the suite");
    assert_eq!(report.failed().count(), cases.len(), "{fault:?} is not noticed: {report}");
}

/// What a lock that grants everything is caught by.
const CATCH_GRANTS_ALL: [&str; 7] = [
    "leases::a_key_is_granted_to_one",
    "leases::all_keys_are_granted_or_none",
    "leases::each_key_is_answered_for",
    "leases::releasing_compares_the_token",
    "leases::every_lease_has_its_own_token",
    "contention::of_many_contenders_one_at_a_time_gets_in",
    "processes::of_many_processes_one_at_a_time_gets_in",
];

macro_rules! catches {
    ($($name:ident: $fault:ident by $cases:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            is_caught(Fault::$fault, &$cases).await;
        })+
    };
}

catches! {
    a_lock_that_grants_everything: GrantsAll by CATCH_GRANTS_ALL;
    a_lock_that_tells_whoever_is_refused_its_own_ttl: TellsOwnTtl by [
        "contention::who_is_refused_learns_how_long_the_holder_may_keep_the_key",
    ];
    a_lock_that_takes_key_by_key: KeyByKey by ["contention::who_does_not_get_all_keys_keeps_others_from_none"];
    a_lock_that_keeps_what_is_dropped: KeepsWhatIsDropped by [
        "dropped::a_dropped_acquisition_is_undone_long_before_its_ttl",
        "dropped::an_acquisition_dropped_after_any_number_of_polls_is_undone",
    ];
    a_lock_that_keeps_some_of_all: KeepsSomeOfAll by ["leases::all_keys_are_granted_or_none"];
    a_lock_that_extends_what_is_lost: ExtendsLost by ["leases::extending_takes_nothing_back"];
    a_lock_that_extends_nothing: ExtendsNothing by [
        "leases::extending_prolongs",
        "leases::extending_takes_nothing_back",
    ];
    a_lock_whose_extensions_shorten: Shortens by ["leases::extending_never_shortens"];
    a_lock_whose_dropped_extensions_shorten: ShortensWhatIsDropped by ["dropped::a_dropped_extension_shortens_nothing"];
    a_lock_that_forgets_an_answer: ForgetsAnAnswer by [
        "leases::extending_prolongs",
        "deadlines::a_lease_ends_by_its_ttl_at_the_latest",
        "contention::many_keys_are_taken_at_once",
    ];
    a_lock_whose_leases_of_all_keys_never_end: AllNeverExpire by ["leases::a_key_is_free_after_its_ttl"];
    a_lock_whose_leases_of_each_key_never_end: EachNeverExpires by [
        "dropped::a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl",
    ];
    a_lock_whose_deadlines_of_all_keys_are_late: LateDeadlineOfAll by [
        "deadlines::a_lease_ends_by_its_ttl_at_the_latest",
    ];
    a_lock_whose_deadlines_of_each_key_are_late: LateDeadlineOfEach by [
        "deadlines::a_lease_ends_by_its_ttl_at_the_latest",
    ];
    a_lock_whose_deadlines_of_extensions_are_late: LateDeadlineOfExtension by [
        "deadlines::a_lease_ends_by_its_ttl_at_the_latest",
    ];
    a_lock_whose_time_of_all_keys_begins_with_the_answer: LateStartOfAll by [
        "deadlines::a_leases_time_begins_before_the_lock_is_asked",
    ];
    a_lock_whose_time_of_each_key_begins_with_the_answer: LateStartOfEach by [
        "deadlines::a_leases_time_begins_before_the_lock_is_asked",
    ];
    a_lock_whose_time_of_extensions_begins_with_the_answer: LateStartOfExtension by [
        "deadlines::an_extensions_time_begins_before_the_lock_is_asked",
    ];
}

/// What a lock may declare to lack whatever else it has, and the cases about it. (`single_process` is about the last one.)
const DECLARABLE: [(LockCapability, &[&str]); 4] = [
    (LockCapability::RemainingTime, &["contention::who_is_refused_learns_how_long_the_holder_may_keep_the_key"]),
    (LockCapability::KeysAtOnce, &["contention::who_does_not_get_all_keys_keeps_others_from_none"]),
    (
        LockCapability::Cancellation,
        &[
            "dropped::a_dropped_acquisition_is_undone_long_before_its_ttl",
            "dropped::an_acquisition_dropped_after_any_number_of_polls_is_undone",
        ],
    ),
    (
        LockCapability::Extension,
        &["leases::extending_prolongs", "deadlines::an_extensions_time_begins_before_the_lock_is_asked"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_to_be_lacking_is_skipped_and_says_so() {
    let declarable = DECLARABLE.iter().map(|(capability, _)| *capability).chain([LockCapability::OtherProcesses]);
    assert_eq!(declarable.collect::<Vec<_>>(), LockCapability::ALL);
    let settings = Settings::new().only(|name| DECLARABLE.iter().any(|(_, cases)| cases.contains(&name)));
    for (at, (capability, cases)) in DECLARABLE.into_iter().enumerate() {
        let harness = Harness { lacks: &LockCapability::ALL[at..=at], ..Harness::new(Fault::WaitsItsTurn) };
        let report = conformance::lock_with(harness, &settings).await;
        report.assert_passed();
        assert_eq!(report.cases().len(), DECLARABLE.iter().map(|(_, cases)| cases.len()).sum::<usize>(), "{report}");
        assert_eq!(report.skipped().map(|case| case.name()).collect::<Vec<_>>(), cases);
        for skipped in report.skipped() {
            let Verdict::Skipped { reason } = skipped.verdict() else { panic!("{skipped}") };
            let words = format!("declared to be lacking: {capability} ({capability:?})");
            assert_eq!(reason, &words);
        }
    }
}

/// A lock that says that it cannot extend, and extends, or takes what was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_extends_although_it_declares_not_to_is_caught() {
    let harness = Harness { lacks: &[LockCapability::Extension], ..Harness::new(Fault::ExtendsLost) };
    let settings = Settings::new().only(|name| name == "leases::extending_takes_nothing_back");
    let report = conformance::lock_with(harness, &settings).await;
    assert_eq!(report.failed().count(), 1, "{report}");
}

/// A lock that grants everything declares everything: what it is caught by is not skipped, and nor is anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_exclusion_cannot_be_declared_away() {
    let harness = Harness { lacks: LockCapability::ALL, ..Harness::new(Fault::GrantsAll) };
    let report = conformance::lock(harness).await;
    let skipped: BTreeSet<&str> = report.skipped().map(|case| case.name()).collect();
    let declarable: BTreeSet<&str> = DECLARABLE.iter().flat_map(|(_, cases)| *cases).copied().collect();
    assert_eq!(skipped, declarable, "{report}");
    let failed: Vec<&str> = report.failed().map(|case| case.name()).collect();
    for case in CATCH_GRANTS_ALL {
        assert!(failed.contains(&case), "{case} did not fail: {report}");
    }
}

/// What is wrong in another process stands in the report, not only among what that process prints.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_in_another_process_is_named_in_the_report() {
    let settings = Settings::new().only(|name| name == "processes::of_many_processes_one_at_a_time_gets_in");
    let report = conformance::lock_with(Harness::new(Fault::GrantsAll), &settings).await;
    let failure = report.failed().next().expect("a lock that grants everything fails").to_string();
    assert!(failure.contains("two processes hold the same lock"), "{failure}");
}
