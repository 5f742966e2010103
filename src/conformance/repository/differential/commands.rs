use std::time::Duration;

use crate::conformance::bench::{area_id, customer_id, event_id, lines, literal, nth_ticket, pool_id};
use crate::conformance::contest::Dice;
use crate::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Import, OperationId, Place, ReservationId,
    SalesWindow, TicketId, Timestamp, Transfer,
};

pub(super) const CUSTOMERS: [&str; 4] = ["ann", "bob", "Bob", "cat"];
pub(super) const AREAS: [&str; 3] = ["A", "a", "nowhere"];
pub(super) const POOLS: [&str; 2] = ["floor", "roof"];

/// Tickets of an event, and those of them that are in its first area.
const TICKETS: u32 = 40;
const IN_FIRST_AREA: u32 = 28;

/// How long a hold lasts that shall lapse while commands are drawn, and how long one that shall not.
pub(super) const SHORT: Duration = Duration::from_secs(10 * 60);
pub(super) const LONG: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// The event that is on sale from the start, and the one that comes when it comes.
pub(super) fn events() -> [EventId; 2] {
    [event_id("gala"), event_id("matinee")]
}

/// Draws commands about a small world, so that they meet.
pub(super) struct Commands {
    dice: Dice,
    drawn: Vec<Command>,
    reservations: Vec<(EventId, ReservationId, CustomerId)>,
    ttls: u64,
}

impl Commands {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), drawn: Vec::new(), reservations: Vec::new(), ttls: 0 }
    }

    /// All of them, in the order in which they were drawn.
    pub(super) fn drawn(&self) -> &[Command] {
        &self.drawn
    }

    /// What became of a command, so that more is drawn about what there is than about what there is not.
    pub(super) fn answered(&mut self, action: &Action, is_accepted: bool) {
        match action {
            Action::Hold(hold) if !is_accepted => self.forget(hold.reservation),
            Action::Release { reservation, .. } | Action::Cancel { reservation, .. }
                if is_accepted && !self.one_in(4) =>
            {
                self.forget(*reservation);
            }
            Action::Transfer(Transfer { reservation, to, .. }) if is_accepted => {
                let moved = self.reservations.iter_mut().filter(|(_, id, _)| id == reservation);
                moved.for_each(|(_, _, owner)| owner.clone_from(to));
            }
            _ => {}
        }
    }

    fn forget(&mut self, reservation: ReservationId) {
        if let Some(last) = self.reservations.iter().rposition(|(_, id, _)| *id == reservation) {
            self.reservations.remove(last);
        }
    }

    /// What puts an event on sale.
    pub(super) fn opening(&mut self, event: &EventId, now: Timestamp) -> [Command; 2] {
        let limit_per_customer = (!self.one_in(3)).then_some(12);
        let terms = CreateEvent { limit_per_customer, ..CreateEvent::default() };
        let everything = Import { last: true, ..self.import(0, 4) };
        [Action::CreateEvent(terms), Action::Import(everything)].map(|action| {
            let operation = OperationId::from_parts(now, self.bytes());
            self.note(Command { event: event.clone(), operation, action })
        })
    }

    pub(super) fn draw(&mut self, event: &EventId, now: Timestamp) -> Command {
        if self.one_in(10) {
            let of_event: Vec<Command> = self.drawn.iter().filter(|it| it.event == *event).cloned().collect();
            if !of_event.is_empty() {
                return self.one_of(&of_event);
            }
        }
        let action = match self.dice.below(40) {
            0 => self.create_event(now),
            1 | 2 => {
                let (from, roof) = (self.dice.below(TICKETS), if self.one_in(8) { 5 } else { 4 });
                Action::Import(self.import(from, roof))
            }
            3 | 4 => Action::Block { tickets: self.tickets(3), reason: literal(BlockReason::new("camera")) },
            5 | 6 => self.unblock(event),
            7..=22 if !self.reservations.is_empty() => self.about_a_reservation(event),
            _ => self.hold(event, now),
        };
        self.named(event, action, now)
    }

    /// Under an id of its own, mostly.
    fn named(&mut self, event: &EventId, action: Action, now: Timestamp) -> Command {
        let made_at = match self.dice.below(80) {
            0 => now.before(Duration::from_secs(8 * 24 * 60 * 60)),
            1 => now.after(Duration::from_secs(2 * 24 * 60 * 60)),
            _ => now,
        };
        let operation = match self.dice.below(40) {
            0 if !self.drawn.is_empty() => self.one_of_the_drawn().operation,
            _ => OperationId::from_parts(made_at, self.bytes()),
        };
        self.note(Command { event: event.clone(), operation, action })
    }

    fn note(&mut self, command: Command) -> Command {
        self.drawn.push(command.clone());
        command
    }

    fn create_event(&mut self, now: Timestamp) -> Action {
        let opens = self.one_in(4).then(|| now.after(self.seconds(600)));
        let closes = self.one_in(4).then(|| now.after(Duration::from_secs(3_600) + self.seconds(3_600)));
        let limit_per_customer = (!self.one_in(3)).then_some(6);
        Action::CreateEvent(CreateEvent { window: SalesWindow { opens, closes }, limit_per_customer })
    }

    fn import(&mut self, from: u32, roof: u32) -> Import {
        let area = |n| area_id(AREAS[usize::from(n >= IN_FIRST_AREA)]);
        let place = |n| Place { area: area(n), row: n / 7 + 1, number: n % 7 + 1 };
        let tickets = (from..TICKETS).map(|n| (nth_ticket(n), place(n))).collect();
        let [floor_id, roof_id] = POOLS.map(pool_id);
        Import { tickets, pools: vec![(floor_id, 20), (roof_id, roof)], last: self.one_in(2) }
    }

    fn hold(&mut self, event: &EventId, now: Timestamp) -> Action {
        let (customer, count) = (self.customer(), self.dice.below(3));
        let tickets = self.tickets(count);
        let pools: Vec<(&str, u32)> =
            (0..self.dice.below(3)).map(|_| (self.one_of(&POOLS), 1 + self.dice.below(3))).collect();
        let reservation = match self.dice.below(30) {
            0 if !self.reservations.is_empty() => self.one_of_the_reservations().1,
            _ => ReservationId::from_parts(now, self.bytes()),
        };
        self.reservations.push((event.clone(), reservation, customer.clone()));
        let mut hold = Hold::new(reservation, customer, lines(&tickets, &pools));
        hold.ttl = self.ttl();
        if self.one_in(3) {
            let area = if self.one_in(2) { AREAS[0] } else { self.one_of(&AREAS) };
            hold = hold.with_best_available(area_id(area), 1 + self.dice.below(3));
        }
        Action::Hold(hold)
    }

    /// Mostly what was to be blocked before.
    fn unblock(&mut self, event: &EventId) -> Action {
        let of_event = self.drawn.iter().filter(|it| it.event == *event);
        let blocks = of_event.filter_map(|it| match &it.action {
            Action::Block { tickets, .. } => Some(tickets.clone()),
            _ => None,
        });
        let blocks: Vec<Vec<TicketId>> = blocks.collect();
        let tickets = if blocks.is_empty() || self.one_in(3) { self.tickets(2) } else { self.one_of(&blocks) };
        Action::Unblock { tickets }
    }

    /// Something about a reservation that was asked for, mostly by its own customer and in its own event.
    fn about_a_reservation(&mut self, event: &EventId) -> Action {
        let of_event: Vec<_> = self.reservations.iter().filter(|(of, ..)| of == event).cloned().collect();
        let (_, reservation, owner) = if of_event.is_empty() || self.one_in(20) {
            self.one_of_the_reservations()
        } else {
            // Often a late one, of which there is still something to do.
            let first = if self.one_in(2) { 0 } else { of_event.len().saturating_sub(6) };
            self.one_of(&of_event[first..])
        };
        let customer = if self.one_in(10) { self.customer() } else { owner };
        match self.dice.below(7) {
            0 => Action::Extend { reservation, customer, ttl: self.ttl() },
            1 | 2 => Action::Confirm { reservation, customer },
            3 => Action::Release { reservation, customer },
            4 | 5 => Action::Cancel { reservation, customer },
            _ => Action::Transfer(Transfer { reservation, from: customer, to: self.customer() }),
        }
    }

    /// No two that are drawn are equal, nor do they differ by whole seconds: where all decisions are whole seconds apart,
    /// no two holds end at the same time, so that it is known in which order they lapse.
    fn ttl(&mut self) -> Option<Duration> {
        self.ttls += 1;
        let shift = Duration::from_micros(self.ttls);
        match self.dice.below(16) {
            0 => Some(LONG + shift), // too long
            1 | 2 => None,
            3..=9 => Some(SHORT / 10 + shift),
            _ => Some(SHORT + shift),
        }
    }

    fn customer(&mut self) -> CustomerId {
        customer_id(self.one_of(&CUSTOMERS))
    }

    /// One in forty does not exist.
    fn tickets(&mut self, count: u32) -> Vec<TicketId> {
        (0..count).map(|_| nth_ticket(self.dice.below(TICKETS + 1))).collect()
    }

    fn one_of_the_drawn(&mut self) -> Command {
        self.drawn[self.dice.below(self.drawn.len() as u32) as usize].clone()
    }

    fn one_of_the_reservations(&mut self) -> (EventId, ReservationId, CustomerId) {
        self.reservations[self.dice.below(self.reservations.len() as u32) as usize].clone()
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.dice.below(all.len() as u32) as usize].clone()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.dice.below(n) == 0
    }

    fn seconds(&mut self, below: u32) -> Duration {
        Duration::from_secs(self.dice.below(below).into())
    }

    fn bytes(&mut self) -> [u8; 10] {
        std::array::from_fn(|_| self.dice.below(256) as u8)
    }
}
