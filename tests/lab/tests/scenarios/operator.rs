//! The operator's word: maintenance, and force.

use std::fs;
use std::time::Duration;

use lab::clock::wait_for;
use lab::fault::{Attempt, Fault};
use lab::host::Name::{Arbiter, ManagerA, ManagerB};
use lab::pool::PATIENCE;
use lab::trial::scenario;
use nix::sys::signal::Signal;

/// vrrpd of the Primary is away for far longer than a lease: nobody takes over,
/// and the same manager goes on when it is back.
#[test]
fn paused_pool_keeps_its_primary() {
    scenario("a paused pool keeps its Primary", |trial| {
        trial.pool.vrrpctl(ManagerB, &["pause"])?;
        let killed = trial.pool.signal(ManagerA, "vrrpd", Signal::SIGKILL)?;
        wait_for(
            "the Backup to see that there is no Primary",
            PATIENCE,
            || {
                let status = trial.pool.status(ManagerB).map_err(|why| why.to_string())?;
                let since = killed.elapsed() >= Duration::from_secs(3);
                match (status["status"] == "online", status["primary"].is_null()) {
                    (true, true) if since => Ok(()),
                    (true, _) => Err(format!("{}", status["primary"])),
                    (false, _) => Err(format!("it is {}", status["status"])),
                }
            },
        )?;
        let status = trial.pool.status(ManagerB)?;
        if status["paused"] != true || !status["why"].to_string().contains("failover is paused") {
            return Err(Fault::new(format!(
                "the status does not say that it is paused: {status}"
            )));
        }
        trial.pool.start(ManagerA, "vrrpd")?;
        trial.pool.wait_primary(ManagerA)?;
        trial.commits_flow()?;
        trial.pool.vrrpctl(ManagerA, &["resume"])?;
        trial.pool.wait_ok()?;
        trial.pool.power_off(ManagerA)?;
        trial.pool.wait_primary(ManagerB)?;
        trial.pool.power_on(ManagerA)?;
        trial.pool.wait_ok()
    });
}

/// The Primary is dead and the arbiter has lost its disk: no quorum remembers
/// the pool. The operator promotes the Backup, whose copy was in sync.
#[test]
fn backup_is_forced_when_nobody_else_remembers() {
    scenario("the Backup is forced when nobody else remembers", |trial| {
        trial.pool.power_off(Arbiter)?;
        trial.pool.power_off(ManagerA)?;
        let disk = trial.pool.host(Arbiter).disk().join("arbiterd");
        fs::remove_dir_all(&disk).attempt(|| format!("remove {}", disk.display()))?;
        trial.pool.power_on(Arbiter)?;
        let force = ["promote", "--force", "--alone", "--i-accept-data-loss"];
        wait_for("the Backup to be fit for the order", PATIENCE, || {
            let outcome = trial.pool.vrrpctl(ManagerB, &force);
            outcome.map(drop).map_err(|why| why.to_string())
        })?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_flow()?;
        trial.pool.power_on(ManagerA)?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerB)
    });
}
