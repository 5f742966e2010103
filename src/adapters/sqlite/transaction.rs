use rusqlite::{Connection, PrepFlags, Statement};

use super::error::{Fault, may_have_reached_the_disk};

/// Prepares a statement that is used for as long as the connection is open.
pub(super) fn prepare<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<Statement<'c>> {
    connection.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
}

/// Transactions of one connection.
#[derive(Debug)]
pub(super) struct Transactions<'c> {
    connection: &'c Connection,
    begin_read: Statement<'c>,
    begin_write: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    committed: bool,
}

impl<'c> Transactions<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            begin_read: prepare(connection, "BEGIN DEFERRED")?,
            // A transaction that reads first and writes later would be refused by whoever wrote in between.
            begin_write: prepare(connection, "BEGIN IMMEDIATE")?,
            commit: prepare(connection, "COMMIT")?,
            rollback: prepare(connection, "ROLLBACK")?,
            committed: false,
        })
    }

    pub(super) fn begin_read(&mut self) -> Result<(), Fault> {
        self.begin(|this| &mut this.begin_read)
    }

    pub(super) fn begin_write(&mut self) -> Result<(), Fault> {
        self.begin(|this| &mut this.begin_write)
    }

    /// Ends a transaction that wrote nothing, or shall not have.
    pub(super) fn rollback(&mut self) -> Result<(), Fault> {
        // Some errors have rolled back already.
        if !self.connection.is_autocommit() {
            self.rollback.execute([])?;
        }
        Ok(())
    }

    /// Makes everything written durable. After an error it is not applied, or unknown: the fault says which.
    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        let Err(error) = self.commit.execute([]) else {
            self.committed = true;
            return Ok(());
        };
        if may_have_reached_the_disk(&error) || self.connection.is_autocommit() {
            return Err(Fault::Commit(error));
        }
        self.rollback()?;
        Err(Fault::Sqlite(error))
    }

    /// Whether anything was committed since this was asked last.
    pub(super) fn take_committed(&mut self) -> bool {
        std::mem::take(&mut self.committed)
    }

    fn begin(&mut self, statement: impl FnOnce(&mut Self) -> &mut Statement<'c>) -> Result<(), Fault> {
        // A call before this one that could not even roll back must not lend its transaction to others.
        self.rollback()?;
        statement(self).execute([])?;
        Ok(())
    }
}
