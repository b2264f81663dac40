//! Runs schedules of the pool, and says which seed broke what.
//!
//! `simulator [--break RULE] [--seed N [--trace] | --seeds N..M | --seconds S]`
#![forbid(unsafe_code)]

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use simulator::plan::Plan;
use simulator::sweep::sweep;
use simulator::world::Trace;
use simulator::{Outcome, run};

const USAGE: &str =
    "usage: simulator [--break RULE] [--seed N [--trace] | --seeds N..M | --seconds S]";

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    /// The rule of the protocol, or of the simulator's own side, to break.
    broken: Option<String>,
    task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    One { seed: u64, trace: Trace },
    Range { from: u64, to: u64 },
    Soak { span: Duration },
}

/// Arguments that mean nothing.
#[derive(Debug, PartialEq, Eq)]
struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{USAGE}", self.0)
    }
}

fn parse(arguments: &[String]) -> Result<Request, UsageError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (broken, words) = match words[..] {
        ["--break", rule, ..] => (Some(rule.to_owned()), &words[2..]),
        _ => (None, &words[..]),
    };
    if let Some(rule) = &broken
        && Plan::calm(0).breaking(rule).is_none()
    {
        let what = format!("'{rule}' is no rule: use a name from vrrpd/core/src/pool/rule.rs");
        return Err(UsageError(what));
    }
    let task = parse_task(words)?;
    Ok(Request { broken, task })
}

fn parse_task(words: &[&str]) -> Result<Task, UsageError> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| UsageError(format!("'{text}' is no number: use 0 to 2^64 - 1")))
    };
    match *words {
        ["--seed", seed] => Ok(Task::One {
            seed: number(seed)?,
            trace: Trace::Off,
        }),
        ["--seed", seed, "--trace"] | ["--trace", "--seed", seed] => Ok(Task::One {
            seed: number(seed)?,
            trace: Trace::Print,
        }),
        ["--seeds", range] => {
            let (from, to) = range
                .split_once("..")
                .ok_or_else(|| UsageError(format!("'{range}' is no range: use N..M")))?;
            Ok(Task::Range {
                from: number(from)?,
                to: number(to)?,
            })
        }
        ["--seconds", seconds] => Ok(Task::Soak {
            span: Duration::from_secs(number(seconds)?),
        }),
        [] => Ok(Task::Soak {
            span: Duration::from_secs(60),
        }),
        _ => Err(UsageError("these arguments do not go together".to_owned())),
    }
}

/// A seed nobody has chosen.
fn fresh_seed() -> u64 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    (nanos as u64 ^ u64::from(std::process::id())) % 1_000_000_000_000
}

/// What many schedules amount to.
#[derive(Default)]
struct Sum {
    schedules: u64,
    steps: u64,
    messages: u64,
    faults: u64,
    reigns: u64,
    acknowledged: u64,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.schedules += 1;
        self.steps += outcome.tally.steps;
        self.messages += outcome.tally.messages;
        self.faults += outcome.tally.faults;
        self.reigns += outcome.tally.reigns;
        self.acknowledged += outcome.acknowledged;
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} schedules, {} steps, {} messages, {} faults, {} reigns, {} commits acknowledged",
            self.schedules, self.steps, self.messages, self.faults, self.reigns, self.acknowledged
        )
    }
}

/// Runs `seed`.
fn schedule(seed: u64, broken: Option<&str>, trace: Trace) -> Outcome {
    let plan = Plan::from_seed(seed);
    let plan = match broken {
        Some(rule) => plan.breaking(rule).unwrap_or_else(|| Plan::from_seed(seed)),
        None => plan,
    };
    run(plan, trace)
}

/// False, with a word about it, if `seed` broke something.
fn passes(seed: u64, outcome: &Outcome, broken: Option<&str>, replay: bool) -> bool {
    let Some(violation) = &outcome.violation else {
        return true;
    };
    println!("seed {seed}: {violation}");
    if replay {
        let broken = broken.map_or_else(String::new, |rule| format!("--break {rule} "));
        println!("replay: cargo run --release -p simulator -- {broken}--seed {seed} --trace");
    }
    false
}

fn perform(request: &Request) -> bool {
    let broken = request.broken.as_deref();
    let began = Instant::now();
    let mut sum = Sum::default();
    let well = match request.task {
        Task::One { seed, trace } => {
            println!("seed {seed}");
            let outcome = schedule(seed, broken, trace);
            sum.add(&outcome);
            passes(seed, &outcome, broken, trace == Trace::Off)
        }
        Task::Range { from, to } => {
            println!("seeds {from}..{to}");
            let mut well = true;
            let silent = |seed| schedule(seed, broken, Trace::Off);
            sweep(from..to, silent, |seed, outcome| {
                sum.add(&outcome);
                well &= passes(seed, &outcome, broken, true);
                true
            });
            well
        }
        Task::Soak { span } => {
            let first = fresh_seed();
            println!("seeds from {first}");
            let mut well = true;
            let silent = |seed| schedule(seed, broken, Trace::Off);
            sweep(first..u64::MAX, silent, |seed, outcome| {
                sum.add(&outcome);
                well &= passes(seed, &outcome, broken, true);
                well && began.elapsed() < span
            });
            well
        }
    };
    println!("{sum} in {:.1} s", began.elapsed().as_secs_f64());
    well
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments) {
        Ok(request) if perform(&request) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(mistake) => {
            eprintln!("simulator: {mistake}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Task, parse};
    use simulator::world::Trace;

    fn task(text: &str) -> Option<Task> {
        parse(&words(text)).ok().map(|request| request.task)
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn one_seed_may_be_traced() {
        let one = Task::One {
            seed: 7,
            trace: Trace::Print,
        };
        assert_eq!(task("--seed 7 --trace"), Some(one));
    }

    #[test]
    fn a_range_has_two_ends() {
        assert_eq!(task("--seeds 3..9"), Some(Task::Range { from: 3, to: 9 }));
        assert!(parse(&words("--seeds 3")).is_err());
    }

    #[test]
    fn a_rule_to_break_has_a_name() {
        let request = parse(&words("--break OneProposal --seed 1"));
        assert!(request.is_ok_and(|request| request.broken.as_deref() == Some("OneProposal")));
        assert!(parse(&words("--break Nothing --seed 1")).is_err());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        assert!(parse(&words("--seed x")).is_err());
        assert!(parse(&words("--fast")).is_err());
    }
}
