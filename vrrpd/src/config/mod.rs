//! `vrrpd.toml` and `arbiter.toml`: read whole, checked whole.
//!
//! A [`Config`] holds only what is legal. All mistakes of a file are told in
//! one go, each with its place, what is wrong and how to mend it.

pub mod arbiter;
mod mistake;

use core::num::NonZeroU8;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vrrpd_core::pool;
use vrrpd_core::pool::record::NodeId;

pub use mistake::Mistakes;

use crate::seal::Key;

/// What `vrrpd.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node] name`.
    pub node: String,
    /// Without it, plain VRRP (running mode standalone).
    pub pool: Option<Pool>,
    /// `[[virtual_router]]`; with a pool, all are governed by it.
    pub virtual_routers: Vec<VirtualRouter>,
    /// `[[check]]`.
    pub checks: Vec<Check>,
    /// `[gate]`.
    pub gate: Gate,
    /// `[hooks]`.
    pub hooks: Hooks,
    /// `[replication]`; only with a pool.
    pub replication: Option<Replication>,
    /// `[paths]`.
    pub paths: Paths,
    /// `[process]`.
    pub process: Process,
}

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    ///
    /// All mistakes in it, or why it could not be read.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        unimplemented!("{file:?}")
    }
}

/// `[pool]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// `mode`: [`NodeId::A`] for `master`, [`NodeId::B`] for `backup`.
    pub id: NodeId,
    /// This server.
    pub address: IpAddr,
    /// The other manager.
    pub peer: IpAddr,
    /// The arbiter.
    pub arbiter: IpAddr,
    /// UDP port of this server.
    pub port: u16,
    /// UDP port of the other manager.
    pub peer_port: u16,
    /// UDP port of the arbiter.
    pub arbiter_port: u16,
    /// The key in `key_file`.
    pub key: Key,
    /// The priority of the manager: that of its virtual routers.
    pub priority: u8,
    /// For the member.
    pub member: pool::Config,
}

/// `[[virtual_router]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRouter {
    /// Unique in the file; hooks and logs name it.
    pub name: String,
    /// The interface it lives on.
    pub interface: String,
    /// 1 to 255.
    pub vrid: NonZeroU8,
    /// VRRP version.
    pub version: Version,
    /// 1 to 254, or 255: this node owns the addresses.
    pub priority: u8,
    /// v3: 10 ms to 40.95 s in steps of 10 ms; v2: 1 s to 255 s in whole seconds.
    pub advertise_interval: Duration,
    /// The virtual addresses, of one family, at least one.
    pub addresses: Vec<Address>,
    /// What checksum v3 over IPv4 sends.
    pub checksum: Checksum,
    /// Take over from an Active router of lower priority.
    pub preempt: bool,
    /// Wait so long before doing so.
    pub preempt_delay: Duration,
    /// Accept packets for the addresses when not their owner.
    pub accept: bool,
    /// Send to these instead of multicast.
    pub unicast_peers: Vec<IpAddr>,
    /// Listen so long after the daemon's start before competing.
    pub startup_delay: Duration,
    /// How a taken address is announced.
    pub announce: Announce,
}

/// The VRRP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 3768, IPv4 only.
    V2,
    /// RFC 9568.
    V3,
}

/// The checksum of VRRPv3 over IPv4 (RFC 9568 §5.2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The form last validated from a peer; RFC 9568's until then.
    Auto,
    /// Without pseudo-header.
    Rfc9568,
    /// With pseudo-header, as keepalived and FRR send by default.
    PseudoHeader,
}

/// A virtual address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// 1 to 32, or 1 to 128.
    pub prefix: u8,
}

/// `announce` of a virtual router: gratuitous ARP or unsolicited NA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Packets in the first round, 1 to 20.
    pub count: u8,
    /// Between rounds.
    pub repeat_after: Duration,
    /// Further rounds, 0 to 20.
    pub repeats: u8,
}

/// `[[check]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Unique in the file.
    pub name: String,
    /// What is looked at.
    pub probe: Probe,
    /// Good results in a row that end a failure.
    pub rise: u32,
    /// Bad results in a row that make a failure.
    pub fall: u32,
    /// What a failure costs.
    pub effect: Effect,
    /// The virtual routers it concerns; empty: all.
    pub routers: Vec<String>,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A program: exit status 0 is good.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// From start to start.
        interval: Duration,
        /// An overrun is killed; it counts as unknown, towards `fall`.
        timeout: Duration,
    },
    /// The carrier of an interface.
    Interface(String),
    /// The arbiter answers.
    Arbiter,
    /// The other manager answers.
    Peer,
}

/// What a failing check costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The priority becomes 0.
    Fault,
    /// Below 0: added while the check fails. Above 0: added while it is good.
    Weight(i16),
}

/// `[gate]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Admitted only on the Primary.
    pub tcp_ports: Vec<u16>,
}

/// `[hooks]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// `on_<event>`: program and arguments, by [`HookEvent`].
    pub commands: Vec<(HookEvent, Vec<String>)>,
    /// `on_any`: told of every event, after its own hook.
    pub any: Option<Vec<String>>,
    /// One that runs longer is killed.
    pub timeout: Duration,
    /// What arguments a hook is given.
    pub style: HookStyle,
}

/// A transition that a hook can hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookEvent {
    /// This manager has become Primary.
    Primary,
    /// This manager has become Online.
    Online,
    /// A virtual router has become Active (keepalived: MASTER).
    Active,
    /// A virtual router has become Backup.
    Backup,
    /// A fault began.
    Fault,
    /// The daemon stops.
    Stop,
}

/// The arguments of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookStyle {
    /// `EVENT NAME OLD NEW PRIORITY`.
    Vrrpd,
    /// `GROUP|INSTANCE NAME MASTER|BACKUP|FAULT|STOP PRIORITY`.
    Keepalived,
}

/// `[replication]`: read by the replicator; vrrpd looks at what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The plugin's name.
    pub plugin: String,
    /// The database's port, for `follow`.
    pub port: u16,
}

/// `[paths]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Durable state; default `/var/lib/vrrpd`.
    pub state: PathBuf,
    /// Sockets; default `/run/vrrpd`.
    pub run: PathBuf,
    /// Executables named after events; default `/etc/vrrpd/hooks`.
    pub hooks: PathBuf,
    /// Default `/usr/lib/vrrpd/plugins`.
    pub plugins: PathBuf,
}

impl Paths {
    /// `<run>/control.sock`.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// `<run>/replicator.sock`.
    pub fn replicator_socket(&self) -> PathBuf {
        self.run.join("replicator.sock")
    }
}

/// `[process]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `realtime`: SCHED_RR priority 1 to 99.
    pub realtime: Option<u8>,
    /// `lock_memory`: mlockall.
    pub lock_memory: bool,
    /// `user`: who to become after start.
    pub user: Option<String>,
    /// `log`: how much is said.
    pub log: log::LevelFilter,
}
