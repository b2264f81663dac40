//! The deterministic simulator of the pool.
//!
//! Three members — the very lines that the daemons run — on hosts whose
//! clocks drift, over links that fail, beside databases that fail, in virtual
//! time. A seed decides everything. After every step the invariants of
//! PROTOCOL.md are checked; after the faults everything is healed and progress
//! is demanded.
#![forbid(unsafe_code)]

pub mod check;
pub mod clock;
pub mod kernel;
pub mod ledger;
pub mod manager;
pub mod plan;
pub mod random;
pub mod sweep;
pub mod trace;
pub mod world;

use check::Violation;
use plan::Plan;
use world::{Tally, Trace, World};

/// How a schedule ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// What was seen.
    pub tally: Tally,
    /// Progress was demanded at its end, and came: no operator was needed.
    pub settled: bool,
    /// How many commits clients were told of.
    pub acknowledged: u64,
}

/// Runs one schedule from its beginning to its end.
pub fn run(plan: Plan, trace: Trace) -> Outcome {
    let mut world = World::new(plan);
    world.trace = trace;
    world.live();
    Outcome {
        acknowledged: world.ledger.acknowledged(),
        settled: world.violation.is_none() && world.is_settled(),
        tally: world.tally,
        violation: world.violation,
    }
}

/// Runs the schedule of `seed`, silently.
pub fn run_seed(seed: u64) -> Outcome {
    run(Plan::from_seed(seed), Trace::Off)
}
