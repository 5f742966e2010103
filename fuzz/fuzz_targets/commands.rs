#![no_main]
//! Commands that make sense and commands that make none, one after another and several at once, through the real service on
//! the memory store. Beside it runs the model of `tests/domain_support`, which says what must succeed and what must not.

#[allow(dead_code)]
#[path = "../../tests/domain_support/mod.rs"]
mod domain_support;
#[path = "commands/follower.rs"]
mod follower;
#[path = "commands/sale.rs"]
mod sale;
#[allow(dead_code)]
#[path = "../../tests/common/sim.rs"]
mod sim;
#[path = "commands/wishes.rs"]
mod wishes;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

use sale::Sale;
use wishes::Input;

fuzz_target!(|data: &[u8]| {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    sim::simulate(async move |sim| {
        let mut sale = Sale::new(&sim, &input);
        for step in input.steps() {
            sale.step(step).await;
        }
        sale.end().await;
        assert_eq!(sim.panics(), 0);
    });
});
