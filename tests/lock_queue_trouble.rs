//! What goes wrong: leases that end under their holder, a lock's store that fails or hangs, holders that hang, and the end.

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use common::doubles::{Recorder, Seen};
use common::far_lock::{FarLock, Going, key};
use common::sim::{Sim, Started, poll_once, simulate};
use common::world::{millis, seconds};
use ticket_reservation::locking::{AcquireError, LockGuard, LockQueue, LockQueueBuilder, Returned};
use ticket_reservation::ports::{Clock, Released, Runtime};

const TTL: Duration = Duration::from_secs(3);

struct Scene {
    sim: Sim,
    lock: Arc<FarLock>,
    seen: Arc<Recorder>,
    queue: LockQueue,
}

impl Scene {
    fn new(sim: &Sim, configure: fn(LockQueueBuilder) -> LockQueueBuilder) -> Self {
        let (lock, seen) = (FarLock::new(sim), Arc::<Recorder>::default());
        let queue = configure(lock.queue().ttl(TTL).observer(seen.clone())).build();
        Self { sim: sim.clone(), lock, seen, queue }
    }

    async fn take(&self) -> LockGuard {
        self.queue.acquire(&key("gala"), seconds(1)).await.unwrap()
    }

    fn start(&self, wait: Duration) -> Started<Result<LockGuard, AcquireError>> {
        let queue = self.queue.clone();
        self.sim.start(async move { queue.acquire(&key("gala"), wait).await })
    }

    fn losses(&self) -> usize {
        self.seen.seen().iter().filter(|seen| matches!(seen, Seen::LeaseLost(lost) if lost == "gala")).count()
    }
}

fn default(builder: LockQueueBuilder) -> LockQueueBuilder {
    builder
}

#[test]
fn a_lease_that_is_held_is_extended_at_a_third_of_its_ttl() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let guard = scene.take().await;
        let deadline = guard.deadline();
        sim.sleep_for(millis(999)).await;
        assert_eq!((scene.lock.calls().1, guard.deadline()), (0, deadline));
        sim.sleep_for(millis(2)).await;
        assert_eq!((scene.lock.calls().1, guard.deadline()), (1, deadline + seconds(1)));
        sim.sleep_for(seconds(20)).await;
        assert!(!guard.is_lost());
        assert_eq!(guard.release().await, Returned::Released(Released::Released));
        assert_eq!(scene.losses(), 0);
    });
}

#[test]
fn leases_that_are_due_together_are_extended_in_one_call_each_time() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let mut guards = Vec::new();
        for number in 0..100 {
            guards.push(scene.queue.acquire(&key(&format!("seat-{number}")), seconds(1)).await.unwrap());
            sim.sleep_for(millis(1)).await;
        }
        sim.sleep_for(seconds(20)).await;
        assert!(guards.iter().all(|guard| !guard.is_lost()));
        let calls = scene.lock.calls().1;
        assert!((20..=45).contains(&calls), "{calls} calls for 100 leases in 20 s");
    });
}

#[test]
fn what_is_extended_is_handed_on_too() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.tenure_max(seconds(3_600)).quiet_windows(false));
        let guard = scene.take().await;
        let next = scene.start(seconds(60));
        sim.sleep_for(seconds(10)).await;
        drop(guard);
        let next = next.answer().await.unwrap();
        sim.sleep_for(seconds(10)).await;
        assert!(!next.is_lost());
        assert_eq!(scene.lock.calls().0, 1);
    });
}

#[test]
fn a_holder_that_hangs_loses_its_lease_after_the_cap_and_the_next_one_here_gets_a_new_one() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.keep_alive_max(seconds(5)));
        let hangs = scene.take().await;
        let next = scene.start(seconds(60));
        sim.sleep_for(millis(6_900)).await;
        assert!(!hangs.is_lost(), "the cap is followed by what is left of the TTL");
        let guard = next.answer().await.unwrap();
        assert!(sim.elapsed() < millis(8_200), "{:?}", sim.elapsed());
        assert!(hangs.is_lost() && !guard.is_lost());
        assert_eq!((scene.lock.calls().0, scene.losses()), (2, 1));
        assert_eq!(hangs.release().await, Returned::Released(Released::NotOwner));
        assert!(!guard.is_lost(), "the late release touches nothing");
        assert_eq!(guard.release().await, Returned::Released(Released::Released));
        assert_eq!(scene.queue.shutdown(seconds(0)).await, 0);
    });
}

#[test]
fn the_cap_counts_from_when_each_holder_was_given_the_lease() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| {
            builder.keep_alive_max(seconds(5)).tenure_max(seconds(3_600)).quiet_windows(false)
        });
        let first = scene.take().await;
        let next = scene.start(seconds(60));
        sim.sleep_for(seconds(4)).await;
        drop(first);
        let next = next.answer().await.unwrap();
        sim.sleep_for(seconds(6)).await;
        assert!(!next.is_lost());
        next.lost().await;
        assert!(sim.elapsed() <= seconds(12), "{:?}", sim.elapsed());
    });
}

#[test]
fn without_keep_alive_a_lease_ends_with_its_ttl_and_says_so() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.keep_alive(false));
        let guard = scene.take().await;
        sim.sleep(TTL - millis(1)).await;
        assert!(!guard.is_lost());
        guard.lost().await;
        assert_eq!(sim.elapsed(), TTL);
        assert!(guard.is_lost());
        sim.idle().await;
        assert_eq!((scene.lock.calls().1, scene.losses()), (0, 1));
        assert_eq!(guard.release().await, Returned::Released(Released::Expired));
    });
}

#[test]
fn without_keep_alive_nobody_is_handed_less_than_half_of_the_ttl() {
    simulate(async |sim| {
        let scene =
            Scene::new(&sim, |builder| builder.keep_alive(false).tenure_max(seconds(3_600)).quiet_windows(false));
        let first = scene.take().await;
        let (second, third) = (scene.start(seconds(60)), scene.start(seconds(60)));
        sim.sleep_for(TTL / 2 - millis(1)).await;
        assert_eq!(first.release().await, Returned::HandedOn);
        let second = second.answer().await.unwrap();
        sim.sleep_for(millis(2)).await;
        assert_eq!(second.release().await, Returned::Released(Released::Released));
        let third = third.answer().await.unwrap();
        assert!(third.deadline() >= sim.now() + TTL - millis(1));
        assert_eq!(scene.lock.calls().0, 2);
    });
}

#[test]
fn a_lease_that_was_taken_away_is_known_to_be_lost_by_the_next_extension() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let guard = scene.take().await;
        let next = scene.start(seconds(60));
        scene.lock.extending(Going::Loses);
        let lost = pin!(guard.lost());
        lost.await;
        assert_eq!(sim.elapsed(), seconds(1));
        assert!(guard.is_lost());
        assert_eq!(scene.losses(), 1);
        scene.lock.extending(Going::Well);
        sim.sleep_for(seconds(3)).await;
        assert!(guard.is_lost(), "once lost, lost for ever");
        assert!(next.answer().await.is_ok());
    });
}

#[test]
fn an_extension_that_comes_with_the_deadline_comes_too_late() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let guard = scene.take().await;
        scene.lock.extending(Going::Hangs);
        sim.sleep_for(seconds(2)).await;
        scene.lock.extending(Going::Well);
        scene.lock.way(millis(350));
        sim.sleep_for(seconds(2)).await;
        assert_eq!(scene.lock.calls().1, 2, "the second was granted, and answered after 3 s");
        assert!(guard.is_lost());
        scene.lock.way(millis(0));
        assert_eq!((guard.release().await, scene.losses()), (Returned::Released(Released::Released), 1));
    });
}

#[test]
fn an_extension_that_a_release_has_overtaken_is_no_loss() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.tenure_max(seconds(3_600)).quiet_windows(false));
        let guard = scene.take().await;
        scene.lock.way(millis(100));
        sim.sleep_for(millis(1_010)).await;
        scene.lock.way(millis(0));
        assert_eq!((scene.lock.calls().1, guard.release().await), (1, Returned::Released(Released::Released)));
        let second = scene.take().await;
        let third = scene.start(seconds(60));
        sim.sleep_for(millis(500)).await;
        assert_eq!((scene.losses(), second.is_lost()), (0, false));
        assert_eq!(second.release().await, Returned::HandedOn);
        assert!(third.answer().await.is_ok());
        assert_eq!(scene.lock.calls().0, 2);
    });
}

#[test]
fn a_guard_lost_and_given_back_late_takes_nothing_from_the_next_holder() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.keep_alive_max(seconds(1)));
        let lost = scene.take().await;
        let second = scene.start(seconds(60));
        lost.lost().await;
        let second = second.answer().await.unwrap();
        let third = scene.start(seconds(60));
        sim.idle().await;
        assert_eq!(lost.release().await, Returned::Released(Released::NotOwner));
        sim.sleep_for(millis(20)).await;
        assert_eq!(second.release().await, Returned::HandedOn);
        assert!(third.answer().await.is_ok());
        assert_eq!(scene.lock.calls().0, 2);
    });
}

#[test]
fn a_lease_that_cannot_be_extended_ends_with_its_ttl() {
    for going in [Going::Fails, Going::Hangs] {
        simulate(async |sim| {
            let scene = Scene::new(&sim, default);
            scene.lock.extending(going);
            let guard = scene.take().await;
            let next = scene.start(seconds(60));
            guard.lost().await;
            assert_eq!(sim.elapsed(), TTL);
            sim.sleep_for(millis(10)).await;
            assert_eq!(scene.losses(), 1);
            let calls = scene.lock.calls().1;
            assert!((2..=8).contains(&calls), "{calls} calls to extend");
            scene.lock.extending(Going::Well);
            let next = next.answer().await.unwrap();
            sim.sleep_for(TTL * 3).await;
            assert!(!next.is_lost());
        });
    }
}

#[test]
fn a_store_that_recovers_in_time_loses_nothing() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.extending(Going::Fails);
        let guard = scene.take().await;
        sim.sleep_for(TTL - millis(400)).await;
        scene.lock.extending(Going::Well);
        sim.sleep_for(TTL).await;
        assert!(!guard.is_lost());
        assert_eq!(scene.losses(), 0);
    });
}

#[test]
fn a_lease_with_little_left_is_not_handed_on() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, |builder| builder.tenure_max(seconds(3_600)).quiet_windows(false));
        scene.lock.extending(Going::Fails);
        let guard = scene.take().await;
        let next = scene.start(seconds(60));
        sim.sleep_for(TTL * 2 / 3 + millis(1)).await;
        assert_eq!(guard.release().await, Returned::Released(Released::Released));
        let next = next.answer().await.unwrap();
        assert!(next.deadline() >= sim.now() + TTL - millis(1));
    });
}

#[test]
fn a_process_that_was_stopped_knows_at_once_that_its_lease_has_ended() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.extending(Going::Hangs);
        let guard = scene.take().await;
        // No task of the queue runs between these lines, as none runs in a process that was stopped.
        let mut stopped = Box::pin(sim.sleep(TTL));
        assert!(poll_once(&mut stopped).await.is_pending());
        stopped.await;
        assert!(guard.is_lost());
        assert!(poll_once(&mut pin!(guard.lost())).await.is_ready());
    });
}

#[test]
fn a_store_that_fails_is_asked_again_until_the_deadline_and_then_reported() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.acquiring(Going::Fails);
        let (first, second) = (scene.start(millis(300)), scene.start(millis(500)));
        for (caller, wait) in [(first, 300), (second, 500)] {
            match caller.answer().await {
                Err(AcquireError::Failed { waited, .. }) => assert_eq!(waited, millis(wait)),
                other => panic!("{other:?}"),
            }
        }
        let calls = scene.lock.calls().0;
        assert!((4..=10).contains(&calls), "{calls} calls");
        let failed = scene.seen.seen().iter().filter(|seen| matches!(seen, Seen::LockFailed)).count();
        assert_eq!(failed, calls);
        let third = scene.start(seconds(5));
        sim.sleep_for(millis(100)).await;
        scene.lock.acquiring(Going::Well);
        assert!(third.answer().await.is_ok());
        assert!(sim.elapsed() < millis(1_200), "{:?}", sim.elapsed());
    });
}

#[test]
fn a_store_that_hangs_keeps_nobody_past_the_deadline() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.acquiring(Going::Hangs);
        let (first, second, patient) = (scene.start(millis(300)), scene.start(millis(500)), scene.start(seconds(20)));
        assert!(matches!(first.answer().await, Err(AcquireError::TimedOut { .. })));
        assert_eq!(sim.elapsed(), millis(300));
        assert!(matches!(second.answer().await, Err(AcquireError::TimedOut { .. })));
        assert_eq!(sim.elapsed(), millis(500));
        scene.lock.acquiring(Going::Well);
        assert!(patient.answer().await.is_ok(), "a call that hangs is given up after the TTL");
        assert!(sim.elapsed() < TTL * 2 + millis(100), "{:?}", sim.elapsed());
    });
}

#[test]
fn a_release_that_fails_or_hangs_keeps_nobody_longer_than_the_lease() {
    for (going, until) in [(Going::Fails, TTL), (Going::Hangs, TTL)] {
        simulate(async |sim| {
            let scene = Scene::new(&sim, default);
            let guard = scene.take().await;
            scene.lock.releasing(going);
            assert_eq!(guard.release().await, Returned::Released(Released::Unknown));
            let next = scene.start(seconds(20)).answer().await;
            assert!(next.is_ok());
            assert!(sim.elapsed() <= until + millis(20), "{going:?}: {:?}", sim.elapsed());
        });
    }
}

#[test]
fn an_adapter_that_panics_leaves_nobody_waiting_for_ever() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let foreign = scene.lock.take_as_foreigner(&key("gala"), seconds(60)).unwrap();
        let (first, second) = (scene.start(seconds(20)), scene.start(seconds(20)));
        sim.sleep_for(millis(10)).await;
        scene.lock.acquiring(Going::Panics);
        for caller in [first, second] {
            assert!(matches!(caller.answer().await, Err(AcquireError::Failed { .. })));
        }
        scene.lock.acquiring(Going::Well);
        scene.lock.give_back(foreign);
        assert!(scene.start(seconds(1)).answer().await.is_ok());
    });
}

#[test]
fn a_keeper_that_panicked_is_replaced() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.extending(Going::Panics);
        let lost = scene.take().await;
        lost.lost().await;
        drop(lost);
        scene.lock.extending(Going::Well);
        let guard = scene.take().await;
        sim.sleep_for(TTL * 3).await;
        assert!(!guard.is_lost());
    });
}

#[test]
fn shutting_down_answers_who_waits_and_waits_for_what_is_on_its_way_back() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.way(millis(10));
        let guard = scene.take().await;
        let waiting = scene.start(seconds(60));
        sim.idle().await;
        let queue = scene.queue.clone();
        let mut down = sim.start(async move { queue.shutdown(seconds(1)).await });
        assert!(matches!(waiting.answer().await, Err(AcquireError::ShutDown)));
        assert!(matches!(scene.start(seconds(1)).answer().await, Err(AcquireError::ShutDown)));
        assert!(scene.queue.try_acquire(&key("gala")).await.is_err());
        sim.sleep_for(millis(30)).await;
        assert!(down.is_waiting(), "a guard is out");
        drop(guard);
        let begun = sim.elapsed();
        assert_eq!(down.answer().await, 0);
        assert_eq!(sim.elapsed() - begun, millis(20));
        assert!(scene.lock.is_free(&key("gala")));
    });
}

#[test]
fn shutting_down_waits_no_longer_than_its_deadline() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        let _guard = scene.take().await;
        assert_eq!(scene.queue.shutdown(millis(40)).await, 1);
        assert_eq!(sim.elapsed(), millis(40));
    });
}

#[test]
fn shutting_down_waits_for_who_is_asking_already() {
    simulate(async |sim| {
        let scene = Scene::new(&sim, default);
        scene.lock.way(millis(10));
        let queue = scene.queue.clone();
        let asking = sim.start(async move { queue.acquire(&key("gala"), seconds(60)).await.map(drop) });
        sim.sleep_for(millis(15)).await;
        assert_eq!(scene.queue.shutdown(seconds(1)).await, 0);
        assert_eq!(sim.elapsed(), millis(40));
        assert!(asking.answer().await.is_ok());
        assert!(scene.lock.is_free(&key("gala")));
    });
}
