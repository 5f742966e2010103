//! Many keys, and many who want the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::job::try_to_take;
use super::{LONG, LockBench, SHORT, SLACK, keys, take, take_one};
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::side_by_side::side_by_side;
use crate::ports::{Attempt, BoxFuture, Extended, Lock, Released, Runtime};

pub(super) async fn many_keys_are_taken_at_once(bench: &LockBench) -> Checked {
    let texts: Vec<String> = (0..500).map(|n| format!("event/seat {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut leases = take(&*bench.here, &texts, LONG).await?;
    let attempts = bench.there.acquire_each(&keys(&texts), LONG).await?;
    ensure!(attempts.iter().all(|it| matches!(it, Attempt::Contended { .. })), "some of many keys are granted twice");
    let extended = bench.here.extend(&mut leases, LONG).await?;
    ensure_eq!(extended, vec![bench.extended(Extended::Extended); texts.len()], "what became of the extensions");
    let released = bench.here.release(leases).await?;
    ensure_eq!(released, vec![Released::Released; texts.len()], "what became of the releases");
    Ok(())
}

/// Neither who asks for little nor who asks for much is told its own TTL.
pub(super) async fn who_is_refused_learns_how_long_the_holder_may_keep_the_key(bench: &LockBench) -> Checked {
    bench.needs(LockCapability::RemainingTime)?;
    const BETWEEN: Duration = Duration::from_secs(20);
    let lease = take_one(&*bench.here, "seat", BETWEEN).await?;
    for ttl in [SHORT, LONG] {
        let told = match bench.there.acquire_all(&keys(&["seat"]), ttl).await? {
            Attempt::Contended { retry_after } => retry_after,
            other => return Err(Failure::new(format!("a key that is held is granted: {other:?}"))),
        };
        let each = match &bench.there.acquire_each(&keys(&["seat"]), ttl).await?[..] {
            [Attempt::Contended { retry_after }] => *retry_after,
            other => return Err(Failure::new(format!("a key that is held: {other:?}"))),
        };
        for retry_after in [told, each] {
            ensure!(
                retry_after > SHORT && retry_after <= BETWEEN + SLACK,
                "who asks for {ttl:?} is told to come back in {retry_after:?}, and the holder has {BETWEEN:?}"
            );
        }
    }
    ensure_eq!(bench.here.release(vec![lease]).await?, vec![Released::Released], "the owner's release");
    Ok(())
}

/// One asks again and again for keys of which one is held; another one gets the others all the time.
pub(super) async fn who_does_not_get_all_keys_keeps_others_from_none(bench: &LockBench) -> Checked {
    bench.needs(LockCapability::KeysAtOnce)?;
    let lease = take_one(&*bench.here, "b", LONG).await?;
    let asks = Arc::new(AtomicBool::new(true));
    let (asking, taking) = (bench.open().await?, bench.open().await?);
    let (asks_on, pausing, runtime) = (Arc::clone(&asks), Arc::clone(&bench.runtime), Arc::clone(&bench.runtime));
    let ask: BoxFuture<'static, Checked> = Box::pin(async move {
        while asks_on.load(Ordering::Acquire) {
            let attempt = asking.acquire_all(&keys(&["c", "b", "a"]), LONG).await?;
            ensure!(matches!(attempt, Attempt::Contended { .. }), "all keys are granted, and b is held: {attempt:?}");
            pausing.sleep(Duration::from_micros(pausing.random() % 500)).await;
        }
        Ok(())
    });
    let take: BoxFuture<'static, Checked> = Box::pin(async move {
        let taken = take_in_turn(&*taking, &*runtime, ["a", "c"]).await;
        asks.store(false, Ordering::Release);
        taken
    });
    side_by_side(&bench.runtime, vec![ask, take]).await?;
    ensure_eq!(bench.here.release(vec![lease]).await?, vec![Released::Released], "the owner's release");
    Ok(())
}

/// Takes and gives back keys that nobody else can get.
async fn take_in_turn(lock: &dyn Lock, runtime: &dyn Runtime, texts: [&str; 2]) -> Checked {
    for text in texts.into_iter().cycle().take(50) {
        match lock.acquire_all(&keys(&[text]), LONG).await? {
            Attempt::Granted(leases) => drop(lock.release(leases).await?),
            _ => return Err(Failure::new(format!("{text} is refused to the only one who can get it"))),
        }
        runtime.sleep(Duration::from_micros(runtime.random() % 500)).await;
    }
    Ok(())
}

pub(super) async fn no_keys_are_no_work(bench: &LockBench) -> Checked {
    ensure_eq!(bench.here.acquire_all(&[], LONG).await?, Attempt::Granted(Vec::new()), "no keys, all granted");
    ensure_eq!(bench.here.acquire_each(&[], LONG).await?, Vec::new(), "no keys, no answers");
    ensure_eq!(bench.here.extend(&mut [], LONG).await?, Vec::new(), "no leases, no answers");
    ensure_eq!(bench.here.release(Vec::new()).await?, Vec::new(), "no leases, no answers");
    Ok(())
}

pub(super) async fn of_many_contenders_one_at_a_time_gets_in(bench: &LockBench) -> Checked {
    const CONTENDERS: usize = 6;
    const TURNS: u32 = 10;
    let is_inside = Arc::new(AtomicBool::new(false));
    let attempts = Arc::new(AtomicU32::new(0));
    let mut tasks: Vec<BoxFuture<'static, Checked>> = Vec::new();
    for n in 0..CONTENDERS {
        let lock = bench.open().await?;
        let (runtime, is_inside, attempts) =
            (Arc::clone(&bench.runtime), Arc::clone(&is_inside), Arc::clone(&attempts));
        tasks.push(Box::pin(async move {
            let mut turns = 0;
            while turns < TURNS {
                attempts.fetch_add(1, Ordering::Relaxed);
                // Half of them ask for each key, the others for all: both exclude each other.
                let leases = try_to_take(&*lock, n % 2 == 0, "seat", LONG).await?;
                if leases.is_empty() {
                    runtime.sleep(Duration::from_millis(1 + runtime.random() % 4)).await;
                    continue;
                }
                ensure!(!is_inside.swap(true, Ordering::AcqRel), "two hold the same lock");
                runtime.sleep(Duration::from_millis(1)).await;
                is_inside.store(false, Ordering::Release);
                ensure_eq!(lock.release(leases).await?, vec![Released::Released], "what became of a release");
                turns += 1;
            }
            Ok(())
        }));
    }
    side_by_side(&bench.runtime, tasks).await?;
    let attempts = attempts.load(Ordering::Relaxed);
    bench.note(format!("{attempts} attempts for {} turns", CONTENDERS as u32 * TURNS));
    Ok(())
}

/// Overlapping sets of keys in different orders: all or none means that nobody waits for anybody for ever.
pub(super) async fn contenders_in_any_order_all_get_through(bench: &LockBench) -> Checked {
    const TURNS: u32 = 10;
    let orders: [[&'static str; 3]; 4] = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "d"], ["d", "a", "b"]];
    let deadline = bench.runtime.now() + Duration::from_secs(60);
    let mut tasks: Vec<BoxFuture<'static, Checked>> = Vec::new();
    for texts in orders {
        let lock = bench.open().await?;
        let runtime = Arc::clone(&bench.runtime);
        tasks.push(Box::pin(async move {
            let mut turns = 0;
            while turns < TURNS {
                ensure!(runtime.now() < deadline, "{texts:?} were granted {turns} of {TURNS} times within a minute");
                if let Attempt::Granted(leases) = lock.acquire_all(&keys(&texts), LONG).await? {
                    runtime.sleep(Duration::from_millis(1)).await;
                    lock.release(leases).await?;
                    turns += 1;
                } else {
                    runtime.sleep(Duration::from_millis(1 + runtime.random() % 4)).await;
                }
            }
            Ok(())
        }));
    }
    side_by_side(&bench.runtime, tasks).await?;
    Ok(())
}
