//! What checks do to priorities.

use std::sync::Arc;

use crate::packet::Priority;
use crate::router::Standing;

/// A check, as far as priorities go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As configured.
    pub name: Arc<str>,
    /// What it does.
    pub effect: Effect,
    /// The virtual routers that it concerns, by name; empty: all.
    pub routers: Vec<String>,
}

/// What a check's state does to a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A fault while it fails.
    Fault,
    /// Below 0: added while it fails. Above 0: added while it is good.
    Weight(i16),
}

/// What a check said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Nothing yet: good enough for a weight, not for taking part.
    Unknown,
    /// Good.
    Good,
    /// Failing.
    Failing,
}

/// The standing of virtual router `router` whose configured priority is `base`.
///
/// Weights leave 1 to 254; an owner's 255 is changed by faults only.
pub fn standing<'a>(
    base: Priority,
    router: &str,
    checks: impl Iterator<Item = (&'a Check, CheckState)>,
) -> Standing {
    unimplemented!("{base} {router} {}", checks.count())
}
