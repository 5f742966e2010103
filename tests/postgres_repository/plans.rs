//! Plans: how the server finds rows.

use ticket_reservation::domain::{AreaId, Place, Record, RecordKey, TicketId, TicketState, Timestamp};
use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, Repository, RuntimeExt, Write};

use crate::postgres_support::groups::{event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{builder, server};

const SEATS: u32 = 20_000;

fn place(n: u32) -> Place {
    Place { area: AreaId::new(format!("area {}", n % 7)).unwrap(), row: n / 50, number: n }
}

fn seat(n: u32) -> TicketId {
    TicketId::new(format!("seat {n:06}")).unwrap()
}

/// Index entries that were read in a schema. Rows that are gone through and thrown away count, and so do those that are wanted.
fn index_entries_read(schema: &str) -> i64 {
    // A connection tells what it has done when it ends, at the latest.
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
         WHERE application_name = 'ticket-reservation' AND query LIKE '%\"{schema}\"%'"
    );
    server().psql(&end).expect("they end");
    let sql = format!("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = '{schema}'");
    server().psql(&sql).expect("an answer").parse().expect("a number")
}

/// On statements that were prepared when the tables were empty, as those of a service that has made them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_is_written_or_loaded_is_found_by_its_whole_key() {
    let repository = builder("plans").pool_size(1).build().expect("an address");
    repository.migrate().await.expect("tables");
    // All of the functions' statements are planned by this, on tables in which nothing is.
    let hold = |version: u64, seats: std::ops::Range<u32>| {
        let write = |n: u32| {
            let reservation = TestRuntime::current().reservation_id();
            let state = TicketState::Held { reservation, until: Timestamp::from_micros(4_000_000_000_000_000) };
            let record = Record::Ticket(ticket_reservation::domain::Ticket { place: place(n), state });
            Write { key: RecordKey::Ticket(seat(n)), version, decided_at: Timestamp::from_micros(1), record }
        };
        Group { reads: Vec::new(), writes: seats.map(write).collect(), ..Group::default() }
    };
    let load = |n: u32| LoadRequest {
        event: event(),
        records: vec![RecordKey::Event, RecordKey::Ticket(seat(n))],
        free_in: Vec::new(),
    };
    let committed = async |group: Group| {
        assert_eq!(repository.commit(&event(), &[group]).await.expect("an answer"), [GroupOutcome::Committed]);
    };
    committed(new_event()).await;
    repository.load(&load(0)).await.expect("a snapshot");
    committed(hold(0, 0..1)).await;
    committed(hold(1, 0..1)).await;
    for first in (1..SEATS).step_by(1_000) {
        committed(hold(0, first..SEATS.min(first + 1_000))).await;
    }
    // The connection that has all of those plans is still the one.
    const TIMES: u32 = 40;
    for n in 0..TIMES {
        repository.load(&load(1 + n * 97)).await.expect("a snapshot");
        committed(hold(1, 1 + n * 97..2 + n * 97)).await;
    }
    // A few for each seat of the import. Going through the event for each of the others would be ten times as many.
    let (read, most) = (index_entries_read("plans"), i64::from(SEATS) * 4 + i64::from(TIMES) * 50);
    assert!(read < most, "{read} index entries were read, and {most} would be many");
}
