//! The hosts live, the network does not.

use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::fault::Result;
use lab::host::Name::{ManagerA, ManagerB};
use lab::pool::{PATIENCE, Pool};
use lab::trial::scenario;

/// Waits until the manager itself says that it admits nobody.
fn wait_fenced(pool: &Pool) -> Result<()> {
    wait_for("manager-a is fenced", PATIENCE, || {
        let status = pool.status(ManagerA).map_err(|fault| fault.to_string())?;
        let fenced = status["gate"] == "closed" && status["status"] != "primary";
        fenced.then_some(()).ok_or_else(|| format!("{status}"))
    })
}

/// PROTOCOL.md, schedule 27.
#[test]
fn managers_are_cut_from_each_other_and_both_see_the_arbiter() {
    scenario("managers are cut from each other", |trial| {
        trial.pool.timeline().mark("cut manager-a from manager-b");
        trial.pool.switch().cut("manager-a", "manager-b")?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(5)))?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.timeline().mark("mend the network");
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()?;
        trial.pool.wait_primary(ManagerA)
    });
}

/// PROTOCOL.md, schedule 26: clients reach the old Primary all the while.
#[test]
fn primary_is_cut_from_all_but_its_clients() {
    scenario("Primary is cut from all but its clients", |trial| {
        trial
            .pool
            .timeline()
            .mark("cut manager-a from manager-b and the arbiter");
        trial.pool.switch().cut("manager-a", "manager-b")?;
        trial.pool.switch().cut("manager-a", "arbiter")?;
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(3)))?;
        wait_fenced(&trial.pool)?;
        trial.pool.timeline().mark("mend the network");
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()
    });
}

/// PROTOCOL.md, schedule 28: nothing that the Primary says is heard.
#[test]
fn primary_is_mute() {
    scenario("Primary is mute", |trial| {
        trial.pool.timeline().mark("cut what manager-a sends");
        for other in ["manager-b", "arbiter", "client"] {
            trial.pool.switch().cut_one_way("manager-a", other)?;
        }
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(2)))?;
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()
    });
}

/// PROTOCOL.md, schedule 28: the Primary hears nothing; its requests arrive.
#[test]
fn primary_is_deaf() {
    scenario("Primary is deaf", |trial| {
        trial.pool.timeline().mark("cut what manager-a would hear");
        for other in ["manager-b", "arbiter", "client"] {
            trial.pool.switch().cut_one_way(other, "manager-a")?;
        }
        trial.pool.wait_primary(ManagerB)?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(2)))?;
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()
    });
}

/// PROTOCOL.md, schedule 9: a deaf standby does not topple a healthy Primary.
#[test]
fn standby_is_deaf() {
    scenario("standby is deaf", |trial| {
        trial.pool.timeline().mark("cut what manager-b would hear");
        for other in ["manager-a", "arbiter"] {
            trial.pool.switch().cut_one_way(other, "manager-b")?;
        }
        trial.commits_after(Moment::now().plus(Duration::from_secs(5)))?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()
    });
}

#[test]
fn network_loses_a_tenth_of_all_packets() {
    scenario("network loses a tenth of all packets", |trial| {
        trial.pool.timeline().mark("lose a tenth of all packets");
        for (one, other) in [
            ("manager-a", "manager-b"),
            ("manager-a", "arbiter"),
            ("manager-b", "arbiter"),
        ] {
            trial.pool.switch().lose(one, other, 10)?;
        }
        trial.commits_after(Moment::now().plus(Duration::from_secs(8)))?;
        trial.pool.switch().mend()?;
        trial.pool.wait_ok()
    });
}
