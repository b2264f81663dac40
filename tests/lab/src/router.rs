//! Plain virtual routers in the lab: two routers, ours or keepalived's, a
//! client, one LAN, no pool.

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock::{Moment, wait_for};
use crate::directory::{self, Directory};
use crate::fault::Result;
use crate::host::{Host, Name};
use crate::net::Switch;
use crate::pool::{MANAGERS, PATIENCE};
use crate::process::Program;
use crate::programs::Programs;
use crate::timeline::Timeline;

/// What a router runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// Ours.
    Vrrpd,
    /// Debian's keepalived.
    Keepalived,
}

impl Daemon {
    /// The name of its process.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
        }
    }

    /// Writes the configuration of `routers` to `host`.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn configure(self, host: &Host, routers: &[VirtualRouter]) -> Result<()> {
        let text = match self {
            Self::Vrrpd => vrrpd(host, routers),
            Self::Keepalived => keepalived(routers),
        };
        directory::write(&host.etc().join(self.file()), &text)
    }

    /// What to start on `host`, after [`Daemon::configure`].
    pub fn program(self, host: &Host, programs: &Programs) -> Program {
        let config = host.etc().join(self.file()).display().to_string();
        let run = host.run_directory().display().to_string();
        let (path, arguments) = match self {
            Self::Vrrpd => (programs.path("vrrpd"), vec!["-c".into(), config]),
            Self::Keepalived => (
                "/usr/sbin/keepalived".into(),
                ["-n", "-l", "-P", "-f", &config, "-p"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([format!("{run}/keepalived.pid"), "-r".into()])
                    .chain([format!("{run}/keepalived-vrrp.pid")])
                    .collect(),
            ),
        };
        Program {
            name: self.name().into(),
            path,
            arguments,
            environment: Vec::new(),
            user: None,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Vrrpd => "vrrpd.toml",
            Self::Keepalived => "keepalived.conf",
        }
    }
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A virtual router, in words that both daemons have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRouter {
    /// What logs call it.
    pub name: String,
    /// Where it advertises.
    pub interface: String,
    /// Its number.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// Of this router.
    pub priority: u8,
    /// Between two advertisements.
    pub advertise_interval: Duration,
    /// Takes over from a lower priority.
    pub preempt: bool,
    /// With their prefix lengths.
    pub addresses: Vec<String>,
}

impl VirtualRouter {
    /// VRRPv3 for the virtual IP of the lab, on `eth0`.
    pub fn new(advertise_interval: Duration) -> Self {
        Self {
            name: "service".into(),
            interface: "eth0".into(),
            vrid: 51,
            version: 3,
            priority: 100,
            advertise_interval,
            preempt: true,
            addresses: vec![format!("{}/24", crate::pool::VIRTUAL_IP)],
        }
    }
}

/// `vrrpd.toml`.
fn vrrpd(host: &Host, routers: &[VirtualRouter]) -> String {
    let etc = host.etc().display().to_string();
    let disk = host.disk().display().to_string();
    let run = host.run_directory().display().to_string();
    let mut text = format!(
        "[node]\nname = \"{}\"\n\n[paths]\nstate = \"{disk}/vrrpd\"\nrun = \"{run}\"\nhooks = \
         \"{etc}/hooks\"\n",
        host.name()
    );
    for router in routers {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"
[[virtual_router]]
name = "{}"
interface = "{}"
vrid = {}
version = {}
priority = {}
advertise_interval = "{}ms"
preempt = {}
addresses = {:?}
"#,
            router.name,
            router.interface,
            router.vrid,
            router.version,
            router.priority,
            router.advertise_interval.as_millis(),
            router.preempt,
            router.addresses,
        );
    }
    text
}

/// `keepalived.conf`.
fn keepalived(routers: &[VirtualRouter]) -> String {
    let mut text = String::from("global_defs {\n  router_id lab\n}\n");
    for router in routers {
        let no_preempt = if router.preempt { "" } else { "  nopreempt\n" };
        let _ = write!(
            text,
            "vrrp_instance {} {{\n  version {}\n  state BACKUP\n{no_preempt}  interface {}\n  \
             virtual_router_id {}\n  priority {}\n  advert_int {}\n  virtual_ipaddress {{\n",
            router.name,
            router.version,
            router.interface,
            router.vrid,
            router.priority,
            router.advertise_interval.as_secs_f64(),
        );
        for address in &router.addresses {
            let _ = writeln!(text, "    {address} dev {}", router.interface);
        }
        text.push_str("  }\n}\n");
    }
    text
}

/// Two routers for one address, and a client.
#[derive(Debug)]
pub struct Pair {
    routers: [Host; 2],
    client: Host,
    daemons: [Daemon; 2],
    switch: Switch,
    programs: Programs,
    timeline: Timeline,
    /// Last: the hosts' disks go when the hosts have.
    _directory: Directory,
}

impl Pair {
    /// Two hosts with power that run nothing yet; the first has the higher
    /// priority.
    ///
    /// # Errors
    ///
    /// Not run as root, or something is not installed: what.
    pub fn new(
        daemons: [Daemon; 2],
        router: &VirtualRouter,
        directory: Directory,
        timeline: &Timeline,
    ) -> Result<Self> {
        let lab = directory.path().to_path_buf();
        let host = |name| Host::new(name, &lab, timeline);
        let mut pair = Self {
            routers: [host(Name::ManagerA)?, host(Name::ManagerB)?],
            client: host(Name::Client)?,
            daemons,
            switch: Switch::new()?,
            programs: Programs::install(&lab)?,
            timeline: timeline.clone(),
            _directory: directory,
        };
        pair.client.power_on(&pair.switch)?;
        for (index, priority) in [150, 100].into_iter().enumerate() {
            pair.routers[index].power_on(&pair.switch)?;
            let router = VirtualRouter {
                priority,
                ..router.clone()
            };
            daemons[index].configure(&pair.routers[index], &[router])?;
        }
        Ok(pair)
    }

    /// Starts the daemon of a router.
    ///
    /// # Errors
    ///
    /// It cannot be executed.
    pub fn start(&mut self, name: Name) -> Result<()> {
        let index = index(name);
        let daemon = self.daemons[index];
        self.timeline.mark(format!("start {daemon} on {name}"));
        let program = daemon.program(&self.routers[index], &self.programs);
        self.routers[index].start(&program).map(drop)
    }

    /// Starts both, and waits until the first holds the address alone.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn begin(&mut self) -> Result<()> {
        self.start(Name::ManagerA)?;
        self.start(Name::ManagerB)?;
        self.wait_holder(Name::ManagerA)
    }

    /// Cuts a router off and kills everything on it, at the same moment; when
    /// that was.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn power_off(&mut self, name: Name) -> Result<Moment> {
        let at = self.timeline.mark(format!("power off {name}"));
        self.routers[index(name)].power_off(&self.switch)?;
        Ok(at)
    }

    /// Gives a router power again, and starts its daemon.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn power_on(&mut self, name: Name) -> Result<()> {
        self.timeline.mark(format!("power on {name}"));
        self.routers[index(name)].power_on(&self.switch)?;
        self.start(name)
    }

    /// Whether the virtual address is on the router's interface.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn holds(&self, name: Name) -> Result<bool> {
        let host = &self.routers[index(name)];
        if !host.is_powered() {
            return Ok(false);
        }
        let address = crate::pool::VIRTUAL_IP.to_string();
        let words = ["-o", "address", "show", "dev", "eth0", "to", &address];
        let listed = host.namespace()?.command("ip", &words)?;
        Ok(!listed.is_empty())
    }

    /// Waits until `name` holds the address, and the other does not.
    ///
    /// # Errors
    ///
    /// It is not so within [`PATIENCE`].
    pub fn wait_holder(&self, name: Name) -> Result<()> {
        let what = format!("{name} holds the address");
        wait_for(&what, PATIENCE, || {
            let holds = |name| self.holds(name).map_err(|fault| fault.to_string());
            match (holds(name)?, holds(name.other())?) {
                (true, false) => Ok(()),
                (true, true) => Err("both do".into()),
                (false, true) => Err("the other does".into()),
                (false, false) => Err("nobody does".into()),
            }
        })?;
        self.timeline.mark(what);
        Ok(())
    }

    /// A router.
    pub fn router(&self, name: Name) -> &Host {
        &self.routers[index(name)]
    }

    /// Where the address is used.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The LAN.
    pub fn switch(&mut self) -> &mut Switch {
        &mut self.switch
    }

    /// What happened so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for host in self.routers.iter_mut().chain([&mut self.client]) {
            // What cannot be unplugged goes with the switch.
            let _ = host.power_off(&self.switch);
        }
    }
}

fn index(name: Name) -> usize {
    MANAGERS
        .iter()
        .position(|&router| router == name)
        .unwrap_or_else(|| panic!("{name} is no router"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalived_is_configured_as_its_manual_says() {
        let router = VirtualRouter {
            preempt: false,
            ..VirtualRouter::new(Duration::from_millis(100))
        };
        assert_eq!(
            keepalived(&[router]),
            "global_defs {\n  router_id lab\n}\nvrrp_instance service {\n  version 3\n  state \
             BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 51\n  priority 100\n  \
             advert_int 0.1\n  virtual_ipaddress {\n    192.0.2.100/24 dev eth0\n  }\n}\n"
        );
    }
}
