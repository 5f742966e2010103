//! A majority of the servers goes down and comes back, under a booking service and under a queue.

use std::sync::atomic::{AtomicUsize, Ordering};

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingError, BookingService, Contention, LockOutage, LockPolicy, LockScope};
use ticket_reservation::domain::{CustomerId, Hold, Rejection};
use ticket_reservation::locking::{AcquireError, LockQueue, Returned};

use super::booking::hall;
use super::common::audit::audit;
use super::common::other_clock::OtherClock;
use super::common::world::{event, lines};
use super::*;

/// Longer than a service leaves a lock alone that has failed, however often.
const RESTED: Duration = Duration::from_secs(61);

/// Counts what a service says about its lock.
#[derive(Debug, Default)]
struct Seen {
    granted: AtomicUsize,
    failed: AtomicUsize,
}

impl Observer for Seen {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Locked { granted, .. } => self.granted.fetch_add(*granted, Ordering::SeqCst),
            Observation::LockFailed { .. } => self.failed.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

impl Seen {
    fn granted(&self) -> usize {
        self.granted.load(Ordering::SeqCst)
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::SeqCst)
    }
}

/// Both commit, with the lock or without.
async fn hold_and_release(service: &BookingService, seat: &str) {
    let (event, customer) = (event(), CustomerId::new("ann").expect("a name"));
    let hold = Hold::new(service.new_reservation_id(), customer.clone(), lines(&[seat], &[]));
    let held = soon("an answer", service.hold(&event, service.new_operation_id(), hold)).await.expect("it is free");
    let released = service.release(&event, service.new_operation_id(), held.id, customer);
    let _ = soon("an answer", released).await.expect("it is held");
}

fn locks_taken(server: &RedisServer) -> u64 {
    server.calls().expect("calls").get("set").copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booking_goes_on_while_two_of_three_servers_are_down_and_locks_again_when_they_are_back() {
    let (servers, store, seen, runtime) =
        (servers(), MemoryRepository::new(), Arc::new(Seen::default()), OtherClock::current());
    hall(&store).await;
    let lock = Redlock::builder(runtime.clone()).nodes(servers.urls());
    let lock = lock.node_timeout(NO_TIMEOUT).connect_timeout(NO_TIMEOUT).build().expect("a lock");
    let service = BookingService::builder(Arc::new(store.clone()), runtime.clone())
        .lock(Arc::new(lock.clone()))
        .lock_policy(LockPolicy::Always(LockScope::Ticket))
        .observer(seen.clone())
        .build()
        .expect("a service");
    hold_and_release(&service, "A1").await;
    assert_eq!((seen.granted(), seen.failed()), (2, 0));

    servers[0].kill();
    servers[2].kill();
    hold_and_release(&service, "A1").await;
    assert!(seen.failed() > 0, "and it was told");
    let failed = seen.failed();
    hold_and_release(&service, "A2").await;
    assert_eq!((seen.granted(), seen.failed()), (2, failed), "the lock is left alone for a while");

    servers[0].restart().expect("it starts again");
    servers[2].restart().expect("it starts again");
    eventually("it locks again", async || {
        runtime.advance(RESTED);
        hold_and_release(&service, "A3").await;
        seen.granted() > 2
    })
    .await;
    // From now on each time, over all three.
    let (granted, failed) = (seen.granted(), seen.failed());
    hold_and_release(&service, "A4").await;
    assert_eq!((seen.granted(), seen.failed()), (granted + 2, failed));
    eventually("all take part", async || {
        hold_and_release(&service, "A4").await;
        locks_taken(&servers[0]) > 0 && locks_taken(&servers[2]) > 0
    })
    .await;
    service.shutdown(AT_MOST).await;
    assert_nothing_is_left(&lock, &servers).await;
    audit(&store);
}

/// Where the host would rather not sell than sell without the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booking_refuses_in_time_while_two_of_three_servers_are_down_if_the_host_chose_so() {
    let (servers, store, seen, runtime) =
        (servers(), MemoryRepository::new(), Arc::new(Seen::default()), TestRuntime::current());
    hall(&store).await;
    let lock = open(&servers);
    let service = BookingService::builder(Arc::new(store.clone()), runtime)
        .lock(Arc::new(lock.clone()))
        .lock_policy(LockPolicy::Always(LockScope::Ticket))
        .lock_outage(LockOutage::Wait)
        .contention(Contention::Wait(Duration::from_secs(1)))
        .observer(seen.clone())
        .build()
        .expect("a service");
    hold_and_release(&service, "A1").await;

    servers[0].kill();
    servers[2].kill();
    let (event, customer) = (event(), CustomerId::new("ann").expect("a name"));
    let hold = || Hold::new(service.new_reservation_id(), customer.clone(), lines(&["A1"], &[]));
    let refused = soon("a refusal", service.hold(&event, service.new_operation_id(), hold())).await;
    assert!(matches!(refused, Err(BookingError::Rejected(Rejection::DeadlinePassed))), "{refused:?}");
    assert!(seen.failed() > 0, "and it was told why");

    servers[0].restart().expect("it starts again");
    servers[2].restart().expect("it starts again");
    eventually("it sells again", async || {
        let sold = soon("an answer", service.hold(&event, service.new_operation_id(), hold())).await;
        sold.is_ok()
    })
    .await;
    service.shutdown(AT_MOST).await;
    assert_nothing_is_left(&lock, &servers).await;
    audit(&store);
}

/// Who does not want to work without the lock waits in a queue for it, and is refused when its deadline has come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_refuses_in_time_while_two_of_three_servers_are_down_and_locks_again_when_they_are_back() {
    let servers = servers();
    let lock = open(&servers);
    let queue = LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current()).ttl(LONG).build();
    let guard = soon("a guard", queue.acquire(&key("seat"), AT_MOST)).await.expect("it is free");
    assert_eq!(guard.release().await, Returned::Released(Released::Released));
    assert_eq!(queue.shutdown(AT_MOST).await, 0);

    servers[0].kill();
    servers[2].kill();
    let queue = LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current()).ttl(LONG).build();
    let refused = soon("a refusal", queue.acquire(&key("seat"), Duration::from_secs(1))).await;
    match refused {
        Err(AcquireError::Failed { source, .. }) => assert!(chain(&source).contains("no quorum"), "{}", chain(&source)),
        other => panic!("nobody can have it: {other:?}"),
    }

    servers[0].restart().expect("it starts again");
    servers[2].restart().expect("it starts again");
    let guard = soon("a guard", queue.acquire(&key("seat"), AT_MOST)).await.expect("it is free again");
    assert!(!guard.is_lost());
    assert_eq!(guard.release().await, Returned::Released(Released::Released));
    assert_eq!(queue.shutdown(AT_MOST).await, 0);
    assert_nothing_is_left(&lock, &servers).await;
}
