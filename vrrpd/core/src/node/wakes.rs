//! When the routers want to be woken.

use std::collections::BTreeSet;

use crate::router::Router;
use crate::time::Instant;

/// The routers' deadlines, soonest first: a thousand idle routers cost one look.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    queue: BTreeSet<(Instant, usize)>,
    due: Vec<Option<Instant>>,
}

impl Wakes {
    /// Those of `routers`, by their places.
    pub(super) fn of(routers: &[Router]) -> Self {
        let due: Vec<_> = routers.iter().map(Router::deadline).collect();
        let queue = due.iter().enumerate();
        Self {
            queue: queue
                .filter_map(|(place, due)| due.map(|due| (due, place)))
                .collect(),
            due,
        }
    }

    /// The router at `place` wants to be woken at `deadline`.
    pub(super) fn set(&mut self, place: usize, deadline: Option<Instant>) {
        let before = core::mem::replace(&mut self.due[place], deadline);
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, place));
        }
        if let Some(deadline) = deadline {
            self.queue.insert((deadline, place));
        }
    }

    /// The soonest.
    pub(super) fn first(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Whose time has come, soonest first.
    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        let due = self.queue.iter().take_while(|(at, _)| *at <= now);
        due.map(|&(_, place)| place).collect()
    }
}
