use rusqlite::{Connection, PrepFlags, Statement};

use super::error::{Fault, may_have_reached_the_disk};

/// Prepares a statement.
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

    fn rollback(&mut self) -> Result<(), Fault> {
        // Some errors have rolled back already.
        if !self.connection.is_autocommit() {
            self.rollback.execute([])?;
        }
        Ok(())
    }

    /// Ends a transaction that wrote nothing, or shall not have, and answers with what came of it. If that is a fault,
    /// it is what matters: a rollback that fails is tried again before the next transaction.
    pub(super) fn undo<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        let ended = self.rollback();
        let answer = result?;
        ended.map(|()| answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Transactions<'_> {
        /// From now on no transaction can be rolled back.
        pub(in super::super) fn break_rollback(&mut self) {
            self.rollback = prepare(self.connection, "SELECT 'this is no way to roll back'").unwrap();
        }
    }

    #[test]
    fn a_commit_that_is_refused_is_rolled_back_and_known_not_to_have_happened() {
        let connection = Connection::open_in_memory().unwrap();
        let tables = "PRAGMA foreign_keys = ON; CREATE TABLE one (id INTEGER PRIMARY KEY);
            CREATE TABLE two (id INTEGER REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED)";
        connection.execute_batch(tables).unwrap();
        let mut transactions = Transactions::new(&connection).unwrap();
        transactions.begin_write().unwrap();
        connection.execute_batch("INSERT INTO two VALUES (1)").unwrap();
        let fault = transactions.commit().unwrap_err();
        assert!(matches!(fault, Fault::Sqlite(_)), "{fault:?}");
        assert!(connection.is_autocommit());
        assert!(!transactions.take_committed());
        let count: i64 = connection.query_row("SELECT count(*) FROM two", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0);
    }

    #[test]
    fn a_commit_that_finds_its_transaction_gone_is_unknown() {
        let connection = Connection::open_in_memory().unwrap();
        let mut transactions = Transactions::new(&connection).unwrap();
        transactions.begin_write().unwrap();
        connection.execute_batch("ROLLBACK").unwrap();
        let fault = transactions.commit().unwrap_err();
        assert!(matches!(fault, Fault::Commit(_)), "{fault:?}");
    }

    #[test]
    fn a_rollback_that_fails_does_not_hide_why_it_was_wanted() {
        let connection = Connection::open_in_memory().unwrap();
        let mut transactions = Transactions::new(&connection).unwrap();
        transactions.begin_read().unwrap();
        transactions.break_rollback();
        let fault = transactions.undo::<()>(Err(Fault::GivenUp)).unwrap_err();
        assert!(matches!(fault, Fault::GivenUp), "{fault:?}");
        let fault = transactions.undo(Ok(())).unwrap_err();
        assert!(matches!(fault, Fault::Sqlite(_)), "{fault:?}");
    }
}
