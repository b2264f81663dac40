//! Something happens to the standby.

use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::fault::Result;
use lab::host::Name::{Arbiter, ManagerA, ManagerB};
use lab::pool::{PATIENCE, Pool};
use lab::trial::scenario;
use nix::sys::signal::Signal;

/// Waits until the Primary knows itself to hold the only current copy.
fn wait_alone(pool: &Pool) -> Result<()> {
    wait_for("manager-a is the in-sync set alone", PATIENCE, || {
        let status = pool.status(ManagerA).map_err(|fault| fault.to_string())?;
        let in_sync = &status["in_sync"];
        let alone = in_sync.as_array().is_some_and(|set| set.len() == 1);
        alone
            .then_some(())
            .ok_or_else(|| format!("in sync: {in_sync}"))
    })
}

#[test]
fn standby_dies_and_returns() {
    scenario("standby dies and returns", |trial| {
        let died = trial.pool.power_off(ManagerB)?;
        trial.commits_after(died.plus(Duration::from_secs(2)))?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.power_on(ManagerB)?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerA)
    });
}

/// PROTOCOL.md, schedule 37.
#[test]
fn standby_then_arbiter_die_and_the_primary_goes_on() {
    scenario("standby then arbiter die", |trial| {
        trial.pool.power_off(ManagerB)?;
        wait_alone(&trial.pool)?;
        trial.pool.power_off(Arbiter)?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(5)))?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.power_on(Arbiter)?;
        trial.pool.power_on(ManagerB)?;
        trial.pool.wait_ok()
    });
}

/// PROTOCOL.md, schedule 37: nobody may go on, and with either one back somebody does.
#[test]
fn standby_and_arbiter_die_at_once_and_the_primary_stops() {
    scenario("standby and arbiter die at once", |trial| {
        trial.pool.power_off(ManagerB)?;
        trial.pool.power_off(Arbiter)?;
        wait_for("manager-a admits no client", PATIENCE, || {
            let status = trial
                .pool
                .status(ManagerA)
                .map_err(|fault| fault.to_string())?;
            let closed = status["gate"] == "closed";
            closed.then_some(()).ok_or_else(|| format!("{status}"))
        })?;
        trial.pool.power_on(Arbiter)?;
        trial.pool.wait_primary(ManagerA)?;
        trial.commits_flow()?;
        trial.pool.power_on(ManagerB)?;
        trial.pool.wait_ok()
    });
}

#[test]
fn standby_database_is_killed() {
    scenario("database of the standby is killed", |trial| {
        let killed = trial.pool.kill_database(ManagerB)?;
        trial.commits_after(killed.plus(Duration::from_secs(2)))?;
        trial.pool.wait_ok()
    });
}

#[test]
fn vrrpd_of_the_standby_is_killed_and_restarted() {
    scenario("vrrpd of the standby is killed and restarted", |trial| {
        let killed = trial.pool.signal(ManagerB, "vrrpd", Signal::SIGKILL)?;
        trial.commits_after(killed.plus(Duration::from_secs(2)))?;
        trial.pool.start(ManagerB, "vrrpd")?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerA)
    });
}
