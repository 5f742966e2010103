//! What a waiting request costs in memory, counted by an allocator: its command, which is its own, its caller's future and
//! everything that the service keeps for it.

mod common;

use common::sim::simulate;
use common::world::{Answer, Hall, customer, event, lines, seconds};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ticket_reservation::booking::{BookingService, Contention};
use ticket_reservation::domain::{Action, Command, Hold};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const WAITERS: usize = 10_000;
const BYTES_MAX: usize = 2 * 1_024;

const ONE_SEAT: &[&str] = &["A1"];
const FOUR_SEATS: &[&str] = &["A1", "A2", "A3", "A4"];

fn allocated() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn command(service: &BookingService, seats: &[&str]) -> Command {
    let hold = Hold::new(service.new_reservation_id(), customer("bob"), lines(seats, &[]));
    Command { event: event(), operation: service.new_operation_id(), action: Action::Hold(hold) }
}

fn each(what: &str, before: usize) -> usize {
    let each = (allocated() - before) / WAITERS;
    println!("{each} bytes for each waiting request: {what}");
    each
}

/// Futures that their caller polls.
fn in_virtual_time(what: &str, seats: &[&str]) -> usize {
    let mut bytes = 0;
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Wait(seconds(60))));
        hall.stage.load_gate.close();
        let before = allocated();
        let mut waiting: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(WAITERS);
        for _ in 0..WAITERS {
            let mut submitted: BoxFuture<'_, Answer> = Box::pin(service.submit(command(&service, seats)));
            assert!(submitted.as_mut().now_or_never().is_none(), "it does not wait");
            waiting.push(submitted);
        }
        sim.idle().await;
        bytes = each(what, before);
    });
    bytes
}

/// Tasks of tokio, on its timers.
#[cfg(feature = "tokio")]
fn on_tokio(what: &str, seats: &'static [&'static str]) -> usize {
    use std::sync::Arc;
    use ticket_reservation::adapters::memory::MemoryRepository;
    use ticket_reservation::adapters::tokio::TokioRuntime;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio.block_on(async {
        let runtime = Arc::new(TokioRuntime::current().unwrap());
        let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime);
        let service = service.contention(Contention::Wait(seconds(60))).build().unwrap();
        let before = allocated();
        let mut waiting = Vec::with_capacity(WAITERS);
        for _ in 0..WAITERS {
            let service = service.clone();
            waiting.push(tokio::spawn(async move { service.submit(command(&service, seats)).await }));
        }
        // One thread runs its tasks in order: this one after all that ask, and before the service's, which the first of
        // them has started.
        let measured = tokio::spawn(async move { (allocated(), waiting.iter().any(|task| task.is_finished())) });
        let (all, is_answered) = measured.await.unwrap();
        assert!(!is_answered, "it does not wait");
        let each = (all - before) / WAITERS;
        println!("{each} bytes for each waiting request: {what}");
        each
    })
}

#[test]
fn ten_thousand_requests_that_wait_for_one_place_take_less_than_two_kib_each() {
    let _profiler = dhat::Profiler::builder().testing().build();
    #[cfg_attr(not(feature = "tokio"), allow(unused_mut, reason = "without tokio there is nothing to add"))]
    let mut all = vec![in_virtual_time("a seat", ONE_SEAT), in_virtual_time("four seats", FOUR_SEATS)];
    #[cfg(feature = "tokio")]
    all.extend([on_tokio("a seat, a task of tokio", ONE_SEAT), on_tokio("four seats, a task of tokio", FOUR_SEATS)]);
    assert!(all.iter().all(|each| (300..BYTES_MAX).contains(each)), "{all:?} bytes for each waiting request");
}
