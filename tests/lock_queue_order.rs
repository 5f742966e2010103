//! Callers of one process take their turns on a key: in order of arrival, from hand to hand, and not for ever.

mod common;

use std::sync::{Arc, Mutex};

use common::far_lock::{FarLock, Going, key};
use common::sim::{Sim, Started, poll_once, simulate};
use common::world::{millis, seconds};
use ticket_reservation::locking::{AcquireError, LockGuard, LockQueue, Returned};
use ticket_reservation::ports::{Attempt, BoxFuture, Released};

type Acquired = Result<LockGuard, AcquireError>;

fn acquire(queue: &LockQueue, wait_ms: u64) -> BoxFuture<'static, Acquired> {
    let queue = queue.clone();
    Box::pin(async move { queue.acquire(&key("gala"), millis(wait_ms)).await })
}

/// So many callers that hold the lock for a millisecond each, and note when they had it.
fn callers(sim: &Sim, queue: &LockQueue, ids: std::ops::Range<u32>, turns: &Arc<Mutex<Vec<u32>>>) -> Vec<Started<()>> {
    let start = |id| {
        let (runtime, queue, turns) = (sim.clone(), queue.clone(), turns.clone());
        sim.start(async move {
            let guard = acquire(&queue, 60_000).await.unwrap();
            turns.lock().unwrap().push(id);
            runtime.sleep_for(millis(1)).await;
            let _ = guard.release().await;
        })
    };
    ids.map(start).collect()
}

#[test]
fn callers_get_their_turns_in_order_of_arrival() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        lock.way(millis(3));
        let queue = lock.queue().build();
        let turns: Arc<Mutex<Vec<u32>>> = Arc::default();
        let mut all = Vec::new();
        for ten in 0..20 {
            all.extend(callers(&sim, &queue, ten * 10..ten * 10 + 10, &turns));
            sim.sleep_for(millis(5)).await;
        }
        for caller in all {
            caller.answer().await;
        }
        assert_eq!(*turns.lock().unwrap(), (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn who_asked_in_vain_is_before_all_who_came_meanwhile() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        lock.way(millis(3));
        let queue = lock.queue().build();
        let foreign = lock.take_as_foreigner(&key("gala"), seconds(60)).unwrap();
        let turns: Arc<Mutex<Vec<u32>>> = Arc::default();
        let all = callers(&sim, &queue, 0..5, &turns);
        sim.sleep_for(millis(20)).await;
        assert!(turns.lock().unwrap().is_empty());
        lock.give_back(foreign);
        for caller in all {
            caller.answer().await;
        }
        assert_eq!(*turns.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_lease_goes_from_hand_to_hand_without_a_call_to_the_lock() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().build();
        let first = acquire(&queue, 0).await.unwrap();
        let mut rest: Vec<_> = (0..1_000).map(|_| sim.start(acquire(&queue, 1_000))).collect();
        sim.idle().await;
        assert_eq!(first.release().await, Returned::HandedOn);
        for (number, next) in rest.drain(..).enumerate() {
            let guard = next.answer().await.unwrap();
            if number % 2 == 0 {
                drop(guard);
            } else {
                let last = number == 999;
                let returned = if last { Returned::Released(Released::Released) } else { Returned::HandedOn };
                assert_eq!(guard.release().await, returned);
            }
        }
        assert_eq!(lock.calls(), (1, 0, 1));
        assert!(lock.is_free(&key("gala")));
    });
}

#[test]
fn keys_do_not_wait_for_each_other() {
    simulate(async |sim| {
        let queue = FarLock::new(&sim).queue().build();
        let gala = acquire(&queue, 0).await.unwrap();
        let other = queue.acquire(&key("other"), millis(0)).await.unwrap();
        assert_eq!((gala.key(), other.key()), (&key("gala"), &key("other")));
    });
}

#[test]
fn an_uncontended_caller_needs_two_calls_and_no_task() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        lock.way(millis(1));
        let queue = lock.queue().build();
        acquire(&queue, 100).await.unwrap().release().await;
        let keeper = sim.tasks();
        for _ in 0..100 {
            acquire(&queue, 100).await.unwrap().release().await;
        }
        assert_eq!((lock.calls(), sim.tasks()), ((101, 0, 101), keeper));
        sim.sleep_all().await;
        assert_eq!(sim.tasks(), 0);
    });
}

#[test]
fn who_waits_too_long_is_told_after_how_long_and_leaves_the_line() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().build();
        let guard = acquire(&queue, 0).await.unwrap();
        let impatient = sim.start(acquire(&queue, 7));
        let patient = sim.start(acquire(&queue, 1_000));
        match impatient.answer().await {
            Err(AcquireError::TimedOut { waited }) => assert_eq!(waited, millis(7)),
            other => panic!("{other:?}"),
        }
        assert_eq!(sim.elapsed(), millis(7));
        drop(guard);
        assert!(patient.answer().await.is_ok());
    });
}

#[test]
fn ten_thousand_who_gave_up_are_forgotten() {
    simulate(async |sim| {
        let queue = FarLock::new(&sim).queue().waiters_max(10_000).build();
        let guard = acquire(&queue, 0).await.unwrap();
        let given_up: Vec<_> = (0..10_000).map(|number| sim.start(acquire(&queue, 1 + number % 50))).collect();
        sim.idle().await;
        assert!(format!("{queue:?}").contains("waiting: 10000"), "{queue:?}");
        for caller in given_up {
            assert!(matches!(caller.answer().await, Err(AcquireError::TimedOut { .. })));
        }
        assert!(format!("{queue:?}").contains("waiting: 0"), "{queue:?}");
        let next = sim.start(acquire(&queue, 50));
        sim.idle().await;
        drop(guard);
        assert!(next.answer().await.is_ok());
    });
}

#[test]
fn a_full_queue_refuses_at_once_and_only_for_its_key() {
    simulate(async |sim| {
        let queue = FarLock::new(&sim).queue().waiters_max(2).build();
        let guard = acquire(&queue, 0).await.unwrap();
        let waiting: Vec<_> = (0..2).map(|_| sim.start(acquire(&queue, 1_000))).collect();
        sim.idle().await;
        let refused = acquire(&queue, 1_000).await;
        assert!(matches!(refused, Err(AcquireError::QueueFull { waiting: 2 })), "{refused:?}");
        assert!(queue.acquire(&key("other"), millis(0)).await.is_ok());
        assert_eq!(sim.elapsed(), millis(0));
        drop(guard);
        for caller in waiting {
            drop(caller.answer().await.unwrap());
        }
    });
}

#[test]
fn trying_waits_for_nobody() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().ttl(seconds(2)).build();
        let Attempt::Granted(guard) = queue.try_acquire(&key("gala")).await.unwrap() else { panic!() };
        sim.sleep_for(millis(500)).await;
        match queue.try_acquire(&key("gala")).await.unwrap() {
            Attempt::Contended { retry_after } => assert_eq!(retry_after, millis(1_500)),
            _ => panic!(),
        }
        assert_eq!(lock.calls().0, 1, "what is held here needs no call");
        assert_eq!(guard.release().await, Returned::Released(Released::Released));
        let _foreign = lock.take_as_foreigner(&key("gala"), seconds(9)).unwrap();
        match queue.try_acquire(&key("gala")).await.unwrap() {
            Attempt::Contended { retry_after } => assert_eq!(retry_after, seconds(9)),
            _ => panic!(),
        }
        lock.acquiring(Going::Fails);
        assert!(matches!(queue.try_acquire(&key("gala")).await, Err(AcquireError::Failed { .. })));
        assert_eq!(queue.shutdown(seconds(0)).await, 0);
    });
}

#[test]
fn who_came_while_another_tried_in_vain_is_not_forgotten() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        lock.way(millis(5));
        let queue = lock.queue().build();
        let foreign = lock.take_as_foreigner(&key("gala"), seconds(60)).unwrap();
        let tried = sim.start({
            let queue = queue.clone();
            async move { queue.try_acquire(&key("gala")).await }
        });
        sim.idle().await;
        let waiting = sim.start(acquire(&queue, 1_000));
        assert!(matches!(tried.answer().await, Ok(Attempt::Contended { .. })));
        lock.give_back(foreign);
        assert!(waiting.answer().await.is_ok());
    });
}

#[test]
fn a_queue_holds_on_to_nothing_when_nobody_wants_anything() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().build();
        let mut guards = Vec::new();
        for number in 0..2_000 {
            guards.push(queue.acquire(&key(&format!("seat-{number}")), millis(0)).await.unwrap());
        }
        assert!(format!("{queue:?}").contains("keys: 2000"), "{queue:?}");
        drop(guards);
        sim.idle().await;
        assert!(format!("{queue:?}").contains("keys: 0"), "{queue:?}");
        sim.sleep_all().await;
        assert_eq!(sim.tasks(), 0);
    });
}

#[test]
fn a_future_that_was_never_polled_takes_nothing() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().build();
        let mut second = acquire(&queue, 0);
        drop(acquire(&queue, 0));
        assert_eq!(lock.calls().0, 0);
        assert!(poll_once(&mut second).await.is_ready());
    });
}

#[test]
fn debug_shows_no_secret() {
    simulate(async |sim| {
        let queue = FarLock::new(&sim).queue().build();
        let guard = acquire(&queue, 0).await.unwrap();
        let shown = format!("{queue:?} {guard:?}");
        assert!(shown.contains("gala") && !shown.contains("oken"), "{shown}");
    });
}
