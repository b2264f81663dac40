//! Every entry that was ever written to a log, and what was promised of it.

/// An entry of a write-ahead log: the same number on every copy.
pub type Entry = u32;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client's commit.
    Commit,
    /// The end of a recovery: a promotion, which begins a timeline.
    Promotion,
    /// A shutdown checkpoint.
    Checkpoint,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    kind: Kind,
    timeline: u32,
    acknowledged: bool,
    read: bool,
}

impl Line {
    const fn is_owed(self) -> bool {
        self.acknowledged || self.read
    }
}

/// Why an entry must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// A client was told that it is committed (I1).
    Acknowledged,
    /// A client has read it (I7).
    Read,
}

/// The table of all entries of one world.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lines: Vec<Line>,
    owed: usize,
    acknowledged: u64,
}

impl Ledger {
    /// Writes a new entry.
    pub fn write(&mut self, kind: Kind, timeline: u32) -> Entry {
        self.lines.push(Line {
            kind,
            timeline,
            acknowledged: false,
            read: false,
        });
        u32::try_from(self.lines.len() - 1).unwrap_or(u32::MAX)
    }

    /// The timeline on which `entry` was written.
    pub fn timeline(&self, entry: Entry) -> u32 {
        self.lines[entry as usize].timeline
    }

    /// How many commits were acknowledged.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A client was told that `entry` is committed.
    pub fn acknowledge(&mut self, entry: Entry) {
        let line = &mut self.lines[entry as usize];
        self.owed += usize::from(!line.is_owed());
        self.acknowledged += 1;
        line.acknowledged = true;
    }

    /// A client has read what `entry` wrote.
    pub fn read(&mut self, entry: Entry) {
        let line = &mut self.lines[entry as usize];
        if line.kind == Kind::Commit {
            self.owed += usize::from(!line.is_owed());
            line.read = true;
        }
    }

    /// Whether `log` lacks anything that is owed.
    pub fn is_whole(&self, log: &[Entry]) -> bool {
        let held = log
            .iter()
            .filter(|&&entry| self.lines[entry as usize].is_owed());
        held.count() == self.owed
    }

    /// The first entry that is owed and not in `log`.
    pub fn missing(&self, log: &[Entry]) -> Option<(Entry, Owed)> {
        let mut held = vec![false; self.lines.len()];
        for &entry in log {
            held[entry as usize] = true;
        }
        self.lines
            .iter()
            .zip(held)
            .position(|(line, held)| line.is_owed() && !held)
            .map(|at| {
                let owed = if self.lines[at].acknowledged {
                    Owed::Acknowledged
                } else {
                    Owed::Read
                };
                (u32::try_from(at).unwrap_or(u32::MAX), owed)
            })
    }

    /// An operator's word gave up whatever `log` lacks.
    pub fn forgive(&mut self, log: &[Entry]) {
        while let Some((entry, _)) = self.missing(log) {
            let line = &mut self.lines[entry as usize];
            line.acknowledged = false;
            line.read = false;
            self.owed -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Ledger, Owed};

    #[test]
    fn missing_is_what_is_owed_and_absent() {
        let mut ledger = Ledger::default();
        let one = ledger.write(Kind::Commit, 1);
        let two = ledger.write(Kind::Commit, 1);
        let three = ledger.write(Kind::Commit, 1);
        ledger.acknowledge(one);
        ledger.read(two);
        assert!(ledger.is_whole(&[one, two]));
        assert!(!ledger.is_whole(&[one, three]));
        assert_eq!(ledger.missing(&[one]), Some((two, Owed::Read)));
        assert_eq!(ledger.missing(&[two]), Some((one, Owed::Acknowledged)));
        ledger.forgive(&[two]);
        assert!(ledger.is_whole(&[two]));
    }

    #[test]
    fn a_promotion_is_nothing_a_client_reads() {
        let mut ledger = Ledger::default();
        let promotion = ledger.write(Kind::Promotion, 2);
        ledger.read(promotion);
        assert!(ledger.is_whole(&[]));
    }
}
