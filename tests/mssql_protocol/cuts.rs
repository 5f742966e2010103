//! Connections that end in the middle of something, and answers that end too early.

use ticket_reservation::adapters::mssql::MssqlRepository;
use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::GroupOutcome;
use ticket_reservation::ports::StoreErrorKind::{self, Transient, Unknown};

use super::answers::{
    EVENT, POOL, begin, commit_answer, end, error, event_row, load_end, pool_row, small_load_answer, stale, table,
};
use super::authority::Authority;
use super::scripted_tds::{Answer, Encryption, Kind, TdsServer, Tls};
use super::stage::{
    commit, commit_that_gets, commits, default_builder, kind_of, load, load_that_gets, pool_id, server_with, stage,
};

/// The status of a DONE token: the statement failed.
const FAILED: u8 = 0x02;

/// The tokens DONEINPROC and DONEPROC.
const DONE_IN_PROCEDURE: u8 = 0xff;
const DONE_PROCEDURE: u8 = 0xfe;

/// A DONE token with this status and no count.
fn done(token: u8, status: u8) -> Vec<u8> {
    [vec![token, status, 0], vec![0; 10]].concat()
}

/// In packets so small that cuts come between them and in their headers too.
fn in_pieces(answer: Answer) -> (Answer, usize) {
    let answer = answer.in_packets_of(40);
    let bytes = answer.wire_bytes(Kind::Procedure);
    assert!(bytes > 2 * 40, "{bytes} bytes are not several packets");
    (answer, bytes)
}

#[tokio::test]
async fn a_commit_whose_answer_is_cut_anywhere_may_have_happened() {
    let (server, repository) = stage().await;
    let conflict = GroupOutcome::Conflict { stale: vec![RecordKey::Event] };
    for (answer, outcome) in [(commit_answer(&[]), GroupOutcome::Committed), (commit_answer(&[0]), conflict)] {
        let (answer, bytes) = in_pieces(answer);
        for cut in 0..bytes {
            let failed = commit_that_gets(&server, &repository, answer.clone().cut_after(cut)).await;
            assert_eq!(kind_of(failed), Unknown, "after {cut} of {bytes} bytes");
        }
        let whole = commit_that_gets(&server, &repository, answer.closes()).await;
        assert_eq!(whole.expect("an answer"), [outcome]);
        // The connection of the whole answer is no more.
        commit(&repository).await.expect_err("no connection");
    }
}

#[tokio::test]
async fn a_commit_whose_failure_is_cut_may_have_happened() {
    let (server, repository) = stage().await;
    let (answer, bytes) = in_pieces(error(1205, 13));
    for cut in 0..bytes {
        let failed = commit_that_gets(&server, &repository, answer.clone().cut_after(cut)).await;
        assert_eq!(kind_of(failed), Unknown, "after {cut} of {bytes} bytes");
    }
    assert_eq!(kind_of(commit_that_gets(&server, &repository, answer.closes()).await), Transient);
}

#[tokio::test]
async fn a_load_whose_answer_is_cut_anywhere_has_no_snapshot() {
    let (server, repository) = stage().await;
    let (answer, bytes) = in_pieces(small_load_answer());
    for cut in 0..bytes {
        let failed = load_that_gets(&server, &repository, answer.clone().cut_after(cut)).await;
        assert_eq!(kind_of(failed), Transient, "after {cut} of {bytes} bytes");
    }
    let snapshot = load_that_gets(&server, &repository, answer.closes()).await.expect("a snapshot");
    for (key, version) in [(RecordKey::Event, 2), (RecordKey::Pool(pool_id("floor")), 3)] {
        assert_eq!(snapshot.get(&key).map(|read| read.version), Some(version));
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_cut_in_tls_may_have_happened() {
    let authority = Authority::new();
    let identity = authority.identity("127.0.0.1");
    let server = server_with(Encryption::Required(Tls::new(&identity.certificate, &identity.key))).await;
    let repository = default_builder(&server).root_certificates(authority.pem()).build().expect("a connection string");
    let (answer, bytes) = in_pieces(commit_answer(&[]));
    for cut in (0..bytes).step_by(7) {
        let failed = commit_that_gets(&server, &repository, answer.clone().cut_after(cut)).await;
        assert_eq!(kind_of(failed), Unknown, "after {cut} of {bytes} bytes");
    }
    commit_that_gets(&server, &repository, answer).await.expect("an answer");
}

#[tokio::test]
async fn a_commit_that_is_read_and_not_answered_may_have_happened() {
    let (server, repository) = stage().await;
    assert_eq!(kind_of(commit_that_gets(&server, &repository, Answer::cut()).await), Unknown);
    assert_eq!(kind_of(load_that_gets(&server, &repository, Answer::cut()).await), Transient);
    assert_eq!(server.requests().len(), 4, "nothing is sent again");
}

/// Makes a connection first, whose next request is then cut.
async fn has_connection(server: &TdsServer, repository: &MssqlRepository) {
    server.answers([commit_answer(&[])]);
    commits(repository).await;
}

#[tokio::test]
async fn a_commit_that_is_cut_while_it_is_sent_may_have_happened() {
    let (server, repository) = stage().await;
    for (cuts, bytes) in [0, 1, 7, 8, 9, 200, 1_000_000].into_iter().enumerate() {
        has_connection(&server, &repository).await;
        let failed = commit_that_gets(&server, &repository, Answer::cut_reading_after(bytes)).await;
        assert_eq!(kind_of(failed), Unknown, "after {bytes} bytes");
        assert_eq!(server.cut_requests(), cuts + 1);
    }
}

#[tokio::test]
async fn a_load_that_is_cut_while_it_is_sent_can_be_asked_again() {
    let (server, repository) = stage().await;
    for bytes in [0, 8, 100] {
        has_connection(&server, &repository).await;
        let failed = load_that_gets(&server, &repository, Answer::cut_reading_after(bytes)).await;
        assert_eq!(kind_of(failed), Transient, "after {bytes} bytes");
        server.answers([small_load_answer()]);
        load(&repository).await.expect("a snapshot");
    }
}

// ---- answers that the driver takes for whole ones

fn early_ends() -> Vec<(&'static str, Answer)> {
    let nothing = || Answer::rows(stale(&[]));
    vec![
        ("nothing at all", Answer::new()),
        ("a count", Answer::affected(1)),
        ("no last row", nothing()),
        ("no last row and no end", nothing().without_end()),
        ("a last result without its row", nothing().then_rows(table("end", &[], []))),
        ("a result that does not end", Answer::new().then_some_rows(stale(&[0])).without_end()),
        ("a failure without a word", nothing().then_bytes(done(DONE_IN_PROCEDURE, FAILED))),
        ("a failed procedure", nothing().then_bytes(done(DONE_PROCEDURE, FAILED)).without_end()),
        ("a last row that is not the last", Answer::rows(end()).then_rows(stale(&[0]))),
    ]
}

#[tokio::test]
async fn a_commit_whose_answer_has_no_last_row_may_have_happened() {
    let (server, repository) = stage().await;
    for (what, answer) in early_ends() {
        let failed = commit_that_gets(&server, &repository, answer).await;
        assert_eq!(kind_of(failed), Unknown, "{what}");
    }
}

#[tokio::test]
async fn a_load_whose_answer_has_no_last_row_has_no_snapshot() {
    let (server, repository) = stage().await;
    let first = || Answer::rows(begin(1_000, 7)).then_rows(table("event", EVENT, [event_row()]));
    let early = [("after the event", first()), ("without an end", first().without_end())];
    for (what, answer) in early_ends().into_iter().chain(early) {
        let failed = load_that_gets(&server, &repository, answer).await;
        assert_eq!(kind_of(failed), Transient, "{what}");
    }
}

/// The last row is what counts: the server sends it after the transaction's end.
#[tokio::test]
async fn an_answer_with_its_last_row_is_whole_however_it_ends() {
    let (server, repository) = stage().await;
    let rest = [
        ("without its own end", Answer::rows(stale(&[])).then_some_rows(end()).without_end()),
        ("with a number", commit_answer(&[]).returns(-6)),
        ("alone", Answer::rows(end())),
    ];
    for (what, answer) in rest {
        let outcomes = commit_that_gets(&server, &repository, answer).await;
        assert_eq!(outcomes.expect(what), [GroupOutcome::Committed], "{what}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_answer_leave_the_outcome_unknown() {
    let (server, repository) = stage().await;
    for bytes in [vec![0x00], vec![0xd1, 1, 2, 3], vec![0x81, 0xff, 0x00, 0x00]] {
        for (is_write, known) in [(true, Unknown), (false, Transient)] {
            let answer = Answer::new().then_bytes(bytes.clone()).then_rows(end());
            assert_eq!(kind_of_call(&server, &repository, is_write, answer).await, known, "{bytes:?}");
        }
    }
}

async fn kind_of_call(
    server: &TdsServer,
    repository: &MssqlRepository,
    is_write: bool,
    answer: Answer,
) -> StoreErrorKind {
    if is_write {
        kind_of(commit_that_gets(server, repository, answer).await)
    } else {
        kind_of(load_that_gets(server, repository, answer).await)
    }
}

/// A load with many rows loses none of them, however they are packed.
#[tokio::test]
async fn a_snapshot_has_all_rows_of_many_packets() {
    let (server, repository) = stage().await;
    let rows = (0..500).map(|number| pool_row(&format!("pool {number}"), [100, 0, 0]));
    let answer = Answer::rows(begin(1_000, 7)).then_rows(table("pool", POOL, rows)).then_rows(load_end(7, None));
    let snapshot = load_that_gets(&server, &repository, answer.in_packets_of(64)).await.expect("a snapshot");
    let there = (0..500).filter(|number| snapshot.get(&RecordKey::Pool(pool_id(&format!("pool {number}")))).is_some());
    assert_eq!(there.count(), 500);
}
