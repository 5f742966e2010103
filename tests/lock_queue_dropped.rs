//! Futures dropped after every number of polls, on a lock that forgets no call that was dropped: nothing stays held, and
//! nobody who waits is forgotten.

mod common;

use std::future::Future;
use std::sync::Arc;

use common::far_lock::{FarLock, key};
use common::sim::{Sim, simulate};
use common::world::{millis, seconds};
use futures_util::future::{Either, poll_fn, select};
use std::pin::pin;
use std::task::Poll;
use ticket_reservation::locking::LockQueue;
use ticket_reservation::ports::{Attempt, BoxFuture};

/// Polls `work` so many times, whenever it is woken, and drops it. Whether it had ended before.
async fn polled(times: usize, work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        let ended = work.as_mut().poll(context).is_ready();
        if ended || left == 0 { Poll::Ready(ended) } else { Poll::Pending }
    })
    .await
}

type Story = fn(Sim, Arc<FarLock>, LockQueue) -> BoxFuture<'static, ()>;

/// Runs a story, dropped after every number of polls, alone and with others in the line before and after. Afterwards
/// the others have had their turn, and nobody holds anything.
fn dropped_everywhere(story: Story, foreign: bool) {
    for others in [0, 1, 3] {
        let mut ended = false;
        let mut times = 0;
        while !ended {
            times += 1;
            assert!(times < 200, "the story does not end");
            simulate(async |sim| {
                let lock = FarLock::new(&sim);
                lock.way(millis(2));
                let queue = lock.queue().build();
                let held = foreign.then(|| lock.take_as_foreigner(&key("gala"), seconds(60)).unwrap());
                let caller = |sim: Sim, queue: LockQueue| async move {
                    let guard = queue.acquire(&key("gala"), seconds(30)).await.unwrap();
                    sim.sleep_for(millis(3)).await;
                    drop(guard);
                };
                let after = sim.start({
                    let (runtime, queue) = (sim.clone(), queue.clone());
                    async move {
                        runtime.sleep_for(millis(1)).await;
                        let started: Vec<_> =
                            (0..others).map(|_| runtime.start(caller(runtime.clone(), queue.clone()))).collect();
                        for other in started {
                            other.answer().await;
                        }
                    }
                });
                if let Some(held) = held {
                    let (runtime, lock) = (sim.clone(), lock.clone());
                    drop(sim.start(async move {
                        runtime.sleep_for(millis(20)).await;
                        lock.give_back(held);
                    }));
                }
                ended = polled(times, story(sim.clone(), lock.clone(), queue.clone())).await;
                after.answer().await;
                sim.sleep_for(millis(50)).await;
                assert!(lock.is_free(&key("gala")), "held after {times} polls, {others} others");
                assert_eq!(queue.shutdown(seconds(0)).await, 0, "after {times} polls, {others} others: {queue:?}");
                assert_eq!(sim.panics(), 0);
            });
        }
        assert!(times > 2, "nothing was dropped on the way");
    }
}

#[test]
fn acquire_and_release_leave_nothing_behind() {
    let story: Story = |sim, _, queue| {
        Box::pin(async move {
            let guard = queue.acquire(&key("gala"), seconds(30)).await.unwrap();
            sim.sleep_for(millis(1)).await;
            let _ = guard.release().await;
        })
    };
    dropped_everywhere(story, false);
    dropped_everywhere(story, true);
}

#[test]
fn trying_leaves_nothing_behind() {
    let story: Story = |sim, _, queue| {
        Box::pin(async move {
            if let Ok(Attempt::Granted(guard)) = queue.try_acquire(&key("gala")).await {
                sim.sleep_for(millis(1)).await;
                let _ = guard.release().await;
            }
        })
    };
    dropped_everywhere(story, false);
    dropped_everywhere(story, true);
}

#[test]
fn losing_patience_leaves_nothing_behind() {
    for wait in 0..40 {
        simulate(async |sim| {
            let lock = FarLock::new(&sim);
            lock.way(millis(2));
            let queue = lock.queue().build();
            let held = lock.take_as_foreigner(&key("gala"), seconds(60)).unwrap();
            let impatient: Vec<_> = (0..4)
                .map(|more| {
                    let queue = queue.clone();
                    sim.start(async move { queue.acquire(&key("gala"), millis(wait + more)).await.map(drop) })
                })
                .collect();
            sim.sleep_for(millis(15)).await;
            lock.give_back(held);
            for caller in impatient {
                let _ = caller.answer().await;
            }
            sim.sleep_for(millis(50)).await;
            assert!(lock.is_free(&key("gala")), "after {wait} ms");
            assert_eq!(queue.shutdown(seconds(0)).await, 0);
        });
    }
}

#[test]
fn listening_for_a_loss_can_be_dropped_at_any_time() {
    simulate(async |sim| {
        let queue = FarLock::new(&sim).queue().build();
        let guard = queue.acquire(&key("gala"), seconds(1)).await.unwrap();
        for _ in 0..1_000 {
            let Either::Right(_) = select(pin!(guard.lost()), pin!(sim.step())).await else { panic!("not lost") };
        }
        drop(guard);
        sim.sleep_all().await;
        assert_eq!(sim.tasks(), 0);
    });
}

#[test]
fn a_guard_on_its_way_to_somebody_who_has_gone_is_handed_on() {
    simulate(async |sim| {
        let lock = FarLock::new(&sim);
        let queue = lock.queue().build();
        let first = queue.acquire(&key("gala"), seconds(1)).await.unwrap();
        let mut gone = {
            let queue = queue.clone();
            Box::pin(async move { queue.acquire(&key("gala"), seconds(1)).await })
        };
        assert!(common::sim::poll_once(&mut gone).await.is_pending());
        let next = sim.start({
            let queue = queue.clone();
            async move { queue.acquire(&key("gala"), seconds(1)).await }
        });
        sim.idle().await;
        drop(first);
        drop(gone);
        assert!(next.answer().await.is_ok());
        assert_eq!(lock.calls().0, 1);
    });
}
