//! A good sale that was kept, for tests that tamper with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::rusqlite::{Connection, types::Value};

use super::{Run, flash_sale, sale};

/// What the verdict counts.
pub(crate) const TWICE: &str = "sold twice";
pub(crate) const LOST: &str = "acknowledged and lost";
pub(crate) const UNASKED: &str = "sold unasked";
pub(crate) const OTHER: &str = "other";

/// A booked reservation with seats, and the one whose id comes last.
pub(crate) const BOOKED: &str =
    "SELECT reservation_id FROM ticket WHERE state = 'booked' ORDER BY reservation_id LIMIT 1";
pub(crate) const ANOTHER: &str =
    "SELECT reservation_id FROM ticket WHERE state = 'booked' ORDER BY reservation_id DESC LIMIT 1";
/// One that has two seats at least.
pub(crate) const OF_TWO: &str =
    "SELECT reservation_id FROM ticket WHERE state = 'booked' GROUP BY 1 HAVING count(*) > 1 LIMIT 1";
/// One with standing places.
pub(crate) const STANDING: &str = "SELECT reservation_id FROM reservation JOIN reservation_line USING (reservation_id)
    WHERE state = 'booked' AND pool_id IS NOT NULL ORDER BY reservation_id LIMIT 1";
/// A seat that nobody has.
pub(crate) const FREE: &str = "SELECT ticket_id FROM ticket WHERE state = 'available' LIMIT 1";
/// A live hold with seats: its buyer walked away.
pub(crate) const HELD: &str = "SELECT reservation_id FROM ticket WHERE state = 'held' ORDER BY reservation_id LIMIT 1";
/// A reservation of seats that was given back.
pub(crate) const RELEASED: &str = "SELECT reservation_id FROM reservation JOIN reservation_line USING (reservation_id)
    WHERE state = 'released' AND ticket_id IS NOT NULL ORDER BY reservation_id LIMIT 1";
/// An id that nobody has.
pub(crate) const NOBODY: &str = "x'0190b5a40000700080000000000000ff'";

/// A good sale, made once for all tests of a program, in the place that cargo has for such things.
fn good_sale() -> &'static Path {
    static SALE: OnceLock<PathBuf> = OnceLock::new();
    SALE.get_or_init(|| {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!("good-sale-of-", env!("CARGO_CRATE_NAME")));
        if kept.exists() {
            fs::remove_dir_all(&kept).expect("the sale of the last time");
        }
        let line = "--processes 2 --buyers 260 --concurrency 40 --standing 80 --pay-ms 0 --seed 77";
        sale(&format!("{line} --keep {}", kept.display()));
        kept
    })
}

/// A copy of the good sale.
pub(crate) struct Copy(TempDir);

impl Copy {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(good_sale()).expect("the kept sale") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
        }
        Self(folder)
    }

    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The store, without the constraints that would keep a program from tampering with it.
    pub(crate) fn store(&self) -> Connection {
        let store = Connection::open(self.file("store.db")).expect("the store");
        let no_constraints = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";
        store.execute_batch(no_constraints).expect("no constraints");
        store
    }

    /// Changes the store. Each statement must change something.
    pub(crate) fn tamper<S: AsRef<str>>(self, statements: impl IntoIterator<Item = S>) -> Self {
        let store = self.store();
        for statement in statements {
            let statement = statement.as_ref();
            let changed = store.execute(statement, []).expect(statement);
            assert!(changed > 0, "{statement} changes nothing");
        }
        drop(store);
        self
    }

    /// Edits a file.
    pub(crate) fn edit(self, name: &str, edit: impl FnOnce(String) -> String) -> Self {
        let file = self.file(name);
        let text = fs::read_to_string(&file).expect(name);
        let edited = edit(text.clone());
        assert_ne!(edited, text, "{name} stays as it was");
        fs::write(&file, edited).expect(name);
        self
    }

    /// Edits the first log that `edit` finds something to change in.
    pub(crate) fn edit_a_log(self, edit: impl Fn(&str) -> Option<String>) -> Self {
        for name in ["worker-1.log", "worker-2.log"] {
            let text = fs::read_to_string(self.file(name)).expect("a log");
            if let Some(edited) = edit(&text) {
                return self.edit(name, |_| edited);
            }
        }
        panic!("no log has such a line");
    }

    /// As if a worker had been killed: the parent wrote it down, and the log has no end.
    pub(crate) fn kill(self, worker: u32) -> Self {
        self.edit("course.log", |text| text.replacen("ended\n", &format!("killed\t{worker}\nended\n"), 1))
            .edit(&format!("worker-{worker}.log"), |text| text.trim_end_matches("E\n").to_owned())
    }

    pub(crate) fn audit(&self) -> Run {
        flash_sale(["audit", self.0.path().to_str().expect("UTF-8")])
    }

    pub(crate) fn assert_passes(&self) {
        let run = self.audit();
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("audit passed"), "{}", run.stdout);
    }

    /// The audit fails, tells a finding that has these words in it, and counts something of this kind.
    pub(crate) fn assert_finds(&self, kind: &str, words: &str) {
        let run = self.audit();
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        let (findings, verdict) = run.stdout.split_once("✘ audit failed:").expect("a verdict");
        assert!(findings.lines().any(|line| line.contains(words)), "{words:?} is not in\n{}", run.stdout);
        let counts = verdict.lines().next().expect("counts");
        let count = counts.split(',').find_map(|count| count.trim().strip_suffix(kind)).expect("a count of the kind");
        assert!(count.trim().parse::<u64>().expect("a number") > 0, "nothing is {kind}:\n{}", run.stdout);
    }

    /// A value of the store as SQL.
    pub(crate) fn sql(&self, query: &str) -> String {
        match self.store().query_row(query, [], |row| row.get(0)).expect(query) {
            Value::Blob(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("x'{hex}'")
            }
            Value::Text(text) => format!("'{text}'"),
            Value::Integer(number) => number.to_string(),
            other => panic!("{query} finds {other:?}"),
        }
    }

    /// A text of the store.
    pub(crate) fn text(&self, query: &str) -> String {
        self.sql(query).trim_matches('\'').to_owned()
    }

    /// A reservation or operation as the logs write it.
    pub(crate) fn uuid(&self, query: &str) -> String {
        let blob = self.sql(query);
        let hex = &blob[2..34];
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// The operation that asked for this of a reservation.
pub(crate) fn operation(log: &str, kind: &str, reservation: &str) -> Option<String> {
    let sent = log.lines().find(|line| line.contains(&format!("\t{kind}\t{reservation}\t")))?;
    sent.split('\t').nth(1).map(ToOwned::to_owned)
}

/// The log with every line as `edit` makes it; `None` removes it.
pub(crate) fn lines(log: &str, edit: impl Fn(&str) -> Option<String>) -> String {
    log.lines().filter_map(edit).map(|line| line + "\n").collect()
}
