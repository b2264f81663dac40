//! Hooks: programs of the operator's that hear of transitions, in order.

use vrrpd_core::time::Instant;

use crate::config;
use crate::job::{self, Order};

/// Whose transition it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This manager, in its pool.
    Pool,
    /// A virtual router, by its name.
    Router(String),
}

/// A transition to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose.
    pub source: Source,
    /// `primary`, `online`, `fault`, `stop` of a pool; `active`, `backup`,
    /// `fault`, `stop` of a virtual router: names the hook `on_<event>`.
    pub event: config::HookEvent,
    /// The state that was left, as the log names it.
    pub old: String,
    /// The state that was entered.
    pub new: String,
    /// The priority now, after checks.
    pub priority: u8,
    /// The pool's epoch, e.g. `7.a`; empty without a pool.
    pub epoch: String,
}

/// The queues: one for the pool, one a virtual router.
#[derive(Debug)]
pub struct Hooks {
    config: config::Hooks,
}

impl Hooks {
    /// Empty queues. `directory` is `[paths] hooks`.
    pub fn new(config: config::Hooks, node: &str, directory: &std::path::Path) -> Self {
        let _ = (node, directory);
        Self { config }
    }

    /// Queues `event`, and launches its hook at once when nothing runs before it.
    pub fn push(&mut self, event: Event, now: Instant, out: &mut Vec<Order>) {
        unimplemented!("{event:?} {now} {out:?} {:?}", self.config)
    }

    /// A hook ended.
    pub fn on_ended(
        &mut self,
        id: job::Id,
        outcome: &job::Outcome,
        now: Instant,
        out: &mut Vec<Order>,
    ) {
        unimplemented!("{id:?} {outcome} {now} {out:?}")
    }

    /// The deadline has come: kills what has run for too long.
    pub fn on_wake(&mut self, now: Instant, out: &mut Vec<Order>) {
        unimplemented!("{now} {out:?}")
    }

    /// When [`Hooks::on_wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Nothing runs and nothing waits: a stopping daemon may exit.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// New configuration after a reload; what is queued stays queued.
    pub fn reconfigure(&mut self, config: config::Hooks) {
        self.config = config;
    }
}
