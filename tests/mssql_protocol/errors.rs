//! What SQL Server says, and what is known then: the table of the adapter's error module.

use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::StoreErrorKind::{self, Permanent, Transient, Unknown};
use ticket_reservation::ports::{GroupOutcome, Repository};

use super::answers::{commit_answer, end, error, small_load_answer, stale};
use super::scripted_tds::{Answer, Message};
use super::stage::{calls, commit, commit_that_gets, event, group, kind_of, load, load_that_gets, soon, stage};

/// Numbers and severities, and what a commit and a load come to.
type Case = (&'static [u32], u8, StoreErrorKind, StoreErrorKind);

const CASES: [Case; 10] = [
    // The transaction was rolled back.
    (&[1205], 13, Transient, Transient),
    (&[1222, 52004, 3960, 3961], 16, Transient, Transient),
    // It may pass.
    (&[701, 8645, 8651, 9002, 1101, 1105, 1204], 17, Transient, Transient),
    (&[10928, 10929, 40501], 16, Transient, Transient),
    // It may be a failover.
    (&[3906, 3908, 976, 978, 983], 14, Transient, Transient),
    // An invariant is broken.
    (&[547, 515, 52002], 16, Permanent, Permanent),
    // Someone has to repair something.
    (&[229, 230, 262, 297, 300], 14, Permanent, Permanent),
    (&[208, 2812, 201, 8144, 8145, 911, 916], 16, Permanent, Permanent),
    // Nobody knows what it means.
    (&[3998, 8152, 50000, 1, 99999], 16, Unknown, Transient),
    (&[596, 823, 3314], 21, Unknown, Transient),
];

#[tokio::test]
async fn every_number_says_what_is_known_after_a_commit() {
    let (server, repository) = stage().await;
    for (numbers, class, known, _) in CASES {
        for number in numbers {
            let failed = commit_that_gets(&server, &repository, error(*number, class)).await;
            assert_eq!(kind_of(failed), known, "after {number}");
            assert_eq!(server.answers_left(), 0);
        }
    }
}

#[tokio::test]
async fn every_number_says_what_is_known_after_a_load_which_is_never_nothing() {
    let (server, repository) = stage().await;
    for (numbers, class, _, known) in CASES {
        for number in numbers {
            let failed = load_that_gets(&server, &repository, error(*number, class)).await;
            assert_eq!(kind_of(failed), known, "after {number}");
        }
    }
}

#[tokio::test]
async fn a_lost_race_for_a_record_does_not_matter_to_a_load() {
    let (server, repository) = stage().await;
    for number in [2627, 2601, 52001] {
        assert_eq!(kind_of(load_that_gets(&server, &repository, error(number, 14)).await), Transient);
    }
    assert_eq!(calls(&server).len(), 3, "it is not asked again");
}

/// Such a severity ends the connection, and perhaps the server.
#[tokio::test]
async fn after_a_fatal_error_nothing_is_known_whatever_its_number() {
    let (server, repository) = stage().await;
    for class in 20..=25 {
        for number in [1205, 547, 229, 3906, 701, 10928, 40197, 40501, 40613] {
            let failed = commit_that_gets(&server, &repository, error(number, class).closes()).await;
            assert_eq!(kind_of(failed), Unknown, "after {number} of severity {class}");
            assert_eq!(server.answers_left(), 0, "{number} of severity {class} is not sent again");
        }
    }
}

#[tokio::test]
async fn a_race_that_is_lost_in_a_fatal_error_is_not_tried_again() {
    let (server, repository) = stage().await;
    server.answers([error(2627, 20).closes(), commit_answer(&[0])]);
    assert_eq!(kind_of(commit(&repository).await), Unknown);
    assert_eq!(calls(&server).len(), 1);
}

/// Where it is said before anything was sent, it is another matter.
#[tokio::test]
async fn a_database_that_moves_during_a_commit_leaves_its_outcome_unknown() {
    let (server, repository) = stage().await;
    for number in [40197, 40613, 49918, 49919, 49920] {
        let failed = commit_that_gets(&server, &repository, error(number, 17)).await;
        assert_eq!(kind_of(failed), Unknown, "after {number}");
    }
}

#[tokio::test]
async fn the_first_of_several_errors_counts() {
    let (server, repository) = stage().await;
    let uncommittable = Message::new(3998, "Uncommittable transaction is detected at the end of the batch.");
    let answer = error(1205, 13).then_error(uncommittable.clone());
    assert_eq!(kind_of(commit_that_gets(&server, &repository, answer).await), Transient);
    let answer = Answer::error(uncommittable).then_error(Message::new(1205, "So it is.").class(13));
    assert_eq!(kind_of(commit_that_gets(&server, &repository, answer).await), Unknown);
}

#[tokio::test]
async fn an_error_counts_more_than_the_rows_before_it_and_after_it() {
    let (server, repository) = stage().await;
    let before = error(1205, 13).then_rows(stale(&[])).then_rows(end());
    assert_eq!(kind_of(commit_that_gets(&server, &repository, before).await), Transient);
    let after = commit_answer(&[]).then_error(Message::new(3998, "So it is."));
    assert_eq!(kind_of(commit_that_gets(&server, &repository, after).await), Unknown);
    let after = small_load_answer().then_error(Message::new(1205, "So it is.").class(13));
    assert_eq!(kind_of(load_that_gets(&server, &repository, after).await), Transient);
}

#[tokio::test]
async fn what_is_no_error_is_no_error() {
    let (server, repository) = stage().await;
    let answer = Answer::new().then_info(&Message::new(3621, "The statement has been terminated.").class(0));
    let answer = answer.then_rows(stale(&[])).then_rows(end());
    let outcomes = commit_that_gets(&server, &repository, answer).await.expect("an answer");
    assert_eq!(outcomes, [GroupOutcome::Committed]);
}

// ---- lost races

#[tokio::test]
async fn a_commit_that_loses_every_race_is_sent_six_times_and_has_changed_nothing() {
    for number in [2627, 2601, 52001] {
        let (server, repository) = stage().await;
        server.answers((0..6).map(|_| error(number, 14)));
        assert_eq!(kind_of(commit(&repository).await), Transient);
        let sent = calls(&server);
        assert_eq!(sent.len(), 6, "{sent:?}");
        assert!(sent.iter().all(|it| it.values() == sent[0].values()), "each time the same");
    }
}

#[tokio::test]
async fn what_the_second_attempt_says_counts() {
    let (server, repository) = stage().await;
    server.answers([error(2627, 14), commit_answer(&[1])]);
    let groups = [group("floor"), group("gallery")];
    let outcomes = soon(repository.commit(&event(), &groups)).await.expect("an answer");
    let stale = vec![groups[0].writes[0].key.clone()];
    assert_eq!(outcomes, [GroupOutcome::Conflict { stale }, GroupOutcome::Committed]);
    assert_eq!(calls(&server).len(), 2);
}

#[tokio::test]
async fn the_sixth_attempt_can_win() {
    let (server, repository) = stage().await;
    server.answers((0..5).map(|_| error(2601, 14)).chain([commit_answer(&[0])]));
    let outcomes = commit(&repository).await.expect("an answer");
    assert_eq!(outcomes, [GroupOutcome::Conflict { stale: vec![RecordKey::Event] }]);
}

#[tokio::test]
async fn what_is_unknown_of_the_second_attempt_is_unknown_of_the_commit() {
    for (second, known) in [(Answer::cut(), Unknown), (error(8152, 16), Unknown), (error(547, 16), Permanent)] {
        let (server, repository) = stage().await;
        server.answers([error(2627, 14), second]);
        assert_eq!(kind_of(commit(&repository).await), known);
        assert_eq!(calls(&server).len(), 2);
    }
}

#[tokio::test]
async fn an_error_keeps_what_the_server_has_said() {
    let (server, repository) = stage().await;
    server.answers([Answer::error(Message::new(547, "Not more than there is."))]);
    let failed = commit(&repository).await.expect_err("an error");
    assert!(super::chain::chain(&failed).contains("Not more than there is."), "{}", super::chain::chain(&failed));
    server.answers([Answer::error(Message::new(208, "Nowhere to be seen."))]);
    let failed = load(&repository).await.expect_err("an error");
    assert!(super::chain::chain(&failed).contains("Nowhere to be seen."), "{}", super::chain::chain(&failed));
}
