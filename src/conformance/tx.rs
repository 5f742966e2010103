//! Reading and writing records of a store under test.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{EventId, Record, RecordKey, Snapshot, Timestamp, Versioned};
use crate::ports::{Group, GroupOutcome, LoadRequest, Repository, Write};

/// A transaction as the service makes them: read, decide, write against what was read.
pub(super) struct Tx {
    snapshot: Snapshot,
    reads: BTreeSet<RecordKey>,
    writes: BTreeMap<RecordKey, Record>,
    decided_at: Option<Timestamp>,
}

impl Tx {
    pub(super) async fn begin(
        repository: &dyn Repository,
        event: &EventId,
        keys: &[RecordKey],
    ) -> Result<Self, Failure> {
        let snapshot = load(repository, event, keys).await?;
        Ok(Self { snapshot, reads: BTreeSet::new(), writes: BTreeMap::new(), decided_at: None })
    }

    pub(super) fn get(&self, key: &RecordKey) -> Versioned {
        self.snapshot.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn read(mut self, key: RecordKey) -> Self {
        self.reads.insert(key);
        self
    }

    pub(super) fn write(mut self, key: RecordKey, record: Record) -> Self {
        self.writes.insert(key, record);
        self
    }

    pub(super) fn decided_at(mut self, decided_at: Timestamp) -> Self {
        self.decided_at = Some(decided_at);
        self
    }

    pub(super) fn group(&self) -> Group {
        let decided_at = self.decided_at.unwrap_or(self.snapshot.clock());
        let version = |key: &RecordKey| self.snapshot.get(key).map_or(0, |versioned| versioned.version);
        let reads = self.reads.iter().filter(|key| !self.writes.contains_key(key));
        Group {
            reads: reads.map(|key| (key.clone(), version(key))).collect(),
            writes: self
                .writes
                .iter()
                .map(|(key, record)| Write {
                    key: key.clone(),
                    version: version(key),
                    decided_at,
                    record: record.clone(),
                })
                .collect(),
            ..Group::default()
        }
    }
}

/// Reads records, and checks that each of them is in the snapshot.
pub(super) async fn load(
    repository: &dyn Repository,
    event: &EventId,
    keys: &[RecordKey],
) -> Result<Snapshot, Failure> {
    let request = LoadRequest { event: event.clone(), records: keys.to_vec(), free_in: Vec::new() };
    let snapshot = repository.load(&request).await?;
    for key in keys {
        ensure!(snapshot.get(key).is_some(), "{key:?} was asked for and is not in the snapshot, not even as absent");
    }
    Ok(snapshot)
}

pub(super) async fn commit(
    repository: &dyn Repository,
    event: &EventId,
    group: Group,
) -> Result<GroupOutcome, Failure> {
    let mut outcomes = commit_all(repository, event, &[group]).await?;
    outcomes.pop().ok_or_else(|| Failure::new("no outcome"))
}

/// Commits groups, and checks that there is an outcome for each, and that each conflict names records of its group.
pub(super) async fn commit_all(
    repository: &dyn Repository,
    event: &EventId,
    groups: &[Group],
) -> Result<Vec<GroupOutcome>, Failure> {
    let outcomes = repository.commit(event, groups).await?;
    ensure_eq!(outcomes.len(), groups.len(), "the number of outcomes");
    for (outcome, group) in outcomes.iter().zip(groups) {
        if let GroupOutcome::Conflict { stale } = outcome {
            ensure!(!stale.is_empty(), "a conflict names no stale record");
            for key in stale {
                let in_reads = group.reads.iter().any(|(read, _)| read == key);
                let in_writes = group.writes.iter().any(|write| write.key == *key);
                ensure!(in_reads || in_writes, "{key:?} is named stale and stands in another group or in none");
            }
        }
    }
    Ok(outcomes)
}

pub(super) async fn put(repository: &dyn Repository, event: &EventId, records: Vec<(RecordKey, Record)>) -> Checked {
    let keys: Vec<RecordKey> = records.iter().map(|(key, _)| key.clone()).collect();
    let tx = Tx::begin(repository, event, &keys).await?;
    let tx = records.into_iter().fold(tx, |tx, (key, record)| tx.write(key, record));
    ensure_committed(&commit(repository, event, tx.group()).await?, "a write that nobody contends for")
}

pub(super) fn ensure_committed(outcome: &GroupOutcome, what: &str) -> Checked {
    ensure!(*outcome == GroupOutcome::Committed, "{what}: expected Committed, found {outcome:?}");
    Ok(())
}

/// That it is a conflict, and that it names at least one of those records which really are stale and no other.
pub(super) fn ensure_conflict(outcome: &GroupOutcome, stale_ones: &[RecordKey], what: &str) -> Checked {
    match outcome {
        GroupOutcome::Conflict { stale } => {
            for key in stale {
                ensure!(stale_ones.contains(key), "{what}: {key:?} is named stale and is not");
            }
            Ok(())
        }
        other => Err(Failure::new(format!("{what}: expected Conflict, found {other:?}"))),
    }
}
