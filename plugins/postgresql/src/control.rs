//! What `pg_controldata` says of a data directory.

use std::path::Path;

use replicator::plugin::Failure;
use replicator::role::{Lsn, Position};

use crate::tool;
use crate::wal;

/// The control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Equal in all copies of one database.
    pub system: String,
    /// Whether it was shut down cleanly, as a primary or as a standby.
    pub is_clean: bool,
    /// Whether it was shut down cleanly as a primary: its log ends with a
    /// shutdown checkpoint.
    pub has_shutdown_checkpoint: bool,
    /// Where the last checkpoint's record begins.
    pub checkpoint: Position,
    /// The least position that a standby must replay to be consistent.
    pub minimum_recovery_end: Lsn,
    /// Bytes of a file of the log.
    pub segment_size: u64,
    /// Whether its pages can be compared with another copy's.
    pub is_rewindable: bool,
    /// The settings that a standby must not have lower than its primary.
    pub standby_minimums: Vec<(&'static str, u64)>,
}

/// The settings of [`Control::standby_minimums`], and how they are called in
/// the control file.
const MINIMUMS: [(&str, &str); 5] = [
    ("max_connections", "max_connections setting"),
    ("max_worker_processes", "max_worker_processes setting"),
    ("max_wal_senders", "max_wal_senders setting"),
    ("max_prepared_transactions", "max_prepared_xacts setting"),
    ("max_locks_per_transaction", "max_locks_per_xact setting"),
];

impl Control {
    /// Reads the control file of `data`.
    ///
    /// # Errors
    ///
    /// What `pg_controldata` says is wrong.
    pub fn read(binaries: &Path, data: &Path) -> Result<Self, Failure> {
        let mut command = tool::command(binaries, "pg_controldata");
        command.arg(data);
        let text = tool::output(command)?;
        Self::parse(&text)
            .map_err(|what| Failure::new(format!("{}: pg_controldata {what}", data.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .ok_or_else(|| format!("says nothing of {name}"))
        };
        let number = |name: &str| {
            field(name)?
                .parse::<u64>()
                .map_err(|_| format!("says no number for {name}"))
        };
        let lsn = |name: &str| {
            field(name)?
                .parse::<Lsn>()
                .map_err(|_| format!("says no position for {name}"))
        };
        let state = field("Database cluster state")?;
        let timeline = number("Latest checkpoint's TimeLineID")?;
        let hints = field("wal_log_hints setting")? == "on";
        let checksums = number("Data page checksum version")? != 0;
        let pages = field("Latest checkpoint's full_page_writes")? == "on";
        Ok(Self {
            system: field("Database system identifier")?.to_owned(),
            is_clean: matches!(state, "shut down" | "shut down in recovery"),
            has_shutdown_checkpoint: state == "shut down",
            checkpoint: Position {
                timeline: u32::try_from(timeline)
                    .map_err(|_| "says a timeline above 2^32".to_owned())?,
                lsn: lsn("Latest checkpoint location")?,
            },
            minimum_recovery_end: lsn("Minimum recovery ending location")?,
            segment_size: number("Bytes per WAL segment")?,
            is_rewindable: (hints || checksums) && pages,
            standby_minimums: MINIMUMS
                .into_iter()
                .map(|(setting, name)| Ok((setting, number(name)?)))
                .collect::<Result<_, String>>()?,
        })
    }

    /// The end of the shutdown checkpoint: what a follower must have to follow
    /// without a rewind. `None` unless it was shut down cleanly as a primary.
    ///
    /// # Errors
    ///
    /// When the log cannot be read there.
    pub fn shutdown_end(&self, data: &Path) -> Result<Option<Position>, Failure> {
        if !self.has_shutdown_checkpoint {
            return Ok(None);
        }
        let lsn = wal::record_end(&data.join("pg_wal"), self.checkpoint, self.segment_size)
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(Some(Position {
            timeline: self.checkpoint.timeline,
            lsn,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a PostgreSQL 15, shortened.
    const TEXT: &str = "\
Database system identifier:           7711569722853794408
Database cluster state:               shut down
Latest checkpoint location:           0/1500830
Latest checkpoint's REDO location:    0/15007F8
Latest checkpoint's TimeLineID:       2
Latest checkpoint's full_page_writes: on
Minimum recovery ending location:     0/0
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Bytes per WAL segment:                16777216
Data page checksum version:           0
";

    #[test]
    fn its_fields_are_read() {
        let control = Control::parse(TEXT).unwrap();
        assert_eq!(
            control,
            Control {
                system: "7711569722853794408".to_owned(),
                is_clean: true,
                has_shutdown_checkpoint: true,
                checkpoint: Position {
                    timeline: 2,
                    lsn: Lsn(0x150_0830),
                },
                minimum_recovery_end: Lsn(0),
                segment_size: 16 << 20,
                is_rewindable: true,
                standby_minimums: vec![
                    ("max_connections", 100),
                    ("max_worker_processes", 8),
                    ("max_wal_senders", 10),
                    ("max_prepared_transactions", 0),
                    ("max_locks_per_transaction", 64),
                ],
            }
        );
    }

    #[test]
    fn a_crash_is_not_a_clean_stop() {
        let text = TEXT.replace("shut down", "in production");
        let control = Control::parse(&text).unwrap();
        assert!(!control.is_clean && !control.has_shutdown_checkpoint);
        let text = TEXT.replace("shut down", "shut down in recovery");
        let control = Control::parse(&text).unwrap();
        assert!(control.is_clean && !control.has_shutdown_checkpoint);
    }

    #[test]
    fn pages_without_hints_in_the_log_cannot_be_rewound() {
        let text = TEXT.replace(
            "wal_log_hints setting:                on",
            "wal_log_hints setting: off",
        );
        assert!(!Control::parse(&text).unwrap().is_rewindable);
        let text = text.replace(
            "checksum version:           0",
            "checksum version:           1",
        );
        assert!(Control::parse(&text).unwrap().is_rewindable);
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = TEXT.replace("Bytes per WAL segment", "Bytes");
        assert_eq!(
            Control::parse(&text),
            Err("says nothing of Bytes per WAL segment".to_owned())
        );
    }
}
