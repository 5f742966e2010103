//! The server of a sale's store, where it has one: that which was named, or a private one.

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
    #[cfg(feature = "postgres")]
    pub(crate) fn of(args: &SaleArgs) -> Result<Self, Failure> {
        use crate::postgres_server::{Durability, PostgresServer};

        if args.store != StoreKind::Postgres {
            return Ok(Self { database: Database::default(), _private: None });
        }
        if let Some(url) = &args.store_url {
            return Ok(Self { database: Database::named(url, args.insecure), _private: None });
        }
        let private = PostgresServer::start(Durability::Durable).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::usage(format!("{error}, or name a server with --store-url")),
            _ => Failure::caused("the PostgreSQL server", &error),
        })?;
        let database = Database { url: Urls(vec![private.url()]), plain: true };
        Ok(Self { database, _private: Some(private) })
    }

    /// Nothing: no store that is compiled in has a server.
    #[cfg(not(feature = "postgres"))]
    pub(crate) fn of(args: &SaleArgs) -> Result<Self, Failure> {
        let _ = (args.store == StoreKind::Postgres, args.insecure);
        Ok(Self { database: Database::default() })
    }
}

impl Database {
    pub(crate) fn named(url: &str, insecure: bool) -> Self {
        Self { url: Urls(vec![url.to_owned()]), plain: insecure }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;

    use ticket_reservation::adapters::postgres::tokio_postgres::{Client, Config, NoTls, config::SslMode};
    use ticket_reservation::adapters::postgres::{PostgresRepository, PostgresRepositoryBuilder};
    use ticket_reservation::ports::Runtime;
    use tokio_postgres_rustls::MakeRustlsConnect;

    use super::*;

    impl Database {
        fn postgres_url(&self) -> Result<&str, Failure> {
            let missing = || Failure::usage("this sale's store ended with its server: name one with --store-url");
            self.url.0.first().map(String::as_str).ok_or_else(missing)
        }

        /// The repository on it.
        pub(crate) fn repository(&self, runtime: Arc<dyn Runtime>) -> Result<PostgresRepositoryBuilder, Failure> {
            let builder = PostgresRepository::builder(self.postgres_url()?, runtime);
            Ok(if self.plain { builder.danger_plain_connections() } else { builder })
        }

        /// A connection of the audit's own.
        pub(crate) async fn connect(&self) -> Result<Client, Failure> {
            let failed = |error| Failure::caused("the store's server", &error);
            let mut config: Config = self.postgres_url()?.parse().map_err(failed)?;
            if self.plain {
                let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await.map_err(failed)?;
                tokio::spawn(async move { drop(connection.await) });
                return Ok(client);
            }
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            let tls = MakeRustlsConnect::new(tls);
            let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await.map_err(failed)?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }
    }
}
