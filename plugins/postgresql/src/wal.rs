//! Places in the write-ahead log: segments, records, timelines.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use replicator::role::{Lsn, Position};

/// PostgreSQL's `XLOG_BLCKSZ`, as every package builds it.
const PAGE: u64 = 8192;

/// `SizeOfXLogShortPHD`: the header of a page.
const SHORT_HEADER: u64 = 24;

/// `SizeOfXLogLongPHD`: the header of a segment's first page.
const LONG_HEADER: u64 = 40;

/// `MAXALIGN`: records begin at multiples of this.
const ALIGN: u64 = 8;

/// One line of a timeline's history: where an ancestor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its timeline.
    pub timeline: u32,
    /// The first byte that is not its own any more.
    pub end: Lsn,
}

/// The timelines that a server's log is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The newest.
    pub timeline: u32,
    /// Those before, oldest first.
    pub ancestors: Vec<Ancestor>,
}

impl History {
    /// Reads what a history file (`00000002.history`) of `timeline` says.
    ///
    /// # Errors
    ///
    /// The line that is not of that form.
    pub fn parse(timeline: u32, text: &str) -> Result<Self, String> {
        let line = |line: &str| {
            let mut fields = line.split_whitespace();
            Some(Ancestor {
                timeline: fields.next()?.parse().ok()?,
                end: fields.next()?.parse().ok()?,
            })
        };
        let ancestors = text
            .lines()
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.starts_with('#'))
            .map(|text| {
                line(text).ok_or_else(|| format!("not a line of a timeline's history: {text}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            timeline,
            ancestors,
        })
    }

    /// The name of the file that holds it.
    pub fn file_name(timeline: u32) -> String {
        format!("{timeline:08X}.history")
    }

    /// Where `timeline` ends in this history: `None` if it does not belong to
    /// it; the newest has no end.
    pub fn end_of(&self, timeline: u32) -> Option<Option<Lsn>> {
        if timeline == self.timeline {
            return Some(None);
        }
        self.ancestors
            .iter()
            .find(|ancestor| ancestor.timeline == timeline)
            .map(|ancestor| Some(ancestor.end))
    }

    /// The timeline that byte `lsn` belongs to.
    pub fn timeline_at(&self, lsn: Lsn) -> u32 {
        self.ancestors
            .iter()
            .find(|ancestor| lsn < ancestor.end)
            .map_or(self.timeline, |ancestor| ancestor.timeline)
    }

    /// Up to where `position`'s log and this one are the same, if
    /// `position`'s server has the history `other`.
    pub fn fork(&self, other: &Self) -> Lsn {
        let mut fork = Lsn(0);
        for ancestor in self.ancestors.iter().chain([&Ancestor {
            timeline: self.timeline,
            end: Lsn(u64::MAX),
        }]) {
            let Some(end) = other.end_of(ancestor.timeline) else {
                break;
            };
            let end = end.unwrap_or(Lsn(u64::MAX)).min(ancestor.end);
            fork = end;
            if end < ancestor.end {
                break;
            }
        }
        fork
    }
}

/// The segment file that holds byte `lsn` of `timeline`.
pub fn segment_name(timeline: u32, lsn: Lsn, segment_size: u64) -> String {
    let segment = lsn.0 / segment_size;
    let per_id = 0x1_0000_0000 / segment_size;
    format!(
        "{timeline:08X}{:08X}{:08X}",
        segment / per_id,
        segment % per_id
    )
}

/// The timeline and first byte of the segment of that file name; `None` for
/// any other file.
pub fn parse_segment_name(name: &str, segment_size: u64) -> Option<Position> {
    if name.len() != 24 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let part = |range| u64::from_str_radix(&name[range], 16).ok();
    let per_id = 0x1_0000_0000 / segment_size;
    Some(Position {
        timeline: u32::try_from(part(0..8)?).ok()?,
        lsn: Lsn((part(8..16)? * per_id + part(16..24)?) * segment_size),
    })
}

/// Where the record that begins at `start` ends: the first byte behind it, as
/// the server counts it (`EndRecPtr`).
///
/// # Errors
///
/// The file's, and `InvalidData` if there is no record.
pub fn record_end(pg_wal: &Path, start: Position, segment_size: u64) -> io::Result<Lsn> {
    let file: PathBuf = pg_wal.join(segment_name(start.timeline, start.lsn, segment_size));
    let mut length = [0; 4];
    File::open(&file)
        .and_then(|file| file.read_exact_at(&mut length, start.lsn.0 % segment_size))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    // xl_tot_len, in the machine's byte order.
    let length = u64::from(u32::from_ne_bytes(length));
    if length < SHORT_HEADER {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: no record at {}", file.display(), start.lsn),
        ));
    }
    Ok(advance(start.lsn, length, segment_size))
}

/// The end of a record of `length` bytes at `start`: it goes on behind the
/// header of each page that it crosses, and is padded.
fn advance(start: Lsn, length: u64, segment_size: u64) -> Lsn {
    let (mut at, mut left) = (start.0, length);
    loop {
        let room = PAGE - at % PAGE;
        if left <= room {
            return Lsn((at + left).next_multiple_of(ALIGN));
        }
        left -= room;
        at += room;
        at += if at.is_multiple_of(segment_size) {
            LONG_HEADER
        } else {
            SHORT_HEADER
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 16 << 20;

    fn lsn(text: &str) -> Lsn {
        text.parse().unwrap()
    }

    fn history(timeline: u32, text: &str) -> History {
        History::parse(timeline, text).unwrap()
    }

    #[test]
    fn a_history_file_is_read() {
        let text = "1\t0/3000060\tno recovery target specified\n\n2\t0/5000000\tat 'x'\n";
        let history = history(3, text);
        assert_eq!(history.end_of(1), Some(Some(lsn("0/3000060"))));
        assert_eq!(history.end_of(2), Some(Some(lsn("0/5000000"))));
        assert_eq!(history.end_of(3), Some(None));
        assert_eq!(history.end_of(4), None);
        assert_eq!(history.timeline_at(lsn("0/300005F")), 1);
        assert_eq!(history.timeline_at(lsn("0/3000060")), 2);
        assert_eq!(history.timeline_at(lsn("1/0")), 3);
        assert!(History::parse(2, "one 0/1").is_err());
    }

    #[test]
    fn two_histories_part_where_the_first_of_them_left() {
        let first = history(1, "");
        let second = history(2, "1 0/3000060 x");
        let third = history(3, "1 0/3000060 x\n2 0/5000000 x");
        let sibling = history(3, "1 0/2000000 x");
        assert_eq!(first.fork(&second), lsn("0/3000060"));
        assert_eq!(second.fork(&first), lsn("0/3000060"));
        assert_eq!(third.fork(&second), lsn("0/5000000"));
        assert_eq!(sibling.fork(&second), lsn("0/2000000"));
        assert_eq!(second.fork(&second), Lsn(u64::MAX));
        assert_eq!(history(9, "").fork(&first), Lsn(0));
    }

    #[test]
    fn segments_are_named_as_postgresql_names_them() {
        // From pg_walfile_name on servers with these segment sizes.
        assert_eq!(
            segment_name(2, lsn("16/B374D848"), SEGMENT),
            "0000000200000016000000B3"
        );
        assert_eq!(
            segment_name(1, lsn("0/3000060"), 1 << 20),
            "000000010000000000000030"
        );
        assert_eq!(
            parse_segment_name("0000000200000016000000B3", SEGMENT),
            Some(Position {
                timeline: 2,
                lsn: lsn("16/B3000000"),
            })
        );
        for name in [
            "00000002.history",
            "0000000200000016000000B3.partial",
            "xlogtemp.1",
        ] {
            assert_eq!(parse_segment_name(name, SEGMENT), None);
        }
    }

    #[test]
    fn a_record_is_padded_and_goes_on_behind_page_headers() {
        // A shutdown checkpoint of version 15 is 114 bytes long.
        assert_eq!(advance(lsn("0/3000028"), 114, SEGMENT), lsn("0/30000A0"));
        // Ends exactly with its page.
        assert_eq!(advance(lsn("0/3001FC0"), 64, SEGMENT), lsn("0/3002000"));
        // 32 bytes in one page, 82 behind the next one's header of 24.
        assert_eq!(advance(lsn("0/3001FE0"), 114, SEGMENT), lsn("0/3002070"));
        // The same into the next segment, whose header has 40.
        assert_eq!(advance(lsn("0/3FFFFE0"), 114, SEGMENT), lsn("0/4000080"));
        // Over a whole page.
        assert_eq!(
            advance(lsn("0/3001FE0"), 32 + (8192 - 24) + 8, SEGMENT),
            lsn("0/3004020")
        );
    }

    #[test]
    fn no_record_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let start = Position {
            timeline: 1,
            lsn: lsn("0/1000028"),
        };
        assert!(record_end(directory.path(), start, SEGMENT).is_err());
        let name = directory.path().join(segment_name(1, start.lsn, SEGMENT));
        std::fs::write(&name, [0; 8192]).unwrap();
        let error = record_end(directory.path(), start, SEGMENT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
