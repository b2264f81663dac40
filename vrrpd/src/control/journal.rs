//! What was decided and what changed: the last thousand lines.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use vrrpd_core::time::Instant;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Wall clock, UTC, e.g. `2026-01-31T09:15:02.123Z`.
    pub time: String,
    /// Milliseconds since the host's boot, suspended time included.
    pub boottime_ms: u64,
    /// What happened.
    pub line: String,
}

/// The last lines, bounded.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Keeps `line`; the entry is for [`super::Server::publish`].
    pub fn push(&mut self, line: String, wall: SystemTime, now: Instant) -> &Entry {
        unimplemented!("{line} {wall:?} {now} {:?}", self.entries)
    }

    /// The lines, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
