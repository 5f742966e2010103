//! Why the program ends without a verdict.

use std::fmt;

/// One clear line, and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    code: u8,
}

impl Failure {
    /// What was asked for cannot be done: exit code 2.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 2 }
    }

    /// Something broke on the way: exit code 1.
    pub(crate) fn broken(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 1 }
    }

    /// Something broke on the way, with its whole chain of causes in one line.
    pub(crate) fn caused(what: impl fmt::Display, error: &dyn std::error::Error) -> Self {
        Self::broken(format!("{what}: {}", chain(error)))
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = cause.source();
    }
    line.replace(['\n', '\r'], " ")
}
