//! Rows of an answer.

use super::{Type, Value};

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) is_nullable: bool,
}

/// A result set.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    has_null_bitmaps: bool,
}

impl Table {
    /// Of columns that may be null, and no row.
    pub(crate) fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Type)>) -> Self {
        let column = |(name, kind): (N, Type)| Column { name: name.into(), kind, is_nullable: true };
        Self { columns: columns.into_iter().map(column).collect(), rows: Vec::new(), has_null_bitmaps: false }
    }

    /// A value for each column, of its type or null.
    pub(crate) fn row(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        let row: Vec<Value> = values.into_iter().collect();
        assert_eq!(row.len(), self.columns.len(), "a row has a value for each column");
        for (column, value) in self.columns.iter().zip(&row) {
            // A value that does not fit is the test's mistake, and is to fail in the test.
            column.kind.put_value(column.is_nullable, value, &mut Vec::new());
        }
        self.rows.push(row);
        self
    }

    /// These columns have no nulls, which gives numbers another type on the wire.
    pub(crate) fn not_null(mut self, names: &[&str]) -> Self {
        for name in names {
            let column = self.columns.iter_mut().find(|column| column.name == *name);
            column.unwrap_or_else(|| panic!("there is no column {name}")).is_nullable = false;
        }
        assert!(self.rows.is_empty(), "columns are as they are before there are rows");
        self
    }

    /// Rows say in front which values are null (NBCROW), as a server does it when many are.
    pub(crate) fn null_bitmaps(mut self) -> Self {
        self.has_null_bitmaps = true;
        self
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    pub(crate) fn has_null_bitmaps(&self) -> bool {
        self.has_null_bitmaps
    }
}
