//! Why a virtual router changed its state.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::Priority;

/// Why a virtual router cannot take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The daemon has not told it to begin.
    NotStarted,
    /// It was told to stop.
    Stopped,
    /// The interface is down.
    InterfaceDown,
    /// The interface has no address to advertise from.
    NoSource,
    /// A check without weight fails.
    Check(Arc<str>),
    /// Another router of the group cannot take part: which, and why.
    Mate(Arc<str>),
    /// Somebody keeps deleting the virtual addresses.
    AddressesDeleted {
        /// How often.
        times: u8,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("the daemon is starting"),
            Self::Stopped => f.write_str("shutdown"),
            Self::InterfaceDown => f.write_str("the interface is down"),
            Self::NoSource => f.write_str("the interface has no address to advertise from"),
            Self::Check(why) => f.write_str(why),
            Self::Mate(why) => write!(f, "its group cannot take part: {why}"),
            Self::AddressesDeleted { times } => write!(
                f,
                "its addresses were deleted {times} times by another program: find which one manages the interface"
            ),
        }
    }
}

/// Why a virtual router changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// RFC 9568 §6.4.1: it takes part from now on, and listens first.
    Listens {
        /// What kept it from taking part.
        after: Fault,
    },
    /// RFC 9568 §6.4.1: the owner needs not listen.
    Owner,
    /// RFC 9568 §6.4.2: nothing acceptable was heard for so long.
    ActiveDownTimer {
        /// Since the last acceptable advertisement, or since it began to listen.
        after: Duration,
        /// An Active router of lower priority was heard, and not acceptable.
        preempts: Option<(IpAddr, Priority)>,
    },
    /// RFC 9568 §6.4.2: the Active router said that it stops.
    ActiveStopped {
        /// Which.
        source: IpAddr,
        /// Skew_Time.
        after: Duration,
    },
    /// RFC 9568 §6.4.3.
    HigherPriority {
        /// Of whom.
        source: IpAddr,
        /// Theirs.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// RFC 9568 §6.4.3: equal priority, larger address.
    LargerAddress {
        /// Of whom.
        source: IpAddr,
        /// Both.
        priority: Priority,
    },
    /// Another router of its group, of this name, has left Active.
    Mate(Arc<str>),
    /// It was not run in time: another may have taken over meanwhile.
    Late {
        /// By how much its last advertisement is overdue.
        by: Duration,
    },
    /// It cannot take part any more.
    Fault(Fault),
    /// Governed: this manager is Primary.
    Held,
    /// Governed: this manager is not Primary any more.
    Dropped,
    /// Governed: its right to the addresses was not renewed in time.
    HoldEnded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listens { after } => match after {
                Fault::NotStarted => f.write_str("started, listens first"),
                fault => write!(f, "over: {fault}"),
            },
            Self::Owner => f.write_str("it owns the addresses"),
            Self::ActiveDownTimer { after, preempts } => {
                write!(f, "Active_Down_Timer expired after {}", seconds(*after))?;
                match preempts {
                    None => Ok(()),
                    Some((source, priority)) => {
                        write!(f, ", preempts {source} of priority {priority}")
                    }
                }
            }
            Self::ActiveStopped { source, after } => write!(
                f,
                "{source} stopped (priority 0), Skew_Time of {} passed",
                seconds(*after)
            ),
            Self::HigherPriority {
                source,
                theirs,
                ours,
            } => write!(
                f,
                "{source} has the higher priority {theirs} (ours is {ours})"
            ),
            Self::LargerAddress { source, priority } => write!(
                f,
                "{source} has the same priority {priority} and the larger address"
            ),
            Self::Mate(name) => write!(f, "goes with {name} of its group"),
            Self::Late { by } => write!(
                f,
                "woke {} ms late: another may have taken over",
                by.as_millis()
            ),
            Self::Fault(fault) => fault.fmt(f),
            Self::Held => f.write_str("this manager is Primary"),
            Self::Dropped => f.write_str("this manager is not Primary"),
            Self::HoldEnded => f.write_str("the right to the addresses was not renewed in time"),
        }
    }
}

/// As `0.612 s`.
fn seconds(span: Duration) -> impl fmt::Display {
    struct Seconds(Duration);
    impl fmt::Display for Seconds {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:.3} s", self.0.as_secs_f64())
        }
    }
    Seconds(span)
}
