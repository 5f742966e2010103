//! The suite for repositories, a file for each theme.

mod absent;
mod areas;
mod availability;
mod cancelled;
mod clock;
mod differential;
mod extremes;
mod feed;
mod groups;
mod handles;
mod idempotency;
mod lapsed;
mod late;
mod names;
mod pages;
mod processes;
mod purged_feed;
mod queries;
mod races;
mod reads;
mod records;
mod refused;
mod retention;
mod samples;
mod shifts;
mod skew;
mod sweepers;
mod unknown;
mod writes;

use std::sync::Arc;

use super::bench::RepositoryBench;
use super::check::Failure;
use super::harness::RepositoryHarness;
use super::report::Report;
use super::settings::Settings;
use super::suite::{self, Case, cases};
use crate::ports::BoxFuture;

const CASES: &[Case<RepositoryBench>] = cases![
    records {
        every_kind_of_record_is_read_as_it_was_written,
        every_state_is_read_as_it_was_written,
        every_operation_is_read_as_it_was_written,
        versions_count_commits,
        ten_thousand_records_are_written_and_read_at_once,
        loading_brings_along_what_deciding_needs_next,
    }
    extremes {
        the_terms_of_an_event_are_kept,
        extreme_values_are_kept,
        extreme_times_are_kept_and_compared,
    }
    names {
        ids_are_compared_byte_by_byte,
        names_that_look_alike_are_looked_for_apart,
        reservations_and_operations_are_named_across_events,
        events_do_not_see_each_others_records,
    }
    refused {
        a_pool_beyond_its_capacity,
        a_reservation_of_another_event,
        an_operation_of_another_event,
        a_record_under_a_key_that_is_not_its_own,
    }
    absent {
        what_does_not_exist_is_read_as_absent,
        an_absent_record_that_was_read_is_checked,
        creating_what_exists_is_a_conflict,
        changing_what_does_not_exist_is_a_conflict,
        of_many_that_create_the_same_record_one_wins,
        losing_an_insert_race_fails_its_own_group_alone,
    }
    reads {
        a_record_read_and_not_written_is_checked,
        a_record_read_and_unchanged_is_no_conflict,
        reading_does_not_change_a_version,
    }
    skew {
        of_two_that_read_what_the_other_writes_one_wins,
        of_two_that_find_the_others_record_absent_one_wins,
        a_reader_loses_to_a_writer,
    }
    writes {
        a_write_on_an_old_version_is_a_conflict,
        a_write_on_a_future_version_is_a_conflict,
        a_conflict_leaves_no_trace,
        a_retry_after_a_conflict_succeeds,
    }
    races {
        no_update_is_lost,
        a_load_is_one_moment,
        a_ticket_is_never_given_to_two,
    }
    shifts {
        a_pool_that_others_count_in_is_counted_on_or_a_conflict,
        places_that_are_wanting_by_now_are_a_conflict,
        a_capacity_that_was_lowered_meanwhile_counts,
        no_counter_falls_below_zero,
        whatever_else_is_stale_is_a_conflict,
        what_was_done_before_is_not_done_again,
        a_conflict_is_of_its_own_group_alone,
        many_who_count_in_one_pool_sell_each_place_once,
    }
    groups {
        a_group_is_written_whole_or_not_at_all,
        good_and_conflicting_groups_are_told_apart,
        groups_share_what_they_only_read,
        no_groups_are_no_work,
        hundreds_of_groups_share_a_commit,
    }
    queries {
        tickets_are_listed_in_order_page_by_page,
        pools_are_listed_in_order_page_by_page,
        reservations_are_listed_by_event_and_customer,
        reservations_are_listed_over_all_events,
        lists_are_of_one_event,
        unknown_events_have_nothing,
    }
    availability {
        what_is_free_is_counted_for_each_area_and_pool,
        of_an_unknown_event_nothing_is_free,
        the_available_tickets_are_listed_page_by_page,
        reservations_are_listed_by_what_has_become_of_them,
    }
    pages {
        a_page_of_nothing_is_empty,
        a_page_is_never_longer_than_the_longest,
        what_is_free_is_counted_on_more_than_a_page,
    }
    areas {
        the_free_tickets_of_an_area_are_complete,
        an_expired_hold_is_free_without_a_sweeper,
        the_free_tickets_are_of_one_event,
        areas_and_records_are_read_at_once,
        an_unknown_area_has_none,
    }
    lapsed {
        a_hold_is_lapsed_from_its_deadline_on,
        the_oldest_come_first_and_their_number_is_bounded,
        exactly_as_many_as_fit_are_all,
        what_was_settled_is_not_listed,
        a_customers_list_follows_transfers,
        a_list_is_of_one_event,
        all_events_are_listed_for_the_sweeper,
        a_pool_full_of_expired_holds_can_be_sold_at_once,
        an_allowance_full_of_expired_holds_can_be_used_at_once,
    }
    feed {
        every_write_but_operations_is_a_row,
        pages_continue_where_the_last_one_ended,
        what_was_not_committed_is_not_in_the_feed,
        each_event_has_its_own_sequence,
        the_order_of_sequences_is_the_order_of_commits,
        the_feed_rebuilds_the_tables,
    }
    sweepers {
        sweepers_that_race_settle_every_hold_once,
        sweepers_and_buyers_do_not_disturb_each_other,
    }
    cancelled {
        a_load_may_be_dropped_at_any_moment,
        a_commit_dropped_at_any_moment_is_whole_or_not_at_all,
        a_call_of_the_service_dropped_at_any_moment_happens_once,
        a_call_beside_a_lock_dropped_at_any_moment_leaves_it_free,
        work_on_many_records_dropped_at_any_moment_goes_on,
        a_reader_may_be_dropped_at_any_moment,
        a_seat_map_dropped_at_any_moment_catches_up,
        a_stream_of_changes_dropped_at_any_moment_misses_nothing,
        a_shutdown_dropped_at_any_moment_loses_nothing,
        a_shutdown_beside_a_lock_dropped_at_any_moment_leaves_it_free,
    }
    retention {
        old_operations_are_purged_and_young_ones_kept,
        purging_goes_in_bounded_steps,
        what_is_gone_is_before_the_limit_of_the_same_load,
        the_purge_limit_never_falls,
        an_operation_older_than_the_retention_is_never_executed,
    }
    late {
        a_commit_that_comes_after_the_purge_is_a_conflict,
        only_the_group_that_comes_too_late_conflicts,
        a_commit_beside_the_purge_writes_nothing_that_was_purged,
    }
    purged_feed {
        a_reader_behind_the_purge_is_told,
        a_step_is_bounded_over_all_events,
        the_feed_is_purged_from_its_oldest_row_on,
        purging_leaves_the_tables_alone,
    }
    idempotency {
        of_two_commits_under_one_operation_one_wins,
        a_repeated_success_is_the_same_success,
        a_repetition_finds_the_success_of_another_instance,
        other_content_under_the_same_id_is_refused,
        the_same_request_many_times_at_once_happens_once,
        a_refusal_is_decided_again,
    }
    unknown {
        a_statement_that_landed_before_its_answer_happens_once,
        a_statement_that_lands_after_the_next_read_happens_once,
        a_statement_that_lands_long_after_happens_once,
        a_statement_that_never_lands_happens_once,
        a_refusal_after_an_unknown_outcome_is_final,
        an_outcome_resolved_by_another_instance_is_final,
        a_failure_in_passing_is_retried,
        a_late_statement_is_judged_when_it_lands,
    }
    clock {
        all_handles_share_one_clock_that_runs,
        a_clock_stepping_back_revives_no_hold,
        a_clock_stepping_back_and_forth_sells_nothing_twice,
        the_time_of_a_decision_is_kept,
    }
    handles {
        ten_handles_open_one_fresh_store_at_once,
        a_handle_opened_later_sees_everything,
        dropped_calls_break_nothing,
    }
    differential {
        random_commands_are_answered_as_the_rules_say,
        random_commands_leave_what_the_rules_leave,
        what_random_commands_leave_is_listed,
        commands_that_come_at_once_are_answered_in_their_order,
    }
    processes {
        many_service_instances_sell_nothing_twice,
        many_processes_sell_nothing_twice,
        a_killed_process_leaves_nothing_half_done,
        many_processes_open_one_fresh_store_at_once,
    }
];

/// The cases that open an empty store themselves; for the others it is opened before.
const FIND_NOTHING_OPEN: [&str; 2] =
    ["handles::ten_handles_open_one_fresh_store_at_once", "processes::many_processes_open_one_fresh_store_at_once"];

/// Runs the whole suite, case by case.
///
/// # Cancellation
///
/// No further case is begun, and the one at work is stopped.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
#[doc = doc_harness!()]
/// let report = conformance::repository(Harness(runtime)).await;
/// // This store lives in one process.
/// report.assert_skips_only(&[
///     "processes::many_processes_sell_nothing_twice",
///     "processes::a_killed_process_leaves_nothing_half_done",
///     "processes::many_processes_open_one_fresh_store_at_once",
/// ]);
#[doc = doc_end!()]
/// ```
pub async fn repository(harness: impl RepositoryHarness + 'static) -> Report {
    repository_with(harness, &Settings::new()).await
}

/// Runs the suite with settings: some cases only, a given seed.
///
/// # Cancellation
///
/// As [`repository()`].
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
#[doc = doc_harness!()]
/// let settings = Settings::new().only(|case| case.starts_with("names::"));
/// let report = conformance::repository_with(Harness(runtime), &settings).await;
/// assert_eq!((report.cases().len(), report.is_passed()), (4, true));
#[doc = doc_end!()]
/// ```
pub async fn repository_with(harness: impl RepositoryHarness + 'static, settings: &Settings) -> Report {
    let harness: Arc<dyn RepositoryHarness> = Arc::new(harness);
    let runtime = harness.runtime();
    let set_up = |case: &'static str, common| -> BoxFuture<'static, _> {
        let harness = Arc::clone(&harness);
        Box::pin(async move {
            let store = harness.fresh().await.map_err(|error| Failure::of_harness("a fresh store", &error))?;
            RepositoryBench::new(store, harness, common, FIND_NOTHING_OPEN.contains(&case)).await
        })
    };
    suite::run(CASES, settings, &runtime, set_up).await
}

/// The names of the suite's cases, in the order in which they run.
///
/// ```
/// use ticket_reservation::conformance::repository_cases;
///
/// assert!(repository_cases().contains(&"idempotency::a_repeated_success_is_the_same_success"));
/// ```
#[must_use]
pub fn repository_cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}
