//! The gate: kernel rules that admit clients, and let this host answer for a
//! virtual address, only while an element of a set lives.
//!
//! The elements have timeouts, so the gate closes on time with no process of
//! ours alive. The rules are loaded once with `nft`; the elements are renewed
//! by our own codec, some tens of microseconds each time.

mod codec;
mod ruleset;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::socket::SockProtocol;

use crate::clock;
use crate::netlink::wire::Wire;
use codec::{Batch, Set};

/// What the rules are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Tells the tables of several daemons on one host apart.
    pub name: String,
    /// TCP ports that are admitted only while open.
    pub tcp_ports: Vec<u16>,
    /// Hosts that are always admitted: the other manager, the arbiter.
    pub exempt: Vec<IpAddr>,
    /// Addresses that this host answers for only while held.
    pub virtual_addresses: Vec<IpAddr>,
    /// Those of them that take no packets: this host only forwards what is sent
    /// through them (RFC 9568 §6.1, Accept_Mode off).
    pub unaccepted: Vec<IpAddr>,
}

/// What lives in the kernel for a while.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// Clients of this port are admitted.
    Port(u16),
    /// ARP requests for this address are answered.
    Address(Ipv4Addr),
    /// Neighbour solicitations for virtual addresses are answered on this
    /// interface: nftables cannot look a solicitation's target up in a set.
    Interface(String),
}

/// How long writing may take before the time left is computed anew; each
/// further try allows itself four times as much.
const SLACK: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(32),
    Duration::from_millis(128),
];

/// The shortest timeout worth writing: two ticks of a kernel at 100 Hz.
const SHORTEST: Duration = Duration::from_millis(20);

/// The rules in the kernel, and the socket that renews their elements.
#[derive(Debug)]
pub struct Gate {
    wire: Wire,
    rules: Rules,
    table: String,
}

impl Gate {
    /// Loads the rules, closed, in place of what an earlier run left.
    ///
    /// # Errors
    ///
    /// What `nft` said; `NotFound` when it is not installed.
    pub fn load(rules: Rules) -> io::Result<Self> {
        let table = ruleset::table(&rules.name);
        nft(&ruleset::fresh(&table, &rules))?;
        Ok(Self {
            wire: Wire::open(SockProtocol::NetlinkNetFilter, 0)?,
            rules,
            table,
        })
    }

    /// Loads the same rules again, closed: someone else removed them.
    ///
    /// # Errors
    ///
    /// As [`Gate::load`].
    pub fn restore(&mut self) -> io::Result<()> {
        nft(&ruleset::fresh(&self.table, &self.rules))
    }

    /// Changes the rules in one step; the elements, and so who is admitted, stay.
    ///
    /// # Errors
    ///
    /// As [`Gate::load`]; the old rules stay then. `InvalidInput` when the name
    /// differs.
    pub fn change(&mut self, rules: Rules) -> io::Result<()> {
        if rules.name != self.rules.name {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        nft(&ruleset::changed(&self.table, &rules))?;
        self.rules = rules;
        Ok(())
    }

    /// What the rules are made from.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The elements that open the gate.
    pub fn ports(&self) -> impl Iterator<Item = Element> + '_ {
        self.rules.tcp_ports.iter().map(|&port| Element::Port(port))
    }

    /// Makes each element live until its time, in nanoseconds of
    /// [`clock::now`], and never longer; all in one transaction. False when the
    /// time of one has come: those are gone.
    ///
    /// # Errors
    ///
    /// `ENOENT` when the tables are gone ([`Gate::restore`]), `EPERM` without
    /// `CAP_NET_ADMIN`, `TimedOut` when this process gets so little time that
    /// it cannot keep the promise: all elements are gone then.
    pub fn keep(&mut self, elements: &[(Element, u64)]) -> io::Result<bool> {
        for slack in SLACK {
            let before = clock::now();
            let mut batch = Batch::new(&self.table);
            let mut all_live = true;
            for (element, until) in elements {
                let left = Duration::from_nanos(until.saturating_sub(before)).saturating_sub(slack);
                if left < SHORTEST {
                    all_live = false;
                    batch.remove(&key(element));
                } else {
                    batch.renew(&key(element), left);
                }
            }
            self.commit(batch)?;
            // The timeout counts from when the kernel read it: had this process
            // been stopped in between, the element would outlive its time.
            if clock::now().saturating_sub(before) <= nanoseconds(slack) {
                return Ok(all_live);
            }
        }
        let names: Vec<Element> = elements
            .iter()
            .map(|(element, _)| element.clone())
            .collect();
        self.drop(&names)?;
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Ends the elements now.
    ///
    /// # Errors
    ///
    /// As [`Gate::keep`].
    pub fn drop(&mut self, elements: &[Element]) -> io::Result<()> {
        let mut batch = Batch::new(&self.table);
        for element in elements {
            batch.remove(&key(element));
        }
        self.commit(batch)
    }

    /// Ends every element: nobody is admitted, nothing is answered for.
    ///
    /// # Errors
    ///
    /// As [`Gate::keep`].
    pub fn drop_all(&mut self) -> io::Result<()> {
        let mut batch = Batch::new(&self.table);
        for set in Set::ALL {
            batch.flush(set);
        }
        self.commit(batch)
    }

    /// Takes the rules out of the kernel.
    ///
    /// # Errors
    ///
    /// As [`Gate::load`].
    pub fn remove(self) -> io::Result<()> {
        nft(&ruleset::removed(&self.table))
    }

    fn commit(&mut self, batch: Batch) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let first = self.wire.next_sequence();
        let (bytes, last) = batch.finish(|| self.wire.next_sequence(), first);
        self.wire.send(&bytes)?;
        self.wire.answers(first, last, |_| {})
    }
}

fn key(element: &Element) -> codec::Key {
    match element {
        Element::Port(port) => codec::Key::port(*port),
        Element::Address(address) => codec::Key::address(*address),
        Element::Interface(name) => codec::Key::interface(name),
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Has `nft` apply `script` in one transaction.
fn nft(script: &str) -> io::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let text = format!("nft cannot be run: {error}: install the package nftables");
            io::Error::new(error.kind(), text)
        })?;
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut input| input.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return written;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or("no reason given");
    Err(io::Error::other(format!("nft refused the rules: {line}")))
}
