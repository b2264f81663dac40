//! The configuration was read again.

use super::{Action, Node, Setup, groups};
use crate::priority::CheckState;
use crate::router::{self, Router};
use crate::time::Instant;

impl Node {
    /// Routers that are gone stop, those that stay change in place, new ones
    /// begin. A check keeps its state; a new one is good until it says otherwise,
    /// so that adding it takes nobody's addresses away.
    pub(super) fn on_reload(&mut self, mut setup: Setup, now: Instant, out: &mut Vec<Action>) {
        groups::appoint(&mut setup.routers);
        self.checks = setup
            .checks
            .iter()
            .map(|new| self.state_of(&new.name).unwrap_or(CheckState::Good))
            .collect();
        self.setup = setup;
        self.assert_governed();
        let mut before: Vec<Option<Router>> = Vec::new();
        for router in 0..self.routers.len() {
            if !self.stays(&self.routers[router]) {
                self.tell(router, router::Event::Shutdown, now, out);
            }
        }
        before.extend(self.routers.drain(..).map(Some));
        let mut changed = Vec::new();
        for config in &self.setup.routers {
            let same = |router: &&mut Option<Router>| {
                router
                    .as_ref()
                    .is_some_and(|router| is_same(router.config(), config))
            };
            let kept = before.iter_mut().find(same).and_then(Option::take);
            changed.push(kept.is_some());
            self.routers
                .push(kept.unwrap_or_else(|| Router::new(config.clone())));
        }
        self.register();
        for (router, kept) in changed.into_iter().enumerate() {
            if kept {
                self.reload(router, now, out);
                self.groups.note_divided(router, &self.routers[router]);
            } else if self.running {
                self.start(router, now, out);
                self.hold_again(router, now, out);
            }
        }
    }

    fn reload(&mut self, router: usize, now: Instant, out: &mut Vec<Action>) {
        let config = self.setup.routers[router].clone();
        let event = router::Event::Reload {
            standing: self.standing(&config),
            config: Box::new(config),
        };
        self.tell(router, event, now, out);
    }

    /// A router that begins while this manager is Primary.
    fn hold_again(&mut self, router: usize, now: Instant, out: &mut Vec<Action>) {
        if let Some(until) = self.held_until {
            self.tell(router, router::Event::Hold { until }, now, out);
        }
    }

    fn state_of(&self, check: &str) -> Option<CheckState> {
        let known = self.setup.checks.iter().zip(&self.checks);
        known
            .filter(|(known, _)| *known.name == *check)
            .map(|(_, &state)| state)
            .next()
    }

    fn stays(&self, router: &Router) -> bool {
        let mut new = self.setup.routers.iter();
        new.any(|config| is_same(router.config(), config))
    }
}

/// Whether `new` is a change of the router that `old` describes.
fn is_same(old: &router::Config, new: &router::Config) -> bool {
    old.identity == new.identity && old.version == new.version && old.governed == new.governed
}
