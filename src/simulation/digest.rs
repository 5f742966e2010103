//! A number that is another one if anything in a run was different.

use super::check::Evidence;

/// The same for the same run: of everything that was asked, answered and done, and when.
pub(super) fn of_sale(evidence: &Evidence) -> u64 {
    let calls = evidence.calls.iter().chain(&evidence.reused);
    let words = calls.map(|call| format!("{:?} {} {:?}", call.began, call.command.operation, call.ended));
    let words = words.chain(evidence.log.commits.iter().map(|(sequence, at)| format!("{sequence} {at:?}")));
    words.fold(OF_NOTHING, |digest, words| fnv(&words, digest))
}

pub(super) const OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits.
pub(super) fn fnv(words: &str, digest: u64) -> u64 {
    words.bytes().fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
