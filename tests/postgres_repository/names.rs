//! Names: how ids are compared.

use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::domain::{AreaId, Place, Record, RecordKey, TicketId, Timestamp};
use ticket_reservation::ports::{LoadRequest, Repository, TicketQuery, Write};

use crate::postgres_support::groups::{event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::server;

/// In a language's own order, `a` comes before `B`, and `é` before `z`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_compared_byte_by_byte_whatever_the_databases_language() {
    let language = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
    server().psql(&format!("CREATE DATABASE english {language}")).expect("a database");
    let url = server().url().replace("/postgres", "/english");
    let repository = PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback().build().unwrap();
    repository.migrate().await.expect("tables");
    let mut group = new_event();
    let ids = ["B", "Z", "a", "z", "é"];
    for id in ids {
        let place = Place { area: AreaId::new(id).unwrap(), row: 1, number: 1 };
        let record = Record::Ticket(ticket_reservation::domain::Ticket::available(place));
        let key = RecordKey::Ticket(TicketId::new(id).unwrap());
        group.writes.push(Write { key, version: 0, decided_at: Timestamp::from_micros(1), record });
    }
    repository.commit(&event(), &[group]).await.expect("an answer");
    let mut query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: 2 };
    let mut listed = Vec::new();
    loop {
        let page = repository.tickets(&query).await.expect("a page");
        let Some((last, ..)) = page.last() else { break };
        query.after = Some(last.clone());
        listed.extend(page.into_iter().map(|(id, ..)| id.to_string()));
    }
    assert_eq!(listed, ids);
    let areas = repository.availability(&event()).await.expect("an answer").areas;
    assert_eq!(areas.iter().map(|area| area.area.as_str()).collect::<Vec<_>>(), ids);
    let records = ids.map(|id| RecordKey::Ticket(TicketId::new(id).unwrap())).to_vec();
    let request = LoadRequest { event: event(), records: records.clone(), free_in: vec![AreaId::new("é").unwrap()] };
    let found = repository.load(&request).await.expect("a snapshot");
    assert!(records.iter().all(|key| found.get(key).is_some_and(|it| it.version == 1)));
    assert_eq!(found.free(&AreaId::new("é").unwrap()), Some(&[TicketId::new("é").unwrap()][..]));
}
