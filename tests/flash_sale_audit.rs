//! The audit of the flash sale notices when a kept store or its logs were tampered with.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flash_sale_support::{Run, flash_sale, sale};
use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::rusqlite::{Connection, types::Value};

/// A good sale, made once and copied for each test.
fn good_sale() -> &'static Path {
    static SALE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, kept) = SALE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = folder.path().join("kept");
        let line = "--processes 2 --buyers 260 --concurrency 40 --standing 80 --pay-ms 0 --seed 77";
        sale(&format!("{line} --keep {}", kept.display()));
        (folder, kept)
    });
    kept
}

/// A copy of the good sale.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(good_sale()).expect("the kept sale") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
        }
        Self(folder)
    }

    /// The store, without the constraints that would keep a program from tampering with it.
    fn store(&self) -> Connection {
        let store = Connection::open(self.0.path().join("store.db")).expect("the store");
        store
            .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")
            .expect("no constraints");
        store
    }

    /// Changes the store. Each statement must change something.
    fn tamper(self, statements: &[&str]) -> Self {
        let store = self.store();
        for statement in statements {
            let changed = store.execute(statement, []).expect(statement);
            assert!(changed > 0, "{statement} changes nothing");
        }
        drop(store);
        self
    }

    /// Edits the log that has the line, which `edit` finds and changes.
    fn edit_a_log(self, edit: impl Fn(&str) -> Option<String>) -> Self {
        for worker in 1..=2 {
            let log = self.0.path().join(format!("worker-{worker}.log"));
            let text = fs::read_to_string(&log).expect("a log");
            if let Some(edited) = edit(&text) {
                fs::write(&log, edited).expect("a log");
                return self;
            }
        }
        panic!("no log has such a line");
    }

    fn audit(&self) -> Run {
        flash_sale(["audit", self.0.path().to_str().expect("UTF-8")])
    }

    fn assert_passes(&self) {
        let run = self.audit();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(run.stderr.contains("audit passed"), "{}", run.stderr);
    }

    /// The audit fails, and counts something of this kind.
    fn assert_fails(&self, kind: &str) {
        let run = self.audit();
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let verdict = run.stderr.lines().find(|line| line.contains("audit failed")).expect("a verdict");
        let counts = verdict.split_once(':').expect("counts").1;
        let count = counts.split(',').find_map(|count| count.trim().strip_suffix(kind)).expect("a count of the kind");
        assert!(count.trim().parse::<u64>().expect("a number") > 0, "nothing is {kind}:\n{}", run.stderr);
    }

    /// A value of the store as SQL.
    fn sql(&self, query: &str) -> String {
        match self.store().query_row(query, [], |row| row.get(0)).expect(query) {
            Value::Blob(bytes) => format!("x'{}'", hex(&bytes)),
            Value::Text(text) => format!("'{text}'"),
            Value::Integer(number) => number.to_string(),
            other => panic!("{query} finds {other:?}"),
        }
    }

    /// A reservation as the logs write it.
    fn uuid(&self, query: &str) -> String {
        let blob = self.sql(query);
        let hex = &blob[2..34];
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const TWICE: &str = "sold twice";
const LOST: &str = "acknowledged and lost";
const UNASKED: &str = "sold unasked";
const OTHER: &str = "other";

/// A booked reservation with seats.
const BOOKED: &str = "SELECT reservation_id FROM ticket WHERE state = 'booked' ORDER BY reservation_id LIMIT 1";
const ANOTHER: &str = "SELECT reservation_id FROM ticket WHERE state = 'booked' ORDER BY reservation_id DESC LIMIT 1";
/// One that has two seats at least.
const OF_TWO: &str = "SELECT reservation_id FROM ticket WHERE state = 'booked' GROUP BY 1 HAVING count(*) > 1 LIMIT 1";

#[test]
fn a_good_sale_passes_again_and_again() {
    let copy = Copy::new();
    copy.assert_passes();
    copy.assert_passes();
}

#[test]
fn a_log_may_end_in_the_middle_of_a_line() {
    let torn = |text: &str| Some(format!("{text}S\t0190b5a4-0000-7000-8000-000000000000\tho"));
    Copy::new().edit_a_log(torn).assert_passes();
}

#[test]
fn a_ticket_in_two_bookings_is_sold_twice() {
    let copy = Copy::new();
    let (booked, another) = (copy.sql(BOOKED), copy.sql(ANOTHER));
    let line = format!(
        "INSERT INTO reservation_line (reservation_id, line, event_id, ticket_id, quantity)
         SELECT {another}, 999, event_id, ticket_id, 1 FROM ticket WHERE reservation_id = {booked} LIMIT 1"
    );
    copy.tamper(&[&line]).assert_fails(TWICE);
}

#[test]
fn a_ticket_given_to_another_booking_is_sold_twice() {
    let copy = Copy::new();
    let (booked, another) = (copy.sql(BOOKED), copy.sql(ANOTHER));
    let row = format!("UPDATE ticket SET reservation_id = {another} WHERE reservation_id = {booked}");
    copy.tamper(&[&row]).assert_fails(TWICE);
}

#[test]
fn a_ticket_acknowledged_to_two_buyers_is_sold_twice() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let ticket = copy.sql("SELECT ticket_id FROM ticket WHERE state = 'booked' ORDER BY reservation_id DESC LIMIT 1");
    let twice = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        let ok = text.lines().find(|line| line.starts_with(&format!("A\t{operation}\t")) && line.contains("\tok"))?;
        Some(text.replace(ok, &format!("{ok}\tt={}", ticket.trim_matches('\''))))
    };
    copy.edit_a_log(twice).assert_fails(TWICE);
}

#[test]
fn a_booking_that_is_gone_is_lost() {
    let copy = Copy::new();
    let booked = copy.sql(BOOKED);
    let statements = [
        format!("UPDATE ticket SET state = 'available', reservation_id = NULL WHERE reservation_id = {booked}"),
        format!("DELETE FROM reservation_line WHERE reservation_id = {booked}"),
        format!("DELETE FROM reservation WHERE reservation_id = {booked}"),
    ];
    copy.tamper(&statements.each_ref().map(String::as_str)).assert_fails(LOST);
}

#[test]
fn a_booking_that_is_released_is_lost() {
    let copy = Copy::new();
    let booked = copy.sql(BOOKED);
    let row = format!("UPDATE reservation SET state = 'released' WHERE reservation_id = {booked}");
    copy.tamper(&[&row]).assert_fails(LOST);
}

#[test]
fn a_booked_seat_that_is_free_again_is_lost() {
    let copy = Copy::new();
    let booked = copy.sql(BOOKED);
    let row = format!("UPDATE ticket SET state = 'available', reservation_id = NULL WHERE reservation_id = {booked}");
    copy.tamper(&[&row]).assert_fails(LOST);
}

#[test]
fn a_booking_without_one_of_its_lines_is_not_all_or_nothing() {
    let copy = Copy::new();
    let booked = copy.sql(OF_TWO);
    let ticket = copy.sql(&format!("SELECT max(ticket_id) FROM ticket WHERE reservation_id = {booked}"));
    let statements = [
        format!("DELETE FROM reservation_line WHERE reservation_id = {booked} AND ticket_id = {ticket}"),
        format!("UPDATE ticket SET state = 'available', reservation_id = NULL WHERE ticket_id = {ticket}"),
    ];
    let copy = copy.tamper(&statements.each_ref().map(String::as_str));
    copy.assert_fails(LOST);
    copy.assert_fails(OTHER);
}

#[test]
fn a_booking_that_no_log_knows_was_not_asked_for() {
    let copy = Copy::new();
    let free = copy.sql("SELECT ticket_id FROM ticket WHERE state = 'available' LIMIT 1");
    let new = "x'0190b5a40000700080000000000000ff'";
    let statements = [
        format!(
            "INSERT INTO reservation (reservation_id, event_id, customer_id, state, held_at, version, decided_at)
             SELECT {new}, event_id, 'nobody', 'booked', 1, 1, 1 FROM event"
        ),
        format!(
            "INSERT INTO reservation_line (reservation_id, line, event_id, ticket_id, quantity)
             SELECT {new}, 1, event_id, {free}, 1 FROM event"
        ),
        format!("UPDATE ticket SET state = 'booked', reservation_id = {new} WHERE ticket_id = {free}"),
    ];
    copy.tamper(&statements.each_ref().map(String::as_str)).assert_fails(UNASKED);
}

#[test]
fn a_seat_sold_to_nobody_was_not_asked_for() {
    let copy = Copy::new();
    let free = copy.sql("SELECT ticket_id FROM ticket WHERE state = 'available' LIMIT 1");
    let row = format!(
        "UPDATE ticket SET state = 'booked', reservation_id = x'0190b5a40000700080000000000000ff' WHERE ticket_id = {free}"
    );
    copy.tamper(&[&row]).assert_fails(UNASKED);
}

#[test]
fn a_booking_that_nobody_confirmed_was_not_asked_for() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let without = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        Some(text.lines().filter(|line| !line.contains(&operation)).map(|line| format!("{line}\n")).collect())
    };
    copy.edit_a_log(without).assert_fails(UNASKED);
}

#[test]
fn a_booking_that_was_refused_was_not_asked_for() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let refused = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        let refuse = |line: &str| match line.split_once("\tok") {
            Some((answer, _)) if answer.contains(&operation) => format!("{answer}\tno\thold_expired\n"),
            _ => format!("{line}\n"),
        };
        Some(text.lines().map(refuse).collect())
    };
    copy.edit_a_log(refused).assert_fails(UNASKED);
}

#[test]
fn a_booking_of_another_customer_was_not_asked_for() {
    let copy = Copy::new();
    let booked = copy.sql(BOOKED);
    let row = format!("UPDATE reservation SET customer_id = 'thief' WHERE reservation_id = {booked}");
    copy.tamper(&[&row]).assert_fails(UNASKED);
}

#[test]
fn a_pool_beyond_its_capacity_is_sold_twice() {
    Copy::new().tamper(&["UPDATE pool SET booked = capacity + 5"]).assert_fails(TWICE);
}

#[test]
fn more_standing_places_booked_than_there_are_is_sold_twice() {
    let line = "UPDATE reservation_line SET quantity = 500 WHERE pool_id IS NOT NULL AND reservation_id IN
                (SELECT reservation_id FROM reservation WHERE state = 'booked')";
    Copy::new().tamper(&[line]).assert_fails(TWICE);
}

#[test]
fn a_pool_counts_what_its_reservations_count() {
    Copy::new().tamper(&["UPDATE pool SET booked = booked - 1"]).assert_fails(OTHER);
    Copy::new().tamper(&["UPDATE pool SET capacity = capacity + 1"]).assert_fails(OTHER);
}

#[test]
fn every_place_of_the_plan_is_still_there_and_no_other() {
    Copy::new()
        .tamper(&["DELETE FROM ticket WHERE ticket_id = (SELECT min(ticket_id) FROM ticket WHERE state = 'available')"])
        .assert_fails(OTHER);
    Copy::new()
        .tamper(&["UPDATE ticket SET place_number = 999 WHERE ticket_id = (SELECT min(ticket_id) FROM ticket)"])
        .assert_fails(OTHER);
    let more = "INSERT INTO ticket (event_id, ticket_id, area_id, row_rank, place_number, state, version, decided_at)
                SELECT event_id, 'new', area_id, 99, 1, 'available', 1, 1 FROM ticket LIMIT 1";
    Copy::new().tamper(&[more]).assert_fails(OTHER);
}

#[test]
fn the_feed_re_derives_the_tables() {
    for statement in [
        "UPDATE change SET state = 'available', reservation_id = NULL WHERE kind = 'ticket' AND state = 'booked'",
        "UPDATE change SET booked = booked + 1 WHERE kind = 'pool' AND sequence = (SELECT max(sequence) FROM change WHERE kind = 'pool')",
        "DELETE FROM change WHERE sequence = (SELECT max(sequence) / 2 FROM change)",
        "DELETE FROM change WHERE sequence = (SELECT max(sequence) FROM change)",
        "UPDATE change SET version = version + 1 WHERE sequence = (SELECT max(sequence) FROM change)",
        "UPDATE change SET customer_id = 'thief' WHERE kind = 'reservation'",
        "UPDATE event SET changes_purged_through = 10",
    ] {
        let run = Copy::new().tamper(&[statement]).audit();
        assert_eq!(run.code, Some(1), "{statement}: {}", run.stderr);
    }
}

#[test]
fn an_acknowledgement_of_what_never_happened_is_lost() {
    let new = "0190b5a4-0000-7000-8000-0000000000";
    let invented = |text: &str| {
        Some(format!(
            "{text}S\t{new}01\thold\t{new}ff\tbuyer-1\tp=1=standing\nA\t{new}01\t100\tok\tp=1=standing\n\
             S\t{new}02\tconfirm\t{new}ff\tbuyer-1\nA\t{new}02\t100\tok\tp=1=standing\n"
        ))
    };
    Copy::new().edit_a_log(invented).assert_fails(LOST);
}

#[test]
fn what_was_sent_and_never_answered_is_neither_lost_nor_unasked() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let unanswered = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        let answer = format!("A\t{operation}\t");
        Some(text.lines().filter(|line| !line.starts_with(&answer)).map(|line| format!("{line}\n")).collect())
    };
    copy.edit_a_log(unanswered).assert_passes();
}

#[test]
fn logs_that_are_missing_or_damaged_are_no_proof() {
    let copy = Copy::new();
    fs::remove_file(copy.0.path().join("worker-2.log")).expect("a log");
    copy.assert_fails(OTHER);
    Copy::new().edit_a_log(|text| Some(text.replacen("\tok", "\tperhaps", 1))).assert_fails(OTHER);
    Copy::new().edit_a_log(|_| Some(String::new())).assert_fails(OTHER);
}

#[test]
fn a_store_that_is_no_store_does_not_pass() {
    let copy = Copy::new();
    fs::write(copy.0.path().join("store.db"), "not a database, and long enough to be read as one".repeat(100))
        .expect("a file");
    assert_eq!(copy.audit().code, Some(1));
}

#[test]
fn without_a_kept_sale_there_is_nothing_to_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let audit = |folder: &Path| flash_sale(["audit", folder.to_str().expect("UTF-8")]);
    audit(folder.path()).assert_refused("no kept sale here");
    audit(&folder.path().join("nowhere")).assert_refused("no kept sale here");
    let copy = Copy::new();
    fs::remove_file(copy.0.path().join("store.db")).expect("the store");
    audit(copy.0.path()).assert_refused("is gone");
}

/// The operation that asked for this of a reservation.
fn operation(log: &str, kind: &str, reservation: &str) -> Option<String> {
    let sent = log.lines().find(|line| line.contains(&format!("\t{kind}\t{reservation}\t")))?;
    sent.split('\t').nth(1).map(ToOwned::to_owned)
}
