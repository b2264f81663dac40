//! Something happens to the arbiter.

use std::fs;
use std::time::Duration;

use lab::fault::{Attempt, Result};
use lab::host::Name::{Arbiter, ManagerA, ManagerB};
use lab::trial::{Trial, scenario};

/// The arbiter's vote counts: with it, the standby takes over.
fn takes_over(trial: &mut Trial) -> Result<()> {
    trial.pool.wait_ok()?;
    trial.pool.power_off(ManagerA)?;
    trial.pool.wait_primary(ManagerB)?;
    trial.commits_flow()?;
    trial.pool.power_on(ManagerA)?;
    trial.pool.wait_ok()
}

#[test]
fn arbiter_dies_and_returns() {
    scenario("arbiter dies and returns", |trial| {
        let died = trial.pool.power_off(Arbiter)?;
        trial.commits_after(died.plus(Duration::from_secs(3)))?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.power_on(Arbiter)?;
        takes_over(trial)
    });
}

/// PROTOCOL.md, schedule 30.
#[test]
fn arbiter_loses_its_disk() {
    scenario("arbiter loses its disk", |trial| {
        let died = trial.pool.power_off(Arbiter)?;
        let disk = trial.pool.host(Arbiter).disk().join("arbiterd");
        fs::remove_dir_all(&disk).attempt(|| format!("remove {}", disk.display()))?;
        trial.pool.power_on(Arbiter)?;
        trial.commits_after(died.plus(Duration::from_secs(2)))?;
        trial.pool.wait_primary(ManagerA)?;
        takes_over(trial)
    });
}
