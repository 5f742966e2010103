//! Callers who go away, at every await.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;

/// When a call is dropped that was polled as often as it may be.
#[derive(Debug, Clone, Copy)]
enum Dropped {
    AtOnce,
    /// When there would be something new for it, an answer perhaps.
    WhenWoken,
}

/// The answer, if polling it so often is enough.
async fn polled<F: Future>(times: usize, dropped: Dropped, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    let mut left = times;
    let answer = poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Pending if left == 0 && matches!(dropped, Dropped::AtOnce) => Poll::Ready(None),
            polled => polled.map(Some),
        }
    });
    soon("an answer, or a reason to poll once more", answer).await
}

/// How often a call that is dropped after each number of polls is tried over again: what it meets is not always the same.
const TIMES: usize = 8;

/// Makes a call that is dropped after no poll, after one, two and so on, until it is answered before. Every call is
/// followed by what sets the scene for the next one. Then nothing may be left.
async fn after_each_number_of_polls(warm: bool, mut call: impl AsyncFnMut(&Redlock, usize, Dropped) -> bool) {
    let servers = servers();
    let mut lock = open(&servers);
    for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
        for _ in 0..TIMES {
            if !warm {
                assert_nothing_is_left(&lock, &servers).await;
                lock = open(&servers);
            }
            let mut times = 0;
            while !call(&lock, times, dropped).await {
                times += 1;
                assert!(times < 1_000, "it is never answered");
            }
        }
    }
    assert_nothing_is_left(&lock, &servers).await;
    use_it(&lock, "seat").await;
    assert_nothing_is_left(&lock, &servers).await;
}

async fn acquiring_all(lock: &Redlock, times: usize, dropped: Dropped) -> bool {
    let wanted = [key("a"), key("b"), key("c")];
    match polled(times, dropped, lock.acquire_all(&wanted, LONG)).await {
        None => false,
        Some(Ok(Attempt::Granted(leases))) => {
            lock.release(leases).await.expect("an answer");
            true
        }
        // The one that was dropped before is not given back yet.
        Some(Ok(Attempt::Contended { .. })) => {
            assert!(lock.shutdown(AT_MOST).await);
            true
        }
        Some(other) => panic!("{other:?}"),
    }
}

async fn acquiring_each(lock: &Redlock, times: usize, dropped: Dropped) -> bool {
    let wanted = [key("a"), key("b"), key("c")];
    let Some(answer) = polled(times, dropped, lock.acquire_each(&wanted, LONG)).await else { return false };
    let leases = answer.expect("an answer").into_iter().filter_map(|attempt| match attempt {
        Attempt::Granted(lease) => Some(lease),
        _ => None,
    });
    lock.release(leases.collect()).await.expect("an answer");
    assert!(lock.shutdown(AT_MOST).await);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acquiring_all_keys_leaves_none_wherever_it_is_dropped() {
    after_each_number_of_polls(true, acquiring_all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acquiring_all_keys_leaves_none_wherever_it_is_dropped_while_it_connects() {
    after_each_number_of_polls(false, acquiring_all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acquiring_each_key_leaves_none_wherever_it_is_dropped() {
    after_each_number_of_polls(true, acquiring_each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acquiring_each_key_leaves_none_wherever_it_is_dropped_while_it_connects() {
    after_each_number_of_polls(false, acquiring_each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_whose_extension_was_dropped_is_released_everywhere() {
    after_each_number_of_polls(true, async |lock, times, dropped| {
        let mut lease = granted(lock, "seat").await;
        let extended = polled(times, dropped, lock.extend(std::slice::from_mut(&mut lease), LONG)).await;
        assert_eq!(release(lock, lease).await, Released::Released);
        extended.is_some_and(|it| it.expect("an answer") == [Extended::Extended])
    })
    .await;
}

/// An extension gives a node back what it has forgotten, in a round of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_whose_extension_was_dropped_while_it_healed_is_released_everywhere() {
    let servers = servers();
    let lock = open(&servers);
    for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
        for times in 0.. {
            let mut lease = granted(&lock, "seat").await;
            assert!(lock.shutdown(AT_MOST).await);
            assert_eq!(send(&servers[1], "DEL redlock:seat"), "1");
            let extended = polled(times, dropped, lock.extend(std::slice::from_mut(&mut lease), LONG)).await;
            assert_eq!(release(&lock, lease).await, Released::Released);
            assert_nothing_is_left(&lock, &servers).await;
            if extended.is_some() {
                break;
            }
        }
    }
}

/// One that was never polled was never begun; who begins one has released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releasing_leaves_no_key_wherever_it_is_dropped() {
    after_each_number_of_polls(true, async |lock, times, dropped| {
        let lease = granted(lock, "seat").await;
        let released = polled(times + 1, dropped, lock.release(vec![lease])).await;
        // The next one may take the key.
        assert!(lock.shutdown(AT_MOST).await);
        released.is_some_and(|it| it.expect("an answer") == [Released::Released])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_are_dropped_at_the_same_time_leave_no_key() {
    let servers = servers();
    let lock = open(&servers);
    for times in 1..6 {
        let calls = (0..100).map(async |number| {
            let wanted = [key(&format!("a{number}")), key(&format!("b{number}"))];
            let answer = polled(times, Dropped::AtOnce, lock.acquire_all(&wanted, LONG)).await;
            if let Some(Ok(Attempt::Granted(leases))) = answer {
                polled(times, Dropped::AtOnce, lock.release(leases)).await;
            }
        });
        futures_util::future::join_all(calls).await;
        assert_nothing_is_left(&lock, &servers).await;
    }
}
