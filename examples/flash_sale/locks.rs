//! Which locks are compiled in. The one place where the selling side names their adapters.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::ports::{Attempt, Lock, LockKey, Runtime};

use crate::args::{LockKind, name};
use crate::failure::Failure;
use crate::grants_all::GrantsAll;
use crate::nodes::Urls;
use crate::sale::Sale;

type Opened = Result<Arc<dyn Lock>, Failure>;

/// Refuses a lock that this build does not have.
pub(crate) fn check(lock: LockKind) -> Result<(), Failure> {
    let is_compiled_in = match lock {
        LockKind::None | LockKind::GrantsAll => true,
        LockKind::Sqlite => cfg!(feature = "sqlite"),
        LockKind::Rslock => cfg!(feature = "rslock"),
        LockKind::Redlock => cfg!(feature = "redlock"),
    };
    if is_compiled_in { Ok(()) } else { Err(missing(lock)) }
}

fn missing(lock: LockKind) -> Failure {
    let name = name(lock);
    Failure::usage(format!("--lock {name} is not compiled in: add --features {name}"))
}

/// Opens the sale's lock.
pub(crate) fn open(
    sale: &Sale,
    dir: &Path,
    redis: &Urls,
    runtime: &Arc<dyn Runtime>,
) -> Result<Option<Arc<dyn Lock>>, Failure> {
    match sale.lock {
        LockKind::None => Ok(None),
        LockKind::GrantsAll => Ok(Some(Arc::new(GrantsAll::default()))),
        LockKind::Sqlite => sqlite(dir, runtime).map(Some),
        LockKind::Redlock => redlock(redis, runtime).map(Some),
        LockKind::Rslock => rslock(redis, runtime).map(Some),
    }
}

/// Takes a lock that nobody else wants, and gives it back. A sale goes on without servers that do not answer; that they
/// never did is to be known before.
pub(crate) async fn try_out(sale: &Sale, dir: &Path, redis: &Urls, runtime: &Arc<dyn Runtime>) -> Result<(), Failure> {
    if !sale.lock.is_on_redis() {
        return Ok(());
    }
    let Some(lock) = open(sale, dir, redis, runtime)? else { return Ok(()) };
    let failed = |error: &dyn std::error::Error| Failure::caused(format!("--lock {}", name(sale.lock)), error);
    let key = LockKey::new(format!("before {}", sale.event)).map_err(|error| failed(&error))?;
    let attempt = lock.acquire_all(&[key], Duration::from_secs(5)).await.map_err(|error| failed(&error))?;
    if let Attempt::Granted(leases) = attempt {
        lock.release(leases).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

#[cfg(feature = "sqlite")]
fn sqlite(dir: &Path, runtime: &Arc<dyn Runtime>) -> Opened {
    use ticket_reservation::adapters::sqlite::SqliteLock;

    let file = dir.join("lock.db");
    let lock = SqliteLock::builder(&file, Arc::clone(runtime)).open();
    Ok(Arc::new(lock.map_err(|error| Failure::caused(format!("the lock {}", file.display()), &error))?))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &Path, _: &Arc<dyn Runtime>) -> Opened {
    Err(missing(LockKind::Sqlite))
}

#[cfg(feature = "rslock")]
fn rslock(redis: &Urls, runtime: &Arc<dyn Runtime>) -> Opened {
    use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};

    let manager = LockManager::new(redis.0.clone());
    Ok(Arc::new(RslockLock::builder(manager, Arc::clone(runtime)).build()))
}

#[cfg(not(feature = "rslock"))]
fn rslock(_: &Urls, _: &Arc<dyn Runtime>) -> Opened {
    Err(missing(LockKind::Rslock))
}

#[cfg(feature = "redlock")]
fn redlock(redis: &Urls, runtime: &Arc<dyn Runtime>) -> Opened {
    use ticket_reservation::adapters::redlock::Redlock;

    let lock = Redlock::builder(Arc::clone(runtime)).nodes(redis.0.clone()).build();
    Ok(Arc::new(lock.map_err(|error| Failure::usage(format!("--redis: {error}")))?))
}

#[cfg(not(feature = "redlock"))]
fn redlock(_: &Urls, _: &Arc<dyn Runtime>) -> Opened {
    Err(missing(LockKind::Redlock))
}
