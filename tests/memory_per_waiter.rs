//! What a waiting request costs in memory, its caller's future included, counted by an allocator.

mod common;

use std::pin::Pin;

use common::sim::simulate;
use common::world::{Answer, Hall, seconds};
use futures_util::FutureExt;
use ticket_reservation::booking::Contention;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const WAITERS: usize = 10_000;
const BYTES_MAX: usize = 2 * 1_024;

fn allocated() -> usize {
    dhat::HeapStats::get().curr_bytes
}

#[test]
fn ten_thousand_requests_that_wait_for_one_place_take_less_than_two_kib_each() {
    let _profiler = dhat::Profiler::builder().testing().build();
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Wait(seconds(60))));
        hall.stage.load_gate.close();
        let hold = hall.hold("ann", &["A1"], &[]);
        let commands: Vec<_> = (0..WAITERS).map(|_| hall.hold_again(&hold, "bob")).collect();
        let before = allocated();
        let mut waiting: Vec<Pin<Box<dyn Future<Output = Answer> + '_>>> = Vec::with_capacity(WAITERS);
        for command in commands {
            let mut submitted: Pin<Box<dyn Future<Output = Answer> + '_>> = Box::pin(service.submit(command));
            assert!(submitted.as_mut().now_or_never().is_none(), "it does not wait");
            waiting.push(submitted);
        }
        sim.idle().await;
        let each = (allocated() - before) / WAITERS;
        println!("{each} bytes for each waiting request");
        assert!((300..BYTES_MAX).contains(&each), "{each} bytes for each waiting request");
    });
}
