//! Where the page goes.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Page;
use crate::failure::Failure;
use crate::terminal::tell;

/// A file that can be written.
#[derive(Debug)]
pub(crate) struct Target(PathBuf);

impl Target {
    /// Makes sure, before anything is sold, that the file can be written. One that is there stays as it is for now.
    pub(crate) fn check(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let unusable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(format!("--report {shown}: there is no such folder")),
            io::ErrorKind::IsADirectory => Failure::usage(format!("--report {shown}: it is a folder")),
            _ => Failure::usage(format!("--report {shown} cannot be written: {error}")),
        };
        let was_there = file.symlink_metadata().is_ok();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(file);
        drop(opened.map_err(unusable)?);
        if !was_there {
            fs::remove_file(file).map_err(unusable)?;
        }
        Ok(Self(file.to_owned()))
    }

    /// Writes the page.
    pub(crate) fn write(&self, page: &Page<'_>) -> Result<(), Failure> {
        let shown = self.0.display();
        fs::write(&self.0, page.html()).map_err(|error| Failure::caused(format!("the report {shown}"), &error))?;
        tell(format_args!("  the report is in {shown}"));
        Ok(())
    }
}
