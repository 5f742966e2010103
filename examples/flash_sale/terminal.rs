//! Who is told what: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::failure::Failure;

/// Says something beside the results. Whoever closed standard error does not want to know.
pub(crate) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl Stream {
    /// Writes lines. Whoever closed the stream has read enough; that it cannot be written otherwise matters.
    pub(crate) fn write(self, lines: &str) -> Result<(), Failure> {
        let written = match self {
            Self::Output => put(io::stdout().lock(), lines),
            Self::Error => put(io::stderr().lock(), lines),
        };
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::caused("the result", &error)),
            _ => Ok(()),
        }
    }

    /// Whether somebody sees colours there, and wants to (<https://no-color.org>).
    pub(crate) fn is_colourful(self) -> bool {
        let is_terminal = match self {
            Self::Output => io::stdout().is_terminal(),
            Self::Error => io::stderr().is_terminal(),
        };
        is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// In colour, where there is somebody to see it.
    pub(crate) fn painted(self, text: impl Display, code: &str) -> String {
        if self.is_colourful() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

fn put(mut stream: impl Write, lines: &str) -> io::Result<()> {
    stream.write_all(lines.as_bytes())?;
    stream.flush()
}
