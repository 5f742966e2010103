//! The flash sale's audit notices when the logs were tampered with, or contradict themselves or the store.
#![cfg(feature = "sqlite")]

mod flash_sale_support;

use std::fs;

use flash_sale_support::kept::{ANOTHER, BOOKED, Copy, FREE, LOST, OTHER, STANDING, TWICE, UNASKED, lines, operation};

/// The store with an answer to the confirmation of a booked reservation edited.
fn with_answer(edit: impl Fn(&str) -> Option<String>) -> Copy {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    copy.edit_a_log(|text| {
        let answer = format!("A\t{}\t", operation(text, "confirm", &booked)?);
        Some(lines(text, |line| if line.starts_with(&answer) { edit(line) } else { Some(line.to_owned()) }))
    })
}

#[test]
fn a_ticket_acknowledged_to_two_buyers_is_sold_twice() {
    let copy = Copy::new();
    let of_another = format!("SELECT ticket_id FROM ticket WHERE reservation_id = ({ANOTHER}) LIMIT 1");
    let ticket = copy.text(&of_another);
    let booked = copy.uuid(BOOKED);
    let twice = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        let answer = format!("A\t{operation}\t");
        Some(lines(text, |line| {
            Some(if line.starts_with(&answer) { format!("{line}\tt={ticket}") } else { line.into() })
        }))
    };
    let copy = copy.edit_a_log(twice);
    copy.assert_finds(TWICE, "was acknowledged as sold to");
    copy.assert_finds(LOST, "has other lines in the store");
}

#[test]
fn an_acknowledgement_of_what_never_happened_is_lost() {
    let new = "0190b5a4-0000-7000-8000-0000000000";
    let invented = |text: &str| {
        let log = text.trim_end_matches("E\n");
        Some(format!(
            "{log}S\t{new}01\t90\thold\t{new}ff\tbuyer-1\tp=1=standing\nA\t{new}01\t100\t100\tok\tp=1=standing\n\
             S\t{new}02\t90\tconfirm\t{new}ff\tbuyer-1\nA\t{new}02\t100\t100\tok\tp=1=standing\nE\n"
        ))
    };
    Copy::new().edit_a_log(invented).assert_finds(LOST, "is not in the store");
}

#[test]
fn a_booking_that_nobody_confirmed_was_not_asked_for() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let without = |text: &str| {
        let operation = operation(text, "confirm", &booked)?;
        Some(lines(text, |line| (!line.contains(&operation)).then(|| line.to_owned())))
    };
    copy.edit_a_log(without).assert_finds(UNASKED, "is booked, and nobody confirmed it");
}

#[test]
fn a_booking_that_was_refused_was_not_asked_for() {
    with_answer(|line| line.split_once("\tok").map(|(answer, _)| format!("{answer}\tno\thold_expired")))
        .assert_finds(UNASKED, "is booked, and that was refused");
}

#[test]
fn a_hold_that_was_refused_and_is_there_was_not_asked_for() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let refused = |text: &str| {
        let answer = format!("A\t{}\t", operation(text, "hold", &booked)?);
        Some(lines(text, |line| match line.split_once("\tok") {
            Some((start, _)) if line.starts_with(&answer) => Some(format!("{start}\tno\tunavailable")),
            _ => Some(line.to_owned()),
        }))
    };
    let copy = copy.edit_a_log(refused);
    copy.assert_finds(UNASKED, "is booked, and it was refused");
    copy.assert_finds(OTHER, "was refused and is recorded as carried out");
}

#[test]
fn a_booking_that_was_given_back_is_not_sold() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let given_back = |text: &str| {
        let sent = text.lines().find(|line| line.contains(&format!("\tconfirm\t{booked}\t")))?;
        let answer = format!("A\t{}\t", operation(text, "confirm", &booked)?);
        let ok = text.lines().find(|line| line.starts_with(&answer) && line.contains("\tok"))?;
        let id = operation(text, "confirm", &booked)?;
        let other = "0190b5a4-0000-7000-8000-000000000001";
        let (sent, ok) = (sent.replace(&id, other).replace("confirm", "release"), ok.replace(&id, other));
        Some(format!("{}{sent}\n{ok}\nE\n", text.trim_end_matches("E\n")))
    };
    copy.edit_a_log(given_back).assert_finds(UNASKED, "is booked, and it was given back");
}

#[test]
fn only_a_killed_worker_may_have_heard_nothing() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let worker = (1..=2).find(|worker| {
        let log = fs::read_to_string(copy.file(&format!("worker-{worker}.log"))).expect("a log");
        operation(&log, "confirm", &booked).is_some()
    });
    let unanswered = with_answer(|_| None);
    unanswered.assert_finds(OTHER, "has no answer to the confirm");
    let unanswered = unanswered.kill(worker.expect("its worker"));
    unanswered.assert_passes();
    let confirmed = format!("DELETE FROM operation WHERE kind = 'confirm' AND reservation_id = ({BOOKED})");
    unanswered.tamper([confirmed]).assert_finds(OTHER, "happened and is not recorded");
}

#[test]
fn only_the_log_of_a_killed_worker_may_break_off() {
    let torn = |text: String| format!("{text}S\t0190b5a4-0000-7000-8000-000000000000\tho");
    Copy::new().edit("worker-2.log", torn).assert_finds(OTHER, "breaks off in the middle of a line");
    Copy::new().edit("worker-2.log", |text| text.trim_end_matches("E\n").to_owned()).assert_finds(OTHER, "has no end");
    Copy::new().kill(2).edit("worker-2.log", torn).assert_passes();
    let killed = |text: String| text.replace("ended", "killed\t1\nended");
    Copy::new().edit("course.log", killed).assert_finds(OTHER, "was killed before");
}

#[test]
fn nothing_follows_the_end_of_a_log() {
    Copy::new().edit("worker-1.log", |text| format!("{text}E\n")).assert_finds(OTHER, "comes after its end");
}

#[test]
fn two_acknowledgements_with_different_lines_contradict_each_other() {
    let copy = Copy::new();
    let standing = copy.uuid(STANDING);
    let twice = |text: &str| {
        let id = operation(text, "hold", &standing)?;
        let sent = text.lines().find(|line| line.starts_with(&format!("S\t{id}\t")))?;
        let more = format!("{sent}\nA\t{id}\t100\t100\tok\tp=9=standing\n");
        Some(format!("{}{more}E\n", text.trim_end_matches("E\n")))
    };
    copy.edit_a_log(twice).assert_finds(OTHER, "was acknowledged twice, with different lines");
}

#[test]
fn a_refusal_after_an_acknowledgement_contradicts_it() {
    let copy = Copy::new();
    let booked = copy.uuid(BOOKED);
    let then = |answer: &'static str| {
        let booked = booked.clone();
        move |text: &str| {
            let id = operation(text, "confirm", &booked)?;
            let sent = text.lines().find(|line| line.starts_with(&format!("S\t{id}\t")))?;
            Some(format!("{}{sent}\nA\t{id}\t100\t100\t{answer}\nE\n", text.trim_end_matches("E\n")))
        }
    };
    copy.edit_a_log(then("no\thold_expired")).assert_finds(OTHER, "was refused after it was acknowledged");
    Copy::new().edit_a_log(then("busy\toverloaded")).assert_passes();
}

#[test]
fn there_are_no_more_answers_than_questions() {
    with_answer(|line| Some(format!("{line}\n{line}\n{line}")))
        .assert_finds(OTHER, "has more answers than it was sent");
}

#[test]
fn an_operation_id_stands_for_one_thing() {
    let copy = Copy::new();
    let (booked, another) = (copy.uuid(BOOKED), copy.uuid(ANOTHER));
    let reused = |text: &str| {
        let sent = text.lines().find(|line| line.contains(&format!("\tconfirm\t{booked}\t")))?;
        Some(text.replace(sent, &format!("{sent}\n{}", sent.replace(&booked, &another))))
    };
    copy.edit_a_log(reused).assert_finds(OTHER, "for something else");
}

/// A lost commit may still arrive: only the refusal of a resolve keeps it out.
#[test]
fn a_plain_refusal_does_not_settle_what_was_unknown_before() {
    let resent = |line: &str, kind: &str, refusal: &str| {
        let (start, _) = line.split_once("\tok")?;
        let id = line.split('\t').nth(1)?;
        Some(format!("{start}\tunknown\n{kind}\t{id}\t@\nA\t{id}\t9\t9\t{refusal}\thold_expired"))
    };
    let with = |kind: &'static str, refusal: &'static str| {
        let copy = Copy::new();
        let clicked_once = |log: &str, line: &str| {
            let id = line.split('\t').nth(1).expect("an operation");
            line.contains("\tconfirm\t") && log.matches(id).count() == 2
        };
        let query = booked_with(&copy, clicked_once);
        let booked = copy.uuid(&query);
        let edited = copy.edit_a_log(|text| {
            let id = operation(text, "confirm", &booked)?;
            let sent = text.lines().find(|line| line.starts_with(&format!("S\t{id}\t")))?;
            let rest = sent.splitn(3, '\t').nth(2)?;
            Some(lines(text, |line| match line.starts_with(&format!("A\t{id}\t")) {
                true => resent(line, kind, refusal).map(|line| line.replace('@', rest)),
                false => Some(line.to_owned()),
            }))
        });
        (edited, query)
    };
    with("S", "no").0.assert_passes();
    let (refused, booked) = with("R", "never");
    refused.assert_finds(UNASKED, "is booked, and that was refused");
    let confirmed = format!("DELETE FROM operation WHERE kind = 'confirm' AND reservation_id = ({booked})");
    refused.tamper([confirmed]).assert_finds(OTHER, "was refused for good and is not recorded");
    with("S", "never").0.assert_finds(OTHER, "was refused for good, and nobody resolved it");
}

#[test]
fn logs_that_are_missing_or_damaged_are_no_proof() {
    let copy = Copy::new();
    fs::remove_file(copy.file("worker-2.log")).expect("a log");
    copy.assert_finds(OTHER, "worker-2.log is missing");
    let perhaps = |text: &str| Some(text.replacen("\tok", "\tperhaps", 1));
    Copy::new().edit_a_log(perhaps).assert_finds(OTHER, "cannot be read");
    Copy::new().edit_a_log(|_| Some(String::new())).assert_finds(OTHER, "does not begin with");
}

// ---- what was asked for, edited so that what was sold is something else

/// The hold of a reservation asks for something else.
fn asking(query: &str, edit: impl Fn(&str) -> Option<String>) -> Copy {
    let copy = Copy::new();
    let reservation = copy.uuid(query);
    copy.edit_a_log(|text| {
        let hold = format!("\thold\t{reservation}\t");
        text.contains(&hold).then_some(())?;
        Some(lines(text, |line| if line.contains(&hold) { edit(line) } else { Some(line.to_owned()) }))
    })
}

/// A booked reservation that one of the lines about it, in its log, picks out.
fn booked_with(copy: &Copy, is_it: impl Fn(&str, &str) -> bool) -> String {
    let logs = ["worker-1.log", "worker-2.log"].map(|name| fs::read_to_string(copy.file(name)).expect("a log"));
    let sent = logs.iter().flat_map(|log| log.lines().filter(|line| line.starts_with("S\t") && is_it(log, line)));
    let booked = |id: &String| {
        copy.sql(&format!("SELECT count(*) FROM reservation WHERE reservation_id = {id} AND state = 'booked'")) == "1"
    };
    let mut ids = sent.filter_map(|line| Some(format!("x'{}'", line.split('\t').nth(4)?.replace('-', ""))));
    format!("SELECT {}", ids.find(booked).expect("such a reservation"))
}

/// One whose seats the library chose, at least two of them.
fn chosen(copy: &Copy) -> String {
    booked_with(copy, |_, line| line.contains("\tn=") && !line.contains("\tn=1="))
}

fn quantity(line: &str, change: impl Fn(u32) -> u32) -> Option<String> {
    let (start, best) = line.split_once("\tn=")?;
    let (quantity, area) = best.split_once('=')?;
    Some(format!("{start}\tn={}={area}", change(quantity.parse().ok()?)))
}

#[test]
fn tickets_that_nobody_asked_for_are_sold_unasked() {
    let copy = Copy::new();
    let two = booked_with(&copy, |_, line| line.matches("\tt=").count() > 1 && !line.contains("\tp="));
    asking(&two, |line| line.rsplit_once('\t').map(|(less, _)| less.to_owned()))
        .assert_finds(UNASKED, "has tickets that nobody asked for");
}

#[test]
fn tickets_that_are_missing_break_all_or_nothing() {
    let free = Copy::new().text(FREE);
    asking(BOOKED, |line| Some(format!("{line}\tt={free}"))).assert_finds(OTHER, "lacks tickets that were asked for");
}

#[test]
fn standing_places_are_those_asked_for() {
    asking(STANDING, |line| Some(line.replacen("\tp=", "\tp=1", 1)))
        .assert_finds(UNASKED, "has standing places that nobody asked for");
    asking(BOOKED, |line| Some(format!("{line}\tp=1=elsewhere")))
        .assert_finds(OTHER, "lacks standing places that were asked for");
}

#[test]
fn as_many_are_chosen_as_were_asked_for() {
    let query = chosen(&Copy::new());
    asking(&query, |line| quantity(line, |it| it + 1))
        .assert_finds(OTHER, "has fewer chosen tickets than were asked for");
    asking(&query, |line| quantity(line, |it| it - 1))
        .assert_finds(UNASKED, "has more chosen tickets than were asked for");
}

#[test]
fn chosen_places_are_side_by_side_where_they_were_asked_for() {
    let query = chosen(&Copy::new());
    asking(&query, |line| Some(format!("{line} elsewhere")))
        .assert_finds(UNASKED, "has chosen tickets that are not side by side");
}
