//! The invariants, as they are checked after every step (PROTOCOL.md,
//! Invariants).

use std::fmt;

use vrrpd_core::pool::record::{Durable, Epoch, NodeId, Record};

use crate::clock::Nanos;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Every acknowledged commit is in the history of every later Primary.
    I1,
    /// At no instant do two nodes hold a lease or the right to be alone.
    I2,
    /// At no instant are two gates open, or do two hosts answer.
    I3,
    /// A Primary was in sync by the highest record of its promise quorum.
    I4,
    /// Records of equal keys are equal; what is promised never goes back.
    I5,
    /// In quiet, a Primary exists within a bounded time and stays.
    I6,
    /// No client reads what a later Primary does not have.
    I7,
    /// Nobody with a lease is deposed by another.
    Deposed,
    /// A message leaves after what it depends on is on disk, and a promise
    /// after the gate is closed.
    Order,
    /// Messages and state survive their encoding.
    Codec,
    /// A deadline is never in the past once handled.
    Deadline,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I1 => "I1 (an acknowledged commit is lost)",
            Self::I2 => "I2 (two leases or rights to be alone)",
            Self::I3 => "I3 (two gates or addresses)",
            Self::I4 => "I4 (the Primary was not in sync)",
            Self::I5 => "I5 (memory went back, or records of one key differ)",
            Self::I6 => "I6 (no lasting Primary in quiet)",
            Self::I7 => "I7 (a client read what was lost)",
            Self::Deposed => "a Primary with a lease was deposed",
            Self::Order => "sent before it was due",
            Self::Codec => "encoding changed a message",
            Self::Deadline => "a deadline in the past",
        })
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When, in true time.
    pub at: Nanos,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {:.6} s: {}",
            self.invariant,
            self.at as f64 / 1e9,
            self.what
        )
    }
}

/// The right to be Primary, as its holder sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Right {
    /// The end of the lease, in true time.
    pub leased_until: Nanos,
    /// Nobody else can be promoted.
    pub alone: bool,
}

impl Right {
    /// Whether it holds at `now`.
    pub const fn holds(&self, now: Nanos) -> bool {
        self.alone || now < self.leased_until
    }
}

/// A record that somebody has on disk.
#[derive(Clone, Copy, Debug)]
struct Known {
    record: Record,
    /// Hosts that have, or had, it, as a voter that it names.
    holders: [bool; 3],
    /// A quorum accepted it, or its holder was alone by right.
    chosen: bool,
    /// An operator's word stands for the in-sync check, or for the quorum.
    word: bool,
}

impl Known {
    /// Whether a quorum has, or had, it.
    fn is_held(&self) -> bool {
        self.holders.iter().filter(|&&held| held).count() >= 2
    }
}

/// What the checks remember.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    known: Vec<Known>,
    /// Two have reigned without hearing of an operator's word to a third, who was
    /// to be alone: nothing but memory is owed any more.
    pub parted: bool,
}

impl Checker {
    /// The record of `key`, if anybody ever had it.
    pub fn record(&self, key: (Epoch, u32)) -> Option<Record> {
        self.known
            .iter()
            .rev()
            .find(|known| known.record.key() == key)
            .map(|known| known.record)
    }

    /// The highest record that a quorum accepted, below `epoch`; what somebody
    /// did alone by an operator's word, nobody need have heard of.
    pub fn chosen_below(&self, epoch: Epoch) -> Option<Record> {
        self.known
            .iter()
            .filter(|known| known.chosen && (!known.word || known.is_held()))
            .filter(|known| known.record.epoch < epoch)
            .map(|known| known.record)
            .max_by_key(Record::key)
    }

    /// The highest record that a quorum accepted.
    pub fn chosen(&self) -> Option<Record> {
        self.known
            .iter()
            .filter(|known| known.chosen)
            .map(|known| known.record)
            .max_by_key(Record::key)
    }

    /// The highest record that anybody ever had.
    pub fn highest(&self) -> Option<Record> {
        self.known
            .iter()
            .map(|known| known.record)
            .max_by_key(Record::key)
    }

    /// The highest epoch that a quorum accepted by an operator's word: a node
    /// that has promised nothing as high is not bound by it yet.
    pub fn forced(&self) -> Option<Epoch> {
        self.known
            .iter()
            .filter(|known| known.chosen && known.word)
            .map(|known| known.record.epoch)
            .max()
    }

    /// The pool begins with `record` on every disk.
    pub fn found(&mut self, record: Record) {
        self.known.push(Known {
            record,
            holders: [true; 3],
            chosen: true,
            word: false,
        });
    }

    /// `state` is written on the disk of `node`, where `before` was.
    pub fn persist(
        &mut self,
        node: NodeId,
        before: Option<&Durable>,
        state: &Durable,
    ) -> Result<(), (Invariant, String)> {
        if let Some(before) = before.filter(|before| before.incarnation == state.incarnation) {
            never_back(before, state)?;
        }
        if let Some(record) = &state.record {
            let new = before.is_none_or(|before| before.record.as_ref() != Some(record));
            if new {
                self.know(node, record, state)?;
            }
            if state.effective.as_ref() == Some(record) {
                self.choose(record);
            }
        }
        Ok(())
    }

    fn know(
        &mut self,
        node: NodeId,
        record: &Record,
        state: &Durable,
    ) -> Result<(), (Invariant, String)> {
        let named = record.voters.of(node) == state.incarnation;
        let at = match self
            .known
            .iter()
            .rposition(|known| known.record.key() == record.key())
        {
            Some(at) => at,
            None => {
                // A reign that begins effective has asked nobody.
                let word = record.forced
                    || record.version == 0 && state.effective.as_ref() == Some(record);
                self.parted |= record.version == 0
                    && self.known.iter().any(|known| {
                        let alone = known.word && known.chosen && !known.is_held();
                        alone && known.record.primary != node
                    });
                if !word {
                    self.judge_new(node, record)?;
                }
                self.known.push(Known {
                    record: *record,
                    holders: [false; 3],
                    chosen: false,
                    word,
                });
                self.known.len() - 1
            }
        };
        let known = &mut self.known[at];
        if known.record != *record {
            let what = format!("{node} holds {record}, others {}", known.record);
            return Err((Invariant::I5, what));
        }
        known.holders[node.index()] |= named;
        known.chosen |= known.is_held();
        Ok(())
    }

    /// I4, when the record of a new reign is written for the first time.
    fn judge_new(&mut self, node: NodeId, record: &Record) -> Result<(), (Invariant, String)> {
        if record.version != 0 || record.primary != node {
            return Ok(());
        }
        let Some(chosen) = self.chosen_below(record.epoch) else {
            return Ok(());
        };
        // What its promise quorum showed is at least what was chosen.
        let copy = record.in_sync.copy(node);
        let named = self.known.iter().any(|known| {
            known.record.key() >= chosen.key()
                && known.record.epoch < record.epoch
                && known.record.in_sync.copy(node) == copy
        });
        if copy.is_some() && named {
            return Ok(());
        }
        let what = format!("{node} writes {record}, but a quorum remembers {chosen}");
        Err((Invariant::I4, what))
    }

    fn choose(&mut self, record: &Record) {
        if let Some(known) = self
            .known
            .iter_mut()
            .rev()
            .find(|known| known.record.key() == record.key())
        {
            known.chosen = true;
        }
    }
}

fn never_back(before: &Durable, state: &Durable) -> Result<(), (Invariant, String)> {
    let back = |what: &str| {
        let what = format!("{what} goes back on a disk: {before:?} -> {state:?}");
        Err((Invariant::I5, what))
    };
    if state.promised < before.promised {
        return back("what is promised");
    }
    if state.record.map(|r| r.key()) < before.record.map(|r| r.key()) {
        return back("the record");
    }
    if state.effective.map(|r| r.key()) < before.effective.map(|r| r.key()) {
        return back("the effective record");
    }
    if state.boots < before.boots
        || state.reserved < before.reserved
        || state.released < before.released
    {
        return back("a counter");
    }
    if state
        .record
        .is_some_and(|record| record.epoch > state.promised)
    {
        return back("what is promised, below the record,");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Checker, Invariant, Right};
    use vrrpd_core::pool::record::{
        CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters,
    };

    fn record(counter: u64, node: NodeId, in_sync: InSync) -> Record {
        Record {
            epoch: Epoch { counter, node },
            version: 0,
            primary: node,
            in_sync,
            voters: Voters([Incarnation(1), Incarnation(2), Incarnation(3)]),
            forced: false,
        }
    }

    fn state(incarnation: u64, record: Record) -> Durable {
        Durable {
            promised: record.epoch,
            record: Some(record),
            ..Durable::blank(Incarnation(incarnation))
        }
    }

    #[test]
    fn equal_keys_of_unequal_records_break_i5() {
        let mut checker = Checker::default();
        let one = record(1, NodeId::A, InSync::only(NodeId::A, CopyId(1)));
        let two = record(1, NodeId::A, InSync::only(NodeId::A, CopyId(2)));
        assert!(checker.persist(NodeId::A, None, &state(1, one)).is_ok());
        let broken = checker.persist(NodeId::B, None, &state(2, two));
        assert_eq!(broken.map_err(|(broken, _)| broken), Err(Invariant::I5));
    }

    #[test]
    fn a_primary_that_is_not_in_sync_breaks_i4() {
        let mut checker = Checker::default();
        checker.found(record(1, NodeId::A, InSync::only(NodeId::A, CopyId(1))));
        let own = record(2, NodeId::B, InSync::only(NodeId::B, CopyId(2)));
        let broken = checker.persist(NodeId::B, None, &state(2, own));
        assert_eq!(broken.map_err(|(broken, _)| broken), Err(Invariant::I4));
    }

    #[test]
    fn a_promise_that_goes_back_breaks_i5() {
        let mut checker = Checker::default();
        let one = record(1, NodeId::A, InSync::only(NodeId::A, CopyId(1)));
        let before = Durable {
            promised: Epoch {
                counter: 9,
                node: NodeId::B,
            },
            ..state(1, one)
        };
        let broken = checker.persist(NodeId::A, Some(&before), &state(1, one));
        assert_eq!(broken.map_err(|(broken, _)| broken), Err(Invariant::I5));
    }

    #[test]
    fn a_record_on_two_disks_is_chosen() {
        let mut checker = Checker::default();
        let one = record(1, NodeId::A, InSync::only(NodeId::A, CopyId(1)));
        assert!(checker.persist(NodeId::A, None, &state(1, one)).is_ok());
        assert_eq!(checker.chosen(), None);
        assert!(checker.persist(NodeId::R, None, &state(3, one)).is_ok());
        assert_eq!(checker.chosen(), Some(one));
    }

    #[test]
    fn a_right_ends_with_its_lease() {
        let leased = Right {
            leased_until: 10,
            alone: false,
        };
        assert!(leased.holds(9));
        assert!(!leased.holds(10));
        let alone = Right {
            leased_until: 0,
            alone: true,
        };
        assert!(alone.holds(99));
    }
}
