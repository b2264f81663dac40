//! What the field units were told: acknowledged, unknown, seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

/// A commit: which unit's, and its number there, from 1.
pub type Id = (u32, u64);

/// What is known of all commits; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    acknowledged: Vec<(Moment, Id)>,
    unknown: BTreeSet<Id>,
    refused: u64,
    seen: BTreeSet<Id>,
}

/// A pause between two acknowledged commits that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When the last one before it was acknowledged.
    pub from: Moment,
    /// When the first one after it was.
    pub to: Moment,
}

impl Pause {
    /// How long it was.
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }
}

impl Ledger {
    /// The server said that it is committed.
    pub fn acknowledged(&self, id: Id) {
        self.lock().acknowledged.push((Moment::now(), id));
    }

    /// Nobody knows whether it is committed.
    pub fn unknown(&self, id: Id) {
        self.lock().unknown.insert(id);
    }

    /// The server said that it is not committed.
    pub fn refused(&self) {
        self.lock().refused += 1;
    }

    /// A client read it.
    pub fn seen(&self, id: Id) {
        self.lock().seen.insert(id);
    }

    /// How many were acknowledged.
    pub fn count(&self) -> usize {
        self.lock().acknowledged.len()
    }

    /// How many nobody knows of.
    pub fn count_unknown(&self) -> usize {
        self.lock().unknown.len()
    }

    /// The ids that were acknowledged.
    pub fn promises(&self) -> BTreeSet<Id> {
        self.lock().acknowledged.iter().map(|&(_, id)| id).collect()
    }

    /// The ids that were read.
    pub fn sightings(&self) -> BTreeSet<Id> {
        self.lock().seen.clone()
    }

    /// When the last was acknowledged.
    pub fn last(&self) -> Option<Moment> {
        self.lock().acknowledged.iter().map(|&(at, _)| at).max()
    }

    /// The longest pause that begins after `from` and is over.
    pub fn longest_pause(&self, from: Moment) -> Option<Pause> {
        let mut times: Vec<Moment> = self.lock().acknowledged.iter().map(|&(at, _)| at).collect();
        times.sort();
        longest(&times, from)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest pause between neighbours of `times`, which are in order.
pub(crate) fn longest(times: &[Moment], from: Moment) -> Option<Pause> {
    let after = times.partition_point(|&at| at < from);
    times[after.saturating_sub(1)..]
        .windows(2)
        .map(|pair| Pause {
            from: pair[0],
            to: pair[1],
        })
        .max_by_key(|pause| pause.length())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_pause_spans_the_moment_asked_for() {
        let start = Moment::now();
        let at = |ms| start.plus(Duration::from_millis(ms));
        let times = [at(0), at(500), at(502), at(802), at(803)];
        let pause = |from| longest(&times, at(from)).map(|pause| (pause.from, pause.to));
        assert_eq!(pause(501), Some((at(502), at(802))));
        assert_eq!(pause(400), Some((at(0), at(500))), "it was under way");
        assert_eq!(pause(803), Some((at(802), at(803))));
        assert_eq!(longest(&[], start), None);
        assert_eq!(longest(&times[..1], start), None, "it is not over");
    }
}
