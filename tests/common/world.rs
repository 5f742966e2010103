//! One event of a small hall, the services that sell it, and short words for what is asked of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingError, BookingService, BookingServiceBuilder, OutcomeUnknown};
use ticket_reservation::domain::{
    Action, AreaId, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Import, Lines, Place, Pool, PoolId,
    Receipt, RecordKey, Rejection, Reservation, ReservationId, TicketId, TicketState, Timestamp, Transfer,
};
use ticket_reservation::ports::{Clock, Group, GroupOutcome, LoadRequest, Repository, Runtime, RuntimeExt, Write};

use super::audit::{all_pools, all_reservations, all_tickets};
use super::doubles::{Recorder, StoreClock};
use super::sim::Sim;
use super::stage::Stage;

pub(crate) type Answer = Result<Receipt, BookingError>;

pub(crate) fn event() -> EventId {
    EventId::new("gig").unwrap()
}

pub(crate) fn ticket(id: &str) -> TicketId {
    TicketId::new(id).unwrap()
}

pub(crate) fn tickets(ids: &[&str]) -> Vec<TicketId> {
    ids.iter().map(|id| ticket(id)).collect()
}

pub(crate) fn pool(id: &str) -> PoolId {
    PoolId::new(id).unwrap()
}

pub(crate) fn area(id: &str) -> AreaId {
    AreaId::new(id).unwrap()
}

pub(crate) fn customer(id: &str) -> CustomerId {
    CustomerId::new(id).unwrap()
}

pub(crate) fn lines(ids: &[&str], pools: &[(&str, u32)]) -> Lines {
    Lines::merge(tickets(ids), pools.iter().map(|(id, quantity)| (pool(id), *quantity))).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Two rows of ten places in area A (`A1` to `A10`, `B1` to `B10`), and what pools the test wants.
pub(crate) struct Hall {
    pub(crate) sim: Sim,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) store: MemoryRepository,
    pub(crate) stage: Arc<Stage>,
    pub(crate) seen: Arc<Recorder>,
}

impl Hall {
    /// An empty store, with no event.
    pub(crate) fn empty(sim: &Sim) -> Self {
        let clock = StoreClock::new(sim);
        let store = MemoryRepository::with_clock(clock.clone());
        let stage = Stage::new(store.clone());
        Self { sim: sim.clone(), clock, store, stage, seen: Arc::default() }
    }

    /// An event on sale, without a limit per customer.
    pub(crate) async fn open(sim: &Sim, pools: &[(&str, u32)]) -> Self {
        Self::open_with(sim, pools, CreateEvent::default()).await
    }

    pub(crate) async fn open_with(sim: &Sim, pools: &[(&str, u32)], terms: CreateEvent) -> Self {
        let hall = Self::empty(sim);
        let office = hall.rival();
        let _ = office.create_event(&event(), office.new_operation_id(), terms).await.unwrap();
        let pools = pools.iter().map(|(id, capacity)| (pool(id), *capacity)).collect();
        office.import(&event(), places(), pools).await.unwrap();
        hall
    }

    pub(crate) async fn open_with_limit(sim: &Sim, pools: &[(&str, u32)], limit: u32) -> Self {
        Self::open_with(sim, pools, CreateEvent { limit_per_customer: Some(limit), ..CreateEvent::default() }).await
    }

    pub(crate) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(self.sim.clone())
    }

    /// What the store's clock says.
    pub(crate) fn clock_time(&self) -> Timestamp {
        self.clock.unix_time()
    }

    /// The service under test, on the stage.
    pub(crate) fn service(&self) -> BookingService {
        self.service_with(|builder| builder)
    }

    pub(crate) fn service_with(
        &self,
        change: impl FnOnce(BookingServiceBuilder) -> BookingServiceBuilder,
    ) -> BookingService {
        let builder = BookingService::builder(self.stage.clone(), self.runtime()).observer(self.seen.clone());
        change(builder).build().unwrap()
    }

    /// Another process, directly on the store.
    pub(crate) fn rival(&self) -> BookingService {
        BookingService::builder(Arc::new(self.store.clone()), self.runtime()).build().unwrap()
    }

    /// Sends a command in the background.
    pub(crate) fn send(&self, service: &BookingService, command: &Command) -> super::sim::Started<Answer> {
        let (service, command) = (service.clone(), command.clone());
        self.sim.start(async move { service.submit(command).await })
    }

    /// The same hold as if its customer were another one: what follows from it names that one.
    pub(crate) fn hold_again(&self, of: &Command, who: &str) -> Command {
        let Action::Hold(hold) = of.action.clone() else { panic!("not a hold: {of:?}") };
        self.hold_of(Hold { customer: customer(who), ..hold })
    }

    /// A hold under an id that the test has.
    pub(crate) fn hold_under(id: ReservationId, who: &str, ids: &[&str]) -> Hold {
        Hold::new(id, customer(who), lines(ids, &[]))
    }

    pub(crate) fn command(&self, action: Action) -> Command {
        Command { event: event(), operation: self.sim.operation_id(), action }
    }

    pub(crate) fn hold(&self, who: &str, ids: &[&str], pools: &[(&str, u32)]) -> Command {
        self.hold_of(Hold::new(self.sim.reservation_id(), customer(who), lines(ids, pools)))
    }

    pub(crate) fn hold_of(&self, hold: Hold) -> Command {
        self.command(Action::Hold(hold))
    }

    /// A hold of `quantity` neighbouring places of area A.
    pub(crate) fn best(&self, who: &str, quantity: u32) -> Command {
        let hold = Hold::new(self.sim.reservation_id(), customer(who), Lines::default());
        self.hold_of(hold.with_best_available(area("A"), quantity))
    }

    pub(crate) fn confirm(&self, of: &Command) -> Command {
        let (reservation, customer) = who(of);
        self.command(Action::Confirm { reservation, customer })
    }

    pub(crate) fn release(&self, of: &Command) -> Command {
        let (reservation, customer) = who(of);
        self.command(Action::Release { reservation, customer })
    }

    pub(crate) fn cancel(&self, of: &Command) -> Command {
        let (reservation, customer) = who(of);
        self.command(Action::Cancel { reservation, customer })
    }

    pub(crate) fn extend(&self, of: &Command, ttl: Option<Duration>) -> Command {
        let (reservation, customer) = who(of);
        self.command(Action::Extend { reservation, customer, ttl })
    }

    pub(crate) fn transfer(&self, of: &Command, to: &str) -> Command {
        let (reservation, from) = who(of);
        self.command(Action::Transfer(Transfer { reservation, from, to: customer(to) }))
    }

    pub(crate) fn block(&self, ids: &[&str]) -> Command {
        self.command(Action::Block { tickets: tickets(ids), reason: BlockReason::new("camera").unwrap() })
    }

    pub(crate) fn unblock(&self, ids: &[&str]) -> Command {
        self.command(Action::Unblock { tickets: tickets(ids) })
    }

    pub(crate) fn import(&self, pools: &[(&str, u32)], last: bool) -> Command {
        let pools = pools.iter().map(|(id, capacity)| (pool(id), *capacity)).collect();
        self.command(Action::Import(Import { tickets: Vec::new(), pools, last }))
    }

    pub(crate) fn ticket_state(&self, id: &str) -> TicketState {
        all_tickets(&self.store)[&ticket(id)].state.clone()
    }

    pub(crate) fn pool_row(&self, id: &str) -> Pool {
        all_pools(&self.store).remove(&pool(id)).unwrap()
    }

    pub(crate) fn reservation(&self, of: &Command) -> Option<Reservation> {
        all_reservations(&self.store).remove(&who(of).0)
    }

    pub(crate) fn audit(&self) {
        super::audit::audit(&self.store);
    }
}

/// Rewrites a record as it is, as if another process had changed it and back: whoever has read it is behind.
pub(crate) fn touch(store: &MemoryRepository, key: &RecordKey) {
    let request = LoadRequest { event: event(), records: vec![key.clone()], free_in: Vec::new() };
    let snapshot = store.load(&request).now_or_never().unwrap().unwrap();
    let read = snapshot.get(key).unwrap();
    let (version, decided_at, record) = (read.version, read.decided_at, read.record.clone().unwrap());
    let group = Group {
        reads: Vec::new(),
        writes: vec![Write { key: key.clone(), version, decided_at, record }],
        ..Group::default()
    };
    let outcome = store.commit(&event(), &[group]).now_or_never().unwrap().unwrap();
    assert_eq!(outcome, [GroupOutcome::Committed]);
}

pub(crate) fn places() -> Vec<(TicketId, Place)> {
    let row = |name: &'static str, row: u32| {
        (1..=10).map(move |number| (ticket(&format!("{name}{number}")), Place { area: area("A"), row, number }))
    };
    row("A", 1).chain(row("B", 2)).collect()
}

fn who(of: &Command) -> (ReservationId, CustomerId) {
    match &of.action {
        Action::Hold(hold) => (hold.reservation, hold.customer.clone()),
        other => panic!("not a hold: {other:?}"),
    }
}

/// The refusal that the answer must be.
pub(crate) fn refusal(answer: Answer) -> Rejection {
    match answer {
        Err(BookingError::Rejected(rejection)) => rejection,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn unknown(answer: Answer) -> OutcomeUnknown {
    match answer {
        Err(BookingError::OutcomeUnknown(unknown)) => unknown,
        other => panic!("not unknown: {other:?}"),
    }
}

/// The reservation of an answer that must be a success.
pub(crate) fn reserved(answer: Answer) -> Reservation {
    answer.unwrap().outcome.reservation().unwrap().clone()
}

pub(crate) fn unavailable(ids: &[&str]) -> Rejection {
    Rejection::Unavailable { tickets: tickets(ids) }
}

pub(crate) fn record(id: &str) -> RecordKey {
    RecordKey::Ticket(ticket(id))
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hall")
    }
}
