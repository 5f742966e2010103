//! Callers who go away, and a runtime that does.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use ticket_reservation::ports::{Attempt, Lock};

use crate::chain::chain;
use crate::{LONG, eventually, granted, key, nothing_is_left, open, servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_leaves_no_key_on_any_server() {
    let servers = servers();
    let lock = open(&servers);
    for polls in 0..40_u64 {
        let wanted = [key(&format!("a{polls}")), key(&format!("b{polls}"))];
        let mut call = pin!(lock.acquire_all(&wanted, LONG));
        if let Some(answer) = call.as_mut().now_or_never() {
            // Answered before it could be dropped.
            let Ok(Attempt::Granted(leases)) = answer else { panic!("{answer:?}") };
            lock.release(leases).await.expect("an answer");
            continue;
        }
        tokio::time::sleep(Duration::from_micros(polls * 40)).await;
        // Dropped here, on its way or with an answer that nobody takes.
    }
    let leases = [granted(&lock, "c", LONG).await, granted(&lock, "d", LONG).await];
    drop(lock.release(leases.to_vec()).now_or_never());
    eventually("all keys are gone", || nothing_is_left(&servers)).await;
}

#[test]
fn a_runtime_that_has_ended_is_a_failure() {
    let servers = servers();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let lock = tokio.block_on(async { open(&servers) });
    drop(tokio);
    let error = lock.acquire_all(&[key("seat")], LONG).now_or_never().expect("at once").expect_err("no runtime");
    assert!(chain(&error).contains("the runtime has ended"), "{}", chain(&error));
}
