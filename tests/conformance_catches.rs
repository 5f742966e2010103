//! The conformance suite notices what it is there for: each of these stores breaks one promise, and the case about that
//! promise fails.
#![cfg(feature = "conformance")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::faults::GrantsAll;
use ticket_reservation::conformance::{self, LockHarness, LockSpace, RepositoryHarness, Store, Verdict};
use ticket_reservation::domain::{
    EventId, Lapsed, LapsedOf, Pool, PoolId, RecordKey, Reservation, ReservationId, Snapshot, Ticket, TicketId,
    Timestamp,
};
use ticket_reservation::ports::{
    Attempt, Change, ChangesError, Extended, Group, GroupOutcome, Lease, LoadRequest, Lock, LockError, LockKey, Purged,
    Released, Repository, ReservationQuery, Runtime, Sequence, StoreError, TicketQuery,
};

#[path = "common/runtime.rs"]
mod runtime;
use runtime::TestRuntime;

/// How a store breaks its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Writes whatever it is told to.
    ChecksNoVersion,
    /// Checks what is written and forgets what was only read.
    ForgetsReads,
    /// Checks records that exist, and takes absence for granted.
    ForgetsAbsence,
    /// Overwrites what somebody else has created meanwhile.
    CreatesTwice,
    /// Writes what it can of a group that conflicts.
    WritesInPart,
    /// One conflict fails the whole batch.
    FailsTheBatch,
    /// Never writes operations.
    DropsOperations,
    /// The feed shows later rows first.
    SwapsTheFeed,
    /// The feed has a hole for every third row.
    LosesRows,
    /// A reader behind the purge gets what is left, and is told nothing.
    HidesTheTruncation,
    /// Loads without the lists of expired holds.
    ForgetsLapsed,
    /// Never says that there are more expired holds.
    ForgetsMore,
    /// Shows the records of a load one after another, not as of one moment.
    ReadsInParts,
    /// Lists tickets as free that are not.
    ListsTooManyFree,
    /// Purges without raising the limit.
    ForgetsTheLimit,
    /// Purges everything in one step.
    PurgesAtOnce,
    /// Each handle has a clock of its own.
    OwnClock,
    /// Forgets when a record was decided.
    ForgetsTheTime,
    /// Answers `Committed` and does nothing, now and then.
    Forgets,
    /// Shows the sweeper nothing.
    HidesFromTheSweeper,
    /// Ignores the customer of a query.
    IgnoresTheCustomer,
}

#[derive(Debug)]
struct Faulty {
    inner: MemoryRepository,
    fault: Fault,
    handle: usize,
}

impl Faulty {
    /// The group as it would be if it had just been read.
    async fn up_to_date(&self, event: &EventId, group: &Group, which: impl Fn(u64) -> bool) -> Group {
        let mut group = group.clone();
        let records = group.reads.iter().map(|(key, _)| key.clone());
        let records = records.chain(group.writes.iter().map(|write| write.key.clone())).collect();
        let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
        let Ok(snapshot) = self.inner.load(&request).await else { return group };
        let version = |key: &RecordKey| snapshot.get(key).map_or(0, |versioned| versioned.version);
        for (key, read) in group.reads.iter_mut().filter(|(_, read)| which(*read)) {
            *read = version(key);
        }
        for write in group.writes.iter_mut().filter(|write| which(write.version)) {
            write.version = version(&write.key);
        }
        group
    }

    async fn altered(&self, event: &EventId, group: &Group) -> Group {
        let mut group = group.clone();
        match self.fault {
            Fault::ChecksNoVersion => return self.up_to_date(event, &group, |_| true).await,
            Fault::CreatesTwice => {
                let reads = std::mem::take(&mut group.reads);
                group = self.up_to_date(event, &group, |version| version == 0).await;
                group.reads = reads;
            }
            Fault::ForgetsReads => group.reads.clear(),
            Fault::ForgetsAbsence => group.reads.retain(|(_, version)| *version > 0),
            Fault::DropsOperations => group.writes.retain(|write| !matches!(write.key, RecordKey::Operation(_))),
            Fault::ForgetsTheTime => group.writes.iter_mut().for_each(|write| write.decided_at = Timestamp::EPOCH),
            Fault::Forgets if group.writes.len() > 3 => group.writes.truncate(3),
            _ => {}
        }
        group
    }
}

#[async_trait]
impl Repository for Faulty {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let mut snapshot = self.inner.load(request).await?;
        let lists: Vec<(LapsedOf, Lapsed)> = snapshot.all_lapsed().map(|(of, it)| (of.clone(), it.clone())).collect();
        match self.fault {
            Fault::ForgetsLapsed => {
                for (of, _) in lists {
                    snapshot.insert_lapsed(of, Lapsed::default());
                }
            }
            Fault::ForgetsMore => {
                for (of, lapsed) in lists {
                    snapshot.insert_lapsed(of, Lapsed { more: false, ..lapsed });
                }
            }
            Fault::ReadsInParts => {
                for key in &request.records {
                    let records = vec![key.clone()];
                    tokio::task::yield_now().await;
                    let one = LoadRequest { event: request.event.clone(), records, free_in: Vec::new() };
                    if let Some(versioned) = self.inner.load(&one).await?.get(key) {
                        snapshot.insert(key.clone(), versioned.clone());
                    }
                }
            }
            Fault::ListsTooManyFree => {
                for area in &request.free_in {
                    let (event, area) = (request.event.clone(), area.clone());
                    let query = TicketQuery { event, area: Some(area.clone()), after: None, limit: 10_000 };
                    let all = self.inner.tickets(&query).await?;
                    snapshot.insert_free(area, all.into_iter().map(|(id, _, ticket)| (id, ticket.place)));
                }
            }
            Fault::ForgetsTheLimit => snapshot.set_operations_purged_before(Timestamp::from_micros(i64::MIN)),
            Fault::OwnClock => {
                let ahead = Duration::from_secs(self.handle as u64);
                snapshot.set_clock(snapshot.clock().after(ahead));
            }
            _ => {}
        }
        Ok(snapshot)
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let mut altered = Vec::new();
        for group in groups {
            altered.push(self.altered(event, group).await);
        }
        if self.fault == Fault::FailsTheBatch && groups.len() > 1 {
            let keys = groups.iter().flat_map(|group| group.writes.iter().map(|write| (&write.key, write.version)));
            let keys: Vec<_> = keys.chain(groups.iter().flat_map(|g| g.reads.iter().map(|(k, v)| (k, *v)))).collect();
            let records = keys.iter().map(|(key, _)| (*key).clone()).collect();
            let now = self.inner.load(&LoadRequest { event: event.clone(), records, free_in: Vec::new() }).await?;
            if keys.iter().any(|(key, version)| now.get(key).map_or(0, |it| it.version) != *version) {
                let stale = |group: &Group| vec![group.writes[0].key.clone()];
                return Ok(groups.iter().map(|group| GroupOutcome::Conflict { stale: stale(group) }).collect());
            }
        }
        let outcomes = self.inner.commit(event, &altered).await?;
        if self.fault == Fault::WritesInPart {
            for (group, outcome) in groups.iter().zip(&outcomes) {
                if *outcome != GroupOutcome::Committed {
                    let singles = group.writes.iter().map(|write| Group { reads: vec![], writes: vec![write.clone()] });
                    self.inner.commit(event, &singles.collect::<Vec<_>>()).await?;
                }
            }
        }
        Ok(outcomes)
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        self.inner.tickets(query).await
    }

    async fn pools(&self, event: &EventId) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        self.inner.pools(event).await
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let mut query = query.clone();
        if self.fault == Fault::IgnoresTheCustomer {
            query.customer = None;
        }
        self.inner.reservations(&query).await
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let page = self.inner.changes(event, after, limit).await;
        match (self.fault, page) {
            (Fault::SwapsTheFeed, Ok(mut page)) => {
                if let [.., before, last] = &mut page[..] {
                    std::mem::swap(before, last);
                    std::mem::swap(&mut before.sequence, &mut last.sequence);
                }
                Ok(page)
            }
            (Fault::LosesRows, Ok(mut page)) => {
                page.retain(|change| change.sequence % 3 != 0);
                Ok(page)
            }
            (Fault::HidesTheTruncation, Err(ChangesError::Truncated { purged_through })) => {
                self.inner.changes(event, purged_through, limit).await
            }
            (_, page) => page,
        }
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        if self.fault == Fault::HidesFromTheSweeper { Ok(Vec::new()) } else { self.inner.lapsed(limit).await }
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        let limit = if self.fault == Fault::PurgesAtOnce { usize::MAX } else { limit };
        self.inner.purge(retention, limit).await
    }
}

struct FaultyStore {
    inner: MemoryRepository,
    fault: Fault,
    handles: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Store for FaultyStore {
    async fn open(&self) -> Arc<dyn Repository> {
        let handle = self.handles.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(Faulty { inner: self.inner.clone(), fault: self.fault, handle })
    }

    fn worker(&self) -> Option<std::process::Command> {
        None
    }
}

struct Harness(Fault);

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Box<dyn Store> {
        Box::new(FaultyStore { inner: MemoryRepository::new(), fault: self.0, handles: Default::default() })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }
}

/// Runs the cases, and checks that each of them fails. Only those of the case's own theme are run, which is quicker.
async fn is_caught(fault: Fault, cases: &[&str]) {
    let report = conformance::repository_where(&Harness(fault), |name| cases.contains(&name)).await;
    assert_eq!(report.cases().len(), cases.len(), "not all of {cases:?} are cases of the suite");
    for case in report.cases() {
        assert!(matches!(case.verdict(), Verdict::Failed { .. }), "{fault:?} is not noticed by {case}");
    }
    assert!(!report.is_passed());
}

macro_rules! catches {
    ($($name:ident: $fault:ident by $cases:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            is_caught(Fault::$fault, &$cases).await;
        })+
    };
}

catches! {
    a_store_that_checks_no_version: ChecksNoVersion by [
        "absent::creating_what_exists_is_a_conflict",
        "absent::an_absent_record_that_was_read_is_checked",
        "reads::a_record_read_and_not_written_is_checked",
        "writes::a_write_on_an_old_version_is_a_conflict",
        "writes::a_write_on_a_future_version_is_a_conflict",
        "groups::a_group_is_written_whole_or_not_at_all",
        "groups::good_and_conflicting_groups_are_told_apart",
        "idempotency::of_two_commits_under_one_operation_one_wins",
        "unknown::a_late_statement_is_judged_when_it_lands",
        "feed::what_was_not_committed_is_not_in_the_feed",
    ];
    a_store_that_forgets_reads: ForgetsReads by [
        "absent::an_absent_record_that_was_read_is_checked",
        "reads::a_record_read_and_not_written_is_checked",
        "reads::of_two_that_read_what_the_other_writes_one_wins",
        "reads::of_two_that_find_the_others_record_absent_one_wins",
        "writes::a_conflict_leaves_no_trace",
        "writes::a_retry_after_a_conflict_succeeds",
        "groups::hundreds_of_groups_share_a_commit",
    ];
    a_store_that_forgets_absence: ForgetsAbsence by [
        "records::reservations_and_operations_are_named_across_events",
        "absent::an_absent_record_that_was_read_is_checked",
        "reads::of_two_that_find_the_others_record_absent_one_wins",
        "groups::good_and_conflicting_groups_are_told_apart",
    ];
    a_store_that_creates_twice: CreatesTwice by [
        "absent::creating_what_exists_is_a_conflict",
        "absent::of_many_that_create_the_same_record_one_wins",
        "idempotency::of_two_commits_under_one_operation_one_wins",
    ];
    a_store_that_writes_in_part: WritesInPart by [
        "groups::a_group_is_written_whole_or_not_at_all",
        "reads::a_record_read_and_not_written_is_checked",
        "writes::a_conflict_leaves_no_trace",
    ];
    a_store_that_fails_the_batch: FailsTheBatch by [
        "groups::good_and_conflicting_groups_are_told_apart",
        "groups::hundreds_of_groups_share_a_commit",
        "feed::what_was_not_committed_is_not_in_the_feed",
    ];
    a_store_that_drops_operations: DropsOperations by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "idempotency::of_two_commits_under_one_operation_one_wins",
        "idempotency::a_repeated_success_is_the_same_success",
        "idempotency::the_same_request_many_times_at_once_happens_once",
        "idempotency::other_content_under_the_same_id_is_refused",
    ];
    a_store_whose_feed_is_out_of_order: SwapsTheFeed by [
        "feed::every_write_but_operations_is_a_row",
        "feed::the_order_of_sequences_is_the_order_of_commits",
    ];
    a_store_whose_feed_has_holes: LosesRows by [
        "feed::every_write_but_operations_is_a_row",
        "feed::the_order_of_sequences_is_the_order_of_commits",
        "feed::the_feed_rebuilds_the_tables",
    ];
    a_store_that_hides_the_truncation: HidesTheTruncation by ["retention::a_reader_behind_the_purge_is_told"];
    a_store_that_forgets_expired_holds: ForgetsLapsed by [
        "lapsed::a_hold_is_lapsed_from_its_deadline_on",
        "lapsed::the_oldest_come_first_and_their_number_is_bounded",
        "lapsed::a_pool_full_of_expired_holds_can_be_sold_at_once",
        "lapsed::an_allowance_full_of_expired_holds_can_be_used_at_once",
    ];
    a_store_that_never_says_that_there_is_more: ForgetsMore by [
        "lapsed::the_oldest_come_first_and_their_number_is_bounded",
        "lapsed::a_pool_full_of_expired_holds_can_be_sold_at_once",
    ];
    a_store_that_reads_in_parts: ReadsInParts by ["races::a_load_is_one_moment"];
    a_store_that_lists_too_many_free_tickets: ListsTooManyFree by [
        "areas::the_free_tickets_of_an_area_are_complete",
        "areas::an_expired_hold_is_free_without_a_sweeper",
    ];
    a_store_that_forgets_the_purge_limit: ForgetsTheLimit by [
        "retention::old_operations_are_purged_and_young_ones_kept",
        "retention::purging_goes_in_bounded_steps",
        "retention::the_purge_limit_never_falls",
    ];
    a_store_that_purges_at_once: PurgesAtOnce by ["retention::purging_goes_in_bounded_steps"];
    a_store_whose_handles_have_their_own_clocks: OwnClock by ["clock::all_handles_share_one_clock_that_runs"];
    a_store_that_forgets_the_time: ForgetsTheTime by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "clock::the_time_of_a_decision_is_kept",
    ];
    a_store_that_forgets_writes: Forgets by [
        "records::ten_thousand_records_are_written_and_read_at_once",
        "processes::many_service_instances_sell_nothing_twice",
    ];
    a_store_that_hides_from_the_sweeper: HidesFromTheSweeper by ["lapsed::all_events_are_listed_for_the_sweeper"];
    a_store_that_ignores_the_customer: IgnoresTheCustomer by ["queries::reservations_are_listed_by_event_and_customer"];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_who_fight_find_a_store_that_checks_nothing() {
    for fault in [Fault::ChecksNoVersion, Fault::WritesInPart] {
        is_caught(fault, &["processes::many_service_instances_sell_nothing_twice"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrapper_itself_breaks_nothing() {
    let themes = ["absent::", "reads::", "groups::", "retention::", "queries::"];
    let wanted = |name: &str| themes.iter().any(|theme| name.starts_with(theme));
    let report = conformance::repository_where(&Harness(Fault::None), wanted).await;
    assert!(report.cases().len() > 15);
    report.assert_passed();
}

/// A store that panics is a failed case, not the end of the suite.
#[tokio::test]
async fn a_panic_is_a_failed_case() {
    struct Panics;

    #[async_trait]
    impl RepositoryHarness for Panics {
        async fn fresh(&self) -> Box<dyn Store> {
            panic!("no store today")
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            TestRuntime::current()
        }
    }

    let report = conformance::repository_where(&Panics, |name| name.starts_with("absent::")).await;
    assert_eq!(report.failed().count(), report.cases().len());
    assert!(report.to_string().contains("no store today"), "{report}");
    assert!(report.to_string().contains("FAILED  absent::what_does_not_exist_is_read_as_absent"), "{report}");
}

#[tokio::test]
async fn a_report_without_cases_is_not_passed() {
    let report = conformance::repository_where(&Harness(Fault::None), |_| false).await;
    assert!(!report.is_passed());
}

struct Liars(Arc<dyn Runtime>);

#[async_trait]
impl LockHarness for Liars {
    async fn fresh(&self) -> Box<dyn LockSpace> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }
}

#[async_trait]
impl LockSpace for Liars {
    async fn open(&self) -> Arc<dyn Lock> {
        Arc::new(GrantsAll::new(Arc::clone(&self.0)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_grants_everything() {
    let cases = [
        "leases::a_key_is_granted_to_one",
        "leases::all_keys_are_granted_or_none",
        "leases::each_key_is_answered_for",
        "leases::releasing_compares_the_token",
        "leases::every_lease_has_its_own_token",
        "contention::of_many_contenders_one_at_a_time_gets_in",
    ];
    let report = conformance::lock_where(&Liars(TestRuntime::current()), |name| cases.contains(&name)).await;
    assert_eq!(report.failed().count(), cases.len(), "{report}");
}

/// What a lock gets wrong, one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockFault {
    KeepsSomeOfAll,
    ExtendsLost,
    NeverExpires,
    LateDeadline,
}

#[derive(Debug, Clone)]
struct FaultyLock {
    inner: MemoryLock,
    fault: LockFault,
}

#[async_trait]
impl Lock for FaultyLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let ttl = if self.fault == LockFault::NeverExpires { ttl * 1_000 } else { ttl };
        let attempt = self.inner.acquire_all(keys, ttl).await?;
        match (self.fault, attempt) {
            (LockFault::KeepsSomeOfAll, Attempt::Contended { retry_after }) => {
                let _ = self.inner.acquire_each(keys, ttl).await?;
                Ok(Attempt::Contended { retry_after })
            }
            (LockFault::LateDeadline, Attempt::Granted(mut leases)) => {
                for lease in &mut leases {
                    lease.set_deadline(lease.deadline() + Duration::from_secs(1));
                }
                Ok(Attempt::Granted(leases))
            }
            (_, attempt) => Ok(attempt),
        }
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        self.inner.acquire_each(keys, ttl).await
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let mut extended = self.inner.extend(leases, ttl).await?;
        if self.fault == LockFault::ExtendsLost {
            for (lease, extended) in leases.iter().zip(&mut extended) {
                if *extended == Extended::Lost {
                    let _ = self.inner.acquire_all(std::slice::from_ref(lease.key()), ttl).await?;
                    *extended = Extended::Extended;
                }
            }
        }
        Ok(extended)
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        self.inner.release(leases).await
    }
}

struct FaultyLocks(FaultyLock, Arc<dyn Runtime>);

#[async_trait]
impl LockHarness for FaultyLocks {
    async fn fresh(&self) -> Box<dyn LockSpace> {
        let inner = MemoryLock::new(Arc::clone(&self.1));
        Box::new(Self(FaultyLock { inner, fault: self.0.fault }, Arc::clone(&self.1)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.1)
    }
}

#[async_trait]
impl LockSpace for FaultyLocks {
    async fn open(&self) -> Arc<dyn Lock> {
        Arc::new(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_that_break_one_promise_each() {
    let runtime: Arc<dyn Runtime> = TestRuntime::current();
    for (fault, case) in [
        (LockFault::KeepsSomeOfAll, "leases::all_keys_are_granted_or_none"),
        (LockFault::ExtendsLost, "leases::extending_takes_nothing_back"),
        (LockFault::NeverExpires, "leases::a_key_is_free_after_its_ttl"),
        (LockFault::LateDeadline, "leases::a_lease_ends_by_its_ttl_at_the_latest"),
    ] {
        let lock = FaultyLock { inner: MemoryLock::new(Arc::clone(&runtime)), fault };
        let report = conformance::lock_where(&FaultyLocks(lock, Arc::clone(&runtime)), |name| name == case).await;
        assert_eq!(report.failed().count(), 1, "{fault:?} is not noticed: {report}");
    }
}
