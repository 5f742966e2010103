//! A store that breaks one promise.

mod loads;
mod queries;
mod store;
mod writes;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::domain::{
    EventId, Lapsed, LapsedOf, Pool, PoolId, Record, RecordKey, Reservation, ReservationId, Snapshot, Ticket, TicketId,
    Timestamp,
};
use ticket_reservation::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

use crate::fault::Fault;
use crate::meeting::Meeting;
use loads::forget_lapsed_tickets;

pub(crate) use store::Harness;

/// The events that the suite uses when it is about events.
const EVENTS: [&str; 10] =
    ["here", "there", "empty", "elsewhere", "event 0", "event 1", "event 2", "event 3", "gala", "matinee"];

/// How long two commits wait for one another at most.
const MEET: Duration = Duration::from_secs(2);

/// What all handles on a store share, besides the store.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fault: Fault,
    /// Commits happen two at a time, after both have read.
    pub(crate) meets: bool,
    calls: AtomicUsize,
    handles: AtomicUsize,
    /// Both have checked, and one has written.
    checked: Meeting,
    written: Meeting,
    /// The purge limit that is admitted, in microseconds.
    admitted: AtomicI64,
    loads: AtomicUsize,
    commits: AtomicUsize,
    sold: Mutex<BTreeSet<(EventId, TicketId)>>,
    dropped: WhenDropped,
}

/// What is done when the last handle goes.
#[derive(Default)]
struct WhenDropped(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for WhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenDropped(..)")
    }
}

impl Drop for WhenDropped {
    fn drop(&mut self) {
        if let Some(call) = self.0.get() {
            call();
        }
    }
}

impl Shared {
    pub(crate) fn when_dropped(&self, call: impl Fn() + Send + Sync + 'static) {
        let _ = self.dropped.0.set(Box::new(call));
    }

    pub(crate) fn new(fault: Fault, meets: bool) -> Arc<Self> {
        Arc::new(Self {
            fault,
            meets,
            calls: AtomicUsize::new(0),
            handles: AtomicUsize::new(0),
            checked: Meeting::default(),
            written: Meeting::default(),
            admitted: AtomicI64::new(i64::MIN),
            loads: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            sold: Mutex::default(),
            dropped: WhenDropped::default(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn Repository>,
    shared: Arc<Shared>,
    handle: usize,
    /// Pages of the feed that have been read, and not been waited for yet.
    unread: Mutex<VecDeque<Page>>,
}

type Page = Result<Vec<Change>, ChangesError>;

fn events() -> impl Iterator<Item = EventId> {
    EVENTS.into_iter().map(|text| EventId::new(text).expect("an id"))
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn Repository>, shared: &Arc<Shared>) -> Arc<Self> {
        let handle = shared.handles.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { inner, shared: Arc::clone(shared), handle, unread: Mutex::default() })
    }

    fn fault(&self) -> Fault {
        self.shared.fault
    }

    /// Every third call or so.
    fn is_turn(&self, every: usize) -> bool {
        self.shared.calls.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    async fn now(&self, event: &EventId, keys: impl Iterator<Item = &RecordKey>) -> Result<Snapshot, StoreError> {
        let records = keys.cloned().collect();
        self.inner.load(&LoadRequest { event: event.clone(), records, free_in: Vec::new() }).await
    }
}

#[async_trait]
impl Repository for Faulty {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        if self.fault() == Fault::Busy && self.is_turn(3) {
            return Err(StoreError::transient("busy"));
        }
        if self.fault() == Fault::AsksForPolls {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        let mut snapshot = self.inner.load(request).await?;
        let lists: Vec<(LapsedOf, Lapsed)> = snapshot.all_lapsed().map(|(of, it)| (of.clone(), it.clone())).collect();
        match self.fault() {
            Fault::ForgetsLapsed => {
                for (of, _) in lists {
                    snapshot.insert_lapsed(of, Lapsed::default());
                }
            }
            Fault::ForgetsMore => {
                for (of, lapsed) in lists {
                    snapshot.insert_lapsed(of, Lapsed { more: false, ..lapsed });
                }
            }
            Fault::MixesLapsed => self.mix_lapsed(request, &mut snapshot).await?,
            Fault::MixesAreas => self.mix_areas(request, &mut snapshot).await?,
            Fault::ReadsInParts if self.handle > 3 => self.read_in_parts(request, &mut snapshot).await?,
            Fault::ListsTooManyFree => self.list_too_many(request, &mut snapshot).await?,
            Fault::ForgetsRecordsBesideAreas if !request.free_in.is_empty() => {
                snapshot = self.inner.load(&LoadRequest { records: Vec::new(), ..request.clone() }).await?;
            }
            Fault::ForgetsTheLimit => snapshot.set_operations_purged_before(Timestamp::from_micros(i64::MIN)),
            Fault::RaisesTheLimitLate => {
                let admitted = self.shared.admitted.load(Ordering::Acquire);
                snapshot.set_operations_purged_before(Timestamp::from_micros(admitted));
                self.shared.loads.fetch_add(1, Ordering::AcqRel);
            }
            Fault::ForgetsWhatWasGivenBack => self.forget_given_back(request, &mut snapshot),
            Fault::ForgetsLapsedTickets => forget_lapsed_tickets(&mut snapshot),
            Fault::JoinsTheReservation => self.join_reservations(request, &mut snapshot),
            Fault::OwnClock => {
                let ahead = Duration::from_secs(self.handle as u64);
                snapshot.set_clock(snapshot.clock().after(ahead));
            }
            _ => {}
        }
        Ok(snapshot)
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        if self.shared.meets && self.handle > 2 {
            self.shared.checked.meet(Duration::from_millis(20)).await;
        }
        match self.fault() {
            Fault::Busy if self.is_turn(3) => return Err(StoreError::transient("busy")),
            Fault::ReadsTooEarly(kind) if groups.len() == 1 && !groups[0].reads.is_empty() => {
                return self.commit_after_reading(event, &groups[0], kind).await;
            }
            Fault::LosesHolds
                if groups
                    .iter()
                    .flat_map(|group| &group.writes)
                    .any(|write| write.version == 0 && matches!(write.key, RecordKey::Reservation(_)))
                    && self.is_turn(9) =>
            {
                return Ok(vec![GroupOutcome::Committed; groups.len()]);
            }
            Fault::TrustsTheEvent => {
                let of_others = groups.iter().flat_map(|group| &group.writes).find_map(|write| match &write.record {
                    Record::Reservation(reservation) if reservation.event != *event => Some(reservation.event.clone()),
                    _ => None,
                });
                if let Some(other) = of_others {
                    let mut groups = groups.to_vec();
                    for write in groups.iter_mut().flat_map(|group| &mut group.writes) {
                        if let Record::Operation(operation) = &mut write.record {
                            operation.event = other.clone();
                        }
                    }
                    return self.inner.commit(&other, &groups).await;
                }
            }
            Fault::TearsWhatIsDropped if groups.len() == 1 && groups[0].writes.len() > 1 => {
                let mut outcomes = Vec::new();
                for write in &groups[0].writes {
                    let single =
                        Group { reads: groups[0].reads.clone(), writes: vec![write.clone()], ..Group::default() };
                    outcomes = self.inner.commit(event, &[single]).await?;
                    tokio::task::yield_now().await;
                }
                return Ok(outcomes);
            }
            Fault::FailsTheBatch | Fault::DuplicatesAbort if groups.len() > 1 => {
                let any = self.fault() == Fault::FailsTheBatch;
                for group in groups {
                    if !self.stale(event, group, |_, version| any || version == 0).await.is_empty() {
                        let stale = |group: &Group| vec![group.writes[0].key.clone()];
                        return Ok(groups.iter().map(|group| GroupOutcome::Conflict { stale: stale(group) }).collect());
                    }
                }
            }
            _ => {}
        }
        let mut altered = Vec::new();
        for group in groups {
            altered.push(self.altered(event, group).await);
        }
        let outcomes = self.inner.commit(event, &altered).await?;
        if self.fault() == Fault::ForgetsWhatWasGivenBack {
            self.note_sold(event, groups);
        }
        self.shared.commits.fetch_add(1, Ordering::AcqRel);
        if self.fault() == Fault::WritesInPart {
            for (group, outcome) in groups.iter().zip(&outcomes) {
                if *outcome != GroupOutcome::Committed {
                    let singles = group.writes.iter().map(|write| Group {
                        reads: vec![],
                        writes: vec![write.clone()],
                        ..Group::default()
                    });
                    self.inner.commit(event, &singles.collect::<Vec<_>>()).await?;
                }
            }
        }
        Ok(outcomes)
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        match self.fault() {
            Fault::GivesAtLeastOne => {
                self.inner.tickets(&TicketQuery { limit: query.limit.max(1), ..query.clone() }).await
            }
            Fault::KnowsNoLongestPage => {
                let mut page = self.inner.tickets(query).await?;
                if query.limit > PAGE_MAX {
                    let after = page.last().map(|(id, ..)| id.clone());
                    page.extend(self.inner.tickets(&TicketQuery { after, ..query.clone() }).await?);
                }
                Ok(page)
            }
            Fault::FoldsCursors => {
                let page = self.inner.tickets(&TicketQuery { limit: PAGE_MAX, ..query.clone() }).await?;
                let last = query.after.as_ref().map(|id| id.as_str().to_lowercase());
                let others = page.into_iter().filter(|(id, ..)| Some(id.as_str().to_lowercase()) != last);
                Ok(others.take(query.limit).collect())
            }
            Fault::MixesTickets if query.area.is_some() => {
                let mut all = self.inner.tickets(query).await?;
                for event in events().filter(|event| *event != query.event) {
                    all.extend(self.inner.tickets(&TicketQuery { event, ..query.clone() }).await?);
                }
                all.sort_unstable_by(|left, right| left.0.cmp(&right.0));
                all.dedup_by(|left, right| left.0 == right.0);
                Ok(all)
            }
            _ => self.inner.tickets(query).await,
        }
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        match self.fault() {
            Fault::RepeatsThePools => self.inner.pools(&PoolQuery { after: None, ..query.clone() }).await,
            _ => self.inner.pools(query).await,
        }
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let mut found = self.inner.availability(event).await?;
        match self.fault() {
            Fault::MixesAvailability => self.mix_availability(event, &mut found).await?,
            Fault::FoldsAreas => found.areas.dedup_by_key(|it| it.area.as_str().to_lowercase()),
            _ => {}
        }
        Ok(found)
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let mut query = query.clone();
        if self.fault() == Fault::IgnoresTheCustomer {
            query.customer = None;
        }
        if self.fault() == Fault::ForgetsOtherEvents && query.event.is_none() {
            query.event = Some(EventId::new("here").expect("an id"));
        }
        let folds = match self.fault() {
            Fault::FoldsCustomers => true,
            Fault::FoldsCustomersOfAllEvents => query.event.is_none(),
            _ => false,
        };
        let folded = query.customer.clone().filter(|_| folds);
        if folded.is_some() {
            query.customer = None;
        }
        let mut page = self.inner.reservations(&query).await?;
        if let Some(folded) = folded {
            page.retain(|(_, found)| found.customer.as_str().to_lowercase() == folded.as_str().to_lowercase());
        }
        if self.fault() == Fault::MixesReservations && query.event.is_some() && query.customer.is_some() {
            for event in events().map(Some).filter(|event| *event != query.event) {
                page.extend(self.inner.reservations(&ReservationQuery { event, ..query.clone() }).await?);
            }
            page.sort_unstable_by_key(|(_, found)| found.id);
        }
        Ok(page)
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let page = self.inner.changes(event, after, limit).await;
        match (self.fault(), page) {
            (Fault::SwapsTheFeed, Ok(mut page)) => {
                if let [.., before, last] = &mut page[..] {
                    std::mem::swap(before, last);
                    std::mem::swap(&mut before.sequence, &mut last.sequence);
                }
                Ok(page)
            }
            (Fault::LosesRows, Ok(mut page)) => {
                page.retain(|change| change.sequence % 3 != 0);
                Ok(page)
            }
            (Fault::AnswersWhoCameBefore, page) => self.first_unread(page).await,
            (Fault::HidesTheTruncation, Err(ChangesError::Truncated { purged_through })) => {
                self.inner.changes(event, purged_through, limit).await
            }
            (_, page) => page,
        }
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        if self.fault() == Fault::HidesFromTheSweeper { Ok(Vec::new()) } else { self.inner.lapsed(limit).await }
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        let limit = match self.fault() {
            Fault::PurgesAtOnce => usize::MAX,
            Fault::PurgesPerEvent => limit * EVENTS.len(),
            _ => limit,
        };
        let purged = self.inner.purge(retention, limit).await?;
        if self.fault() == Fault::RaisesTheLimitLate {
            // Somebody looks in between.
            let loads = self.shared.loads.load(Ordering::Acquire);
            for _ in 0..200 {
                if self.shared.loads.load(Ordering::Acquire) > loads + 4 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let event = EventId::new("any").expect("an id");
            let raised = self.now(&event, std::iter::empty()).await?.operations_purged_before();
            self.shared.admitted.fetch_max(raised.as_micros(), Ordering::AcqRel);
        }
        Ok(purged)
    }
}
