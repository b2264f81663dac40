//! What is worth a line though no state changes.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use super::config::Identity;
use crate::packet::{Centiseconds, Form, Priority, Refusal};

/// A line for the log. Its `Display` is the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which router.
    pub router: Arc<Identity>,
    /// What happened.
    pub what: What,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.router, self.what)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A packet was refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Who sent it.
        source: IpAddr,
        /// How many were refused for that reason so far.
        times: u64,
    },
    /// A peer names other addresses; it is listened to all the same.
    AddressesDiffer {
        /// Who.
        source: IpAddr,
        /// What it names.
        theirs: Vec<IpAddr>,
    },
    /// A peer advertises at another interval; it is listened to all the same.
    IntervalDiffers {
        /// Who.
        source: IpAddr,
        /// Its interval.
        theirs: Centiseconds,
        /// Ours.
        ours: Centiseconds,
    },
    /// Another router advertises as Active while this one is.
    Rival {
        /// Who.
        source: IpAddr,
        /// Its priority; `None` if it says that it stops.
        priority: Option<Priority>,
    },
    /// This router owns the addresses, and another advertises them (RFC 9568
    /// §7.1, erratum 8298).
    Owner {
        /// Who.
        source: IpAddr,
    },
    /// The other Active router has fallen silent; announced again.
    RivalGone {
        /// Who.
        source: IpAddr,
    },
    /// Somebody deleted a virtual address; it was put back.
    PutBack {
        /// Which.
        address: IpAddr,
        /// How often lately.
        times: u8,
    },
    /// It was run late: as Active in time, as Backup after its timer expired.
    Late {
        /// By how much.
        by: Duration,
    },
    /// The checks changed the priority.
    Priority {
        /// Before.
        from: Priority,
        /// After.
        to: Priority,
        /// Which checks weigh on it.
        why: Arc<str>,
    },
    /// The checksum that is sent follows the peer's.
    Checksum {
        /// The peer.
        source: IpAddr,
        /// Its form.
        form: Form,
    },
    /// The address that it advertises from has changed.
    Source {
        /// Now.
        source: IpAddr,
    },
    /// The daemon began, and this router cannot take part.
    Waits {
        /// Why.
        fault: super::Fault,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                refusal,
                source,
                times,
            } => write!(
                f,
                "refused a packet from {source} ({times} so far): {refusal}"
            ),
            Self::AddressesDiffer { source, theirs } => {
                write!(f, "{source} advertises other addresses than ours:")?;
                theirs
                    .iter()
                    .try_for_each(|address| write!(f, " {address}"))
            }
            Self::IntervalDiffers {
                source,
                theirs,
                ours,
            } => write!(
                f,
                "{source} advertises every {theirs}, this router every {ours}"
            ),
            Self::Rival {
                source,
                priority: Some(priority),
            } => write!(
                f,
                "{source} advertises too, with priority {priority}: announced again"
            ),
            Self::Rival {
                source,
                priority: None,
            } => write!(f, "{source} was Active too, and stops: announced again"),
            Self::Owner { source } => write!(
                f,
                "{source} advertises the addresses that this router owns: check its configuration"
            ),
            Self::RivalGone { source } => {
                write!(f, "{source} does not advertise any more: announced again")
            }
            Self::PutBack { address, times } => write!(
                f,
                "another program deleted {address}: put back ({times} times lately)"
            ),
            Self::Late { by } => write!(f, "woke {} ms late", by.as_millis()),
            Self::Priority { from, to, why } if why.is_empty() => {
                write!(f, "priority {from} -> {to}")
            }
            Self::Priority { from, to, why } => write!(f, "priority {from} -> {to}: {why}"),
            Self::Checksum { source, form } => {
                write!(f, "sends checksums {form} from now on, as {source} does")
            }
            Self::Source { source } => write!(f, "advertises from {source} from now on"),
            Self::Waits { fault } => write!(f, "Initialize: {fault}"),
        }
    }
}
