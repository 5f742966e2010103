//! What a worker process of the lock suite does.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::{LONG, keys};
use crate::conformance::check::{Checked, Failure};
use crate::conformance::worker::{CONFLICTS, wait_to_be_killed};
use crate::ports::{Attempt, Lease, Lock, Released, Runtime};

/// The key that all processes want.
pub(super) const KEY: &str = "the one seat";

/// What a worker says when it has the lock and keeps it.
pub(super) const HELD: &str = "held";

/// What a worker says at the end of each turn.
pub(super) const TURN: &str = "turn";

/// How long a turn lasts.
const INSIDE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::conformance) enum LockJob {
    /// Takes the lock so many times. While it has it, a file exists at this path, which nobody else may have made.
    Turns { turns: u32, file: PathBuf },
    /// Takes the lock for a while and keeps it until it is killed.
    Keep { ttl: Duration },
}

impl fmt::Display for LockJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turns { turns, file } => write!(f, "turns {turns} {}", file.display()),
            Self::Keep { ttl } => write!(f, "keep {}", ttl.as_millis()),
        }
    }
}

impl FromStr for LockJob {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut fields = text.splitn(3, ' ');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("turns"), Some(turns), Some(file)) => Ok(Self::Turns { turns: turns.parse()?, file: file.into() }),
            (Some("keep"), Some(millis), None) => Ok(Self::Keep { ttl: Duration::from_millis(millis.parse()?) }),
            _ => Err(Failure::new(format!("not a job: {text:?}"))),
        }
    }
}

pub(in crate::conformance) async fn run_job(
    lock: &dyn Lock,
    runtime: &Arc<dyn Runtime>,
    job: &LockJob,
    say: &(dyn Fn(&str) -> Checked + Sync),
) -> Checked {
    match job {
        LockJob::Turns { turns, file } => {
            let (mut done, mut contended) = (0, 0);
            while done < *turns {
                let leases = try_to_take(lock, done % 2 == 0, KEY, LONG).await?;
                if leases.is_empty() {
                    contended += 1;
                    runtime.sleep(Duration::from_millis(1 + runtime.random() % 4)).await;
                    continue;
                }
                be_alone(file, runtime).await?;
                let released = lock.release(leases).await?;
                if released != [Released::Released] {
                    return Err(Failure::new(format!("what became of a release: {released:?}")));
                }
                done += 1;
                say(TURN)?;
            }
            say(&format!("{CONFLICTS} {contended}"))
        }
        LockJob::Keep { ttl } => {
            let leases = try_to_take(lock, false, KEY, *ttl).await?;
            if leases.is_empty() {
                return Err(Failure::new("a key that nobody holds is contended"));
            }
            say(HELD)?;
            wait_to_be_killed()
        }
    }
}

/// The file system says whether someone else is inside: it makes a file only once.
async fn be_alone(file: &PathBuf, runtime: &Arc<dyn Runtime>) -> Checked {
    match File::create_new(file) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::new("two processes hold the same lock"));
        }
        Err(error) => return Err(error.into()),
    }
    runtime.sleep(INSIDE).await;
    let removed: io::Result<()> = fs::remove_file(file);
    Ok(removed?)
}

/// The lease, or nothing when someone else has it. Who asks for each key and who asks for all exclude each other.
pub(super) async fn try_to_take(lock: &dyn Lock, each: bool, text: &str, ttl: Duration) -> Result<Vec<Lease>, Failure> {
    let keys = keys(&[text]);
    if !each {
        return Ok(match lock.acquire_all(&keys, ttl).await? {
            Attempt::Granted(leases) => leases,
            Attempt::Contended { .. } => Vec::new(),
        });
    }
    let attempts = lock.acquire_each(&keys, ttl).await?.into_iter();
    Ok(attempts.filter_map(|it| if let Attempt::Granted(lease) = it { Some(lease) } else { None }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_survive_their_way_through_text() {
        for job in
            [LockJob::Turns { turns: 7, file: "/tmp/a b/c".into() }, LockJob::Keep { ttl: Duration::from_millis(300) }]
        {
            assert_eq!(job.to_string().parse::<LockJob>().ok(), Some(job));
        }
    }
}
