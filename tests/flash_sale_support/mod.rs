//! Runs the built example.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

/// What one run said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the example with these arguments.
pub(crate) fn flash_sale<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    let output = Command::new(program()).args(arguments).output().expect("the example runs");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs it with the arguments in `line`, separated by blanks.
pub(crate) fn run(line: &str) -> Run {
    flash_sale(line.split_whitespace())
}

/// Runs a sale and reads its JSON. It must have passed its audit, with nothing else on standard output.
pub(crate) fn sale(line: &str) -> Value {
    let run = run(&format!("{line} --json"));
    assert_eq!(run.code, Some(0), "{line}\n{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{line}\n{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(report["audit"], "passed", "{line}\n{}", run.stderr);
    for count in ["double_booked", "lost_acknowledged", "unrequested_sold"] {
        assert_eq!(report[count], 0, "{line}\n{}", run.stderr);
    }
    report
}

impl Run {
    /// It was refused: exit code 2, one line on standard error that has `words` in it, nothing on standard output.
    pub(crate) fn assert_refused(&self, words: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {:?}", self.stderr);
    }
}

/// The example beside this test, as `cargo test` builds both.
fn program() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program = profile.join("examples").join(format!("flash_sale{EXE_SUFFIX}"));
    let how = "build it with the features of this test: cargo build --example flash_sale";
    let built = fs::metadata(&program).and_then(|it| it.modified());
    let built = built.unwrap_or_else(|_| panic!("{} is missing; {how}", program.display()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flash_sale");
    assert!(built >= newest(&source), "{} is older than its source; {how}", program.display());
    program
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).expect("the example's source").map(|entry| entry.expect("an entry").path());
    let changed = |path: PathBuf| {
        if path.is_dir() { newest(&path) } else { fs::metadata(&path).and_then(|it| it.modified()).expect("its time") }
    };
    entries.map(changed).max().expect("some source")
}
