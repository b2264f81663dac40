//! Two hosts on a LAN, one of ours and its peer.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use lab::clock::{Moment, wait_for};
use lab::directory;
use lab::fault::Result;
use lab::host::{Host, Name};
use lab::net::Switch;
use lab::pool::PATIENCE;
use lab::programs::Programs;
use lab::timeline::Timeline;

use crate::capture::Capture;
use crate::daemon::{Daemon, OURS, PEER, Service};

#[derive(Debug)]
pub(crate) struct Lan {
    pub(crate) ours: Host,
    pub(crate) peer: Host,
    pub(crate) switch: Switch,
    pub(crate) capture: Capture,
    pub(crate) timeline: Timeline,
    programs: Programs,
}

/// The primary address of a host, or its link-local one.
pub(crate) fn own_address(name: Name, six: bool) -> IpAddr {
    if !six {
        return name.address().into();
    }
    let [a, b, c, d, e, f] = name.mac();
    let pair = |high, low| u16::from_be_bytes([high, low]);
    // Modified EUI-64 (RFC 4291, appendix A).
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        pair(a ^ 2, b),
        pair(c, 0xff),
        pair(0xfe, d),
        pair(e, f),
    )
    .into()
}

impl Lan {
    pub(crate) fn new(at: &Path, programs: &Programs) -> Result<Self> {
        directory::make(at)?;
        let timeline = Timeline::new();
        let switch = Switch::new()?;
        let host = |name| -> Result<Host> {
            let mut host = Host::new(name, at, &timeline)?;
            host.power_on(&switch)?;
            Ok(host)
        };
        let (mut ours, peer) = (host(OURS)?, host(PEER)?);
        for host in [&ours, &peer] {
            wait_for("the link-local address is nobody else's", PATIENCE, || {
                let words = ["-o", "-6", "address", "show", "dev", "eth0", "-tentative"];
                let listed = host
                    .namespace()
                    .and_then(|host| host.command("ip", &words))
                    .map_err(|fault| fault.to_string())?;
                listed.contains("fe80").then_some(()).ok_or(listed)
            })?;
        }
        Ok(Self {
            capture: Capture::start(&mut ours)?,
            ours,
            peer,
            switch,
            timeline,
            programs: programs.clone(),
        })
    }

    pub(crate) fn start_ours(&mut self, service: &Service) -> Result<()> {
        Daemon::Vrrpd.start(&mut self.ours, service, &self.programs)
    }

    pub(crate) fn start_peer(&mut self, daemon: Daemon, service: &Service) -> Result<()> {
        daemon.start(&mut self.peer, service, &self.programs)
    }

    /// Waits until our host holds the address, or does not.
    pub(crate) fn wait_held(&self, address: &str, held: bool) -> Result<()> {
        let what = format!("{address} is {}on our host", if held { "" } else { "not " });
        wait_for(&what, PATIENCE, || {
            let words = ["-o", "address", "show", "dev", "eth0", "to", address];
            let listed = self
                .ours
                .namespace()
                .and_then(|host| host.command("ip", &words))
                .map_err(|fault| fault.to_string())?;
            (listed.is_empty() != held).then_some(()).ok_or(listed)
        })
    }

    /// Waits until our daemon has said `words` since `since`.
    pub(crate) fn wait_said(&self, words: &str, since: Moment) -> Result<()> {
        wait_for(&format!("our daemon says \"{words}\""), PATIENCE, || {
            let entries = self.timeline.entries();
            entries
                .iter()
                .any(|entry| {
                    entry.at >= since
                        && entry.who == "manager-a vrrpd"
                        && entry.what.contains(words)
                })
                .then_some(())
                .ok_or_else(String::new)
        })
    }

    /// The timeline, for a failure.
    pub(crate) fn story(&self, start: Moment) -> String {
        let line = |entry: lab::timeline::Entry| {
            let at = entry.at.since(start).as_secs_f64() * 1e3;
            format!("{at:>10.1} {:<22} {}\n", entry.who, entry.what)
        };
        self.timeline.entries().into_iter().map(line).collect()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in [&mut self.ours, &mut self.peer] {
            // What cannot be unplugged goes with the switch.
            let _ = host.power_off(&self.switch);
        }
    }
}
