//! Checks: what adjusts a priority, or makes it a fault.

use vrrpd_core::pool::record::NodeId;
use vrrpd_core::time::Instant;

use crate::config;
use crate::job::{self, Order};

/// What the checks hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The deadline has come.
    Wake,
    /// A script ended.
    Ended(job::Id, job::Outcome),
    /// An interface's carrier is up, or not.
    Link(String, bool),
    /// A party of the pool answers, or not.
    Reachable(NodeId, bool),
}

/// All checks of a configuration.
#[derive(Debug)]
pub struct Checks {
    checks: Vec<config::Check>,
}

impl Checks {
    /// Nothing is known yet; the first scripts start at the first
    /// [`Event::Wake`], which is due at once.
    pub fn new(checks: Vec<config::Check>, now: Instant) -> Self {
        let _ = now;
        Self { checks }
    }

    /// Hears `event`. After it, ask [`Checks::priority`] again.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Order>) {
        unimplemented!("{event:?} {now} {out:?}")
    }

    /// When [`Event::Wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The priority of virtual router `router` (with a pool: of the manager,
    /// any of its routers) whose configured priority is `base`: 0 is a fault;
    /// 255 (owner) is lowered by faults only; else 1 to 254.
    pub fn priority(&self, router: &str, base: u8) -> u8 {
        unimplemented!("{router} {base} {:?}", self.checks)
    }

    /// Why the priority of `router` is what it is, e.g. `150 - 60 (gateway) = 90`.
    pub fn reason(&self, router: &str, base: u8) -> String {
        unimplemented!("{router} {base}")
    }
}
