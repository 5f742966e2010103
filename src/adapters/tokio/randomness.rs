//! Random bits from the operating system's generator, drawn for many calls at once: a system call for each would be a
//! good part of what a request costs.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};

/// How many calls one draw serves.
const DRAWN: usize = 64;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; DRAWN * 8], left: 0 }) };
}

/// What was drawn and not used yet. Each thread has its own.
struct Pool {
    bytes: [u8; DRAWN * 8],
    left: usize,
}

/// 64 random bits.
pub(super) fn next() -> u64 {
    POOL.with_borrow_mut(Pool::next)
}

impl Pool {
    fn next(&mut self) -> u64 {
        if self.left == 0 {
            if ::getrandom::fill(&mut self.bytes).is_err() {
                return without_a_generator();
            }
            self.left = DRAWN;
        }
        self.left -= 1;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[self.left * 8..][..8]);
        u64::from_be_bytes(bytes)
    }
}

/// Where the platform has no generator at all, ids and jitter come from the keys with which the standard library protects
/// its hash maps.
fn without_a_generator() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(0);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_comes_twice_also_on_other_threads() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..10 * DRAWN).map(|_| next()).collect::<Vec<_>>())).collect();
        let drawn: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let different: HashSet<u64> = drawn.iter().copied().collect();
        assert_eq!(different.len(), drawn.len());
    }
}
