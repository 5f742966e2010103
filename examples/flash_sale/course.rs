//! The parent's own log: who was killed, who was lost, and that the sale has ended.
//!
//! ```text
//! flash_sale course 1
//! killed  <worker>
//! lost    <worker>
//! ended
//! ```
//!
//! It is written as things happen, so that a later audit knows whose log may break off, and that nobody sells any more.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::failure::Failure;

const FILE: &str = "course.log";
const HEADER: &str = "flash_sale course 1";

/// An open log.
#[derive(Debug)]
pub(crate) struct CourseLog {
    file: File,
}

impl CourseLog {
    /// Starts it, in the sale's folder.
    pub(crate) fn create(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(|error| Failure::caused(path.display(), &error))?;
        let log = Self { file };
        log.write(HEADER)?;
        Ok(log)
    }

    /// A worker, counted from 1, is about to be killed, as it was ordered.
    pub(crate) fn killed(&self, worker: usize) -> Result<(), Failure> {
        self.write(&format!("killed\t{worker}"))
    }

    /// A worker ended before its work did.
    pub(crate) fn lost(&self, worker: usize) -> Result<(), Failure> {
        self.write(&format!("lost\t{worker}"))
    }

    /// Nobody sells any more.
    pub(crate) fn ended(&self) -> Result<(), Failure> {
        self.write("ended")
    }

    fn write(&self, line: &str) -> Result<(), Failure> {
        let written = (&self.file).write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| Failure::caused("the parent's log", &error))
    }
}

/// How a sale went.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub(crate) killed: BTreeSet<u32>,
    pub(crate) lost: BTreeSet<u32>,
}

impl Course {
    /// Reads the log of a sale that has ended.
    pub(crate) fn read(dir: &Path) -> Result<Self, Failure> {
        let not_ended = || Failure::usage(format!("the sale in {} has not ended: it has no verdict", dir.display()));
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_ended()),
            Err(error) => return Err(Failure::caused(path.display(), &error)),
        };
        let mut course = Self::default();
        let mut lines = text.lines();
        let mut ended = false;
        let unreadable = |line: &str| Failure::broken(format!("{} has an unreadable line: {line:?}", path.display()));
        if let Some(line) = lines.next().filter(|line| *line != HEADER) {
            return Err(unreadable(line));
        }
        for line in lines {
            match line.split_once('\t').map(|(what, worker)| (what, worker.parse())) {
                Some(("killed", Ok(worker))) => drop(course.killed.insert(worker)),
                Some(("lost", Ok(worker))) => drop(course.lost.insert(worker)),
                None if line == "ended" => ended = true,
                _ => return Err(unreadable(line)),
            }
        }
        if ended { Ok(course) } else { Err(not_ended()) }
    }
}
