//! What may happen, as proptest draws and shrinks it: wishes that the world turns into commands when their turn comes, so
//! that most of them name reservations that exist together with their owners.

use std::time::Duration;

use proptest::prelude::*;
use ticket_reservation::domain::{EventId, Import, Lines, SalesWindow, TicketId};

use super::hall::{CUSTOMERS, POOLS, TICKETS, Terms, event_id, minutes_from_start, place, pool_id, ticket_id};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Decided one after another on one snapshot, and committed together.
    Batch(u8, Vec<Deed>),
    /// Decided on the same snapshot by two processes, and committed one after the other. Where they `meet`, they change
    /// the same reservation or hold the same places.
    Race { event: u8, first: Box<Deed>, second: Box<Deed>, meet: bool, keeps_its_pick: bool },
    /// The clock moves.
    Time(TimeMove),
    /// What is older than the retention is forgotten, at most so much of it.
    Purge(usize),
}

impl Step {
    /// The event that it is about; time passes for both.
    pub(crate) fn event(&self) -> EventId {
        match self {
            Self::Batch(event, _) | Self::Race { event, .. } => event_id(*event),
            Self::Time(_) | Self::Purge(_) => event_id(0),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Ask(Wish, Age),
    /// The command before once more, under its own id: a double click.
    Same,
    /// A command that was given before, under its old id, or another one under that id.
    Again {
        n: usize,
        instead: Option<Wish>,
    },
    /// A command that was given before is refused for good.
    Void {
        n: usize,
    },
    /// Expired holds are settled; or all reservations are, of which most are not over.
    Sweep {
        all: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Create,
    Import(Import),
    Hold { used_id: Option<usize>, who: u8, lines: Lines, best: Option<(u8, u32)>, ttl: Option<Duration> },
    Extend(Which, Who, Option<Duration>),
    Confirm(Which, Who),
    Release(Which, Who),
    Cancel(Which, Who),
    Transfer(Which, Who, u8),
    Block(Vec<TicketId>),
    Unblock(Vec<TicketId>),
}

/// A reservation among those that were made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which {
    pub(crate) among: Among,
    pub(crate) n: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Among {
    Live,
    Over,
    Booked,
    OfAllEvents,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Owner,
    Customer(u8),
}

/// When an operation id was made: almost always now, or at an edge of what is accepted, in milliseconds beyond it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Age {
    Now,
    Retention(i64),
    Skew(i64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TimeMove {
    ByMinutes(i64),
    /// To a deadline of a hold, give or take microseconds.
    Deadline {
        n: usize,
        micros: i64,
    },
    /// To an end of the sales window, give or take microseconds.
    Window {
        opens: bool,
        micros: i64,
    },
}

fn which(live: u32, over: u32, booked: u32) -> impl Strategy<Value = Which> {
    let among = prop_oneof![
        live => Just(Among::Live),
        over => Just(Among::Over),
        booked => Just(Among::Booked),
        1 => Just(Among::OfAllEvents),
    ];
    (among, any::<usize>()).prop_map(|(among, n)| Which { among, n })
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![10 => Just(Who::Owner), 1 => (0..CUSTOMERS).prop_map(Who::Customer)]
}

fn ticket() -> impl Strategy<Value = TicketId> {
    // Number TICKETS is unknown to every event.
    prop_oneof![30 => 0..TICKETS, 1 => Just(TICKETS)].prop_map(ticket_id)
}

fn lines() -> impl Strategy<Value = Lines> {
    let tickets = prop::collection::vec(ticket(), 0..3);
    let pool = prop_oneof![20 => 0..2_u8, 1 => Just(2)].prop_map(pool_id);
    let pools = prop::collection::vec((pool, 1..3_u32), 0..3);
    (tickets, pools).prop_map(|(tickets, pools)| Lines::merge(tickets, pools).unwrap())
}

fn ttl() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        6 => Just(None),
        2 => (1..31_u64).prop_map(|minutes| Some(Duration::from_secs(60 * minutes))),
        1 => (1..10_000_000_u64).prop_map(|micros| Some(Duration::from_micros(micros))),
        2 => prop_oneof![3 => Just(1_800_000_000), 1 => Just(1_800_000_001), 1 => Just(1_000), 1 => Just(999), 1 => Just(0)]
            .prop_map(|micros| Some(Duration::from_micros(micros))),
    ]
}

fn hold() -> impl Strategy<Value = Wish> {
    let best = prop::option::weighted(0.35, (0..2_u8, 1..4_u32));
    let used_id = prop::option::weighted(0.04, any::<usize>());
    (used_id, 0..CUSTOMERS, lines(), best, ttl()).prop_map(|(used_id, who, lines, best, ttl)| Wish::Hold {
        used_id,
        who,
        lines,
        best,
        ttl,
    })
}

fn import() -> impl Strategy<Value = Wish> {
    let tickets = prop::collection::vec((0..TICKETS, prop::bool::weighted(0.05)), 0..4);
    let pools = prop::collection::vec((0..POOLS.len(), prop::bool::weighted(0.05)), 0..2);
    (tickets, pools, prop::bool::weighted(0.3)).prop_map(|(tickets, pools, last)| {
        let tickets = tickets.into_iter().map(|(n, moved)| (ticket_id(n), place(if moved { n ^ 1 } else { n })));
        let pools = pools.into_iter().map(|(n, other)| {
            let (_, capacity) = POOLS[n];
            (pool_id(u8::try_from(n).unwrap()), capacity + u32::from(other))
        });
        Wish::Import(Import { tickets: tickets.collect(), pools: pools.collect(), last })
    })
}

pub(crate) fn wish() -> BoxedStrategy<Wish> {
    let some_tickets = || prop::collection::vec(ticket(), 0..3);
    prop_oneof![
        14 => hold(),
        4 => (which(20, 2, 1), who(), ttl()).prop_map(|(which, who, ttl)| Wish::Extend(which, who, ttl)),
        9 => (which(12, 8, 1), who()).prop_map(|(which, who)| Wish::Confirm(which, who)),
        3 => (which(12, 2, 1), who()).prop_map(|(which, who)| Wish::Release(which, who)),
        6 => (which(1, 1, 14), who()).prop_map(|(which, who)| Wish::Cancel(which, who)),
        5 => (which(8, 1, 12), who(), 0..CUSTOMERS).prop_map(|(which, who, to)| Wish::Transfer(which, who, to)),
        1 => some_tickets().prop_map(Wish::Block),
        3 => some_tickets().prop_map(Wish::Unblock),
        1 => import(),
        1 => Just(Wish::Create),
    ]
    .boxed()
}

fn age() -> impl Strategy<Value = Age> {
    prop_oneof![
        40 => Just(Age::Now),
        1 => (-1..2_i64).prop_map(Age::Retention),
        1 => (-1..2_i64).prop_map(Age::Skew),
    ]
}

fn ask() -> impl Strategy<Value = Deed> {
    (wish(), age()).prop_map(|(wish, age)| Deed::Ask(wish, age))
}

fn deed() -> BoxedStrategy<Deed> {
    prop_oneof![
        24 => ask(),
        2 => Just(Deed::Same),
        3 => any::<usize>().prop_map(|n| Deed::Again { n, instead: None }),
        1 => (any::<usize>(), wish()).prop_map(|(n, instead)| Deed::Again { n, instead: Some(instead) }),
        1 => any::<usize>().prop_map(|n| Deed::Void { n }),
        2 => prop::bool::weighted(0.3).prop_map(|all| Deed::Sweep { all }),
    ]
    .boxed()
}

fn event() -> impl Strategy<Value = u8> {
    prop_oneof![12 => Just(0_u8), 1 => Just(1)]
}

fn time() -> impl Strategy<Value = TimeMove> {
    prop_oneof![
        5 => (0..12_i64).prop_map(TimeMove::ByMinutes),
        1 => (-7..0_i64).prop_map(TimeMove::ByMinutes),
        6 => (any::<usize>(), -1..2_i64).prop_map(|(n, micros)| TimeMove::Deadline { n, micros }),
        1 => (any::<bool>(), -1..2_i64).prop_map(|(opens, micros)| TimeMove::Window { opens, micros }),
    ]
}

fn step() -> BoxedStrategy<Step> {
    prop_oneof![
        10 => (event(), deed()).prop_map(|(event, deed)| Step::Batch(event, vec![deed])),
        4 => (event(), prop::collection::vec(deed(), 2..5)).prop_map(|(event, deeds)| Step::Batch(event, deeds)),
        9 => (event(), deed().prop_map(Box::new), deed().prop_map(Box::new), prop::bool::weighted(0.7), prop::bool::weighted(0.8)).prop_map(
            |(event, first, second, meet, keeps_its_pick)| Step::Race { event, first, second, meet, keeps_its_pick }
        ),
        4 => time().prop_map(Step::Time),
        2 => prop_oneof![Just(1_usize), Just(3), Just(1_000)].prop_map(Step::Purge),
    ]
    .boxed()
}

/// An event's way onto the market: created, imported in two chunks, with whatever happens in between.
fn opening(event: u8) -> BoxedStrategy<Vec<Step>> {
    let between = || prop::collection::vec(step(), 0..2);
    let chunk = move |from: u8, to: u8, last: bool| {
        let tickets = (from..to).map(|n| (ticket_id(n), place(n))).collect();
        let pools = if last { Vec::new() } else { (0..2).map(|n| (pool_id(n), POOLS[usize::from(n)].1)).collect() };
        Step::Batch(event, vec![Deed::Ask(Wish::Import(Import { tickets, pools, last }), Age::Now)])
    };
    (between(), between(), between())
        .prop_map(move |(a, b, c)| {
            let create = Step::Batch(event, vec![Deed::Ask(Wish::Create, Age::Now)]);
            [a, vec![create], b, vec![chunk(0, 5, false)], c, vec![chunk(4, TICKETS, true)]].concat()
        })
        .boxed()
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let second = prop::option::weighted(0.3, opening(1));
    (opening(0), second, prop::collection::vec(step(), 1..100))
        .prop_map(|(first, second, rest)| [first, second.unwrap_or_default(), rest].concat())
}

pub(crate) fn terms() -> impl Strategy<Value = Terms> {
    let window = prop_oneof![
        4 => Just(SalesWindow::default()),
        1 => (-10..10_i64, 30..90_i64).prop_map(|(from, to)| SalesWindow {
            opens: Some(minutes_from_start(from)),
            closes: Some(minutes_from_start(to)),
        }),
    ];
    let limit = prop::option::weighted(0.7, 2..7_u32);
    (limit, prop::bool::weighted(0.7), window).prop_map(|(limit, books_late_payments, window)| Terms {
        limit,
        books_late_payments,
        window,
    })
}
