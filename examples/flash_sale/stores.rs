//! Which stores are compiled in. The one place where the selling side names their adapters.

use std::fmt::Display;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::ports::{BoxFuture, Repository};

use crate::args::StoreKind;
use crate::database::Database;
use crate::failure::Failure;
use crate::sale::Sale;

/// Refuses a store that this build does not have.
pub(crate) fn check(store: StoreKind) -> Result<(), Failure> {
    match store {
        StoreKind::Memory => Ok(()),
        StoreKind::Sqlite if sqlite::COMPILED_IN => Ok(()),
        StoreKind::Sqlite => Err(Failure::usage(
            "--store sqlite, the default, is not compiled in: add --features sqlite, or use --store memory \
             --processes 1",
        )),
        StoreKind::Postgres if cfg!(feature = "postgres") => Ok(()),
        StoreKind::Postgres => Err(Failure::usage("--store postgres is not compiled in: add --features postgres")),
        StoreKind::Mssql if cfg!(feature = "mssql") => Ok(()),
        StoreKind::Mssql => Err(Failure::usage("--store mssql is not compiled in: add --features mssql")),
    }
}

/// A store's address, as every process and every later audit finds it.
pub(crate) fn shared_url(store: StoreKind, url: &str) -> Result<String, Failure> {
    match store {
        StoreKind::Sqlite => {
            let unusable = |why: &dyn Display| Failure::usage(format!("--store-url {url:?} cannot be used: {why}"));
            let file = absolute(url.strip_prefix("sqlite:").unwrap_or(url)).map_err(|error| unusable(&error))?;
            if file.is_dir() {
                return Err(unusable(&"it is a folder, not a file"));
            }
            if !file.parent().is_some_and(Path::is_dir) {
                return Err(unusable(&"there is no such folder"));
            }
            Ok(file.display().to_string())
        }
        _ => Ok(url.to_owned()),
    }
}

/// The file of a sale's store that is one.
pub(crate) fn file(sale: &Sale, dir: &Path) -> PathBuf {
    sale.store_url.as_deref().map_or_else(|| dir.join("store.db"), PathBuf::from)
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

/// Opens the sale's store, and makes it when there is none.
pub(crate) async fn open(
    sale: &Sale,
    dir: &Path,
    #[cfg_attr(
        not(any(feature = "mssql", feature = "postgres")),
        expect(unused_variables, reason = "no store has a server")
    )]
    database: &Database,
) -> Result<Store, Failure> {
    check(sale.store)?;
    match sale.store {
        StoreKind::Memory => Ok(Store::new(MemoryRepository::new(), |_| Box::pin(async {}))),
        #[cfg(feature = "postgres")]
        StoreKind::Postgres => postgres::open(database).await,
        #[cfg(feature = "mssql")]
        StoreKind::Mssql => mssql::open(database).await,
        _ => sqlite::open(&file(sale, dir)),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use tokio::runtime::Handle;

    use super::*;
    use crate::runtime::TokioRuntime;

    pub(super) async fn open(database: &Database) -> Result<Store, Failure> {
        let failed = |error| Failure::caused("the store", &error);
        let repository = database.postgres(Arc::new(TokioRuntime::new(Handle::current())))?.build().map_err(failed)?;
        repository.migrate().await.map_err(failed)?;
        Ok(Store::new(repository, |_| Box::pin(async {})))
    }
}

#[cfg(feature = "mssql")]
mod mssql {
    use tokio::runtime::Handle;

    use super::*;
    use crate::runtime::TokioRuntime;

    pub(super) async fn open(database: &Database) -> Result<Store, Failure> {
        let failed = |error| Failure::caused("the store", &error);
        let repository = database.mssql(Arc::new(TokioRuntime::new(Handle::current())))?.build().map_err(failed)?;
        repository.migrate().await.map_err(failed)?;
        Ok(Store::new(repository, |_| Box::pin(async {})))
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use ticket_reservation::adapters::sqlite::SqliteRepository;

    use super::*;

    pub(super) const COMPILED_IN: bool = true;

    pub(super) fn open(file: &Path) -> Result<Store, Failure> {
        let store = SqliteRepository::builder(file).open();
        let store = store.map_err(|error| Failure::caused(format!("the store {}", file.display()), &error))?;
        Ok(Store::new(store, |store| Box::pin(store.close())))
    }
}

#[cfg(not(feature = "sqlite"))]
mod sqlite {
    use super::*;

    pub(super) const COMPILED_IN: bool = false;

    pub(super) fn open(_: &Path) -> Result<Store, Failure> {
        Err(Failure::usage("--store sqlite is not compiled in: add --features sqlite"))
    }
}
