//! Which stores and locks are compiled in. The one place of the example that names adapters.

use std::path::Path;
use std::sync::Arc;

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::ports::{BoxFuture, Lock, Repository, Runtime};

use crate::args::{LockKind, StoreKind, name};
use crate::failure::Failure;
use crate::grants_all::GrantsAll;
use crate::sale::Sale;

/// Refuses what this build cannot do.
pub(crate) fn check(store: StoreKind, lock: LockKind) -> Result<(), Failure> {
    match store {
        StoreKind::Memory => {}
        StoreKind::Sqlite if sqlite::COMPILED_IN => {}
        StoreKind::Sqlite => {
            return Err(Failure::usage(
                "--store sqlite, the default, is not compiled in: add --features sqlite, or use --store memory \
                 --processes 1",
            ));
        }
        StoreKind::Postgres | StoreKind::Mssql => {
            return Err(Failure::usage(format!("--store {} is not compiled in yet", name(store))));
        }
    }
    match lock {
        LockKind::None | LockKind::GrantsAll => Ok(()),
        LockKind::Sqlite if sqlite::COMPILED_IN => Ok(()),
        LockKind::Sqlite => Err(Failure::usage("--lock sqlite is not compiled in: add --features sqlite")),
        LockKind::Redlock | LockKind::Rslock => {
            Err(Failure::usage(format!("--lock {} is not compiled in yet", name(lock))))
        }
    }
}

/// A store's address, as every process and every later audit finds it.
pub(crate) fn shared_url(store: StoreKind, url: &str) -> Result<String, Failure> {
    match store {
        StoreKind::Sqlite => {
            let file = std::path::absolute(url.strip_prefix("sqlite:").unwrap_or(url));
            let file = file.map_err(|error| Failure::usage(format!("--store-url {url:?} cannot be used: {error}")))?;
            Ok(file.display().to_string())
        }
        _ => Ok(url.to_owned()),
    }
}

/// An open store.
pub(crate) struct Store {
    pub(crate) repository: Arc<dyn Repository>,
    close: Box<dyn FnOnce() -> BoxFuture<'static, ()>>,
}

impl Store {
    fn new<R: Repository + 'static>(repository: R, close: impl FnOnce(R) -> BoxFuture<'static, ()> + 'static) -> Self {
        let repository = Arc::new(repository);
        let shared: Arc<dyn Repository> = repository.clone();
        let close = move || match Arc::into_inner(repository) {
            Some(repository) => close(repository),
            // Whoever else has it closes it.
            None => Box::pin(async {}),
        };
        Self { repository: shared, close: Box::new(close) }
    }

    /// Closes the store and waits until its files are at rest, if nobody else has it open.
    pub(crate) async fn close(self) {
        drop(self.repository);
        (self.close)().await;
    }
}

/// Opens the sale's store on a connection of its own, and makes it when there is none.
pub(crate) fn open(sale: &Sale, dir: &Path) -> Result<Store, Failure> {
    check(sale.store, LockKind::None)?;
    match sale.store {
        StoreKind::Memory => Ok(Store::new(MemoryRepository::new(), |_| Box::pin(async {}))),
        _ => sqlite::open(sale, dir),
    }
}

/// Opens the store of a sale that is over.
pub(crate) fn open_kept(sale: &Sale, dir: &Path) -> Result<Store, Failure> {
    check(sale.store, LockKind::None)?;
    match sale.store {
        StoreKind::Memory => Err(Failure::usage("this sale's store was in memory, and ended with it")),
        _ => sqlite::open_kept(sale, dir),
    }
}

/// Opens the sale's lock.
pub(crate) fn lock(sale: &Sale, dir: &Path, runtime: &Arc<dyn Runtime>) -> Result<Option<Arc<dyn Lock>>, Failure> {
    check(StoreKind::Memory, sale.lock)?;
    match sale.lock {
        LockKind::None => Ok(None),
        LockKind::GrantsAll => Ok(Some(Arc::new(GrantsAll::default()))),
        _ => sqlite::lock(dir, runtime).map(Some),
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;

    use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};

    use super::*;

    pub(super) const COMPILED_IN: bool = true;

    pub(super) fn open(sale: &Sale, dir: &Path) -> Result<Store, Failure> {
        let file = file(sale, dir);
        let store = SqliteRepository::builder(&file).open();
        let store = store.map_err(|error| Failure::caused(format!("the store {}", file.display()), &error))?;
        Ok(Store::new(store, |store| Box::pin(store.close())))
    }

    pub(super) fn open_kept(sale: &Sale, dir: &Path) -> Result<Store, Failure> {
        let file = file(sale, dir);
        if !file.is_file() {
            return Err(Failure::usage(format!("the sale's store {} is gone", file.display())));
        }
        open(sale, dir)
    }

    pub(super) fn lock(dir: &Path, runtime: &Arc<dyn Runtime>) -> Result<Arc<dyn Lock>, Failure> {
        let file = dir.join("lock.db");
        let lock = SqliteLock::builder(&file, Arc::clone(runtime)).open();
        Ok(Arc::new(lock.map_err(|error| Failure::caused(format!("the lock {}", file.display()), &error))?))
    }

    fn file(sale: &Sale, dir: &Path) -> PathBuf {
        let url = sale.store_url.as_deref();
        url.map_or_else(|| dir.join("store.db"), PathBuf::from)
    }
}

#[cfg(not(feature = "sqlite"))]
mod sqlite {
    use super::*;

    pub(super) const COMPILED_IN: bool = false;

    pub(super) fn open(_: &Sale, _: &Path) -> Result<Store, Failure> {
        Err(Failure::usage("--store sqlite is not compiled in: add --features sqlite"))
    }

    pub(super) fn open_kept(sale: &Sale, dir: &Path) -> Result<Store, Failure> {
        open(sale, dir)
    }

    pub(super) fn lock(_: &Path, _: &Arc<dyn Runtime>) -> Result<Arc<dyn Lock>, Failure> {
        Err(Failure::usage("--lock sqlite is not compiled in: add --features sqlite"))
    }
}
