//! What an arbiter of many pools costs.

use std::time::Duration;

use lab::clock::wait_for;
use lab::directory::Directory;
use lab::fault::{Attempt, Fault, Result};
use lab::host::{Host, Name};
use lab::net::Switch;
use lab::pool::PATIENCE;
use lab::process::Program;
use lab::programs::{self, Programs};
use lab::timeline::Timeline;
use lab::usage::Meter;
use serde_json::Value;

use crate::report::{Bar, Figure, Row};

const POOLS: &str = "2000";

const INTERVAL_MS: &str = "100";

const SECONDS: &str = "20";

pub(crate) fn measure() -> Result<Vec<Row>> {
    let directory = Directory::alone()?;
    let switch = Switch::new()?;
    let timeline = Timeline::new();
    let mut host = Host::new(Name::Arbiter, directory.path(), &timeline)?;
    host.power_on(&switch)?;
    let programs = Programs::install(directory.path())?;
    let load = programs::source()?.join("examples/load");
    let load = load.display().to_string();
    let disk = host.disk().join("load").display().to_string();
    host.namespace()?
        .command(&load, &["prepare", &disk, POOLS])?;
    host.start(&Program {
        name: "arbiterd".into(),
        path: programs.path("arbiterd"),
        arguments: vec!["-c".into(), format!("{disk}/arbiter.toml")],
        environment: Vec::new(),
        user: None,
    })?;
    wait_for("the arbiter votes", PATIENCE, || {
        let entries = timeline.entries();
        let votes = |what: &str| what.contains("votes in 2000 pools");
        entries
            .iter()
            .any(|entry| votes(&entry.what))
            .then_some(())
            .ok_or_else(|| format!("{entries:?}"))
    })?;
    // It sees its processes' numbers as they are on the host.
    let inner = host.namespace()?.command("pidof", &["arbiterd"])?;
    let run = |seconds: &str| {
        let words = ["run", &disk, POOLS, INTERVAL_MS, seconds, inner.trim_end()];
        host.namespace()?.command(&load, &words)
    };
    // First the handshakes.
    run("3")?;
    let meter = Meter::start(&host.named("arbiterd")?)?;
    let said = run(SECONDS)?;
    let usage = meter.read()?;
    let result: Value = serde_json::from_str(&said).attempt(|| "read what load says".into())?;
    let counts = (result["renewals"].as_f64(), result["answered"].as_f64());
    let (Some(renewals), Some(answered)) = counts else {
        return Err(Fault::new(format!("load says {said}")));
    };
    let goal = 0.98 * 20_000.0 * Duration::from_secs(20).as_secs_f64();
    if renewals < goal || answered < 0.99 * renewals {
        return Err(Fault::new(format!(
            "{renewals} renewals, {answered} answered: this machine is too busy to tell"
        )));
    }
    host.power_off(&switch)?;
    Ok(vec![Row {
        name: "arbiter_2000".into(),
        what: "one arbiter, 2000 pools that renew each 100 ms",
        figure: Figure::Cost {
            ours: usage,
            keepalived: None,
        },
        bar: Some(Bar::Processor(50.0)),
    }])
}
