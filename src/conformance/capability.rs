use std::fmt;

/// What a lock may declare to lack, with [`LockHarness::lacks`](super::LockHarness::lacks): the contract recommends it, or
/// allows less. The cases about it are skipped then, and say so.
///
/// Nothing that keeps two holders apart is among them: that a key is granted to one, that a release and an extension
/// compare the token, that a lease ends in time cannot be declared away.
///
/// ```
/// use ticket_reservation::conformance::LockCapability;
///
/// assert_eq!(LockCapability::RemainingTime.to_string(), "a refusal tells how long the holder may keep the key");
/// assert!(LockCapability::ALL.contains(&LockCapability::RemainingTime));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockCapability {
    /// Who is refused is told for how long the holder may keep the key yet, whatever TTL it has asked for itself.
    RemainingTime,
    /// All keys of one call are taken in one step: who does not get them all never keeps others from some of them.
    KeysAtOnce,
    /// An acquisition whose future is dropped is undone at once, and not by its TTL.
    Cancellation,
}

impl LockCapability {
    /// Everything that can be declared.
    pub const ALL: &'static [Self] = &[Self::RemainingTime, Self::KeysAtOnce, Self::Cancellation];
}

impl fmt::Display for LockCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemainingTime => "a refusal tells how long the holder may keep the key",
            Self::KeysAtOnce => "all keys of a call are taken in one step",
            Self::Cancellation => "a dropped acquisition is undone at once",
        })
    }
}
