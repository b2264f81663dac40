//! Schedules under faults, then healed: I1 to I5 and I7 after every step, I6
//! after the healing.

use std::time::{SystemTime, UNIX_EPOCH};

use simulator::sweep::sweep;
use simulator::{Outcome, run_seed};

/// Schedules that are the same each time.
const FIXED: u64 = 60_000;

/// Schedules that nobody has seen; `make soak` runs as many as one likes.
const FRESH: u64 = 20_000;

/// Runs the schedules of `count` seeds from `first`; none may break anything.
fn hold_from(first: u64, count: u64) {
    println!("seeds {first}..{}", first + count);
    let mut broken = Vec::new();
    let mut settled = 0;
    let mut acknowledged = 0;
    sweep(first..first + count, run_seed, |seed, outcome: Outcome| {
        acknowledged += outcome.acknowledged;
        settled += u64::from(outcome.settled);
        if let Some(violation) = outcome.violation {
            broken.push(format!(
                "seed {seed}: {violation}\n\
                 replay: cargo run --release -p simulator -- --seed {seed} --trace"
            ));
        }
        broken.len() < 5
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A swarm that serves nobody, or that needs an operator, shows nothing.
    assert!(acknowledged > count * 100, "{acknowledged} commits");
    assert!(settled > count * 9 / 10, "{settled} pools settled");
}

#[test]
fn invariants_hold_in_the_fixed_schedules() {
    hold_from(0, FIXED);
}

#[test]
fn invariants_hold_in_fresh_schedules() {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_nanos();
    hold_from(nanos as u64 % 1_000_000_000_000, FRESH);
}
