//! How long field units cannot write when something happens to a pool.

use std::time::Duration;

use lab::checker;
use lab::clock::Moment;
use lab::directory::Directory;
use lab::fault::{Fault, Result};
use lab::host::Name;
use lab::pool::Settings;
use lab::timeline::Timeline;
use lab::trial::Trial;
use lab::writer::Habits;

use crate::report::{Bar, Figure, Row};

/// Field units that add little waiting of their own: what does not answer is
/// soon tried anew. libpq's shortest patience is 2 s.
const EAGER: Habits = Habits {
    units: 4,
    pace: Duration::from_millis(3),
    patience: Duration::from_millis(60),
    connect: Duration::from_millis(10),
};

/// Field units that wait for what they have asked for.
const PATIENT: Habits = Habits {
    patience: Duration::from_secs(5),
    ..EAGER
};

/// A standby that is gone has stopped the writes by then, if ever.
const NOTICED: Duration = Duration::from_millis(1500);

pub(crate) fn host_death_100ms(runs: usize) -> Result<Vec<Row>> {
    let row = Row {
        bar: within(450, Some(700)),
        ..host_death(100, runs)?
    };
    Ok(vec![row])
}

pub(crate) fn host_death_20ms(runs: usize) -> Result<Vec<Row>> {
    let row = Row {
        bar: within(250, None),
        ..host_death(20, runs)?
    };
    Ok(vec![row])
}

fn host_death(interval_ms: u64, runs: usize) -> Result<Row> {
    let figure = measure(interval_ms, EAGER, runs, |trial, primary| {
        let died = trial.pool.power_off(primary)?;
        trial.pool.wait_primary(primary.other())?;
        trial.commits_flow()?;
        let pause = pause(trial, died);
        trial.pool.power_on(primary)?;
        pause
    })?;
    Ok(Row {
        name: format!("host_death_{interval_ms}ms"),
        what: match interval_ms {
            20 => "the same at an interval of 20 ms",
            _ => "Primary's host dies, interval 100 ms: commit to commit",
        },
        figure,
        bar: None,
    })
}

pub(crate) fn database_killed(runs: usize) -> Result<Vec<Row>> {
    let figure = measure(100, EAGER, runs, |trial, primary| {
        let killed = trial.pool.kill_database(primary)?;
        trial.commits_after(killed.plus(Duration::from_millis(50)))?;
        trial.commits_flow()?;
        pause(trial, killed)
    })?;
    Ok(vec![Row {
        name: "database_killed".into(),
        what: "the Primary's database process is killed",
        figure,
        bar: within(150, None),
    }])
}

pub(crate) fn switchover(runs: usize) -> Result<Vec<Row>> {
    let figure = measure(100, EAGER, runs, |trial, primary| {
        let ordered = Moment::now();
        trial.pool.vrrpctl(primary, &["switchover"])?;
        trial.pool.wait_primary(primary.other())?;
        trial.commits_flow()?;
        pause(trial, ordered)
    })?;
    Ok(vec![Row {
        name: "switchover".into(),
        what: "planned switchover under load",
        figure,
        bar: within(200, None),
    }])
}

pub(crate) fn standby_death(runs: usize) -> Result<Vec<Row>> {
    let figure = measure(100, PATIENT, runs, |trial, primary| {
        let died = trial.pool.power_off(primary.other())?;
        trial.commits_after(died.plus(NOTICED))?;
        let pause = pause(trial, died);
        trial.pool.power_on(primary.other())?;
        pause
    })?;
    Ok(vec![Row {
        name: "standby_death".into(),
        what: "the standby's host dies: longest pause of writes",
        figure,
        bar: within(800, None),
    }])
}

/// Forms a pool, lets `fault` happen to it so often, each time when it is well
/// and with its Primary's name, and compares the databases in the end.
fn measure(
    interval_ms: u64,
    habits: Habits,
    runs: usize,
    mut fault: impl FnMut(&mut Trial, Name) -> Result<Duration>,
) -> Result<Figure> {
    let settings = Settings {
        advertise_interval: Duration::from_millis(interval_ms),
        ..Settings::default()
    };
    let timeline = Timeline::new();
    if std::env::var_os("BENCH_TRACE").is_some() {
        let start = Moment::now();
        timeline.listen(move |entry| {
            let at = entry.at.since(start).as_secs_f64() * 1e3;
            eprintln!("{at:>10.1} {:<22} {}", entry.who, entry.what);
        });
    }
    let mut trial = Trial::new(settings, Directory::alone()?, &timeline)?;
    trial.load(habits)?;
    let mut pauses = Vec::new();
    for _ in 0..runs {
        let primary = trial.pool.wait_any_primary()?;
        pauses.push(fault(&mut trial, primary)?);
        timeline.mark(format!("writes paused for {:?}", pauses.last()));
        trial.pool.wait_ok()?;
    }
    let lost = match trial.finish() {
        Ok(_) => 0,
        Err(fault) => {
            trial.rest();
            let primary = trial.pool.wait_any_primary()?;
            match checker::check(&trial.pool, primary, &trial.ledger)?
                .lost
                .len()
            {
                0 => return Err(fault),
                lost => lost,
            }
        }
    };
    Ok(Figure::Times { runs: pauses, lost })
}

fn pause(trial: &Trial, from: Moment) -> Result<Duration> {
    trial
        .ledger
        .longest_pause(from)
        .map(|pause| pause.length())
        .ok_or_else(|| Fault::new("no commit came through"))
}

fn within(median: u64, worst: Option<u64>) -> Option<Bar> {
    Some(Bar::Within {
        median: Duration::from_millis(median),
        worst: worst.map(Duration::from_millis),
    })
}
