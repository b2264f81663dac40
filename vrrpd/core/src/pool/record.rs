//! What a voter remembers: ballots, records and the identities in them.

use core::fmt;
use core::str::FromStr;

use super::Pause;

/// A party of the pool.
///
/// Ordered, so that ballots of equal counters differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// The Master Manager.
    A,
    /// The Backup Manager.
    B,
    /// The Redundancy Arbiter: votes, holds no data.
    R,
}

impl NodeId {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::R];

    /// The two others, in order.
    pub const fn others(self) -> [Self; 2] {
        match self {
            Self::A => [Self::B, Self::R],
            Self::B => [Self::A, Self::R],
            Self::R => [Self::A, Self::B],
        }
    }

    /// The other manager; the arbiter has none.
    pub const fn peer(self) -> Option<Self> {
        match self {
            Self::A => Some(Self::B),
            Self::B => Some(Self::A),
            Self::R => None,
        }
    }

    /// Its place in an array over all three.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The node at `index`, `None` above 2.
    pub const fn from_index(index: u8) -> Option<Self> {
        match index {
            0 => Some(Self::A),
            1 => Some(Self::B),
            2 => Some(Self::R),
            _ => None,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
            Self::R => "r",
        })
    }
}

/// A random identity made with a voter's state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// A random identity that lives inside a database directory; renewed *before*
/// each rewind, clone or restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId(pub u64);

macro_rules! hex_identity {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdentityError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != 16 {
                    return Err(ParseIdentityError($what));
                }
                u64::from_str_radix(text, 16)
                    .map(Self)
                    .map_err(|_| ParseIdentityError($what))
            }
        }
    };
}

hex_identity!(Incarnation, "an incarnation is 16 hexadecimal digits");
hex_identity!(CopyId, "a copy id is 16 hexadecimal digits");

/// An identity or epoch that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdentityError(&'static str);

impl fmt::Display for ParseIdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for ParseIdentityError {}

/// A ballot, and the reign it elects: ordered by counter, then node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Raised by every claim.
    pub counter: u64,
    /// Who claimed it.
    pub node: NodeId,
}

impl Epoch {
    /// Below every ballot.
    pub const ZERO: Self = Self {
        counter: 0,
        node: NodeId::A,
    };
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.counter, self.node)
    }
}

impl FromStr for Epoch {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = ParseIdentityError("an epoch is a number, a full stop and one of a, b, r");
        let (counter, node) = text.split_once('.').ok_or(wrong)?;
        Ok(Self {
            counter: counter.parse().map_err(|_| wrong)?,
            node: match node {
                "a" => NodeId::A,
                "b" => NodeId::B,
                "r" => NodeId::R,
                _ => return Err(wrong),
            },
        })
    }
}

/// The copies that hold every acknowledged commit, at most one a manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InSync {
    /// The Master's copy.
    pub a: Option<CopyId>,
    /// The Backup's copy.
    pub b: Option<CopyId>,
}

impl InSync {
    /// The set of one copy.
    pub fn only(node: NodeId, copy: CopyId) -> Self {
        Self::default().with(node, Some(copy))
    }

    /// The copy of `node` in the set.
    pub const fn copy(&self, node: NodeId) -> Option<CopyId> {
        match node {
            NodeId::A => self.a,
            NodeId::B => self.b,
            NodeId::R => None,
        }
    }

    /// The set with `node`'s copy replaced; the arbiter holds none.
    pub fn with(mut self, node: NodeId, copy: Option<CopyId>) -> Self {
        match node {
            NodeId::A => self.a = copy,
            NodeId::B => self.b = copy,
            NodeId::R => {}
        }
        self
    }

    /// Whether `node`'s copy and no other is in the set.
    pub fn is_only(&self, node: NodeId) -> bool {
        NodeId::ALL
            .into_iter()
            .all(|n| self.copy(n).is_some() == (n == node))
    }

    /// The nodes in the set, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        NodeId::ALL.into_iter().filter(|&n| self.copy(n).is_some())
    }
}

impl fmt::Display for InSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.a.is_some(), self.b.is_some()) {
            (true, true) => "{a, b}",
            (true, false) => "{a}",
            (false, true) => "{b}",
            (false, false) => "{}",
        })
    }
}

/// The incarnation of each party that may vote, by [`NodeId::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Voters(pub [Incarnation; 3]);

impl Voters {
    /// The incarnation that votes for `node`.
    pub const fn of(&self, node: NodeId) -> Incarnation {
        self.0[node.index()]
    }

    /// The map with `node`'s voter replaced.
    pub fn with(mut self, node: NodeId, incarnation: Incarnation) -> Self {
        self.0[node.index()] = incarnation;
        self
    }
}

/// What a quorum remembers: who is Primary, and whose copies are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The reign.
    pub epoch: Epoch,
    /// Raised by every change within the reign, from 0.
    pub version: u32,
    /// Who is Primary.
    pub primary: NodeId,
    /// The copies that hold every acknowledged commit.
    pub in_sync: InSync,
    /// Who votes.
    pub voters: Voters,
    /// Chosen by an operator's word in place of the in-sync check.
    pub forced: bool,
}

impl Record {
    /// What records are ordered by; equal keys mean equal records (I5).
    pub const fn key(&self) -> (Epoch, u32) {
        (self.epoch, self.version)
    }

    /// Whether `self` replaces `other`.
    pub fn is_above(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| self.key() > other.key())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {}, version {}, primary {}, in sync {}{}",
            self.epoch,
            self.version,
            self.primary,
            self.in_sync,
            if self.forced { ", forced" } else { "" }
        )
    }
}

/// What a voter has on disk; every message that depends on it leaves after it
/// has been written (PROTOCOL.md, State of a voter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Made with the state directory.
    pub incarnation: Incarnation,
    /// Raised at each start.
    pub boots: u64,
    /// The highest ballot promised.
    pub promised: Epoch,
    /// The highest counter used by a claim of its own.
    pub reserved: u64,
    /// The highest record accepted; without one the voter is blank.
    pub record: Option<Record>,
    /// The highest record known to be accepted by a quorum.
    pub effective: Option<Record>,
    /// The highest own epoch for which a Release may have left.
    pub released: Epoch,
    /// Whether failover is paused, by the last word heard of it.
    pub pause: Pause,
}

impl Durable {
    /// A blank voter's state, before its first boot.
    pub const fn blank(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            boots: 0,
            promised: Epoch::ZERO,
            reserved: 0,
            record: None,
            effective: None,
            released: Epoch::ZERO,
            pause: Pause {
                word: 0,
                paused: false,
            },
        }
    }
}
