/// A counted area without numbered places. `held + booked <= capacity` at every moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pool {
    /// How many places there are.
    pub capacity: u32,
    /// How many are held, expired holds included until they are reclaimed.
    pub held: u32,
    /// How many are sold.
    pub booked: u32,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn with_capacity(capacity: u32) -> Self {
        Self { capacity, held: 0, booked: 0 }
    }

    /// How many may still be held. Expired holds that are not reclaimed yet are not counted as free.
    ///
    /// ```
    /// use ticket_reservation::domain::Pool;
    ///
    /// let pool = Pool { held: 3, booked: 100, ..Pool::with_capacity(200) };
    /// assert_eq!(pool.free(), 97);
    /// ```
    #[must_use]
    pub fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.held).saturating_sub(self.booked)
    }
}

/// How much of an event one customer holds and has booked, kept only where the event limits it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Allowance {
    /// Places held, expired holds included until they are reclaimed.
    pub held: u32,
    /// Places booked.
    pub booked: u32,
}

impl Allowance {
    /// Held and booked together.
    ///
    /// ```
    /// use ticket_reservation::domain::Allowance;
    ///
    /// assert_eq!(Allowance { held: 1, booked: 2 }.taken(), 3);
    /// ```
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.held.saturating_add(self.booked)
    }
}
