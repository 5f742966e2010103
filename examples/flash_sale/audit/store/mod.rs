//! Reads a sale's store into [`Books`], in a way of the audit's own for each kind of store.

#[cfg(feature = "mssql")]
mod mssql;
mod port;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod statements;
#[cfg(any(feature = "mssql", feature = "postgres", feature = "sqlite"))]
mod tables;

use std::path::Path;

use ticket_reservation::ports::Repository;

use super::books::Books;
use super::journal::Journal;
use crate::args::StoreKind;
use crate::database::Database;
use crate::failure::Failure;
use crate::sale::Sale;

/// Reads everything about the sale's event. Nobody may write meanwhile. What lives in the memory of this process is
/// read through `memory`.
pub(crate) async fn read(
    sale: &Sale,
    #[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only files are in it"))] dir: &Path,
    #[cfg_attr(
        not(any(feature = "mssql", feature = "postgres")),
        expect(unused_variables, reason = "no store has a server")
    )]
    database: &Database,
    memory: Option<&dyn Repository>,
    journal: &Journal,
) -> Result<Books, Failure> {
    match (sale.store, memory) {
        (StoreKind::Memory, Some(repository)) => port::read(repository, &sale.event()?, journal)
            .await
            .map_err(|error| Failure::caused("the audit cannot read the store", &error)),
        (StoreKind::Memory, None) => Err(Failure::usage("this sale's store was in memory, and ended with it")),
        #[cfg(feature = "sqlite")]
        (StoreKind::Sqlite, _) => sqlite::read(sale, dir),
        #[cfg(feature = "postgres")]
        (StoreKind::Postgres, _) => postgres::read(database, &sale.event).await,
        #[cfg(feature = "mssql")]
        (StoreKind::Mssql, _) => mssql::read(database, &sale.event).await,
        #[cfg(not(all(feature = "mssql", feature = "postgres", feature = "sqlite")))]
        (other, _) => Err(Failure::usage(format!("a {} store cannot be read by this build", crate::args::name(other)))),
    }
}
