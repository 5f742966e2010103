//! What an adapter brings to be tested.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;

use super::capability::{LockCapability, RepositoryCapability};
use crate::ports::{Lock, Repository, Runtime};

/// Why a harness cannot do what it is asked for. The case fails and shows it, as it does when a harness panics.
pub type HarnessError = Box<dyn std::error::Error + Send + Sync>;

/// Makes stores for the [`repository`](super::repository()) suite.
///
/// # Cancellation
///
/// A case that takes too long drops what it waits for, and its store after that.
///
/// # Example
///
/// ```
/// # use std::{process::Command, sync::Arc};
/// # use async_trait::async_trait;
/// # use ticket_reservation::adapters::memory::MemoryRepository;
/// # use ticket_reservation::conformance::{
/// #     HarnessError, RepositoryCapability, RepositoryHarness, Settings, Store, repository_with
/// # };
/// # use ticket_reservation::ports::{Repository, Runtime};
/// struct Harness(Arc<dyn Runtime>);
/// struct InMemory(MemoryRepository);
///
/// #[async_trait]
/// impl RepositoryHarness for Harness {
///     async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
///         Ok(Box::new(InMemory(MemoryRepository::new())))
///     }
///     fn runtime(&self) -> Arc<dyn Runtime> {
///         Arc::clone(&self.0)
///     }
///     fn lacks(&self) -> &[RepositoryCapability] {
///         &[RepositoryCapability::OtherProcesses] // none can open it
///     }
/// }
///
/// #[async_trait]
/// impl Store for InMemory {
///     async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
///         Ok(Arc::new(self.0.clone()))
///     }
///     fn worker(&self) -> Option<Command> {
///         None
///     }
/// }
///
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Arc::new(ticket_reservation::adapters::tokio::TokioRuntime::current()?);
/// let settings = Settings::new().only(|case| case.starts_with("writes::"));
/// repository_with(Harness(runtime), &settings).await.assert_passed();
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// ```
///
/// The [module](super) has one for a store that other processes can open too.
#[async_trait]
pub trait RepositoryHarness: Send + Sync {
    /// A fresh, empty store. Each case gets its own.
    ///
    /// # Errors
    ///
    /// When there is none to be had: the case fails then.
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError>;

    /// The runtime that the adapter and the cases run on. What it is told to spawn must run by itself.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// In another process: opens the store that [`Store::worker`] has given the address of. Needed by those who leave
    /// `main` to a [`Runner`](super::Runner).
    ///
    /// # Errors
    ///
    /// When the store cannot be opened; by default always.
    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
        Err(format!("no other process can open the store at {}", address.display()).into())
    }

    /// What these stores declare to lack: the cases about it are skipped, and named. By default nothing.
    fn lacks(&self) -> &[RepositoryCapability] {
        &[]
    }

    /// Whether these stores count on in pools ([`PoolShift`](crate::ports::PoolShift)), which they need not: then a conflict where they
    /// could is a failure. By default not.
    fn counts_on(&self) -> bool {
        false
    }
}

/// One store, for one case. It is dropped after its handles, which MAY delete it. [`RepositoryHarness`] has an example.
///
/// # Cancellation
///
/// A case that takes too long drops what it waits for, and the store after that.
#[async_trait]
pub trait Store: Send + Sync {
    /// Another handle on the same store, sharing as little with the others as one in another process would.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened: the case fails then.
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError>;

    /// How to start another operating-system process that opens this store and runs [`worker`](super::worker()) on it:
    /// [`this_program`](super::this_program) where a [`Runner`](super::Runner) has `main`; where libtest has, the program
    /// with the name of the one test that calls `worker`, `--exact` and `--nocapture`.
    /// `None` if no other process can open the store, which the harness declares:
    /// [`RepositoryCapability::OtherProcesses`]. Without that declaration the cases with processes fail.
    ///
    /// The suite adds environment variables, writes to the standard input and reads the standard output.
    fn worker(&self) -> Option<Command>;
}

/// Makes locks for the [`lock`](super::lock()) suite. The [module](super) has an example.
///
/// # Cancellation
///
/// A case that takes too long drops what it waits for, and its locks after that.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// A fresh lock space, of which nothing is held. Each case gets its own.
    ///
    /// # Errors
    ///
    /// When there is none to be had: the case fails then.
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError>;

    /// The runtime that the adapter and the cases run on. What it is told to spawn must run by itself.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// In another process: opens the locks that [`LockSpace::worker`] has given the address of. Needed by those who
    /// leave `main` to a [`Runner`](super::Runner).
    ///
    /// # Errors
    ///
    /// When the locks cannot be opened; by default always.
    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
        Err(format!("no other process can open the locks at {}", address.display()).into())
    }

    /// What these locks declare to lack: the cases about it are skipped. By default nothing.
    fn lacks(&self) -> &[LockCapability] {
        &[]
    }
}

/// One set of locks, for one case. It is dropped after its handles. The [module](super) has an example.
///
/// # Cancellation
///
/// A case that takes too long drops what it waits for, and the locks after that.
#[async_trait]
pub trait LockSpace: Send + Sync {
    /// Another handle on the same locks, as another process would have.
    ///
    /// # Errors
    ///
    /// When the locks cannot be opened: the case fails then.
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError>;

    /// How to start another operating-system process that opens these locks and runs
    /// [`lock_worker`](super::lock_worker()) on them, as [`Store::worker`] does for stores.
    /// `None` if no other process can open the locks, which the harness declares: [`LockCapability::OtherProcesses`].
    fn worker(&self) -> Option<Command>;
}

#[async_trait]
impl<T: RepositoryHarness + ?Sized> RepositoryHarness for Arc<T> {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        (**self).fresh().await
    }
    fn runtime(&self) -> Arc<dyn Runtime> {
        (**self).runtime()
    }
    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
        (**self).join(address).await
    }
    fn lacks(&self) -> &[RepositoryCapability] {
        (**self).lacks()
    }
    fn counts_on(&self) -> bool {
        (**self).counts_on()
    }
}

#[async_trait]
impl<T: LockHarness + ?Sized> LockHarness for Arc<T> {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        (**self).fresh().await
    }
    fn runtime(&self) -> Arc<dyn Runtime> {
        (**self).runtime()
    }
    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
        (**self).join(address).await
    }
    fn lacks(&self) -> &[LockCapability] {
        (**self).lacks()
    }
}
