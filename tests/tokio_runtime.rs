//! The runtime port on tokio.
#![cfg(feature = "tokio")]

use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::ports::{Clock, Runtime, RuntimeExt};
use tokio::sync::oneshot;

#[test]
fn outside_of_tokio_there_is_no_current_runtime() {
    assert!(TokioRuntime::current().is_err());
}

#[test]
fn a_handle_serves_threads_outside_of_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let (sender, receiver) = oneshot::channel();
    let sleeping = runtime.sleep(Duration::from_millis(1));
    runtime.spawn(Box::pin(async move {
        sleeping.await;
        sender.send("done").unwrap();
    }));
    assert_eq!(receiver.blocking_recv(), Ok("done"));
}

#[tokio::test]
async fn a_spawned_task_goes_on_when_its_spawner_is_dropped() {
    let runtime = TokioRuntime::current().unwrap();
    let (go, wait) = oneshot::channel::<()>();
    let (sender, receiver) = oneshot::channel();
    let spawner = async {
        runtime.spawn(Box::pin(async move {
            wait.await.unwrap();
            sender.send("done").unwrap();
        }));
        std::future::pending::<()>().await;
    };
    let mut spawner = Box::pin(spawner);
    assert!(futures_util::poll!(&mut spawner).is_pending());
    drop(spawner);
    go.send(()).unwrap();
    assert_eq!(receiver.await, Ok("done"));
}

#[tokio::test]
async fn sleep_does_not_end_early_and_costs_nothing_when_dropped() {
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current().unwrap());
    drop(runtime.sleep(Duration::from_secs(3_600)));
    let started = runtime.now();
    runtime.sleep(Duration::from_millis(20)).await;
    assert!(runtime.now() >= started + Duration::from_millis(20));
}

#[tokio::test]
async fn ids_tell_their_time_and_differ() {
    let runtime = TokioRuntime::current().unwrap();
    let before = runtime.unix_time();
    let (one, other) = (runtime.operation_id(), runtime.operation_id());
    assert_ne!(one, other);
    assert!(one.made_at().as_micros() / 1_000 >= before.as_micros() / 1_000);
    assert!(one.made_at() <= runtime.unix_time());
}
