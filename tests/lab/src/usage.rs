//! What processes cost: processor time and memory.

use std::fs;
use std::time::Duration;

use crate::clock::Moment;
use crate::fault::{Attempt, Fault, Result};

/// The cost of some processes over a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Of one processor.
    pub cpu_percent: f64,
    /// Proportional set size, at the end.
    pub pss_kib: u64,
}

/// A measurement under way.
#[derive(Debug)]
pub struct Meter {
    ids: Vec<u32>,
    start: Moment,
    spent: Duration,
}

impl Meter {
    /// Begins to measure these processes, with all their threads.
    ///
    /// # Errors
    ///
    /// One has ended, or there is none.
    pub fn start(ids: &[u32]) -> Result<Self> {
        if ids.is_empty() {
            return Err(Fault::new("there is no process to measure"));
        }
        Ok(Self {
            ids: ids.to_vec(),
            spent: spent(ids)?,
            start: Moment::now(),
        })
    }

    /// What they have cost since.
    ///
    /// # Errors
    ///
    /// One has ended.
    pub fn read(&self) -> Result<Usage> {
        let spent = spent(&self.ids)?.saturating_sub(self.spent);
        let pss = self
            .ids
            .iter()
            .map(|&id| pss_kib(id))
            .sum::<Result<u64>>()?;
        Ok(Usage {
            cpu_percent: 100.0 * spent.as_secs_f64() / self.start.elapsed().as_secs_f64(),
            pss_kib: pss,
        })
    }
}

/// The processor time of all threads of all of them.
fn spent(ids: &[u32]) -> Result<Duration> {
    let mut nanoseconds = 0;
    for id in ids {
        let threads = format!("/proc/{id}/task");
        for thread in fs::read_dir(&threads).attempt(|| format!("read {threads}"))? {
            let path = thread.attempt(|| format!("read {threads}"))?.path();
            let path = path.join("schedstat");
            // A thread may end while the list is read.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let first = text.split(' ').next();
            nanoseconds += first.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn pss_kib(id: u32) -> Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path).attempt(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| Fault::new(format!("{path} names no Pss")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_cost() {
        let meter = Meter::start(&[std::process::id()]).expect("it runs");
        while spent(&[std::process::id()]).expect("it runs") <= meter.spent {
            std::hint::black_box(fs::read_dir("/proc").expect("it is mounted").count());
        }
        let usage = meter.read().expect("it runs");
        assert!(usage.cpu_percent > 0.0);
        assert!(usage.pss_kib > 100);
    }
}
