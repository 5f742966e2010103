//! A sale's store in PostgreSQL.

use std::sync::Arc;

use ticket_reservation::adapters::postgres::tokio_postgres::{Client, Config, NoTls, config::SslMode};
use ticket_reservation::adapters::postgres::{PostgresRepository, PostgresRepositoryBuilder};
use ticket_reservation::ports::Runtime;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Database;
use crate::failure::Failure;

impl Database {
    pub(crate) fn postgres(&self, runtime: Arc<dyn Runtime>) -> Result<PostgresRepositoryBuilder, Failure> {
        let builder = PostgresRepository::builder(self.address()?, runtime);
        Ok(if self.plain { builder.danger_plain_connections() } else { builder })
    }

    /// A connection of the audit's own.
    pub(crate) async fn connect_to_postgres(&self) -> Result<Client, Failure> {
        let failed = |error| Failure::caused("the store's server", &error);
        let mut config: Config = self.address()?.parse().map_err(failed)?;
        if self.plain {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await.map_err(failed)?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(client);
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| Failure::caused("TLS", &error))?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let tls = MakeRustlsConnect::new(tls);
        let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await.map_err(failed)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}
