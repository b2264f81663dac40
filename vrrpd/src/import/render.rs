//! The new configuration, and how it is written.

use core::fmt::{self, Write};
use core::time::Duration;
use std::net::IpAddr;

use vrrpd_core::router::Address;

use super::note::Place;
use super::value::{command, list, quoted};
use crate::config::{HookEvent, written};

/// `vrrpd.toml`, as far as a keepalived configuration can say it.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) node: String,
    pub(super) routers: Vec<Router>,
    pub(super) checks: Vec<Check>,
    pub(super) hooks: Vec<(HookEvent, Vec<String>)>,
    pub(super) any: Option<Vec<String>>,
    pub(super) realtime: Option<u8>,
    pub(super) lock_memory: bool,
}

/// `[[virtual_router]]`.
#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) place: Place,
    /// keepalived's name of it, by which groups name it.
    pub(super) instance: String,
    pub(super) name: String,
    pub(super) interface: String,
    pub(super) vrid: u8,
    pub(super) version: u8,
    pub(super) priority: u8,
    pub(super) interval: Duration,
    pub(super) addresses: Vec<Address>,
    pub(super) preempt: bool,
    pub(super) preempt_delay: Duration,
    pub(super) startup_delay: Duration,
    pub(super) accept: bool,
    pub(super) unicast_peers: Vec<IpAddr>,
    /// Less than 255: there are routers in between.
    pub(super) min_ttl: u8,
    pub(super) group: Option<String>,
    pub(super) announce: Announce,
}

/// `[virtual_router.announce]`; what is not said has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Announce {
    pub(super) count: Option<u8>,
    pub(super) repeat_after: Option<Duration>,
    /// No further rounds.
    pub(super) once: bool,
    pub(super) refresh: Option<Duration>,
}

/// `[[check]]`.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) probe: Probe,
    pub(super) weight: i16,
    /// Names of virtual routers.
    pub(super) routers: Vec<String>,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Interface(String),
    Command {
        argv: Vec<String>,
        interval: Duration,
        timeout: Option<Duration>,
        rise: u8,
        fall: u8,
    },
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[node]\nname = {}", quoted(&self.node))?;
        for router in &self.routers {
            write!(f, "\n{router}")?;
        }
        for check in &self.checks {
            f.write_char('\n')?;
            check.write(f, self.routers.len())?;
        }
        self.write_hooks(f)?;
        if self.realtime.is_some() || self.lock_memory {
            writeln!(f, "\n[process]")?;
        }
        if let Some(realtime) = self.realtime {
            writeln!(f, "realtime = {realtime}")?;
        }
        if self.lock_memory {
            writeln!(f, "lock_memory = true")?;
        }
        Ok(())
    }
}

impl Document {
    fn write_hooks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hooks.is_empty() && self.any.is_none() {
            return Ok(());
        }
        writeln!(f, "\n[hooks]")?;
        for (event, argv) in &self.hooks {
            writeln!(f, "on_{event} = {}", command(argv))?;
        }
        if let Some(argv) = &self.any {
            writeln!(f, "on_any = {}", command(argv))?;
        }
        writeln!(f, "style = \"keepalived\"")
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        writeln!(f, "[[virtual_router]]")?;
        writeln!(f, "name = {}", quoted(&self.name))?;
        writeln!(f, "interface = {}", quoted(&self.interface))?;
        writeln!(f, "vrid = {}", self.vrid)?;
        writeln!(f, "version = {}", self.version)?;
        writeln!(f, "priority = {}", self.priority)?;
        writeln!(f, "advertise_interval = \"{}\"", written(self.interval))?;
        writeln!(f, "addresses = {}", list(&addresses))?;
        if self.speaks_with_pseudo_header() {
            // keepalived's form; what RFC 9568 has is accepted as well.
            writeln!(f, "checksum = \"pseudo-header\"")?;
        }
        if !self.preempt {
            writeln!(f, "preempt = false")?;
        }
        if !self.preempt_delay.is_zero() {
            writeln!(f, "preempt_delay = \"{}\"", written(self.preempt_delay))?;
        }
        if !self.startup_delay.is_zero() {
            writeln!(f, "startup_delay = \"{}\"", written(self.startup_delay))?;
        }
        if !self.accept {
            writeln!(f, "accept = false")?;
        }
        if !self.unicast_peers.is_empty() {
            let peers: Vec<_> = self.unicast_peers.iter().map(ToString::to_string).collect();
            writeln!(f, "unicast_peers = {}", list(&peers))?;
            if self.min_ttl < 255 {
                writeln!(f, "min_ttl = {}", self.min_ttl)?;
            }
        }
        if let Some(group) = &self.group {
            writeln!(f, "sync_group = {}", quoted(group))?;
        }
        self.announce.fmt(f)
    }
}

impl Router {
    pub(super) fn is_ipv6(&self) -> bool {
        self.addresses
            .first()
            .is_some_and(|address| address.ip.is_ipv6())
    }

    fn speaks_with_pseudo_header(&self) -> bool {
        self.version == 3 && !self.is_ipv6()
    }
}

impl fmt::Display for Announce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        writeln!(f, "\n[virtual_router.announce]")?;
        if let Some(count) = self.count {
            writeln!(f, "count = {count}")?;
        }
        if let Some(repeat_after) = self.repeat_after {
            writeln!(f, "repeat_after = \"{}\"", written(repeat_after))?;
        }
        if self.once {
            writeln!(f, "repeats = 0")?;
        }
        if let Some(refresh) = self.refresh {
            writeln!(f, "refresh = \"{}\"", written(refresh))?;
        }
        Ok(())
    }
}

impl Check {
    /// Writes it in a file of so many virtual routers.
    fn write(&self, f: &mut fmt::Formatter<'_>, routers: usize) -> fmt::Result {
        writeln!(f, "[[check]]\nname = {}", quoted(&self.name))?;
        match &self.probe {
            Probe::Interface(interface) => writeln!(f, "interface = {}", quoted(interface))?,
            Probe::Command {
                argv,
                interval,
                timeout,
                rise,
                fall,
            } => {
                writeln!(f, "command = {}", command(argv))?;
                writeln!(f, "interval = \"{}\"", written(*interval))?;
                if let Some(timeout) = timeout {
                    writeln!(f, "timeout = \"{}\"", written(*timeout))?;
                }
                writeln!(f, "rise = {rise}\nfall = {fall}")?;
            }
        }
        if self.weight != 0 {
            writeln!(f, "weight = {}", self.weight)?;
        }
        if self.routers.len() < routers {
            writeln!(f, "routers = {}", list(&self.routers))?;
        }
        Ok(())
    }
}
