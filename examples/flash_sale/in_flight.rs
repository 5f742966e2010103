//! Watches a worker's log for requests that were sent and not answered.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads on where it stopped the last time.
#[derive(Debug)]
pub(crate) struct InFlight {
    file: File,
    /// What follows the last line break read.
    rest: Vec<u8>,
    /// By operation: how often it was sent, less how often it was answered.
    open: HashMap<Vec<u8>, u32>,
}

impl InFlight {
    /// Starts at the beginning of a log.
    pub(crate) fn watch(log: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(log)?, rest: Vec::new(), open: HashMap::new() })
    }

    /// How many operations are in flight by what the log says now.
    pub(crate) fn count(&mut self) -> io::Result<usize> {
        self.file.read_to_end(&mut self.rest)?;
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in self.rest[..complete].split(|byte| *byte == b'\n') {
            let mut fields = line.splitn(3, |byte| *byte == b'\t');
            match (fields.next(), fields.next()) {
                (Some(b"S" | b"R"), Some(operation)) => *self.open.entry(operation.to_vec()).or_insert(0) += 1,
                (Some(b"A"), Some(operation)) => {
                    if let Some(count) = self.open.get_mut(operation) {
                        *count -= 1;
                        if *count == 0 {
                            self.open.remove(operation);
                        }
                    }
                }
                _ => {}
            }
        }
        self.rest.drain(..complete);
        Ok(self.open.len())
    }
}
