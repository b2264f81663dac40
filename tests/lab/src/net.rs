//! The LAN: a bridge in a namespace of its own, its ports and its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::fault::{Attempt, Fault, Result};
use crate::namespace::Namespace;

/// An interface's flag `IFF_UP`.
const UP: u32 = 1;

/// The bridge, with a port for each host that has power.
#[derive(Debug)]
pub struct Switch {
    namespace: Namespace,
    faults: Faults,
}

/// What the switch does not carry, by the names of the ports.
#[derive(Debug, Default)]
struct Faults {
    /// Nothing from the first to the second.
    cut: BTreeSet<(String, String)>,
    /// So many per cent of the packets from the first to the second are lost.
    loss: BTreeMap<(String, String), u8>,
}

impl Switch {
    /// A bridge without ports.
    ///
    /// # Errors
    ///
    /// Not run as root, or no bridge in this kernel.
    pub fn new() -> Result<Self> {
        let namespace = Namespace::network()?;
        // Snooping would need a querier; hosts join their groups all the same.
        namespace.ip("link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        namespace.ip("link set lan up")?;
        Ok(Self {
            namespace,
            faults: Faults::default(),
        })
    }

    /// Plugs `host` in at `port`: it gets an `interface` with this MAC address.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn plug(&self, port: &str, host: &Namespace, interface: &str, mac: &str) -> Result<()> {
        let init = host
            .init()
            .ok_or_else(|| Fault::new(format!("{port} has no process to name its network by")))?;
        let ip = |words: &str| self.namespace.ip(words);
        ip(&format!(
            "link add {port} type veth peer name {interface} address {mac} netns {init}"
        ))?;
        ip(&format!("link set {port} master lan up"))
    }

    /// Takes the port away, with the cable and the host's `eth0`.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn unplug(&self, port: &str) -> Result<()> {
        self.namespace.ip(&format!("link delete {port}"))
    }

    /// Switches the port off: the host sees its link go.
    ///
    /// # Errors
    ///
    /// There is no such port.
    pub fn port_down(&self, port: &str) -> Result<()> {
        self.switch_port(port, |flags| flags & !UP)
    }

    /// Switches the port on again.
    ///
    /// # Errors
    ///
    /// There is no such port.
    pub fn port_up(&self, port: &str) -> Result<()> {
        self.switch_port(port, |flags| flags | UP)
    }

    /// By `/sys`: within a fraction of a millisecond, where `ip` takes several.
    fn switch_port(&self, port: &str, change: fn(u32) -> u32) -> Result<()> {
        let file = format!("/sys/class/net/{port}/flags");
        self.namespace.run(move || {
            let what = || format!("switch {file}");
            let text = fs::read_to_string(&file).attempt(what)?;
            let digits = text.trim_end().trim_start_matches("0x");
            let flags = u32::from_str_radix(digits, 16).attempt(what)?;
            fs::write(&file, format!("{:#x}", change(flags))).attempt(what)
        })
    }

    /// Carries nothing from `from` to `to` any more; the other way is as it was.
    ///
    /// # Errors
    ///
    /// What `nft` says.
    pub fn cut_one_way(&mut self, from: &str, to: &str) -> Result<()> {
        self.faults.cut.insert((from.into(), to.into()));
        self.load()
    }

    /// Carries nothing between the two.
    ///
    /// # Errors
    ///
    /// What `nft` says.
    pub fn cut(&mut self, one: &str, other: &str) -> Result<()> {
        self.faults.cut.insert((one.into(), other.into()));
        self.faults.cut.insert((other.into(), one.into()));
        self.load()
    }

    /// Loses so many per cent of the packets between the two.
    ///
    /// # Errors
    ///
    /// What `nft` says.
    ///
    /// # Panics
    ///
    /// If `percent` is above 99: that is a cut.
    pub fn lose(&mut self, one: &str, other: &str, percent: u8) -> Result<()> {
        assert!(percent <= 99, "{percent} per cent of the packets is a cut");
        self.faults.loss.insert((one.into(), other.into()), percent);
        self.faults.loss.insert((other.into(), one.into()), percent);
        self.load()
    }

    /// Carries everything again.
    ///
    /// # Errors
    ///
    /// What `nft` says.
    pub fn mend(&mut self) -> Result<()> {
        self.faults = Faults::default();
        self.load()
    }

    /// Its own network: every frame passes there.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn load(&self) -> Result<()> {
        let ruleset = self.faults.ruleset();
        self.namespace.run(move || {
            let mut nft = Command::new("nft")
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .attempt(|| "start nft".into())?;
            if let Some(mut input) = nft.stdin.take() {
                input
                    .write_all(ruleset.as_bytes())
                    .attempt(|| "write to nft".into())?;
            }
            let output = nft.wait_with_output().attempt(|| "wait for nft".into())?;
            if output.status.success() {
                return Ok(());
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(Fault::new(format!("nft: {}", errors.trim_end())))
        })
    }
}

impl Faults {
    /// The whole ruleset, which replaces the one before in one step.
    fn ruleset(&self) -> String {
        let mut text = String::from(
            "table bridge faults\ndelete table bridge faults\ntable bridge faults {\n \
             chain forward {\n  type filter hook forward priority 0\n",
        );
        for (from, to) in &self.cut {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  iifname \"{from}\" oifname \"{to}\" drop");
        }
        for ((from, to), percent) in &self.loss {
            let _ = writeln!(
                text,
                "  iifname \"{from}\" oifname \"{to}\" numgen random mod 100 < {percent} drop"
            );
        }
        text.push_str(" }\n}\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ruleset_drops_only_the_direction_that_was_cut() {
        let mut faults = Faults::default();
        faults.cut.insert(("a".into(), "b".into()));
        faults.loss.insert(("b".into(), "a".into()), 20);
        assert_eq!(
            faults.ruleset(),
            "table bridge faults\ndelete table bridge faults\ntable bridge faults {\n chain \
             forward {\n  type filter hook forward priority 0\n  iifname \"a\" oifname \"b\" drop\n  \
             iifname \"b\" oifname \"a\" numgen random mod 100 < 20 drop\n }\n}\n"
        );
    }
}
