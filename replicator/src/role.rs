//! The wire types of the socket between vrrpd and the replicator.
//!
//! One JSON object a line. vrrpd sends [`Order`]s: desired state, not commands,
//! so a repeated order changes nothing. The replicator sends [`Report`]s: what
//! *is*. On every connection the replicator speaks first.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A replicator that has said nothing for a few of these is a lost one.
pub const HEARTBEAT: Duration = Duration::from_millis(150);

/// A line from vrrpd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToReplicator {
    /// What shall hold from now on.
    Order(Order),
}

/// A line from the replicator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromReplicator {
    /// What holds now.
    Report(Report),
}

/// The role the database shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read-only; replicates from [`Order::follow`] when that is known.
    Standby,
    /// Read-write. Started as a standby first, then promoted; but what ceased to
    /// be read-write by itself is left as it is until another role is ordered:
    /// the gate is to be closed first.
    Primary,
    /// Read-write, with a checkpoint just done so that a stop will be short.
    Retiring,
    /// Stopped cleanly, so that a follower that keeps up has the shutdown
    /// checkpoint.
    Stopped,
}

impl Role {
    /// Whether it asks for a read-write server.
    pub const fn is_read_write(self) -> bool {
        match self {
            Self::Primary | Self::Retiring => true,
            Self::Standby | Self::Stopped => false,
        }
    }
}

/// Where the other manager's database is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// An address; names are never resolved.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The only copy that may be followed, and for which a history of one's
    /// own may be given up. `None`: there is none yet.
    pub copy: Option<CopyId>,
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The state that shall hold.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Repeated in the reports that have taken this order up.
    pub ticket: u64,
    /// The reign that gave it, as `counter.node`; for the log.
    pub epoch: String,
    /// What the database shall be.
    pub role: Role,
    /// The copy that this is meant for: no other is promoted, for
    /// [`Role::Primary`] and [`Role::Retiring`].
    #[serde(default)]
    pub copy: Option<CopyId>,
    /// The manager to replicate from, for [`Role::Standby`].
    #[serde(default)]
    pub follow: Option<Upstream>,
    /// The copy that every commit waits for; `None`: commits wait for nobody.
    #[serde(default)]
    pub synchronous: Option<CopyId>,
    /// Who may replicate from this database: addresses.
    #[serde(default)]
    pub peers: Vec<String>,
    /// The replication password, the same on both managers.
    pub password: String,
    /// This manager: `a` or `b`.
    pub node: String,
}

impl fmt::Debug for Order {
    // Without the password: orders are logged at debug level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("ticket", &self.ticket)
            .field("epoch", &self.epoch)
            .field("role", &self.role)
            .field("copy", &self.copy)
            .field("follow", &self.follow)
            .field("synchronous", &self.synchronous)
            .field("peers", &self.peers)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// Not running, and not by a clean stop that was ordered.
    Down,
    /// Starting, stopping, recovering, being rewound or copied: neither serves
    /// nor follows.
    Busy,
    /// Stopped cleanly as ordered by [`Role::Stopped`]; no process is left.
    Stopped,
    /// Read-only.
    Standby,
    /// Read-write.
    Primary,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
            Self::Standby => "standby",
            Self::Primary => "primary",
        })
    }
}

/// A replica that streams from this server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// The replica's copy id, which it presents when it connects.
    pub copy: CopyId,
    /// Up to where it has written and synced the log.
    pub flushed: Lsn,
}

/// How far a copy of the data has come, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Copied so far.
    pub done: u64,
    /// To be copied; an estimate, at least `done`.
    pub total: u64,
}

/// What the database is.
///
/// Sent at each change, and at least every [`HEARTBEAT`]. The position is read
/// after `synchronous` was found in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The order that was taken up last: what is said of `server` is its
    /// outcome, or of work towards it. An order is taken up when nothing is under
    /// way any more that leads elsewhere. 0 before the first of this run.
    pub ticket: u64,
    /// What the server is doing.
    pub server: Server,
    /// Fit to serve in its role, or to be promoted.
    pub healthy: bool,
    /// The present copy id; unknown while the data directory is being made.
    pub copy: Option<CopyId>,
    /// Raised at each start of the server.
    pub run: u64,
    /// The copy that every commit demonstrably waits for.
    pub synchronous: Option<CopyId>,
    /// Primary: flushed. Standby: received and flushed. Stopped: the end of the
    /// shutdown checkpoint.
    pub position: Option<Position>,
    /// The replica that streams from this server.
    pub follower: Option<Follower>,
    /// A checkpoint was done since [`Role::Retiring`] was ordered.
    pub checkpointed: bool,
    /// One sentence for people: what it is doing, or what is wrong and how to
    /// mend it. May be empty.
    pub detail: String,
    /// While the data are being copied.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Commits since the start of this run whose client cancelled the wait for
    /// the synchronous copy, so that they are on this server alone.
    #[serde(default)]
    pub cancelled_waits: u64,
}

/// A place in the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Raised by each promotion.
    pub timeline: u32,
    /// Bytes of log.
    pub lsn: Lsn,
}

/// A random identity that lives inside a database directory; renewed *before*
/// each rewind, clone or restore. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId(pub u64);

impl fmt::Display for CopyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for CopyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or(ParseError("a copy id is 16 hexadecimal digits"))
    }
}

/// Bytes of write-ahead log since its beginning, written as PostgreSQL does:
/// `16/B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let half = |digits: &str| {
            let legal = (1..=8).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u64::from_str_radix(digits, 16).ok().filter(|_| legal)
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or(ParseError("a position is written as 16/B374D848"))
    }
}

/// A copy id or position that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(&'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for ParseError {}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(CopyId);
serde_as_text!(Lsn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_vrrpd_writes_it() {
        let line = r#"{"order":{"ticket":5,"epoch":"7.a","role":"standby","copy":null,"follow":{"host":"192.0.2.12","port":5432,"copy":"00000000000000ee"},"synchronous":"00000000000000ff","peers":["192.0.2.12"],"password":"secret","node":"a"}}"#;
        let ToReplicator::Order(order) = serde_json::from_str(line).unwrap();
        assert_eq!(order.role, Role::Standby);
        assert_eq!(order.synchronous, Some(CopyId(255)));
        assert_eq!(
            order.follow.as_ref().unwrap().to_string(),
            "192.0.2.12:5432"
        );
        assert!(!format!("{order:?}").contains("secret"));
        assert_eq!(
            serde_json::to_string(&ToReplicator::Order(order)).unwrap(),
            line
        );
    }

    #[test]
    fn a_report_is_written_as_vrrpd_reads_it() {
        let report = Report {
            ticket: 5,
            server: Server::Primary,
            healthy: true,
            copy: Some(CopyId(0xab)),
            run: 3,
            synchronous: None,
            position: Some(Position {
                timeline: 1,
                lsn: Lsn(0x300_0060),
            }),
            follower: Some(Follower {
                copy: CopyId(0xcd),
                flushed: Lsn(0x1_0300_0060),
            }),
            checkpointed: false,
            detail: String::new(),
            progress: Some(Progress { done: 1, total: 2 }),
            cancelled_waits: 0,
        };
        let line = r#"{"report":{"ticket":5,"server":"primary","healthy":true,"copy":"00000000000000ab","run":3,"synchronous":null,"position":{"timeline":1,"lsn":"0/3000060"},"follower":{"copy":"00000000000000cd","flushed":"1/3000060"},"checkpointed":false,"detail":"","progress":{"done":1,"total":2},"cancelled_waits":0}}"#;
        let wire = FromReplicator::Report(report);
        assert_eq!(serde_json::to_string(&wire).unwrap(), line);
        assert_eq!(serde_json::from_str::<FromReplicator>(line).unwrap(), wire);
    }

    #[test]
    fn positions_and_copy_ids_out_of_form_are_refused() {
        for text in [
            "",
            "0",
            "/",
            "0/",
            "0/123456789",
            "+1/2",
            "0/-1",
            "0/3000060 ",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
        for text in ["", "ff", "+0000000000000ff", "00000000000000fg"] {
            assert!(text.parse::<CopyId>().is_err(), "{text:?}");
        }
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_b374_d848)));
    }
}
