//! Stores in memory that break one promise each.

use ticket_reservation::conformance::{self, Report, Settings, Verdict};

use crate::fault::{Fault, Kind};
use crate::faulty::Harness;

/// What random commands meet depends on the seed: with this one they meet every fault that they are to find.
const SEED: u64 = 2;

pub(crate) async fn run(fault: Fault, meets: bool, cases: &'static [&'static str]) -> Report {
    let settings = Settings::new().seed(SEED).only(move |name| cases.contains(&name));
    conformance::repository_with(Harness { fault, meets }, &settings).await
}

/// Runs the cases, and checks that each of them fails. Only those about the fault are run, which is quicker.
async fn is_caught(fault: Fault, meets: bool, cases: &'static [&'static str]) {
    let report = run(fault, meets, cases).await;
    assert_eq!(report.cases().len(), cases.len(), "not all of {cases:?} are cases of the suite");
    for case in report.cases() {
        assert!(matches!(case.verdict(), Verdict::Failed { .. }), "{fault:?} is not noticed by {case}");
    }
    assert!(!report.is_passed());
}

macro_rules! catches {
    ($($name:ident: $fault:ident $(($kind:ident))? by $cases:expr;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            is_caught(Fault::$fault $((Kind::$kind))?, false, &$cases).await;
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
        "writes::a_conflict_leaves_no_trace",
        "writes::a_retry_after_a_conflict_succeeds",
        "groups::hundreds_of_groups_share_a_commit",
    ];
    a_store_that_reads_events_too_early: ReadsTooEarly(Event) by [
        "skew::of_two_that_read_what_the_other_writes_one_wins",
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_reads_tickets_too_early: ReadsTooEarly(Ticket) by [
        "skew::of_two_that_read_what_the_other_writes_one_wins",
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_reads_pools_too_early: ReadsTooEarly(Pool) by [
        "skew::of_two_that_read_what_the_other_writes_one_wins",
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_reads_allowances_too_early: ReadsTooEarly(Allowance) by [
        "skew::of_two_that_read_what_the_other_writes_one_wins",
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_reads_reservations_too_early: ReadsTooEarly(Reservation) by [
        "skew::of_two_that_read_what_the_other_writes_one_wins",
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_reads_operations_too_early: ReadsTooEarly(Operation) by [
        "skew::of_two_that_find_the_others_record_absent_one_wins",
    ];
    a_store_that_forgets_absence: ForgetsAbsence by [
        "names::reservations_and_operations_are_named_across_events",
        "absent::an_absent_record_that_was_read_is_checked",
        "groups::good_and_conflicting_groups_are_told_apart",
    ];
    a_store_that_creates_twice: CreatesTwice by [
        "absent::creating_what_exists_is_a_conflict",
        "absent::of_many_that_create_the_same_record_one_wins",
        "absent::losing_an_insert_race_fails_its_own_group_alone",
        "idempotency::of_two_commits_under_one_operation_one_wins",
    ];
    a_store_whose_batches_a_duplicate_aborts: DuplicatesAbort by [
        "absent::losing_an_insert_race_fails_its_own_group_alone",
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
        "absent::losing_an_insert_race_fails_its_own_group_alone",
    ];
    a_store_that_drops_operations: DropsOperations by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "idempotency::of_two_commits_under_one_operation_one_wins",
        "idempotency::a_repeated_success_is_the_same_success",
        "idempotency::the_same_request_many_times_at_once_happens_once",
        "idempotency::other_content_under_the_same_id_is_refused",
    ];
    a_store_that_trusts_a_reservations_event: TrustsTheEvent by ["refused::a_reservation_of_another_event"];
    a_store_that_leaves_out_what_is_wrong: LeavesOutWhatIsWrong by [
        "refused::a_pool_beyond_its_capacity",
        "refused::a_record_under_a_key_that_is_not_its_own",
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
    a_store_that_hides_the_truncation: HidesTheTruncation by ["purged_feed::a_reader_behind_the_purge_is_told"];
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
    a_store_that_mixes_the_expired_holds_of_events: MixesLapsed by ["lapsed::a_list_is_of_one_event"];
    a_store_that_reads_in_parts: ReadsInParts by ["races::a_load_is_one_moment"];
    a_store_that_lists_too_many_free_tickets: ListsTooManyFree by [
        "areas::the_free_tickets_of_an_area_are_complete",
        "areas::an_expired_hold_is_free_without_a_sweeper",
    ];
    a_store_that_mixes_the_areas_of_events: MixesAreas by ["areas::the_free_tickets_are_of_one_event"];
    a_store_that_reads_areas_or_records: ForgetsRecordsBesideAreas by ["areas::areas_and_records_are_read_at_once"];
    a_store_that_mixes_the_tickets_of_events: MixesTickets by ["queries::lists_are_of_one_event"];
    a_store_that_mixes_the_reservations_of_events: MixesReservations by ["queries::lists_are_of_one_event"];
    a_store_that_gives_a_row_too_many: GivesAtLeastOne by ["pages::a_page_of_nothing_is_empty"];
    a_store_that_knows_no_longest_page: KnowsNoLongestPage by ["pages::a_page_is_never_longer_than_the_longest"];
    a_store_that_repeats_its_pools: RepeatsThePools by ["queries::pools_are_listed_in_order_page_by_page"];
    a_store_that_rounds_times: RoundsTimes by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "records::every_state_is_read_as_it_was_written",
        "extremes::the_terms_of_an_event_are_kept",
        "clock::the_time_of_a_decision_is_kept",
    ];
    a_store_whose_time_ends: EndsIn9999 by [
        "extremes::the_terms_of_an_event_are_kept",
        "extremes::extreme_times_are_kept_and_compared",
    ];
    a_store_that_forgets_the_purge_limit: ForgetsTheLimit by [
        "retention::old_operations_are_purged_and_young_ones_kept",
        "retention::purging_goes_in_bounded_steps",
        "retention::what_is_gone_is_before_the_limit_of_the_same_load",
        "retention::the_purge_limit_never_falls",
    ];
    a_store_that_writes_what_is_purged: WritesWhatIsPurged by [
        "late::a_commit_that_comes_after_the_purge_is_a_conflict",
        "late::only_the_group_that_comes_too_late_conflicts",
        "late::a_commit_beside_the_purge_writes_nothing_that_was_purged",
    ];
    a_store_that_raises_the_purge_limit_late: RaisesTheLimitLate by [
        "retention::what_is_gone_is_before_the_limit_of_the_same_load",
    ];
    a_store_that_purges_at_once: PurgesAtOnce by [
        "retention::purging_goes_in_bounded_steps",
        "purged_feed::a_reader_behind_the_purge_is_told",
        "purged_feed::a_step_is_bounded_over_all_events",
    ];
    a_store_that_purges_so_many_of_each_event: PurgesPerEvent by ["purged_feed::a_step_is_bounded_over_all_events"];
    a_store_whose_handles_have_their_own_clocks: OwnClock by ["clock::all_handles_share_one_clock_that_runs"];
    a_store_that_forgets_the_time: ForgetsTheTime by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "clock::the_time_of_a_decision_is_kept",
    ];
    a_store_that_forgets_writes: Forgets by [
        "records::ten_thousand_records_are_written_and_read_at_once",
        "processes::many_service_instances_sell_nothing_twice",
    ];
    a_store_that_loses_holds: LosesHolds by ["processes::many_service_instances_sell_nothing_twice"];
    a_store_that_hides_from_the_sweeper: HidesFromTheSweeper by ["lapsed::all_events_are_listed_for_the_sweeper"];
    a_store_that_asks_for_more_polls_than_are_followed: AsksForPolls by [
        "cancelled::a_load_may_be_dropped_at_any_moment",
        "cancelled::a_call_of_the_service_dropped_at_any_moment_happens_once",
        "cancelled::a_call_beside_a_lock_dropped_at_any_moment_leaves_it_free",
        "cancelled::work_on_many_records_dropped_at_any_moment_goes_on",
        "cancelled::a_shutdown_dropped_at_any_moment_loses_nothing",
        "cancelled::a_shutdown_beside_a_lock_dropped_at_any_moment_leaves_it_free",
    ];
    a_store_that_tears_what_is_dropped: TearsWhatIsDropped by [
        "cancelled::a_commit_dropped_at_any_moment_is_whole_or_not_at_all",
    ];
    a_store_that_answers_who_came_before: AnswersWhoCameBefore by [
        "cancelled::a_reader_may_be_dropped_at_any_moment",
        "cancelled::a_seat_map_dropped_at_any_moment_catches_up",
        "cancelled::a_stream_of_changes_dropped_at_any_moment_misses_nothing",
    ];
    a_store_that_compares_customers_without_case: FoldsCustomers by [
        "names::names_that_look_alike_are_looked_for_apart",
    ];
    a_store_that_compares_the_customers_of_all_events_without_case: FoldsCustomersOfAllEvents by [
        "names::names_that_look_alike_are_looked_for_apart",
    ];
    a_store_that_compares_areas_without_case: FoldsAreas by ["names::names_that_look_alike_are_looked_for_apart"];
    a_store_that_compares_cursors_without_case: FoldsCursors by ["names::names_that_look_alike_are_looked_for_apart"];
    a_store_that_ignores_the_customer: IgnoresTheCustomer by [
        "queries::reservations_are_listed_by_event_and_customer",
        "queries::reservations_are_listed_over_all_events",
    ];
    a_store_that_forgets_other_events: ForgetsOtherEvents by ["queries::reservations_are_listed_over_all_events"];
    a_store_that_forgets_what_was_given_back: ForgetsWhatWasGivenBack by [
        "differential::random_commands_are_answered_as_the_rules_say",
        "differential::random_commands_leave_what_the_rules_leave",
    ];
    a_store_that_forgets_lapsed_tickets: ForgetsLapsedTickets by [
        "differential::random_commands_are_answered_as_the_rules_say",
        "differential::random_commands_leave_what_the_rules_leave",
    ];
    a_store_that_mixes_the_availability_of_events: MixesAvailability by [
        "differential::what_random_commands_leave_is_listed",
    ];
    a_store_that_joins_operations_with_reservations: JoinsTheReservation by [
        "records::every_kind_of_record_is_read_as_it_was_written",
        "idempotency::a_repeated_success_is_the_same_success",
        "differential::random_commands_leave_what_the_rules_leave",
    ];
}

/// The instances commit two at a time, each on what it had read before the other one wrote: whatever the scheduler does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_who_fight_find_a_store_that_checks_nothing() {
    for fault in [Fault::ChecksNoVersion, Fault::WritesInPart] {
        is_caught(fault, true, &["processes::many_service_instances_sell_nothing_twice"]).await;
    }
}

#[tokio::test]
async fn buyers_who_fight_on_one_thread_find_it_too() {
    is_caught(Fault::ChecksNoVersion, true, &["processes::many_service_instances_sell_nothing_twice"]).await;
}

/// Whoever opens an empty store installs it. Every other case opens a few handles one after another or at once, and passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_only_a_few_can_install_at_once() {
    let themes = ["handles::", "feed::", "names::", "writes::", "sweepers::", "clock::", "races::"];
    let wanted = move |name: &str| themes.iter().any(|theme| name.starts_with(theme));
    let harness = Harness { fault: Fault::InstallsForFew, meets: false };
    let report = conformance::repository_with(harness, &Settings::new().only(wanted)).await;
    let failed: Vec<&str> = report.failed().map(|case| case.name()).collect();
    assert_eq!(failed, ["handles::ten_handles_open_one_fresh_store_at_once"], "{report}");
}

async fn passes(fault: Fault, meets: bool) -> Report {
    let themes = ["absent::", "reads::", "skew::", "groups::", "retention::", "queries::", "idempotency::"];
    let wanted = move |name: &str| themes.iter().any(|theme| name.starts_with(theme));
    let report = conformance::repository_with(Harness { fault, meets }, &Settings::new().only(wanted)).await;
    assert!(report.cases().len() > 25);
    report.assert_passed();
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrapper_itself_breaks_nothing() {
    let _ = passes(Fault::None, false).await;
}

/// `Transient` is a legal answer: the call is repeated, and the report tells of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_busy_now_and_then_passes() {
    let report = passes(Fault::Busy, false).await;
    assert!(report.to_string().contains("calls repeated, because the store was busy"), "{report}");
}
