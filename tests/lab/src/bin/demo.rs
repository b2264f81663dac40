//! `demo`: a pool of three hosts with real PostgreSQL, on the screen.
//!
//! The pool is formed, field units write through the virtual IP, the Primary is
//! switched over, the Primary's host dies and comes back. Every line on the
//! screen is the daemons' own or the probe's. Exit status 1 if a commit was lost,
//! or anything was not as it should be.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lab::clock::Moment;
use lab::directory::Directory;
use lab::fault::{Fault, Result};
use lab::host::Name::{self, ManagerA, ManagerB};
use lab::ledger::Ledger;
use lab::pool::{Databases, MANAGERS, Settings, VIRTUAL_IP};
use lab::probe::Probe;
use lab::timeline::{Entry, Timeline};
use lab::trial::Trial;

const INTERVAL: Duration = Duration::from_millis(100);

/// The virtual IP counts as served by nobody after so long without an answer.
const SILENT: Duration = Duration::from_millis(30);

/// Field units are watched for so long before something is done to them.
const WORK: Duration = Duration::from_secs(2);

const INTRODUCTION: &str = "\
Three hosts on one LAN, each a network namespace of this machine:

  manager-a  192.0.2.11   Master Manager, PostgreSQL
  manager-b  192.0.2.12   Backup Manager, PostgreSQL
  arbiter    192.0.2.13   votes, holds no data

One manager is Primary: it has the virtual IP 192.0.2.100, and its database is
read-write. Four field units write through that address, each commit a numbered
row; what was acknowledged is compared with the databases in the end. Columns:
seconds, who, what. A probe asks 250 times a second who serves at the address.
";

/// What the demo claims, in its last line.
struct Outcome {
    acknowledged: usize,
    failover: Duration,
    switchover: Duration,
}

fn main() -> ExitCode {
    println!("{INTRODUCTION}");
    let timeline = Timeline::new();
    let start = Moment::now();
    timeline.listen(move |entry| show(entry, start));
    match run(&timeline) {
        Ok(outcome) => {
            println!(
                "\ndemo: ok: {} commits acknowledged, 0 lost; failover {:.0} ms, switchover {:.0} ms",
                outcome.acknowledged,
                outcome.failover.as_secs_f64() * 1e3,
                outcome.switchover.as_secs_f64() * 1e3,
            );
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("\ndemo: FAILED: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(timeline: &Timeline) -> Result<Outcome> {
    let settings = Settings {
        advertise_interval: INTERVAL,
        databases: Databases::OnMaster,
        ..Settings::default()
    };
    chapter("The pool is formed: the Backup copies the Master's database");
    let mut trial = Trial::new(settings, Directory::alone()?, timeline)?;
    let done = AtomicBool::new(false);
    let probe = Arc::clone(trial.probe());
    thread::scope(|scope| {
        scope.spawn(|| tell_who_serves(&probe, timeline, &done));
        let outcome = story(&mut trial);
        done.store(true, Ordering::Relaxed);
        // What the hosts say when the lab ends is not of interest.
        timeline.listen(|_| {});
        outcome
    })
}

fn story(trial: &mut Trial) -> Result<Outcome> {
    work(trial)?;

    chapter("The operator hands the Primary status over: vrrpctl switchover");
    let ordered = Moment::now();
    trial.pool.vrrpctl(ManagerA, &["switchover"])?;
    trial.pool.wait_primary(ManagerB)?;
    trial.commits_flow()?;
    let switchover = paused(&trial.ledger, ordered)?;
    trial.pool.wait_ok()?;
    work(trial)?;

    chapter("The Primary's host dies: its port goes down and all its processes end");
    let died = trial.pool.power_off(ManagerB)?;
    trial.pool.wait_primary(ManagerA)?;
    trial.commits_flow()?;
    let failover = paused(&trial.ledger, died)?;
    work(trial)?;

    chapter("The dead host has power again, and rejoins by itself");
    trial.pool.power_on(ManagerB)?;
    trial.pool.wait_ok()?;
    work(trial)?;

    chapter("The field units rest; both databases are read");
    let verdict = trial.finish()?;
    let unknown = trial.ledger.count_unknown();
    trial.pool.timeline().mark(format!(
        "{} commits were acknowledged and both databases have them all; of {unknown} the answer \
         was lost with the connection",
        verdict.acknowledged
    ));
    let rounds = trial.probe().seen().rounds;
    trial.pool.timeline().mark(format!(
        "in {rounds} rounds the probe never saw two hosts at the address, nor two that admit clients"
    ));
    Ok(Outcome {
        acknowledged: verdict.acknowledged,
        failover,
        switchover,
    })
}

fn chapter(title: &str) {
    println!("\n== {title}\n");
}

/// Lets the field units work for a while, and says what came of it.
fn work(trial: &Trial) -> Result<()> {
    let before = trial.ledger.count();
    let start = Moment::now();
    trial.commits_after(start.plus(WORK))?;
    let rate = (trial.ledger.count() - before) as f64 / start.elapsed().as_secs_f64();
    trial.pool.timeline().note(
        "field units",
        format!(
            "{} commits acknowledged so far, {rate:.0} a second",
            trial.ledger.count()
        ),
    );
    Ok(())
}

/// How long no commit was acknowledged, at the longest, since `from`.
fn paused(ledger: &Ledger, from: Moment) -> Result<Duration> {
    ledger
        .longest_pause(from)
        .map(|pause| pause.length())
        .ok_or_else(|| Fault::new("no commit came through"))
}

/// Tells the timeline of each change of who serves at the virtual IP.
fn tell_who_serves(probe: &Probe, timeline: &Timeline, done: &AtomicBool) {
    let mut told: Option<Option<Name>> = None;
    while !done.load(Ordering::Relaxed) {
        let served = probe.seen().served;
        let recent = |at: &Option<Moment>| at.is_some_and(|at| at.elapsed() < SILENT);
        let latest = MANAGERS
            .into_iter()
            .zip(served)
            .filter(|(_, at)| recent(at))
            .max_by_key(|(_, at)| *at)
            .map(|(name, _)| name);
        if told != Some(latest) {
            let words = match latest {
                Some(name) => format!("{name} serves at {VIRTUAL_IP}"),
                None => format!("nobody serves at {VIRTUAL_IP}"),
            };
            timeline.note("probe", words);
            told = Some(latest);
        }
        thread::park_timeout(Duration::from_millis(4));
    }
}

/// Prints an entry, seconds after `start`, if a person wants to read it.
fn show(entry: &Entry, start: Moment) {
    let Some(words) = readable(entry) else {
        return;
    };
    let seconds = entry.at.since(start).as_secs_f64();
    println!("{seconds:>8.3}  {:<20}  {words}", entry.who);
}

/// What is left out: what the daemons say of themselves rather than of the pool.
const DULL: [&str; 14] = [
    "arbiter at ",
    "called off",
    "connected",
    "does not run",
    "has not answered yet",
    "is unlimited",
    "listens first",
    "not a primary yet",
    "pg_rewind:",
    "plugin postgresql",
    "waiting for",
    "waits for vrrpd",
    "cannot be asked",
    "database: busy",
];

/// An entry's words, without their time and level and without the lab's paths.
fn readable(entry: &Entry) -> Option<String> {
    if DULL.iter().any(|dull| entry.what.contains(dull)) {
        return None;
    }
    let host = entry.who.split(' ').next().unwrap_or_default();
    let program = entry.who.split(' ').nth(1);
    let words = match program {
        Some("vrrpd" | "arbiterd") => match entry.what.split_once("INFO  ") {
            Some((_, words)) => words.strip_prefix(&format!("{host}: ")).unwrap_or(words),
            None => &entry.what,
        },
        Some("replicator") => entry.what.strip_prefix("[INFO ] ").unwrap_or(&entry.what),
        _ => &entry.what,
    };
    let disk = format!("/{host}/disk/");
    let short = words.split(' ').map(|word| match word.split_once(&disk) {
        Some((_, path)) => path,
        None => word,
    });
    Some(short.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(who: &str, what: &str) -> Option<String> {
        readable(&Entry {
            at: Moment::now(),
            who: who.into(),
            what: what.into(),
        })
    }

    #[test]
    fn lines_are_shown_without_what_every_line_has() {
        let said = "2026-11-24T14:46:11.370Z INFO  manager-a: Primary -> Online, epoch 1.a";
        assert_eq!(
            read("manager-a vrrpd", said).as_deref(),
            Some("Primary -> Online, epoch 1.a")
        );
        let said =
            "[INFO ] database: down: /tmp/vrrpd-lab-1-0/manager-b/disk/postgresql/main is empty";
        assert_eq!(
            read("manager-b replicator", said).as_deref(),
            Some("database: down: postgresql/main is empty")
        );
        assert_eq!(
            read("manager-b vrrpd", "the replicator has connected"),
            None
        );
    }
}
