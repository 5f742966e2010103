//! The server of a sale's store, where it has one: that which was named, or a private one.

#[cfg(feature = "mssql")]
mod mssql;
#[cfg(feature = "postgres")]
mod postgres;

use serde::{Deserialize, Serialize};

use crate::args::{SaleArgs, StoreKind};
use crate::failure::Failure;
use crate::nodes::Urls;

/// Where it is, and how it is spoken to. Workers are told, and nobody else: there may be a password in the address.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Database {
    /// None where the store has no server.
    pub(crate) url: Urls,
    /// Without TLS.
    pub(crate) plain: bool,
}

/// A private server is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) database: Database,
    #[cfg(feature = "postgres")]
    _private: Option<crate::postgres_server::PostgresServer>,
}

impl Server {
    /// What the sale's store needs.
    pub(crate) fn of(args: &SaleArgs) -> Result<Self, Failure> {
        match (args.store, &args.store_url) {
            // A SQL Server without an address is refused before.
            (StoreKind::Memory | StoreKind::Sqlite, _) | (StoreKind::Mssql, None) => {
                Ok(Self::named(Database::default()))
            }
            (StoreKind::Postgres | StoreKind::Mssql, Some(url)) => Ok(Self::named(Database::named(url, args.insecure))),
            (StoreKind::Postgres, None) => Self::private(),
        }
    }

    fn named(database: Database) -> Self {
        Self {
            database,
            #[cfg(feature = "postgres")]
            _private: None,
        }
    }

    #[cfg(feature = "postgres")]
    fn private() -> Result<Self, Failure> {
        use crate::postgres_server::{Durability, PostgresServer};

        let private = PostgresServer::start(Durability::Durable).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::usage(format!("{error}, or name a server with --store-url")),
            _ => Failure::caused("the PostgreSQL server", &error),
        })?;
        let database = Database { url: Urls(vec![private.url()]), plain: true };
        Ok(Self { database, _private: Some(private) })
    }

    /// The store is not compiled in, which is said when it is opened.
    #[cfg(not(feature = "postgres"))]
    fn private() -> Result<Self, Failure> {
        Ok(Self::named(Database::default()))
    }
}

impl Database {
    pub(crate) fn named(url: &str, insecure: bool) -> Self {
        Self { url: Urls(vec![url.to_owned()]), plain: insecure }
    }

    #[cfg(any(feature = "mssql", feature = "postgres"))]
    fn address(&self) -> Result<&str, Failure> {
        let missing = || Failure::usage("this sale's store ended with its server: name one with --store-url");
        self.url.0.first().map(String::as_str).ok_or_else(missing)
    }
}
