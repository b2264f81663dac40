//! Schedules under faults, then healed: I1 to I5 and I7 after every step, I6
//! after the healing.

use std::time::{SystemTime, UNIX_EPOCH};

use simulator::sweep::sweep;
use simulator::{Outcome, run_seed};

/// How many schedules of each kind: all of them take two processors about one
/// minute.
const SCHEDULES: u64 = 60_000;

/// Runs the schedules of `SCHEDULES` seeds from `first`; none may break anything.
fn hold_from(first: u64) {
    println!("seeds {first}..{}", first + SCHEDULES);
    let mut broken = Vec::new();
    let mut settled = 0;
    let mut acknowledged = 0;
    sweep(
        first..first + SCHEDULES,
        run_seed,
        |seed, outcome: Outcome| {
            acknowledged += outcome.acknowledged;
            settled += u64::from(outcome.settled);
            if let Some(violation) = outcome.violation {
                broken.push(format!(
                    "seed {seed}: {violation}\n\
                 replay: cargo run --release -p simulator -- --seed {seed} --trace"
                ));
            }
            broken.len() < 5
        },
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    // A swarm that serves nobody, or that needs an operator, shows nothing.
    assert!(acknowledged > SCHEDULES * 100, "{acknowledged} commits");
    assert!(settled > SCHEDULES * 9 / 10, "{settled} pools settled");
}

#[test]
fn invariants_hold_in_the_fixed_schedules() {
    hold_from(0);
}

#[test]
fn invariants_hold_in_fresh_schedules() {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_nanos();
    hold_from(nanos as u64 % 1_000_000_000_000);
}
