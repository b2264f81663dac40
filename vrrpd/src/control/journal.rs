//! What was decided and what changed: the last thousand lines.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use vrrpd_core::time::Instant;

/// Lines that are kept.
const KEPT: usize = 1000;

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

/// The last lines, in memory.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Keeps `line`; the entry is for [`super::Server::publish`].
    pub fn push(&mut self, line: impl Into<String>, wall: SystemTime, now: Instant) -> &Entry {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            time: utc(wall),
            boottime_ms: now.as_nanos() / 1_000_000,
            line: line.into(),
        });
        self.entries.back().expect("an entry was kept just now")
    }

    /// The lines, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }
}

/// RFC 3339 in UTC, to the millisecond. A clock before 1970 reads as 1970.
pub(crate) fn utc(wall: SystemTime) -> String {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

/// Year, month and day of the `days`-th day after 1970-01-01 in the Gregorian
/// calendar, by counting from 1 March of the year 0 in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let of_era = days % ERA;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = days / ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn wall_time_is_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_769_850_902_123, "2026-01-31T09:15:02.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, expected) in cases {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_millis(millis)), expected);
        }
        assert_eq!(
            utc(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn the_last_thousand_lines_are_kept() {
        let mut journal = Journal::default();
        for number in 0..1_002_u64 {
            let now = Instant::from_nanos(number * 1_000_000);
            let entry = journal.push(format!("line {number}"), UNIX_EPOCH, now);
            assert_eq!(entry.boottime_ms, number);
        }
        let lines: Vec<_> = journal.entries().map(|entry| entry.line.as_str()).collect();
        assert_eq!(lines.len(), 1000);
        assert_eq!((lines[0], lines[999]), ("line 2", "line 1001"));
    }
}
