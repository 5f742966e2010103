//! Random sales for the property test: what may happen, a store for it to happen in, and a model that knows better.

pub(crate) mod answers;
pub(crate) mod checks;
pub(crate) mod hall;
pub(crate) mod judge;
pub(crate) mod model;
pub(crate) mod race;
pub(crate) mod steps;
pub(crate) mod tally;
pub(crate) mod world;
