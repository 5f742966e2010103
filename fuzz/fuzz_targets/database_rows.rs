#![no_main]
//! Rows that this library never writes, in an SQLite file that somebody has changed by hand, or by a broken tool.

#[path = "database_rows/asking.rs"]
mod asking;
#[path = "database_rows/file.rs"]
mod file;
#[path = "database_rows/limits.rs"]
mod limits;
#[path = "database_rows/rows.rs"]
mod rows;

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

use asking::ask;
use file::File;
use rows::Row;

/// One file for all runs, with other rows in each: to make one takes longer than the rest.
static FILE: LazyLock<File> = LazyLock::new(File::new);

fuzz_target!(|data: &[u8]| {
    let Ok(rows) = Vec::<Row>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    FILE.fill(&rows);
    ask(&FILE);
});
