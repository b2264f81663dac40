//! Figures, beside the bars they have to meet.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use lab::directory;
use lab::fault::Result;
use lab::usage::Usage;
use serde_json::{Map, Value, json};

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name in `bench.json`.
    pub(crate) name: String,
    /// What was measured.
    pub(crate) what: &'static str,
    /// What came out.
    pub(crate) figure: Figure,
    /// What it has to meet; a peer's row has none.
    pub(crate) bar: Option<Bar>,
}

/// What came out.
#[derive(Clone, Debug)]
pub(crate) enum Figure {
    /// How long each run took, and how many acknowledged commits were lost.
    Times {
        /// In the order of the runs.
        runs: Vec<Duration>,
        /// In all runs together.
        lost: usize,
    },
    /// What it cost, and what keepalived did beside it.
    Cost {
        /// Ours.
        ours: Usage,
        /// Its.
        keepalived: Option<Usage>,
    },
}

/// What a figure has to meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// Times: the median, and the worst if that is promised; nothing lost.
    Within {
        /// Of the median.
        median: Duration,
        /// Of the worst.
        worst: Option<Duration>,
    },
    /// Costs: at most so much of a processor.
    Processor(f64),
    /// Costs: less than keepalived, in both.
    LessThanKeepalived,
}

impl Figure {
    fn median(&self) -> Option<Duration> {
        match self {
            Self::Times { runs, .. } => median(runs),
            Self::Cost { .. } => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Times { runs, lost } => json!({
                "runs": runs.len(),
                "median_ms": rounded(milliseconds(median(runs).unwrap_or_default())),
                "max_ms": rounded(milliseconds(worst(runs))),
                "lost": lost,
            }),
            Self::Cost { ours, keepalived } => {
                let mut object = Map::new();
                for (prefix, usage) in [("", Some(ours)), ("keepalived_", keepalived.as_ref())] {
                    let Some(usage) = usage else { continue };
                    let percent = json!((usage.cpu_percent * 1e3).round() / 1e3);
                    object.insert(format!("{prefix}cpu_percent"), percent);
                    object.insert(format!("{prefix}pss_kib"), json!(usage.pss_kib));
                }
                Value::Object(object)
            }
        }
    }
}

impl Row {
    /// Whether its bar is met; a row without one meets it.
    pub(crate) fn is_met(&self) -> bool {
        match (&self.figure, self.bar) {
            (_, None) => true,
            (
                Figure::Times { runs, lost },
                Some(Bar::Within {
                    median,
                    worst: most,
                }),
            ) => {
                *lost == 0
                    && self.figure.median().is_some_and(|time| time <= median)
                    && most.is_none_or(|most| worst(runs) <= most)
            }
            (Figure::Cost { ours, .. }, Some(Bar::Processor(percent))) => {
                ours.cpu_percent <= percent
            }
            (
                Figure::Cost {
                    ours,
                    keepalived: Some(theirs),
                },
                Some(Bar::LessThanKeepalived),
            ) => ours.cpu_percent < theirs.cpu_percent && ours.pss_kib < theirs.pss_kib,
            (_, Some(_)) => false,
        }
    }
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row below the others.
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether every bar is met.
    pub(crate) fn bars_are_met(&self) -> bool {
        self.rows.iter().all(Row::is_met)
    }

    /// Writes the figures as an object with a member a row.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let member = |row: &Row| (row.name.clone(), row.figure.json());
        let object: Map<String, Value> = self.rows.iter().map(member).collect();
        directory::write(file, &format!("{:#}\n", Value::Object(object)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22} {:<52} {:>28}  {:<28}",
            "name", "what", "measured", "bar"
        )?;
        for row in &self.rows {
            let verdict = match (row.bar, row.is_met()) {
                (None, _) => "",
                (Some(_), true) => "met",
                (Some(_), false) => "MISSED",
            };
            writeln!(
                f,
                "{:<22} {:<52} {:>28}  {:<28} {verdict}",
                row.name,
                row.what,
                row.figure.to_string(),
                row.bar.map_or_else(String::new, |bar| bar.to_string()),
            )?;
            if let Figure::Cost {
                keepalived: Some(theirs),
                ..
            } = row.figure
            {
                let words = cost(theirs);
                writeln!(f, "{:<22} {:<52} {words:>28}", "", "  keepalived beside it")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times { runs, lost } => {
                let median = milliseconds(median(runs).unwrap_or_default());
                let worst = milliseconds(worst(runs));
                write!(f, "{median:.0} ms, worst {worst:.0} ms")?;
                if *lost > 0 {
                    write!(f, ", {lost} LOST")?;
                }
                Ok(())
            }
            Self::Cost { ours, .. } => f.write_str(&cost(*ours)),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within { median, worst } => {
                write!(f, "<= {:.0} ms", milliseconds(*median))?;
                match worst {
                    Some(worst) => write!(f, ", worst {:.0} ms", milliseconds(*worst)),
                    None => Ok(()),
                }
            }
            Self::Processor(percent) => write!(f, "<= {percent} % of a core"),
            Self::LessThanKeepalived => f.write_str("less than keepalived"),
        }
    }
}

fn cost(usage: Usage) -> String {
    let mib = f64::from(u32::try_from(usage.pss_kib).unwrap_or(u32::MAX)) / 1024.0;
    format!("{:.2} %, {mib:.1} MB", usage.cpu_percent)
}

/// The middle one, or the middle between the two in the middle.
fn median(runs: &[Duration]) -> Option<Duration> {
    let mut sorted = runs.to_vec();
    sorted.sort();
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return sorted.get(middle).copied();
    }
    let (low, high) = (sorted.get(middle.checked_sub(1)?)?, sorted.get(middle)?);
    Some((*low + *high) / 2)
}

fn worst(runs: &[Duration]) -> Duration {
    runs.iter().max().copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}

/// A peer's median is the bar of ours.
pub(crate) fn bar_of(peer: &Row) -> Option<Bar> {
    peer.figure.median().map(|median| Bar::Within {
        median,
        worst: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(runs: &[u64], lost: usize) -> Row {
        Row {
            name: "vip".into(),
            what: "",
            figure: Figure::Times {
                runs: runs.iter().copied().map(Duration::from_millis).collect(),
                lost,
            },
            bar: Some(Bar::Within {
                median: Duration::from_millis(20),
                worst: Some(Duration::from_millis(40)),
            }),
        }
    }

    #[test]
    fn bar_is_met_by_median_and_worst_with_nothing_lost() {
        assert!(row(&[40, 20, 10], 0).is_met());
        assert!(row(&[15, 24], 0).is_met(), "the median is 19.5");
        assert!(!row(&[15, 26], 0).is_met());
        assert!(!row(&[41, 20, 10], 0).is_met());
        assert!(!row(&[10], 1).is_met());
        assert!(!row(&[], 0).is_met());
    }

    #[test]
    fn json_is_as_the_design_states() {
        assert_eq!(
            row(&[10, 21], 0).figure.json().to_string(),
            r#"{"lost":0,"max_ms":21.0,"median_ms":15.5,"runs":2}"#
        );
        let usage = |cpu_percent, pss_kib| Usage {
            cpu_percent,
            pss_kib,
        };
        let cost = Figure::Cost {
            ours: usage(0.12345, 3000),
            keepalived: Some(usage(0.2, 5000)),
        };
        assert_eq!(
            cost.json().to_string(),
            r#"{"cpu_percent":0.123,"keepalived_cpu_percent":0.2,"keepalived_pss_kib":5000,"pss_kib":3000}"#
        );
    }
}
