//! The change feed of PostgreSQL is in the order of commits, also where commits end late: who has read up to a position has missed
//! nothing before it.
#![cfg(feature = "postgres")]

#[path = "postgres_support/mod.rs"]
mod postgres_support;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use postgres_support::groups::new_event;
use postgres_support::{AT_MOST, builder, migrated, server};
use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::domain::{AreaId, EventId, Place, Record, RecordKey, Ticket, TicketId, TicketState, Timestamp};
use ticket_reservation::ports::{Change, Group, GroupOutcome, PAGE_MAX, Repository, Sequence, Write};

const EVENTS: [&str; 2] = ["gala", "matinee"];
const WRITERS: usize = 4;
const COMMITS: usize = 20;
const TICKETS: usize = 2;

/// More than is written while a page is read: the reader is always near the end, where commits are under way.
const PAGE: usize = 1_000;

fn id(event: &str) -> EventId {
    EventId::new(event).unwrap()
}

/// The server takes its time to end a commit, after all of its rows are written: as long as the positions of its rows say.
fn delay_the_end_of_commits(schema: &str) {
    let sql = format!(
        "CREATE SEQUENCE \"{schema}\".delays;
        CREATE FUNCTION \"{schema}\".ends_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('\"{schema}\".delays');
            PERFORM pg_sleep((ARRAY[0, 0.005, 0.02])[1 + NEW.sequence % 3]);
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER ends_late AFTER INSERT ON \"{schema}\".change DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION \"{schema}\".ends_late()"
    );
    server().psql(&sql).expect("a trigger");
}

fn delays(schema: &str) -> usize {
    server().psql(&format!("SELECT last_value FROM \"{schema}\".delays")).expect("an answer").parse().expect("a number")
}

/// A writer's own tickets, which nobody else writes.
fn group(writer: usize, version: u64) -> Group {
    let write = |number: usize| {
        let place = Place { area: AreaId::new("stalls").unwrap(), row: writer as u32, number: number as u32 };
        let record = Record::Ticket(Ticket { place, state: TicketState::Available });
        let key = RecordKey::Ticket(TicketId::new(format!("{writer}-{number}")).unwrap());
        Write { key, version, decided_at: Timestamp::from_micros(1), record }
    };
    Group { writes: (0..TICKETS).map(write).collect(), ..Group::default() }
}

/// Commits again and again, until that is enough.
async fn write(repository: &PostgresRepository, event: &EventId, writer: usize, commits: u64, enough: &AtomicBool) {
    for version in 0..commits {
        if enough.load(Ordering::Acquire) {
            break;
        }
        let outcome = repository.commit(event, &[group(writer, version)]).await.expect("an answer");
        assert_eq!(outcome, [GroupOutcome::Committed], "nobody else writes these");
    }
}

/// A row that came before one that was read before.
#[derive(Debug, PartialEq)]
struct Missed(Sequence);

/// Who pages on through a feed.
#[derive(Default)]
struct Reader {
    read: Vec<Change>,
}

impl Reader {
    fn position(&self) -> Sequence {
        self.read.last().map_or(0, |change| change.sequence)
    }

    /// Reads on, and then looks whether a row has come before the position.
    async fn read_on(&mut self, repository: &PostgresRepository, event: &EventId) -> Result<ControlFlow<()>, Missed> {
        let page = repository.changes(event, self.position(), PAGE).await.expect("a page");
        let is_the_end = page.is_empty();
        self.read.extend(page);
        let again = repository.changes(event, 0, PAGE_MAX).await.expect("a page");
        let unlike = again.iter().zip(&self.read).find(|(now, then)| now != then);
        match unlike {
            Some((now, _)) => Err(Missed(now.sequence)),
            None if is_the_end => Ok(ControlFlow::Break(())),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    /// To the end that the feed has once nobody writes any more.
    async fn follow(
        mut self,
        repository: &PostgresRepository,
        event: &EventId,
        writing: &AtomicUsize,
    ) -> Result<Self, Missed> {
        loop {
            let is_over = writing.load(Ordering::Acquire) == 0;
            if self.read_on(repository, event).await?.is_break() && is_over {
                return Ok(self);
            }
        }
    }
}

/// What the readers of the events have come to, who followed while several writers of each wrote so many commits.
async fn followed_while_written(schema: &str, commits: u64) -> Vec<Result<Reader, Missed>> {
    let repository = &builder(schema).pool_size(2 * (WRITERS + 1) as u32).build().expect("an address");
    let follow = async |event: EventId| {
        let (writing, enough) = (AtomicUsize::new(WRITERS), AtomicBool::new(false));
        let writers = join_all((0..WRITERS).map(|writer| {
            let (event, writing, enough) = (&event, &writing, &enough);
            async move {
                write(repository, event, writer, commits, enough).await;
                writing.fetch_sub(1, Ordering::AcqRel);
            }
        }));
        let reader = async {
            let followed = Reader::default().follow(repository, &event, &writing).await;
            enough.store(true, Ordering::Release);
            followed
        };
        tokio::join!(writers, reader).1
    };
    join_all(EVENTS.map(id).map(follow)).await
}

async fn staged(schema: &str) {
    let repository = migrated(schema).await;
    for event in EVENTS.map(id) {
        repository.commit(&event, &[new_event()]).await.expect("an answer");
    }
    delay_the_end_of_commits(schema);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_commits_end_late() {
    let schema = "late ends";
    staged(schema).await;
    let rows = WRITERS * COMMITS * TICKETS;
    for followed in followed_while_written(schema, COMMITS as u64).await {
        let read = followed.map(|reader| reader.read).expect("nothing comes before what was read");
        let positions: Vec<Sequence> = read.iter().map(|change| change.sequence).collect();
        assert_eq!(positions, (1..=rows as Sequence + 1).collect::<Vec<_>>());
        for writer in 0..WRITERS {
            let key = group(writer, 0).writes.remove(0).key;
            let versions: Vec<u64> = read.iter().filter(|it| it.key == key).map(|it| it.version).collect();
            assert_eq!(versions, (1..=COMMITS as u64).collect::<Vec<_>>(), "of writer {writer}");
        }
    }
    assert_eq!(delays(schema), EVENTS.len() * rows, "each row has delayed its commit");
}

/// What the lock on the event is for: without it, positions are drawn in one order, and commits end in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_reader_misses_rows_where_positions_are_drawn_before_the_order_of_commits_is_known() {
    let schema = "drawn early";
    staged(schema).await;
    let draw = format!(
        "DO $do$ DECLARE
            v_it text := pg_get_functiondef('\"{schema}\".commit_groups'::regproc);
            v_without text := replace(replace(v_it, 'FOR NO KEY UPDATE', ''), 'IF v_last > v_first THEN', 'IF false THEN');
        BEGIN
            ASSERT length(v_it) - length(v_without) > 2 * length('FOR NO KEY UPDATE');
            EXECUTE v_without;
        END $do$;
        CREATE SEQUENCE \"{schema}\".positions START 2;
        CREATE FUNCTION \"{schema}\".draws() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.sequence := nextval('\"{schema}\".positions');
            RETURN NEW;
        END $$;
        CREATE TRIGGER draws BEFORE INSERT ON \"{schema}\".change FOR EACH ROW EXECUTE FUNCTION \"{schema}\".draws()"
    );
    server().psql(&draw).expect("another function");
    // They write until it is noticed.
    let followed = tokio::time::timeout(AT_MOST, followed_while_written(schema, u64::MAX)).await;
    assert!(followed.expect("it is not noticed").iter().all(Result::is_err));
}
