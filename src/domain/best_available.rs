use super::ids::{AreaId, TicketId};
use super::ticket::Place;

/// A wish for neighbouring places that the library chooses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BestAvailable {
    /// The part of the hall.
    pub area: AreaId,
    /// How many neighbouring places.
    pub quantity: u32,
}

/// Chooses `quantity` neighbouring places among free ones of one area.
///
/// In this order: the best row (lowest rank) that has such a run; in it the shortest run that is long enough, so
/// that single places are left over as seldom as possible; of several the one with the lowest place numbers, and of
/// that run its lowest places. `None` when no row has such a run.
#[must_use]
pub fn pick<'t>(free: impl IntoIterator<Item = (&'t TicketId, &'t Place)>, quantity: u32) -> Option<Vec<TicketId>> {
    let wanted = usize::try_from(quantity).ok().filter(|wanted| *wanted > 0)?;
    let mut places: Vec<(&Place, &TicketId)> = free.into_iter().map(|(id, place)| (place, id)).collect();
    places.sort_unstable();
    let mut best: Option<&[(&Place, &TicketId)]> = None;
    for run in places.chunk_by(|(left, _), (right, _)| are_neighbours(left, right)) {
        if run.len() < wanted {
            continue;
        }
        match best {
            Some(found) if found[0].0.row != run[0].0.row => break,
            Some(found) if found.len() <= run.len() => {}
            _ => best = Some(run),
        }
    }
    best.map(|run| run[..wanted].iter().map(|(_, id)| (*id).clone()).collect())
}

fn are_neighbours(left: &Place, right: &Place) -> bool {
    left.area == right.area && left.row == right.row && left.number.checked_add(1) == Some(right.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(places: &[(u32, u32)]) -> Vec<(TicketId, Place)> {
        let area = AreaId::new("A").unwrap();
        places
            .iter()
            .map(|&(row, number)| {
                (TicketId::new(format!("{row}-{number}")).unwrap(), Place { area: area.clone(), row, number })
            })
            .collect()
    }

    fn picked(places: &[(u32, u32)], quantity: u32) -> Option<Vec<String>> {
        let places = free(places);
        pick(places.iter().map(|(id, place)| (id, place)), quantity)
            .map(|ids| ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_best_row_with_a_long_enough_run_wins() {
        assert_eq!(picked(&[(2, 1), (2, 2), (1, 1), (1, 3)], 2), Some(vec!["2-1".into(), "2-2".into()]));
        assert_eq!(picked(&[(2, 1), (2, 2), (1, 1), (1, 3)], 1), Some(vec!["1-1".into()]));
    }

    #[test]
    fn the_shortest_run_that_fits_is_used_up_first() {
        let row = [(1, 1), (1, 2), (1, 3), (1, 5), (1, 6), (1, 8), (1, 9)];
        assert_eq!(picked(&row, 2), Some(vec!["1-5".into(), "1-6".into()]));
    }

    #[test]
    fn places_apart_are_no_neighbours() {
        assert_eq!(picked(&[(1, 1), (1, 3), (2, 2)], 2), None);
        assert_eq!(picked(&[(1, u32::MAX), (2, 0)], 2), None);
    }

    #[test]
    fn nothing_is_picked_for_nobody() {
        assert_eq!(picked(&[(1, 1)], 0), None);
        assert_eq!(picked(&[], 1), None);
    }
}
