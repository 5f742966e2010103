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

/// Chooses `quantity` neighbouring places among free ones of one area, given in ascending order of their places.
///
/// In this order: the best row (lowest rank) that has such a run; in it the shortest run that is long enough, so
/// that single places are left over as seldom as possible; of several the one with the lowest place numbers, and of
/// that run its lowest places. `None` when no row has such a run. Rows behind the chosen one are not looked at.
///
/// ```
/// use ticket_reservation::domain::{AreaId, InvalidId, Place, TicketId, pick};
///
/// let stalls = AreaId::new("stalls")?;
/// let place = |number| Place { area: stalls.clone(), row: 1, number };
/// let seat = |number| Ok::<_, InvalidId>((TicketId::new(format!("A-{number}"))?, place(number)));
/// let free = [seat(1)?, seat(3)?, seat(4)?];
/// let picked = pick(free.iter().map(|(id, place)| (id, place)), 2);
/// assert_eq!(picked, Some(vec![TicketId::new("A-3")?, TicketId::new("A-4")?]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn pick<'t>(free: impl IntoIterator<Item = (&'t TicketId, &'t Place)>, quantity: u32) -> Option<Vec<TicketId>> {
    let wanted = usize::try_from(quantity).ok().filter(|wanted| *wanted > 0)?;
    let mut best: Option<Run<'t>> = None;
    let mut current: Run<'t> = Vec::new();
    for (id, place) in free {
        let continues = current.last().is_some_and(|(_, before)| are_neighbours(before, place));
        if !continues {
            best = better(best, std::mem::take(&mut current), wanted);
        }
        if best.as_ref().is_some_and(|run| run[0].1.row != place.row) {
            break;
        }
        current.push((id, place));
    }
    let best = better(best, current, wanted)?;
    Some(best[..wanted].iter().map(|(id, _)| (*id).clone()).collect())
}

/// Neighbouring places of one row.
type Run<'t> = Vec<(&'t TicketId, &'t Place)>;

fn better<'t>(best: Option<Run<'t>>, run: Run<'t>, wanted: usize) -> Option<Run<'t>> {
    match best {
        _ if run.len() < wanted => best,
        Some(best) if best[0].1.row != run[0].1.row || best.len() <= run.len() => Some(best),
        _ => Some(run),
    }
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
        let mut places = free(places);
        places.sort_by(|(_, left), (_, right)| left.cmp(right));
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
