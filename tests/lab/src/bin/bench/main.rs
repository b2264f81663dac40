//! `bench`: the table of what vrrpd promises, with what it does here and now, and
//! what keepalived does beside it.
//!
//! `bench [NAME…] [--runs N]`: all of it, or the named rows; 20 runs of each
//! fault unless told otherwise. The figures are written to `target/bench.json`
//! too. With `BENCH_TRACE` set, what the hosts say is shown as it comes. Exit status 1 if a bar was missed or something went wrong.
#![forbid(unsafe_code)]

mod arbiter;
mod idle;
mod pool;
mod report;
mod vip;

use std::path::Path;
use std::process::ExitCode;

use lab::fault::{Fault, Result};
use report::{Report, Row};

/// How often a fault is tried if nothing else is said.
const RUNS: usize = 20;

/// Measures a row in so many runs; its peers' rows come with it.
type Measure = fn(usize) -> Result<Vec<Row>>;

/// Every row of the table, in its order.
const ROWS: &[(&str, Measure)] = &[
    ("host_death_100ms", pool::host_death_100ms),
    ("host_death_20ms", pool::host_death_20ms),
    ("database_killed", pool::database_killed),
    ("switchover", pool::switchover),
    ("standby_death", pool::standby_death),
    ("vip_100ms", vip::measure),
    ("idle_1", |_| idle::measure(1)),
    ("idle_1000", |_| idle::measure(1000)),
    ("arbiter_2000", |_| arbiter::measure()),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (names, runs) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(fault) => {
            eprintln!("bench: {fault}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    let mut sound = true;
    for (name, measure) in ROWS {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        eprintln!("bench: {name} ...");
        match measure(runs) {
            Ok(rows) => rows.into_iter().for_each(|row| report.add(row)),
            Err(fault) => {
                eprintln!("bench: {name}: {fault}");
                sound = false;
            }
        }
    }
    println!("{report}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench.json");
    if let Err(fault) = report.write(&file) {
        eprintln!("bench: {fault}");
        sound = false;
    }
    if sound && report.bars_are_met() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The rows that were asked for, all if none; and the number of runs.
fn parse(arguments: &[String]) -> Result<(Vec<&str>, usize)> {
    let mut names = Vec::new();
    let mut runs = RUNS;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => {
                let number = words.next().and_then(|word| word.parse().ok());
                runs = number
                    .filter(|&number| number > 0)
                    .ok_or_else(|| Fault::new("--runs takes a number"))?;
            }
            name if ROWS.iter().any(|(row, _)| *row == name) => names.push(name),
            name => {
                let known: Vec<&str> = ROWS.iter().map(|(row, _)| *row).collect();
                return Err(Fault::new(format!(
                    "there is no row {name:?}: name some of {}, or none for all",
                    known.join(", ")
                )));
            }
        }
    }
    Ok((names, runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_select_rows_and_runs() {
        assert_eq!(parse(&[]), Ok((vec![], RUNS)));
        let line = words("idle_1 --runs 3 vip_100ms");
        assert_eq!(parse(&line), Ok((vec!["idle_1", "vip_100ms"], 3)));
    }

    #[test]
    fn unknown_row_is_refused_with_those_there_are() {
        let fault = parse(&words("idle")).expect_err("there is none");
        assert!(fault.to_string().contains("idle_1, idle_1000"));
        assert!(parse(&words("--runs 0")).is_err());
    }
}
