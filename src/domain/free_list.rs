use super::ids::TicketId;
use super::ticket::Place;

/// The free tickets of one area in the order of their places, as they were read and as decisions have left them since.
#[derive(Debug, Clone, Default)]
pub(super) struct FreeList {
    /// Row and number of each ticket of `tickets`.
    places: Vec<(u32, u32)>,
    tickets: Vec<TicketId>,
    /// Those that were free, and that a decision has taken since.
    taken: Vec<TicketId>,
}

impl FreeList {
    pub(super) fn new(tickets: impl IntoIterator<Item = (TicketId, Place)>) -> Self {
        let mut entries: Vec<((u32, u32), TicketId)> =
            tickets.into_iter().map(|(id, place)| ((place.row, place.number), id)).collect();
        entries.sort_unstable();
        let (places, tickets) = entries.into_iter().unzip();
        Self { places, tickets, taken: Vec::new() }
    }

    /// Best places first.
    pub(super) fn tickets(&self) -> &[TicketId] {
        &self.tickets
    }

    pub(super) fn taken(&self) -> &[TicketId] {
        &self.taken
    }

    pub(super) fn take(&mut self, id: &TicketId, place: &Place) {
        if let Ok(at) = self.position(id, place) {
            self.places.remove(at);
            self.taken.push(self.tickets.remove(at));
        }
    }

    pub(super) fn give_back(&mut self, id: &TicketId, place: &Place) {
        if let Err(at) = self.position(id, place) {
            self.places.insert(at, (place.row, place.number));
            self.tickets.insert(at, id.clone());
        }
    }

    fn position(&self, id: &TicketId, place: &Place) -> Result<usize, usize> {
        let wanted = (place.row, place.number);
        let from = self.places.partition_point(|at| *at < wanted);
        let to = from + self.places[from..].partition_point(|at| *at == wanted);
        self.tickets[from..to].binary_search(id).map(|at| from + at).map_err(|at| from + at)
    }
}
