//! How many instructions a decision, a request through the whole pipeline and a digest cost. Counts are the same on every
//! run of the same program, also on a noisy machine: those of the pipeline within 0.1 %, as maps are seeded at random.
//!
//! ```text
//! cargo bench --bench instructions              counts, beside the last recorded counts
//! cargo bench --bench instructions -- --record  writes them down in benches/instructions.txt
//! ```
//!
//! It runs itself under `valgrind --tool=callgrind`, once with no operation and once with many, and divides the difference.

#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::process::{Command as Process, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime::TokioRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{
    Action, AreaId, Command, CreateEvent, CustomerId, Event, EventId, EventState, Fingerprint, Hold, Lines, Place,
    Policies, Pool, PoolId, Record, RecordKey, SalesWindow, Snapshot, Ticket, TicketId, Timestamp, Versioned, View,
    decide,
};
use ticket_reservation::ports::{BoxFuture, Clock, Runtime, RuntimeExt};
use tokio::runtime::Handle;

/// A case: does so many operations.
type Case = fn(operations: usize);

/// Each case, and how many operations are counted.
const CASES: [(&str, Case, usize); 7] = [
    ("decide: hold of a pool", decide_pool, 2_000),
    ("decide: hold of 4 seats", decide_seats, 2_000),
    ("digest: hold of 4 seats", digest_seats, 2_000),
    ("pipeline: hold of a pool, 250 at once", hold_pool, 5_000),
    ("pipeline: hold of 2 seats, 250 at once", hold_seats, 5_000),
    ("pipeline: hold of a pool, one at a time", hold_pool_singly, 1_000),
    ("pipeline: refusal of a seat, 250 at once", refuse_seat, 5_000),
];

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, case, operations] = &arguments[..]
        && flag == "--case"
    {
        let (Ok(case), Ok(operations)) = (case.parse::<usize>(), operations.parse()) else { return ExitCode::from(2) };
        CASES[case].1(operations);
        return ExitCode::SUCCESS;
    }
    if Process::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("instructions: NOTHING IS COUNTED: valgrind is not installed (apt-get install valgrind)");
        // A bare `cargo bench` goes on to the other benches; counts that were asked for by name are missed.
        return if arguments.iter().any(|argument| argument == "--record") {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let recorded = recorded();
    let mut table = format!("# {}; {}; cargo's bench profile\n", version("rustc"), version("valgrind"));
    for (number, (name, _, operations)) in CASES.iter().enumerate() {
        let count = (instructions(number, *operations) - instructions(number, 0)) / *operations as u64;
        let before = recorded.get(*name).copied();
        let change = before.map_or(String::new(), |before| {
            format!("  {:+.1} % of {before}", 100.0 * (count as f64 / before as f64 - 1.0))
        });
        println!("{name:<44}{count:>9}{change}");
        let _ = writeln!(table, "{name:<44}{count:>9}");
    }
    if arguments.iter().any(|argument| argument == "--record") {
        fs::write(RECORDED, table).expect("the counts are written down");
    }
    ExitCode::SUCCESS
}

fn recorded() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(RECORDED).unwrap_or_default();
    let row = |line: &str| {
        let (name, count) = line.trim().rsplit_once(' ')?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

/// What a program says of itself.
fn version(program: &str) -> String {
    let output = Process::new(program).arg("--version").output();
    output.map_or_else(
        |_| format!("{program} unknown"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Runs a case in a process of its own and counts its instructions.
fn instructions(case: usize, operations: usize) -> u64 {
    let this = env::current_exe().expect("the path of this program");
    let out = env::temp_dir().join(format!("callgrind.{}.out", std::process::id()));
    let status = Process::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())])
        .arg(this)
        .args(["--case", &case.to_string(), &operations.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("valgrind runs");
    assert!(status.success(), "case {case} fails under valgrind");
    let profile = fs::read_to_string(&out).expect("callgrind's counts");
    let _ = fs::remove_file(&out);
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    total.and_then(|total| total.split(' ').next()?.parse().ok()).expect("a total")
}

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

fn floor() -> PoolId {
    PoolId::new("standing").expect("an id")
}

fn seat(number: usize) -> TicketId {
    TicketId::new(format!("A-{number}")).expect("an id")
}

fn place(number: usize) -> Place {
    Place { area: AreaId::new("A").expect("an id"), row: 1, number: number as u32 }
}

/// A hold of these seats and so many standing places.
fn hold(runtime: &dyn Runtime, seats: impl IntoIterator<Item = usize>, standing: u32) -> Command {
    let pools = (standing > 0).then(|| (floor(), standing));
    let lines = Lines::merge(seats.into_iter().map(seat), pools).expect("valid lines");
    let customer = CustomerId::new("alice").expect("an id");
    let hold = Hold::new(runtime.reservation_id(), customer, lines);
    Command { event: event(), operation: runtime.operation_id(), action: Action::Hold(hold) }
}

/// What a load for `command` brings.
fn snapshot(command: &Command) -> Snapshot {
    let mut snapshot = Snapshot::new(event(), NOW);
    for key in command.records() {
        let found = match &key {
            RecordKey::Event => {
                let window = SalesWindow::default();
                Record::Event(Event { state: EventState::OnSale, window, limit_per_customer: None })
            }
            RecordKey::Ticket(_) => Record::Ticket(Ticket::available(place(1))),
            RecordKey::Pool(_) => Record::Pool(Pool::with_capacity(1_000)),
            _ => {
                snapshot.insert(key, Versioned::ABSENT);
                continue;
            }
        };
        snapshot.insert(key, Versioned::new(1, NOW, found));
    }
    snapshot
}

fn decide_repeatedly(command: &Command, operations: usize) {
    let snapshot = snapshot(command);
    let policies = Policies::default();
    for _ in 0..operations {
        let mut view = View::new(&snapshot);
        black_box(decide(&mut view, command, &policies)).expect("it is free");
    }
}

fn decide_pool(operations: usize) {
    decide_repeatedly(&hold(&Repeatable::outside(), [], 2), operations);
}

fn decide_seats(operations: usize) {
    decide_repeatedly(&hold(&Repeatable::outside(), 1..=4, 0), operations);
}

fn digest_seats(operations: usize) {
    let command = hold(&Repeatable::outside(), 1..=4, 0);
    for _ in 0..operations {
        black_box(Fingerprint::of(black_box(&command)));
    }
}

fn hold_pool(operations: usize) {
    sell(operations, 250, 0, |runtime, _| hold(runtime, [], 2));
}

fn hold_pool_singly(operations: usize) {
    sell(operations, 1, 0, |runtime, _| hold(runtime, [], 2));
}

fn refuse_seat(operations: usize) {
    sell(operations, 250, 10, |runtime, number| hold(runtime, [number.min(1)], 0));
}

fn hold_seats(operations: usize) {
    // As many are imported for no operation, so that only the operations count.
    sell(operations, 250, 10_000, |runtime, number| hold(runtime, [2 * number, 2 * number + 1], 0));
}

/// Sends `operations` requests through a service on the memory store, `at_once` of them at the same time.
fn sell(operations: usize, at_once: usize, seats: usize, request: fn(&dyn Runtime, usize) -> Command) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a tokio runtime");
    tokio.block_on(async {
        let runtime: Arc<dyn Runtime> = Arc::new(Repeatable::inside());
        let store = Arc::new(MemoryRepository::new());
        let service = BookingService::builder(store, Arc::clone(&runtime)).build().expect("valid defaults");
        let created = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await;
        let _ = created.expect("a new event");
        let seats = (0..seats).map(|number| (seat(number), place(number))).collect();
        service.import(&event(), seats, vec![(floor(), u32::MAX)]).await.expect("a new inventory");
        for batch in 0..operations / at_once {
            let requests = (0..at_once).map(|number| service.submit(request(&*runtime, batch * at_once + number)));
            for answer in futures_util::future::join_all(requests).await {
                black_box(answer).ok();
            }
        }
    });
}

/// Tokio's runtime with a clock and randomness that are the same in every run.
#[derive(Debug)]
struct Repeatable {
    tokio: Option<TokioRuntime>,
    drawn: AtomicU64,
}

impl Repeatable {
    fn inside() -> Self {
        Self { tokio: Some(TokioRuntime::new(Handle::current())), drawn: AtomicU64::new(0) }
    }

    fn outside() -> Self {
        Self { tokio: None, drawn: AtomicU64::new(0) }
    }
}

impl Clock for Repeatable {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        // The memory store has the system's clock, and refuses ids that are too old.
        self.tokio.as_ref().map_or(NOW, |tokio| tokio.unix_time())
    }
}

impl Runtime for Repeatable {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match &self.tokio {
            Some(tokio) => tokio.sleep(duration),
            None => Box::pin(std::future::pending()),
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        if let Some(tokio) = &self.tokio {
            tokio.spawn(task);
        }
    }

    fn random(&self) -> u64 {
        // Splitmix64 (Steele, Lea, Flood, 2014).
        let state = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
