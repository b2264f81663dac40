//! Which pool is to be woken when, without looking at all of them.

use std::collections::BTreeSet;

use vrrpd_core::time::Instant;

/// The deadlines of pools, by their number.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    order: BTreeSet<(Instant, usize)>,
    present: Vec<Option<Instant>>,
}

impl Wakes {
    /// Pool `pool` is to be woken at `deadline`, and no more at what it said before.
    pub(crate) fn set(&mut self, pool: usize, deadline: Option<Instant>) {
        if self.present.len() <= pool {
            self.present.resize(pool + 1, None);
        }
        if self.present[pool] == deadline {
            return;
        }
        if let Some(before) = self.present[pool] {
            self.order.remove(&(before, pool));
        }
        if let Some(deadline) = deadline {
            self.order.insert((deadline, pool));
        }
        self.present[pool] = deadline;
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(deadline, _)| deadline)
    }

    /// A pool whose deadline has come.
    pub(crate) fn due(&self, now: Instant) -> Option<usize> {
        self.order
            .first()
            .filter(|&&(deadline, _)| deadline <= now)
            .map(|&(_, pool)| pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn earliest_deadline_is_due_first_and_replaced_ones_never() {
        let mut wakes = Wakes::default();
        wakes.set(2, Some(at(30)));
        wakes.set(0, Some(at(20)));
        wakes.set(1, Some(at(10)));
        wakes.set(1, Some(at(40)));
        assert_eq!(wakes.next(), Some(at(20)));
        assert_eq!(wakes.due(at(19)), None);
        assert_eq!(wakes.due(at(20)), Some(0));
        wakes.set(0, None);
        assert_eq!(wakes.due(at(99)), Some(2));
        wakes.set(2, None);
        wakes.set(1, None);
        assert_eq!((wakes.next(), wakes.due(at(99))), (None, None));
    }
}
