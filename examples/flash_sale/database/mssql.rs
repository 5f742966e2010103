//! A sale's store in SQL Server.

use std::sync::Arc;

use ticket_reservation::adapters::mssql::tiberius::{Client, Config, EncryptionLevel};
use ticket_reservation::adapters::mssql::{MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::ports::Runtime;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::Database;
use crate::failure::Failure;

impl Database {
    pub(crate) fn mssql(&self, runtime: Arc<dyn Runtime>) -> Result<MssqlRepositoryBuilder, Failure> {
        let builder = MssqlRepository::builder(self.address()?, runtime);
        Ok(if self.plain { builder.danger_plain_connections() } else { builder })
    }

    /// A connection of the audit's own.
    pub(crate) async fn connect_to_mssql(&self) -> Result<Client<Compat<TcpStream>>, Failure> {
        let failed = |error| Failure::caused("the store's server", &error);
        let mut config = Config::from_ado_string(self.address()?).map_err(failed)?;
        if self.plain {
            config.encryption(EncryptionLevel::NotSupported);
        }
        let stream = TcpStream::connect(config.get_addr()).await;
        let stream = stream.map_err(|error| Failure::caused("the store's server", &error))?;
        Client::connect(config, stream.compat_write()).await.map_err(failed)
    }
}
