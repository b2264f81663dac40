//! The operator hands the Primary status over.

use lab::clock::milliseconds;
use lab::fault::Fault;
use lab::host::Name::{ManagerA, ManagerB};
use lab::trial::scenario;

#[test]
fn switchover_there_and_back_under_load() {
    scenario("switchover there and back under load", |trial| {
        for (from, to) in [(ManagerA, ManagerB), (ManagerB, ManagerA)] {
            let ordered = trial.pool.timeline().mark(format!("switchover to {to}"));
            trial.pool.vrrpctl(from, &["switchover"])?;
            trial.pool.wait_primary(to)?;
            trial.commits_flow()?;
            if let Some(pause) = trial.ledger.longest_pause(ordered) {
                println!("writes paused for {}", milliseconds(pause.length()));
            }
            trial.pool.wait_ok()?;
        }
        Ok(())
    });
}

#[test]
fn switchover_to_a_dead_standby_is_refused_and_the_primary_stays() {
    scenario("switchover to a dead standby", |trial| {
        trial.pool.power_off(ManagerB)?;
        match trial.pool.vrrpctl(ManagerA, &["switchover"]) {
            Ok(said) => {
                return Err(Fault::new(format!(
                    "vrrpctl did not refuse, it said: {said}"
                )));
            }
            Err(refusal) => trial.pool.timeline().mark(refusal.to_string()),
        };
        trial.commits_flow()?;
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.power_on(ManagerB)?;
        trial.pool.wait_ok()
    });
}
