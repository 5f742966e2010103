//! What an adapter may declare to lack, and what of it is looked into.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use super::check::{Checked, Failure, ensure};
use super::harness::HarnessError;

/// What a store may declare to lack, with [`RepositoryHarness::lacks`](super::RepositoryHarness::lacks). The cases about it
/// are skipped then, and the last line of the report names them.
///
/// ```
/// use ticket_reservation::conformance::RepositoryCapability;
///
/// assert_eq!(RepositoryCapability::OtherProcesses.to_string(), "other processes can open it");
/// assert!(RepositoryCapability::ALL.contains(&RepositoryCapability::OtherProcesses));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepositoryCapability {
    /// Other operating-system processes can open the store. Whoever declares to lack that has no [`Store::worker`] and a
    /// [`join`] that fails; the suite looks whether it is so.
    ///
    /// [`Store::worker`]: super::Store::worker
    /// [`join`]: super::RepositoryHarness::join
    OtherProcesses,
}

impl RepositoryCapability {
    /// Everything that can be declared.
    pub const ALL: &'static [Self] = &[Self::OtherProcesses];
}

impl fmt::Display for RepositoryCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherProcesses => OTHER_PROCESSES,
        })
    }
}

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
    /// A lease can be extended. A lock that lacks it answers [`Extended::Unknown`](crate::ports::Extended::Unknown), and the suite
    /// looks whether nothing is changed by that.
    Extension,
    /// Other operating-system processes can open the locks. Whoever declares to lack that has no [`LockSpace::worker`] and
    /// a [`join`] that fails; the suite looks whether it is so. Such a lock need not wait for anything. Any other one does, and
    /// fails the cases that drop its calls half-way if it never can be.
    ///
    /// [`LockSpace::worker`]: super::LockSpace::worker
    /// [`join`]: super::LockHarness::join
    OtherProcesses,
}

impl LockCapability {
    /// Everything that can be declared.
    pub const ALL: &'static [Self] =
        &[Self::RemainingTime, Self::KeysAtOnce, Self::Cancellation, Self::Extension, Self::OtherProcesses];
}

impl fmt::Display for LockCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemainingTime => "a refusal tells how long the holder may keep the key",
            Self::KeysAtOnce => "all keys of a call are taken in one step",
            Self::Cancellation => "a dropped acquisition is undone at once",
            Self::Extension => "a lease can be extended",
            Self::OtherProcesses => OTHER_PROCESSES,
        })
    }
}

const OTHER_PROCESSES: &str = "other processes can open it";

/// The case is skipped: the adapter declares to lack what it is about.
pub(super) fn skipped(capability: impl fmt::Display + fmt::Debug) -> Failure {
    Failure::skipped(format!("declared to be lacking: {capability} ({capability:?})"))
}

/// How to start another process. Without one the case is skipped if that was declared and looks true, and fails otherwise:
/// what several processes must not do cannot be left out in silence.
pub(super) async fn another_process<T>(
    worker: Option<Command>,
    capability: impl fmt::Display + fmt::Debug + Copy,
    is_declared: bool,
    join: impl Future<Output = Result<T, HarnessError>>,
) -> Result<Command, Failure> {
    match worker {
        Some(command) if !is_declared => return Ok(command),
        worker => ensure_single_process(worker.is_some(), capability, is_declared, join).await?,
    }
    Err(skipped(capability))
}

async fn ensure_single_process<T>(
    has_worker: bool,
    capability: impl fmt::Debug,
    is_declared: bool,
    join: impl Future<Output = Result<T, HarnessError>>,
) -> Checked {
    ensure!(
        is_declared,
        "no other process can be started (`worker` is None), and the harness does not declare {capability:?} to be lacking"
    );
    ensure!(!has_worker, "{capability:?} is declared to be lacking, and `worker` starts another process");
    ensure!(
        join.await.is_err(),
        "{capability:?} is declared to be lacking, and `join` opens what another process asks for"
    );
    Ok(())
}

/// An address where nothing is. Who opens it all the same may leave a file there.
pub(super) struct Nowhere(PathBuf);

impl Nowhere {
    pub(super) fn new(random: u64) -> Self {
        let name = format!("ticket-reservation-nowhere-{}-{random:016x}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn address(&self) -> &OsStr {
        self.0.as_os_str()
    }
}

impl Drop for Nowhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
