use super::decisions::Decision;
use crate::domain::{Record, RecordKey, Snapshot};
use crate::ports::{Group, PoolShift, Write};

/// Decisions that depend on one another, and what they come to.
#[derive(Debug)]
pub(super) struct DecisionGroup {
    /// Indices of the decisions, ascending.
    pub(super) members: Vec<usize>,
    /// One net change per record; empty writes when nothing changes, and then nothing is left to commit.
    pub(super) group: Group,
}

/// That a decision depends on a record.
struct Use<'d> {
    key: &'d RecordKey,
    decision: usize,
    writes: bool,
}

/// Puts together the decisions that touch a record which one of them changes. `snapshot` is the one that they were
/// made on: it has the versions that were read, and the content that is to be written.
pub(super) fn group(decisions: &[Decision], snapshot: &Snapshot) -> Vec<DecisionGroup> {
    // Sorted, not hashed: the records of each group come out in order, and in the same order every time.
    let uses = sorted_uses(decisions);
    let mut sets = DisjointSets::new(decisions.len());
    for uses in by_record(&uses).filter(|uses| is_written(uses)) {
        for pair in uses.windows(2) {
            sets.join(pair[0].decision, pair[1].decision);
        }
    }
    let (mut groups, group_of) = number(decisions.len(), &mut sets);
    for uses in by_record(&uses) {
        let key = uses[0].key;
        let Some(versioned) = snapshot.get(key) else { continue };
        if is_written(uses) {
            let Some(record) = versioned.record.clone() else { continue };
            let (version, decided_at) = (versioned.version, versioned.decided_at);
            let write = Write { key: key.clone(), version, decided_at, record };
            let group = &mut groups[group_of[uses[0].decision]].group;
            group.shifts.extend(shift(uses, snapshot, &write));
            group.writes.push(write);
        } else {
            let mut readers: Vec<usize> = uses.iter().map(|it| group_of[it.decision]).collect();
            readers.sort_unstable();
            readers.dedup();
            for reader in readers {
                groups[reader].group.reads.push((key.clone(), versioned.version));
            }
        }
    }
    groups
}

fn sorted_uses(decisions: &[Decision]) -> Vec<Use<'_>> {
    let count = decisions.iter().map(|decision| decision.touched.len()).sum();
    let mut uses = Vec::with_capacity(count);
    for (index, Decision { touched, written, .. }) in decisions.iter().enumerate() {
        // What is written was looked at before; once is enough.
        let read = touched.iter().filter(|key| written.binary_search(key).is_err());
        uses.extend(read.map(|key| Use { key, decision: index, writes: false }));
        uses.extend(written.iter().map(|key| Use { key, decision: index, writes: true }));
    }
    uses.sort_unstable_by(|left, right| left.key.cmp(right.key));
    uses
}

fn by_record<'u, 'd>(uses: &'u [Use<'d>]) -> impl Iterator<Item = &'u [Use<'d>]> {
    uses.chunk_by(|left, right| left.key == right.key)
}

fn is_written(uses: &[Use<'_>]) -> bool {
    uses.iter().any(|it| it.writes)
}

/// By how much a pool's counters move, if all who look at the pool count in it: then none was refused for what it counted.
fn shift(uses: &[Use<'_>], snapshot: &Snapshot, write: &Write) -> Option<PoolShift> {
    let (RecordKey::Pool(id), Record::Pool(pool)) = (&write.key, &write.record) else { return None };
    let read = snapshot.pool_as_read(id).filter(|read| read.capacity == pool.capacity)?;
    if write.version == 0 || uses.iter().any(|it| !it.writes) {
        return None;
    }
    let moved = |from: u32, to: u32| i64::from(to) - i64::from(from);
    Some(PoolShift { pool: id.clone(), held: moved(read.held, pool.held), booked: moved(read.booked, pool.booked) })
}

/// The groups in arrival order, and the group of each decision.
fn number(decisions: usize, sets: &mut DisjointSets) -> (Vec<DecisionGroup>, Vec<usize>) {
    let mut groups: Vec<DecisionGroup> = Vec::new();
    let mut group_of = Vec::with_capacity(decisions);
    for index in 0..decisions {
        // A root is the earliest of its set, so it has its group already.
        let root = sets.root(index);
        let group = if root == index { groups.len() } else { group_of[root] };
        if root == index {
            groups.push(DecisionGroup { members: Vec::new(), group: Group::default() });
        }
        groups[group].members.push(index);
        group_of.push(group);
    }
    (groups, group_of)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        AreaId, ChangeSet, Event, EventId, EventState, Place, Pool, PoolId, Record, SalesWindow, Ticket, TicketId,
        Timestamp, Versioned,
    };

    const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn ticket(number: u32) -> RecordKey {
        RecordKey::Ticket(TicketId::new(format!("A-{number}")).expect("an id"))
    }

    /// An event at version 7, and tickets at the version of their number.
    fn hall(tickets: u32) -> Snapshot {
        let mut snapshot = Snapshot::new(EventId::new("gala").expect("an id"), AT);
        let event = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
        snapshot.insert(RecordKey::Event, Versioned::new(7, AT, Record::Event(event)));
        for number in 1..=tickets {
            let place = Place { area: AreaId::new("A").expect("an id"), row: 1, number };
            let record = Record::Ticket(Ticket::available(place));
            snapshot.insert(ticket(number), Versioned::new(number.into(), AT, record));
        }
        snapshot
    }

    fn decision(touched: &[RecordKey], written: &[RecordKey]) -> Decision {
        Decision { request: None, touched: touched.to_vec(), written: written.to_vec() }
    }

    #[test]
    fn every_group_is_held_to_what_it_only_read() {
        let decisions: Vec<Decision> =
            (1..=3).map(|number| decision(&[RecordKey::Event, ticket(number)], &[ticket(number)])).collect();
        let groups = group(&decisions, &hall(3));
        assert_eq!(groups.len(), 3);
        for (index, DecisionGroup { members, group }) in groups.iter().enumerate() {
            assert_eq!(*members, [index]);
            assert_eq!(group.reads, [(RecordKey::Event, 7)]);
            let writes: Vec<_> = group.writes.iter().map(|write| (write.key.clone(), write.version)).collect();
            assert_eq!(writes, [(ticket(index as u32 + 1), index as u64 + 1)]);
        }
    }

    #[test]
    fn those_that_depend_on_what_another_one_writes_share_its_group() {
        let decisions = [
            decision(&[RecordKey::Event, ticket(1)], &[ticket(1)]),
            decision(&[RecordKey::Event, ticket(3)], &[ticket(3)]),
            decision(&[ticket(1), ticket(2), ticket(1)], &[ticket(2)]),
            decision(&[ticket(2)], &[]),
        ];
        let groups = group(&decisions, &hall(3));
        assert_eq!(groups.iter().map(|group| group.members.clone()).collect::<Vec<_>>(), [vec![0, 2, 3], vec![1]]);
        // Each record once: as what is written, where it is, and else as what was read.
        assert_eq!(groups[0].group.reads, [(RecordKey::Event, 7)]);
        let writes: Vec<_> = groups[0].group.writes.iter().map(|write| (write.key.clone(), write.version)).collect();
        assert_eq!(writes, [(ticket(1), 1), (ticket(2), 2)]);
    }

    fn standing() -> RecordKey {
        RecordKey::Pool(PoolId::new("standing").expect("an id"))
    }

    /// A pool of ten places at version 5, of which decisions have left this.
    fn pool_left(capacity: u32, held: u32) -> Snapshot {
        let mut snapshot = hall(0);
        let read = Record::Pool(Pool { held: 1, ..Pool::with_capacity(10) });
        snapshot.insert(standing(), Versioned::new(5, AT, read));
        let left = Record::Pool(Pool { held, ..Pool::with_capacity(capacity) });
        snapshot.apply(&ChangeSet { at: AT, writes: vec![(standing(), left)], receipt: None });
        snapshot
    }

    #[test]
    fn who_only_counts_in_a_pool_says_by_how_much() {
        let holds = [decision(&[standing()], &[standing()]), decision(&[standing()], &[standing()])];
        let groups = group(&holds, &pool_left(10, 4));
        let pool = PoolId::new("standing").expect("an id");
        assert_eq!(groups[0].group.shifts, [PoolShift { pool, held: 3, booked: 0 }]);
        assert_eq!(groups[0].group.writes[0].version, 5);
    }

    #[test]
    fn who_was_refused_for_what_a_pool_counts_depends_on_all_of_it() {
        let decisions = [decision(&[standing()], &[standing()]), decision(&[standing()], &[])];
        assert_eq!(group(&decisions, &pool_left(10, 10))[0].group.shifts, []);
    }

    #[test]
    fn another_capacity_is_more_than_counting() {
        let decisions = [decision(&[standing()], &[standing()])];
        assert_eq!(group(&decisions, &pool_left(12, 1))[0].group.shifts, []);
    }
}
