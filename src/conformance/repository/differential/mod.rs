//! Random commands to the store, through the service, and to the rules alone: every answer is the same, and so is what is
//! there afterwards.

mod commands;
mod course;
mod lists;
mod reference;
mod state;
mod time;

use crate::conformance::audit;
use crate::conformance::bench::RepositoryBench;
use crate::conformance::check::Checked;
use commands::events;
use course::Course;

/// How many commands a case sends one by one, and how often it looks at the store in between.
const COMMANDS: u32 = 600;
const LOOKS: u32 = 10;

/// How often a case sends many commands at once.
const TIMES_AT_ONCE: u32 = 60;

pub(super) async fn random_commands_are_answered_as_the_rules_say(bench: &RepositoryBench) -> Checked {
    let mut course = Course::new(bench, 1).await?;
    course.send_one_by_one(COMMANDS).await?;
    course.end(bench)
}

pub(super) async fn random_commands_leave_what_the_rules_leave(bench: &RepositoryBench) -> Checked {
    let mut course = Course::new(bench, 2).await?;
    for _ in 0..LOOKS {
        course.send_one_by_one(COMMANDS / LOOKS).await?;
        for event in &events() {
            state::records(bench, &course, event, true).await?;
            state::feed(bench, &course, event).await?;
        }
    }
    course.end(bench)
}

pub(super) async fn what_random_commands_leave_is_listed(bench: &RepositoryBench) -> Checked {
    let mut course = Course::new(bench, 3).await?;
    for _ in 0..LOOKS {
        course.send_one_by_one(COMMANDS / LOOKS).await?;
        for event in &events() {
            state::lists(bench, &course, event).await?;
        }
        state::lapsed(bench, &course).await?;
    }
    course.end(bench)
}

/// Each is decided on top of the one before, however many of them share a commit.
pub(super) async fn commands_that_come_at_once_are_answered_in_their_order(bench: &RepositoryBench) -> Checked {
    let mut course = Course::new(bench, 4).await?;
    for _ in 0..TIMES_AT_ONCE {
        course.send_many_at_once().await?;
    }
    for event in &events() {
        state::records(bench, &course, event, false).await?;
        audit::tables(bench, event).await?;
        audit::feed(bench, event).await?;
    }
    course.end(bench)
}
