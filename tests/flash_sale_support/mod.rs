//! Runs the built example.

#![allow(dead_code, reason = "each test file uses its own part")]

#[cfg(feature = "sqlite")]
pub(crate) mod kept;
pub(crate) mod one_seat;
pub(crate) mod running;

use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What one run said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The example with these arguments.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(arguments);
    command
}

/// Runs the example with these arguments.
pub(crate) fn flash_sale<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    Run::from(command(arguments).output().expect("the example runs"))
}

/// Runs it with the arguments in `line`, separated by blanks.
pub(crate) fn run(line: &str) -> Run {
    flash_sale(line.split_whitespace())
}

/// Runs a sale and reads its JSON. It must have passed its audit, with nothing else on standard output.
pub(crate) fn sale(line: &str) -> Value {
    run_sale(line).0
}

/// The same, with everything that was said.
pub(crate) fn run_sale(line: &str) -> (Value, Run) {
    let run = run(&format!("{line} --json"));
    assert_eq!(run.code, Some(0), "{line}\n{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{line}\n{}", run.stdout);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(report["audit"], "passed", "{line}\n{}", run.stderr);
    for count in ["double_booked", "lost_acknowledged", "unrequested_sold"] {
        assert_eq!(report[count], 0, "{line}\n{}", run.stderr);
    }
    (report, run)
}

/// A number of a report.
pub(crate) fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} is {}", report[field]))
}

/// Waits until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// What a sale reports that has passed its audit.
pub(crate) fn report(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(report["audit"], "passed", "{run:?}");
    report
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Run {
    /// It failed, with `words` in the last line of standard error, and no password anywhere.
    pub(crate) fn assert_said(&self, words: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("flash_sale: ") && last.contains(words), "{words:?} is not in {last:?}");
        assert!(!self.stderr.contains("hunter2"), "{self:?}");
    }

    /// It was refused: exit code 2, one line on standard error that has `words` in it, nothing on standard output.
    pub(crate) fn assert_refused(&self, words: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {:?}", self.stderr);
    }
}

/// The example beside this test, as `cargo test` builds both. `cargo test --test` alone does not build it again.
fn program() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program = profile.join("examples").join(format!("flash_sale{EXE_SUFFIX}"));
    let how = "build it with the features of this test: cargo build --example flash_sale";
    let changed = |path: &Path| fs::metadata(path).and_then(|it| it.modified());
    let built = changed(&program).unwrap_or_else(|_| panic!("{} is missing; {how}", program.display()));
    // A source that is gone is one that was changed.
    let is_older = |source: &PathBuf| changed(source).is_ok_and(|changed| changed <= built);
    assert!(sources(&program).iter().all(is_older), "{} is older than its source; {how}", program.display());
    program
}

/// What cargo built it from, the library's source included: the file beside it says so, as for make.
fn sources(program: &Path) -> Vec<PathBuf> {
    let list = fs::read_to_string(program.with_extension("d")).expect("the list of its sources");
    let (_, sources) = list.lines().next().and_then(|line| line.split_once(": ")).expect("its sources");
    let spaces = sources.replace("\\ ", "\0");
    let sources: Vec<PathBuf> = spaces.split(' ').map(|path| PathBuf::from(path.replace('\0', " "))).collect();
    assert!(sources.len() > 50, "too few sources: {list}");
    sources
}
