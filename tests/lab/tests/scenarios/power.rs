//! The power fails.

use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::fault::{Fault, Result};
use lab::host::Name::{self, Arbiter, ManagerA, ManagerB};
use lab::pool::{PATIENCE, SERVERS};
use lab::trial::{Trial, scenario};

/// All three lose power and return in this order.
fn total_loss(trial: &mut Trial, order: [Name; 3]) -> Result<()> {
    for name in SERVERS {
        trial.pool.power_off(name)?;
    }
    for name in order {
        trial.pool.power_on(name)?;
    }
    trial.pool.wait_any_primary()?;
    trial.commits_flow()?;
    trial.pool.wait_ok()
}

#[test]
fn all_lose_power_and_return_master_first() {
    scenario("all lose power and return, Master first", |trial| {
        total_loss(trial, [ManagerA, ManagerB, Arbiter])
    });
}

#[test]
fn all_lose_power_and_return_backup_first() {
    scenario("all lose power and return, Backup first", |trial| {
        total_loss(trial, [ManagerB, Arbiter, ManagerA])
    });
}

#[test]
fn all_lose_power_and_return_arbiter_first() {
    scenario("all lose power and return, arbiter first", |trial| {
        total_loss(trial, [Arbiter, ManagerA, ManagerB])
    });
}

/// PROTOCOL.md, schedule 38, second half: the other may hold newer commits.
#[test]
fn backup_that_returns_alone_from_a_total_loss_waits() {
    scenario("Backup returns alone from a total loss", |trial| {
        for name in SERVERS {
            trial.pool.power_off(name)?;
        }
        trial.pool.power_on(ManagerB)?;
        let watched = Moment::now();
        wait_for("manager-b has waited for three seconds", PATIENCE, || {
            let status = trial
                .pool
                .status(ManagerB)
                .map_err(|fault| fault.to_string())?;
            if status["status"] == "primary" {
                return Ok(Err(Fault::new(
                    "manager-b is Primary, alone, after a total loss",
                )));
            }
            if watched.elapsed() > Duration::from_secs(3) {
                return Ok(Ok(()));
            }
            Err(String::new())
        })??;
        trial.pool.power_on(Arbiter)?;
        trial.pool.power_on(ManagerA)?;
        trial.pool.wait_ok()
    });
}

/// PROTOCOL.md, schedule 38, first half.
#[test]
fn primary_alone_by_right_returns_alone_and_serves() {
    scenario("Primary alone by right returns alone", |trial| {
        trial.pool.power_off(ManagerB)?;
        wait_for("manager-a is the in-sync set alone", PATIENCE, || {
            let status = trial
                .pool
                .status(ManagerA)
                .map_err(|fault| fault.to_string())?;
            let in_sync = &status["in_sync"];
            let alone = in_sync.as_array().is_some_and(|set| set.len() == 1);
            alone
                .then_some(())
                .ok_or_else(|| format!("in sync: {in_sync}"))
        })?;
        trial.pool.power_off(Arbiter)?;
        trial.commits_flow()?;
        trial.pool.power_off(ManagerA)?;
        trial.pool.power_on(ManagerA)?;
        trial.pool.wait_primary(ManagerA)?;
        trial.commits_flow()?;
        trial.pool.power_on(Arbiter)?;
        trial.pool.power_on(ManagerB)?;
        trial.pool.wait_ok()
    });
}
