//! One sale: everything that its processes and its audit must agree on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticket_reservation::domain::{EventId, Policies};

use crate::args::{ContentionKind, DemandKind, KillPoint, LockKind, LockPolicyKind, StoreKind};
use crate::database::Database;
use crate::failure::Failure;
use crate::hall::Hall;
use crate::nodes::Urls;

/// The file in a sale's folder that an audit starts from.
const FILE: &str = "sale.json";

/// What is sold where, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sale {
    pub(crate) event: String,
    pub(crate) seed: u64,
    pub(crate) processes: u32,
    pub(crate) buyers: u32,
    pub(crate) concurrency: u32,
    pub(crate) demand: DemandKind,
    pub(crate) store: StoreKind,
    /// The store's file. `None` is one in the sale's folder.
    pub(crate) store_url: Option<String>,
    /// Whether the store is on a server that was named. Its address may have a password in it and is not written down.
    #[serde(default)]
    pub(crate) store_named: bool,
    pub(crate) lock: LockKind,
    /// How many Redis servers of the lock were named; without any it has private ones. Their addresses may have
    /// passwords in them and are not written down.
    #[serde(default)]
    pub(crate) redis_named: usize,
    pub(crate) lock_policy: LockPolicyKind,
    pub(crate) contention: ContentionKind,
    pub(crate) wait_ms: u64,
    pub(crate) pay_ms: u64,
    pub(crate) combining: bool,
    pub(crate) kill_workers: u32,
    #[serde(default)]
    pub(crate) kill_at: Option<KillPoint>,
    pub(crate) stall_s: u64,
    /// When it was made ready, in seconds since the Unix epoch.
    pub(crate) prepared_at_s: u64,
    /// The file that the hall was read from, unless it is the built-in one.
    pub(crate) plan: Option<PathBuf>,
    pub(crate) hall: Hall,
}

impl Sale {
    /// The event that is sold.
    pub(crate) fn event(&self) -> Result<EventId, Failure> {
        EventId::new(&self.event).map_err(|error| Failure::usage(format!("the sale's event id: {error}")))
    }

    /// How long a hold lasts: longer than anybody pays who is not late, and short enough that the places of those
    /// who walk away are sold again before the sale ends. Without paying time nobody can be late, and a store that
    /// is slow on purpose must not make everybody so.
    pub(crate) fn hold_ttl(&self) -> Duration {
        if self.pay_ms == 0 { Duration::from_secs(60) } else { Duration::from_millis(2_000 + 2 * self.pay_ms) }
    }

    /// How long nothing may happen at all: longer than anybody pays, comes too late, or waits for an answer.
    pub(crate) fn silence_max(&self) -> Duration {
        self.hold_ttl().mul_f64(1.1) + Duration::from_millis(self.wait_ms) + Duration::from_secs(self.stall_s)
    }

    /// The same for every process.
    pub(crate) fn policies(&self) -> Policies {
        Policies { hold_ttl: self.hold_ttl(), hold_ttl_max: self.hold_ttl() * 2, ..Policies::default() }
    }

    /// Writes the sale into its folder.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure::caused("the sale", &error))?;
        let file = dir.join(FILE);
        fs::write(&file, text + "\n").map_err(|error| Failure::caused(file.display(), &error))
    }

    /// Reads the sale of a kept folder.
    pub(crate) fn load(dir: &Path) -> Result<Self, Failure> {
        let file = dir.join(FILE);
        let shown = file.display();
        let text = fs::read_to_string(&file)
            .map_err(|error| Failure::usage(format!("no kept sale here: {shown} cannot be read: {error}")))?;
        serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{shown} is not a kept sale: {error}")))
    }

    /// Whether a folder has a sale in it.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }
}

/// What one worker needs to know, sent to it as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Its number, from 1.
    pub(crate) worker: u32,
    /// The sale's folder.
    pub(crate) dir: PathBuf,
    /// The Redis servers of the lock, if it has some.
    pub(crate) redis: Urls,
    /// The server of the store, if it has one.
    pub(crate) database: Database,
    /// The sale.
    pub(crate) sale: Sale,
}
