//! Something happens to the Primary.

use std::time::Duration;

use lab::clock::milliseconds;
use lab::host::Name::{ManagerA, ManagerB};
use lab::trial::scenario;
use nix::sys::signal::Signal;

#[test]
fn host_of_the_primary_dies() {
    scenario("host of the Primary dies", |trial| {
        let died = trial.pool.power_off(ManagerA)?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_flow()?;
        if let Some(pause) = trial.ledger.longest_pause(died) {
            println!("writes paused for {}", milliseconds(pause.length()));
        }
        trial.pool.power_on(ManagerA)?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerB)
    });
}

#[test]
fn hosts_of_one_primary_after_the_other_die() {
    scenario("hosts of one Primary after the other die", |trial| {
        for (dying, heir) in [(ManagerA, ManagerB), (ManagerB, ManagerA)] {
            trial.pool.power_off(dying)?;
            trial.pool.wait_primary(heir)?;
            trial.commits_flow()?;
            trial.pool.power_on(dying)?;
            trial.pool.wait_ok()?;
        }
        Ok(())
    });
}

#[test]
fn postgres_is_killed() {
    scenario("postgres is killed", |trial| {
        trial.pool.kill_database(ManagerA)?;
        trial.commits_flow()?;
        trial.pool.wait_ok()
    });
}

#[test]
fn vrrpd_is_killed_and_restarted() {
    scenario("vrrpd is killed and restarted", |trial| {
        trial.pool.signal(ManagerA, "vrrpd", Signal::SIGKILL)?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_flow()?;
        trial.pool.start(ManagerA, "vrrpd")?;
        trial.pool.wait_ok()
    });
}

#[test]
fn vrrpd_is_killed_and_restarted_at_once() {
    scenario("vrrpd is killed and restarted at once", |trial| {
        let killed = trial.pool.signal(ManagerA, "vrrpd", Signal::SIGKILL)?;
        trial.pool.start(ManagerA, "vrrpd")?;
        trial.commits_after(killed.plus(Duration::from_secs(2)))?;
        trial.pool.wait_ok()
    });
}

#[test]
fn vrrpd_is_stopped_for_ten_seconds_and_continues() {
    scenario("vrrpd is stopped for ten seconds and continues", |trial| {
        let stopped = trial.pool.signal(ManagerA, "vrrpd", Signal::SIGSTOP)?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_after(stopped.plus(Duration::from_secs(10)))?;
        trial.pool.signal(ManagerA, "vrrpd", Signal::SIGCONT)?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerB)
    });
}

#[test]
fn replicator_is_killed_and_restarted_at_once() {
    scenario("replicator is killed and restarted at once", |trial| {
        let killed = trial.pool.signal(ManagerA, "replicator", Signal::SIGKILL)?;
        trial.pool.start(ManagerA, "replicator")?;
        trial.commits_after(killed.plus(Duration::from_secs(3)))?;
        trial.pool.wait_ok()
    });
}

#[test]
fn replicator_is_killed_and_stays_away() {
    scenario("replicator is killed and stays away", |trial| {
        trial.pool.signal(ManagerA, "replicator", Signal::SIGKILL)?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_flow()?;
        trial.pool.start(ManagerA, "replicator")?;
        trial.pool.wait_ok()
    });
}
