//! The folder with a sale's store and logs: the evidence, which is removed only when nothing is wrong.

use std::fs;
use std::path::{Path, PathBuf, absolute};

use tempfile::TempDir;

use crate::args::StoreKind;
use crate::failure::Failure;
use crate::sale::Sale;
use crate::terminal::tell;

/// Where a sale's files are.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Removes the folder in the end, unless it is kept.
    temporary: Option<TempDir>,
}

impl Folder {
    /// The folder to keep, or a temporary one.
    pub(crate) fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let Some(keep) = keep else {
            let folder = TempDir::with_prefix("flash-sale-");
            let folder = folder.map_err(|error| Failure::caused("no temporary folder can be made", &error))?;
            return Ok(Self { path: folder.path().to_owned(), temporary: Some(folder) });
        };
        let shown = keep.display();
        let unusable = |error| Failure::usage(format!("--keep {shown} cannot be used: {error}"));
        fs::create_dir_all(keep).map_err(unusable)?;
        if fs::read_dir(keep).map_err(unusable)?.next().is_some() {
            let what = if Sale::is_in(keep) { "has a sale in it already" } else { "is not empty" };
            return Err(Failure::usage(format!("--keep {shown} {what}: name a new or empty folder")));
        }
        Ok(Self { path: absolute(keep).map_err(unusable)?, temporary: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what is not to be kept. Once a sale has begun, that needs nothing to be wrong.
    pub(crate) fn leave(self, sale: &Sale, all_is_well: bool) {
        let begun = Sale::is_in(&self.path);
        let verb = match self.temporary {
            None if begun => "kept",
            Some(folder) if begun && !all_is_well => {
                // From here on nobody removes it.
                let _ = folder.keep();
                "left"
            }
            _ => return,
        };
        let shown = self.path.display();
        match sale.store {
            StoreKind::Memory => tell(format_args!("  the logs are {verb} in {shown}")),
            _ => tell(format_args!("  store and logs are {verb}; audit them again with\n  {}", command(&self.path))),
        }
    }
}

/// What one types to audit the folder.
fn command(dir: &Path) -> String {
    format!("cargo run --release --features sqlite --example flash_sale -- audit {}", quoted(dir))
}

/// A path as one types it in a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
