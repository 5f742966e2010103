//! Booking with this lock: what is sold is decided by the store, whatever becomes of the servers.

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingError, BookingService, LockPolicy, LockScope};
use ticket_reservation::domain::{Action, Command, CreateEvent, CustomerId, Hold, Receipt, Rejection};

use super::common::audit::audit;
use super::common::world::{event, lines, places, unavailable};
use super::*;

pub(crate) async fn hall(store: &MemoryRepository) {
    let office = BookingService::builder(Arc::new(store.clone()), TestRuntime::current()).build().expect("a service");
    let created = office.create_event(&event(), office.new_operation_id(), CreateEvent::default()).await;
    let _ = created.expect("an event");
    office.import(&event(), places(), Vec::new()).await.expect("places");
}

/// A process of its own, with a lock of its own.
fn seller(store: &MemoryRepository, lock: &Redlock, notes: &Arc<Notes>) -> BookingService {
    BookingService::builder(Arc::new(store.clone()), TestRuntime::current())
        .lock(Arc::new(lock.clone()))
        .lock_policy(LockPolicy::Always(LockScope::Ticket))
        .observer(notes.clone())
        .build()
        .expect("a service")
}

async fn hold(service: &BookingService, who: &str, seats: &[&str]) -> Result<Receipt, BookingError> {
    let customer = CustomerId::new(who).expect("a name");
    let hold = Hold::new(service.new_reservation_id(), customer, lines(seats, &[]));
    let command = Command { event: event(), operation: service.new_operation_id(), action: Action::Hold(hold) };
    soon("an answer", service.submit(command)).await
}

fn refusal(answer: Result<Receipt, BookingError>) -> Rejection {
    match answer {
        Err(BookingError::Rejected(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// Two processes, each of which wants every seat for customers of its own.
async fn sells_each_seat_once(sellers: [&BookingService; 2]) {
    let seats: Vec<String> = (1..=10).map(|number| format!("A{number}")).collect();
    let wants = |service: &BookingService, who: &'static str| {
        let (service, seats) = (service.clone(), seats.clone());
        tokio::spawn(async move {
            let mut got = 0;
            for seat in &seats {
                match hold(&service, who, &[seat.as_str()]).await {
                    Ok(_) => got += 1,
                    Err(BookingError::Rejected(why)) => assert_eq!(why, unavailable(&[seat.as_str()])),
                    Err(other) => panic!("{other:?}"),
                }
            }
            got
        })
    };
    let (one, other) = (wants(sellers[0], "ann"), wants(sellers[1], "bob"));
    let sold = soon("a sale", one).await.expect("no panic") + soon("a sale", other).await.expect("no panic");
    assert_eq!(sold, seats.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booking_sells_each_seat_once_with_the_lock() {
    let (servers, store, notes) = (servers(), MemoryRepository::new(), Notes::new());
    hall(&store).await;
    let locks = [open(&servers), open(&servers)];
    let [one, other] = locks.each_ref().map(|lock| seller(&store, lock, &notes));
    sells_each_seat_once([&one, &other]).await;
    assert_eq!(notes.all(), [""; 0], "no lock has failed");
    for service in [&one, &other] {
        service.shutdown(AT_MOST).await;
    }
    for server in servers.iter() {
        assert!(server.calls().unwrap().get("set") >= Some(&10), "every sale had its lock");
    }
    eventually("nothing is left", async || keys(&servers).iter().all(Vec::is_empty)).await;
    audit(&store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booking_goes_on_correctly_without_a_lock_when_two_of_three_servers_are_dead() {
    let (servers, store, notes) = (servers(), MemoryRepository::new(), Notes::new());
    hall(&store).await;
    let locks = [open(&servers), open(&servers)];
    let [one, other] = locks.each_ref().map(|lock| seller(&store, lock, &notes));
    hold(&one, "eve", &["B1"]).await.expect("it is free");
    assert_eq!(notes.count("failed"), 0);
    servers[0].kill();
    servers[2].kill();
    sells_each_seat_once([&one, &other]).await;
    assert_eq!(refusal(hold(&other, "fay", &["B1"]).await), unavailable(&["B1"]));
    assert!(notes.count("failed the lock's store failed: no quorum of 3 nodes: ") > 0, "{:?}", notes.all());
    audit(&store);
}
