use std::collections::HashMap;

use super::decisions::Decision;
use crate::domain::{RecordKey, Snapshot};
use crate::ports::{Group, Write};

/// Decisions that depend on one another, and what they come to.
#[derive(Debug)]
pub(super) struct DecisionGroup {
    /// Indices of the decisions, ascending.
    pub(super) members: Vec<usize>,
    /// One net change per record; empty writes when nothing changes, and then nothing is left to commit.
    pub(super) group: Group,
}

/// Puts together the decisions that touch a record which one of them changes. `snapshot` is the one that they were
/// made on: it has the versions that were read, and the content that is to be written.
pub(super) fn group(decisions: &[Decision], snapshot: &Snapshot) -> Vec<DecisionGroup> {
    let mut users: HashMap<&RecordKey, Users> = HashMap::new();
    let mut sets = DisjointSets::new(decisions.len());
    for (index, decision) in decisions.iter().enumerate() {
        for key in &decision.touched {
            users.entry(key).or_default().by.push(index);
        }
        for key in &decision.written {
            let users = users.entry(key).or_default();
            users.by.push(index);
            users.written = true;
        }
    }
    for users in users.values().filter(|users| users.written) {
        for pair in users.by.windows(2) {
            sets.join(pair[0], pair[1]);
        }
    }
    let mut groups: Vec<DecisionGroup> = Vec::new();
    let mut group_of_root: HashMap<usize, usize> = HashMap::new();
    for index in 0..decisions.len() {
        let at = *group_of_root.entry(sets.root(index)).or_insert_with(|| {
            groups.push(DecisionGroup { members: Vec::new(), group: Group::default() });
            groups.len() - 1
        });
        groups[at].members.push(index);
    }
    for (key, users) in users {
        let Some(versioned) = snapshot.get(key) else { continue };
        if users.written {
            let Some(record) = versioned.record.clone() else { continue };
            let write =
                Write { key: key.clone(), version: versioned.version, decided_at: versioned.decided_at, record };
            groups[group_of_root[&sets.root(users.by[0])]].group.writes.push(write);
        } else {
            let mut readers: Vec<usize> = users.by.iter().map(|index| group_of_root[&sets.root(*index)]).collect();
            readers.sort_unstable();
            readers.dedup();
            for reader in readers {
                groups[reader].group.reads.push((key.clone(), versioned.version));
            }
        }
    }
    for DecisionGroup { group, .. } in &mut groups {
        group.reads.sort_unstable();
        group.writes.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    }
    groups
}

#[derive(Default)]
struct Users {
    by: Vec<usize>,
    written: bool,
}

/// Union-find with path halving.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        // The earlier decision stays the root, so that groups keep arrival order.
        self.0[left.max(right)] = left.min(right);
    }
}
