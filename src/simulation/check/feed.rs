//! Every moment between two commits.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Findings};
use crate::domain::{
    Allowance, CustomerId, LatePayment, Pool, PoolId, Record, RecordKey, Reservation, ReservationId, ReservationState,
    Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::Change;
use crate::simulation::invariant::Invariant;

/// The tables as the feed makes them.
#[derive(Debug, Default)]
struct World {
    tickets: BTreeMap<TicketId, Ticket>,
    pools: BTreeMap<PoolId, Pool>,
    allowances: BTreeMap<CustomerId, Allowance>,
    reservations: BTreeMap<ReservationId, Reservation>,
    versions: BTreeMap<RecordKey, (u64, Timestamp)>,
    /// What all reservations have of each pool: held and booked.
    of_pools: BTreeMap<PoolId, (u64, u64)>,
    of_customers: BTreeMap<CustomerId, (u64, u64)>,
}

/// What the commits since the last look changed.
#[derive(Debug)]
struct Touched {
    reservations: BTreeSet<ReservationId>,
    tickets: BTreeSet<TicketId>,
    pools: BTreeSet<PoolId>,
    customers: BTreeSet<CustomerId>,
    /// The latest of the decisions.
    decided_at: Timestamp,
}

impl Default for Touched {
    fn default() -> Self {
        Self {
            reservations: BTreeSet::new(),
            tickets: BTreeSet::new(),
            pools: BTreeSet::new(),
            customers: BTreeSet::new(),
            decided_at: Timestamp::EPOCH,
        }
    }
}

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let (mut world, mut touched) = (World::default(), Touched::default());
    let mut ends = evidence.log.commits.iter().map(|(sequence, _)| *sequence).peekable();
    for (at, change) in evidence.log.changes.iter().enumerate() {
        findings.check(change.sequence == at as u64 + 1, Invariant::FeedTellsAll, || {
            format!("row {} of the change feed has the number {}", at + 1, change.sequence)
        });
        world.apply(change, evidence.late_payment, &mut touched, findings);
        if ends.next_if_eq(&change.sequence).is_some() {
            world.is_whole(&std::mem::take(&mut touched), evidence.limit_per_customer, change, findings);
        }
    }
    findings.check(ends.next().is_none(), Invariant::FeedTellsAll, || {
        "the change feed ends before the last commit".to_owned()
    });
    world.is_in_the_tables(evidence, findings);
}

impl World {
    fn apply(&mut self, change: &Change, late: LatePayment, touched: &mut Touched, findings: &mut Findings) {
        let Change { sequence, decided_at: at, version, key, record } = change;
        let (last, decided) = self.versions.insert(key.clone(), (*version, *at)).unwrap_or((0, Timestamp::EPOCH));
        findings.check(*version == last + 1, Invariant::FeedTellsAll, || {
            format!("row {sequence}: {key:?} has version {version} after {last}")
        });
        findings.check(*at >= decided, Invariant::TimeGoesOn, || {
            format!("row {sequence}: {key:?} was decided at {at}, and before that at {decided}")
        });
        touched.decided_at = touched.decided_at.max(*at);
        match (key, record) {
            (RecordKey::Ticket(id), Record::Ticket(ticket)) => {
                touched.tickets.insert(id.clone());
                // Whose it was must have given it back, which is seen when the commit has ended.
                let before = self.tickets.insert(id.clone(), ticket.clone());
                touched.reservations.extend(before.and_then(|before| before.owner()));
                touched.reservations.extend(ticket.owner());
            }
            (RecordKey::Pool(id), Record::Pool(pool)) => {
                touched.pools.insert(id.clone());
                self.pools.insert(id.clone(), pool.clone());
            }
            (RecordKey::Allowance(id), Record::Allowance(allowance)) => {
                touched.customers.insert(id.clone());
                self.allowances.insert(id.clone(), allowance.clone());
            }
            (RecordKey::Reservation(id), Record::Reservation(reservation)) => {
                touched.reservations.insert(*id);
                let before = self.reservations.insert(*id, reservation.clone());
                if let Some(before) = before {
                    self.count(&before, false, touched);
                    keeps_its_deadline(change, before.state, reservation.state, late, findings);
                }
                self.count(reservation, true, touched);
            }
            (RecordKey::Event, Record::Event(_)) => {}
            _ => findings.add(Invariant::FeedTellsAll, || format!("row {sequence}: {key:?} is {record:?}")),
        }
    }

    fn count(&mut self, reservation: &Reservation, is_added: bool, touched: &mut Touched) {
        let (is_held, is_booked) = match reservation.state {
            ReservationState::Held { .. } => (true, false),
            ReservationState::Booked => (false, true),
            _ => (false, false),
        };
        let change = |sum: &mut u64, quantity: u64| {
            *sum = if is_added { *sum + quantity } else { sum.saturating_sub(quantity) };
        };
        let add = |(held, booked): &mut (u64, u64), quantity: u64| {
            change(held, if is_held { quantity } else { 0 });
            change(booked, if is_booked { quantity } else { 0 });
        };
        let mut places = reservation.lines.tickets().len() as u64;
        for (pool, quantity) in reservation.lines.pools() {
            touched.pools.insert(pool.clone());
            add(self.of_pools.entry(pool.clone()).or_default(), u64::from(*quantity));
            places += u64::from(*quantity);
        }
        touched.customers.insert(reservation.customer.clone());
        add(self.of_customers.entry(reservation.customer.clone()).or_default(), places);
    }

    /// Between two commits everything fits together.
    fn is_whole(&self, touched: &Touched, limit: Option<u32>, last: &Change, findings: &mut Findings) {
        let at = last.sequence;
        for id in &touched.reservations {
            let Some(reservation) = self.reservations.get(id) else {
                findings.add(Invariant::AllOrNothing, || format!("row {at}: {id} has tickets and is nowhere"));
                continue;
            };
            // The store's clock may have stepped back since.
            let tickets = reservation.lines.tickets().iter().cloned().map(RecordKey::Ticket);
            let decided = tickets.chain([RecordKey::Reservation(*id)]).filter_map(|key| self.versions.get(&key));
            let now = decided.map(|(_, at)| *at).max().unwrap_or(touched.decided_at).max(touched.decided_at);
            let is_live = match reservation.state {
                ReservationState::Held { until } => now < until,
                ReservationState::Booked => true,
                _ => false,
            };
            for ticket in reservation.lines.tickets() {
                let Some(Ticket { state, .. }) = self.tickets.get(ticket) else {
                    findings.add(Invariant::AllOrNothing, || format!("row {at}: {id} has {ticket}, which is nowhere"));
                    continue;
                };
                let what = || {
                    format!(
                        "row {at}, at {now}: reservation {id} is {:?}, its ticket {ticket} {state:?}",
                        reservation.state
                    )
                };
                let fits = match (reservation.state, state) {
                    (ReservationState::Held { until }, TicketState::Held { reservation, until: its })
                        if reservation == id =>
                    {
                        until == *its
                    }
                    (ReservationState::Booked, TicketState::Booked { reservation }) if reservation == id => true,
                    // An expired one may be anybody's; others have nothing any more.
                    (ReservationState::Held { .. }, TicketState::Booked { reservation }) => {
                        reservation != id && !is_live
                    }
                    (ReservationState::Held { .. }, _) => !is_live,
                    (ReservationState::Booked, _) => false,
                    // Free as well: it was settled for the sake of something else that it has.
                    (ReservationState::Expired, TicketState::Held { reservation, until }) => {
                        reservation != id || *until <= now
                    }
                    (_, TicketState::Held { reservation, .. } | TicketState::Booked { reservation }) => {
                        reservation != id
                    }
                    (_, _) => true,
                };
                let is_anothers = is_live
                    && matches!(state, TicketState::Held { reservation, .. } | TicketState::Booked { reservation }
                        if reservation != id);
                findings.check(!is_anothers, Invariant::OneOwner, what);
                findings.check(fits || is_anothers, Invariant::AllOrNothing, what);
            }
        }
        for id in &touched.tickets {
            let Some(owner) = self.tickets.get(id).and_then(Ticket::owner) else { continue };
            let has_it = self.reservations.get(&owner).is_some_and(|it| it.lines.tickets().contains(id));
            findings.check(has_it, Invariant::AllOrNothing, || {
                format!("row {at}: {id} is {owner}'s, which has no such line")
            });
        }
        for id in &touched.pools {
            let (held, booked) = self.of_pools.get(id).copied().unwrap_or_default();
            let pool = self.pools.get(id);
            let fits = pool.is_some_and(|pool| {
                (u64::from(pool.held), u64::from(pool.booked)) == (held, booked)
                    && held + booked <= u64::from(pool.capacity)
            });
            findings.check(fits, Invariant::Capacity, || {
                format!("row {at}: {id} is {pool:?}, and its reservations hold {held} and book {booked}")
            });
        }
        let Some(limit) = limit else { return };
        for id in &touched.customers {
            let (held, booked) = self.of_customers.get(id).copied().unwrap_or_default();
            let allowance = self.allowances.get(id).cloned().unwrap_or_default();
            let fits = (u64::from(allowance.held), u64::from(allowance.booked)) == (held, booked);
            findings.check(fits && held + booked <= u64::from(limit), Invariant::Capacity, || {
                format!(
                    "row {at}: {id} has {allowance:?} of {limit}, and reservations of {held} held and {booked} booked"
                )
            });
        }
    }

    fn is_in_the_tables(&self, evidence: &Evidence, findings: &mut Findings) {
        let tickets = evidence.tickets.iter().map(|(id, (_, ticket))| (id, ticket));
        findings.check(tickets.eq(&self.tickets), Invariant::FeedTellsAll, || {
            "the tickets are others than the feed's".to_owned()
        });
        let pools = evidence.pools.iter().map(|(id, (_, pool))| (id, pool));
        findings.check(pools.eq(&self.pools), Invariant::FeedTellsAll, || {
            "the pools are others than the feed's".to_owned()
        });
        let reservations = evidence.reservations.iter().map(|(id, (_, reservation))| (id, reservation));
        findings.check(reservations.eq(&self.reservations), Invariant::FeedTellsAll, || {
            "the reservations are others than the feed's".to_owned()
        });
    }
}

fn keeps_its_deadline(
    change: &Change,
    before: ReservationState,
    after: ReservationState,
    late: LatePayment,
    findings: &mut Findings,
) {
    let at = change.decided_at;
    let keeps = match (before, after) {
        (ReservationState::Held { until }, ReservationState::Booked) => at < until || late == LatePayment::RebookIfFree,
        (ReservationState::Held { until }, ReservationState::Expired) => until <= at,
        (ReservationState::Held { until }, ReservationState::Held { until: after }) => until == after || at < until,
        (ReservationState::Held { until }, ReservationState::Released) => at < until,
        (ReservationState::Booked, ReservationState::Booked | ReservationState::Cancelled) => true,
        (ReservationState::Expired, ReservationState::Booked) => late == LatePayment::RebookIfFree,
        _ => false,
    };
    findings.check(keeps, Invariant::DeadlineKept, || {
        format!("row {}: a reservation that is {before:?} becomes {after:?} at {at}", change.sequence)
    });
}
