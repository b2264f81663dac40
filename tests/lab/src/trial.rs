//! A scenario: a pool under load, a fault, and what must hold afterwards.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::checker;
use crate::clock::{Moment, milliseconds, wait_for};
use crate::directory::Directory;
use crate::fault::{Attempt, Fault, Result};
use crate::host::Name;
use crate::ledger::Ledger;
use crate::pool::{PATIENCE, Pool, Settings, VIRTUAL_IP};
use crate::probe::Probe;
use crate::timeline::{Entry, Timeline};
use crate::writer::{FieldUnits, Habits, TABLE};

/// How much of the timeline a failure shows; the rest is in the saved logs.
const TRACE: usize = 160;

/// A formed pool with field units at work and a probe that watches.
#[derive(Debug)]
pub struct Trial {
    /// The pool, to be hurt.
    pub pool: Pool,
    /// What the field units were told.
    pub ledger: Ledger,
    units: Option<FieldUnits>,
    probe: Arc<Probe>,
    start: Moment,
}

impl Trial {
    /// Forms a pool and sets the field units to work.
    ///
    /// # Errors
    ///
    /// It does not form.
    pub fn new(settings: Settings, directory: Directory, timeline: &Timeline) -> Result<Self> {
        let mut pool = Pool::new(settings, directory, timeline)?;
        let probe = Arc::new(Probe::start(pool.client().namespace()?, VIRTUAL_IP)?);
        let start = timeline.mark("form the pool");
        pool.form()?;
        let mut trial = Self {
            pool,
            ledger: Ledger::default(),
            units: None,
            probe,
            start,
        };
        trial
            .pool
            .database(Name::ManagerA)?
            .query(TABLE, Duration::from_secs(5))
            .attempt(|| "make the table".into())?;
        trial.load(Habits::default())?;
        Ok(trial)
    }

    /// Sets the field units to work with these habits, instead of others.
    ///
    /// # Errors
    ///
    /// No commit comes through.
    pub fn load(&mut self, habits: Habits) -> Result<()> {
        let client = self.pool.client().namespace()?;
        // Numbers of units are not used twice: each counts its reports from 1.
        let first = self.units.take().map_or(0, |units| units.next());
        let units = FieldUnits::start(client, self.pool.service(), first, habits, &self.ledger)?;
        units.commits(100, PATIENCE)?;
        self.units = Some(units);
        Ok(())
    }

    /// Waits until commits come through the virtual IP.
    ///
    /// # Errors
    ///
    /// None does.
    pub fn commits_flow(&self) -> Result<()> {
        self.units().commits(50, PATIENCE)?;
        self.pool.timeline().mark("commits come through");
        Ok(())
    }

    /// Waits until a commit was acknowledged later than `moment`.
    ///
    /// # Errors
    ///
    /// None is.
    pub fn commits_after(&self, moment: Moment) -> Result<()> {
        let patience = PATIENCE + moment.since(Moment::now());
        wait_for("a commit through the virtual IP", patience, || {
            match self.ledger.last() {
                Some(last) if last > moment => Ok(()),
                Some(last) => Err(format!(
                    "the last came {} ago",
                    milliseconds(last.elapsed())
                )),
                None => Err("none ever came".into()),
            }
        })
    }

    /// The field units.
    ///
    /// # Panics
    ///
    /// After [`Trial::rest`] and [`Trial::finish`].
    pub fn units(&self) -> &FieldUnits {
        self.units
            .as_ref()
            .expect("the field units work until the end")
    }

    /// The probe.
    pub fn probe(&self) -> &Arc<Probe> {
        &self.probe
    }

    /// Lets the field units stop.
    pub fn rest(&mut self) {
        self.units = None;
    }

    /// What must hold after every scenario: a Primary, commits that come
    /// through, none of them lost on any copy, and never two hosts at once.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn finish(&mut self) -> Result<checker::Verdict> {
        self.pool.wait_any_primary()?;
        self.commits_flow()?;
        self.rest();
        self.pool
            .timeline()
            .mark("compare what was acknowledged with the databases");
        let verdict = checker::check_both(&self.pool, &self.ledger)?;
        let seen = self.probe.seen();
        seen.judge(self.start)?;
        if seen.rounds < 100 {
            return Err(Fault::new(format!(
                "the probe has looked only {} times: it proves nothing",
                seen.rounds
            )));
        }
        Ok(verdict)
    }
}

/// Runs a scenario on a pool of default settings; see [`scenario_with`].
///
/// # Panics
///
/// As [`scenario_with`].
pub fn scenario(name: &str, story: impl FnOnce(&mut Trial) -> Result<()>) {
    scenario_with(name, Settings::default(), story);
}

/// Runs a scenario, for a test: forms a pool, lets `story` hurt it, and checks
/// what must hold afterwards.
///
/// # Panics
///
/// When it fails, with the timeline of all hosts; their logs are saved. With
/// `LAB_TRACE` in the environment the timeline is printed in any case.
pub fn scenario_with(name: &str, settings: Settings, story: impl FnOnce(&mut Trial) -> Result<()>) {
    let timeline = Timeline::new();
    let start = Moment::now();
    let rescued = rescue_directory(name);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut directory = Directory::new()?;
        directory.rescue_logs(Some(rescued.clone()));
        let mut trial = Trial::new(settings, directory, &timeline)?;
        story(&mut trial)?;
        let verdict = trial.finish()?;
        trial.pool.directory_mut().rescue_logs(None);
        println!(
            "{name}: {} commits acknowledged, 0 lost, {} unknown, in {}",
            verdict.acknowledged,
            trial.ledger.count_unknown(),
            milliseconds(start.elapsed()),
        );
        Ok::<_, Fault>(())
    }));
    let why = match outcome {
        Ok(Ok(())) if std::env::var_os("LAB_TRACE").is_some() => {
            println!("{}", trace(&timeline.entries(), start));
            return;
        }
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(panic) => words_of(panic.as_ref()),
    };
    panic!(
        "\n{}\n{name}: FAILED: {why}\nthe logs of all hosts: {}\n",
        trace(&timeline.entries(), start),
        rescued.display()
    );
}

/// Where the logs of a failed scenario are kept.
fn rescue_directory(name: &str) -> PathBuf {
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/lab")
        .join(words.join("-"))
}

/// What a panic said.
fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}

/// The end of the timeline, a line an entry, in milliseconds after `start`.
fn trace(entries: &[Entry], start: Moment) -> String {
    let skipped = entries.len().saturating_sub(TRACE);
    let mut text = format!(
        "the last {} of {} lines:\n",
        entries.len() - skipped,
        entries.len()
    );
    for entry in &entries[skipped..] {
        let at = entry.at.since(start).as_secs_f64() * 1e3;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{at:>10.1} {:<22} {}", entry.who, entry.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_shows_the_end_with_its_times() {
        let start = Moment::now();
        let entry = |n: u64| Entry {
            at: start.plus(Duration::from_millis(n)),
            who: "lab".into(),
            what: format!("step {n}"),
        };
        let entries: Vec<Entry> = (0..200).map(entry).collect();
        let text = trace(&entries, start);
        assert!(text.starts_with("the last 160 of 200 lines:\n      40.0 lab "));
        assert!(text.ends_with(" step 199\n"));
    }
}
