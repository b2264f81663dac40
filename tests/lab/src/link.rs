//! Frames as they are: sent, heard and kept, below everything that checks them.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{LinkAddr, MsgFlags, recv, sendto};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Moment;
use crate::fault::{Attempt, Fault, Result};
use crate::frame::{self, Mac};
use crate::namespace::Namespace;

/// Frames of every protocol.
const ALL: u16 = 0x0003;

/// Longer than any frame on this LAN.
const LONGEST: usize = 2048;

/// Every frame that a network sees.
#[derive(Debug)]
pub(crate) struct Tap(Socket);

impl Tap {
    /// On every interface of the calling thread's network.
    pub(crate) fn open() -> Result<Self> {
        let protocol = Protocol::from(i32::from(ALL.to_be()));
        Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(protocol))
            .map(Self)
            .attempt(|| "open a packet socket (the lab has to be run as root)".into())
    }

    /// Hands frames to `listen` until it is content, for `patience` at most.
    pub(crate) fn hear(&self, patience: Duration, mut listen: impl FnMut(&[u8]) -> bool) {
        let end = Moment::now().plus(patience);
        let mut buffer = [0; LONGEST];
        loop {
            let left = end.since(Moment::now());
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) if listen(&buffer[..length]) => return,
                Ok(_) if left.is_zero() => return,
                Ok(_) => {}
                Err(_) => {
                    let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
                    if left.is_zero() || ppoll(&mut ready, Some(left.into()), None) == Ok(0) {
                        return;
                    }
                }
            }
        }
    }
}

/// A host's `eth0`.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) tap: Tap,
    address: LinkAddr,
    pub(crate) mac: Mac,
}

impl Link {
    /// Of the calling thread's network.
    pub(crate) fn open() -> Result<Self> {
        let address = getifaddrs()
            .attempt(|| "list the interfaces".into())?
            .filter(|interface| interface.interface_name == "eth0")
            .find_map(|interface| interface.address?.as_link_addr().copied())
            .ok_or_else(|| Fault::new("this host has no eth0"))?;
        let mac = address
            .addr()
            .ok_or_else(|| Fault::new("eth0 has no MAC address"))?;
        Ok(Self {
            tap: Tap::open()?,
            address,
            mac,
        })
    }

    /// Sends a frame; a link that is down sends nothing, which is an answer too.
    pub(crate) fn send(&self, frame: &[u8]) {
        let _ = sendto(
            self.tap.0.as_raw_fd(),
            frame,
            &self.address,
            MsgFlags::empty(),
        );
    }
}

/// Sends what nobody should believe, under anybody's name.
#[derive(Debug)]
pub struct Forger(Link);

impl Forger {
    /// On a host's `eth0`.
    ///
    /// # Errors
    ///
    /// No packet sockets, or no `eth0`.
    pub fn new(host: &Namespace) -> Result<Self> {
        host.run(Link::open).map(Self)
    }

    /// A UDP datagram from `from` to `to`, at the same port, put to `mac`.
    pub fn udp(&self, from: Ipv4Addr, to: Ipv4Addr, mac: [u8; 6], port: u16, payload: &[u8]) {
        self.0
            .send(&frame::udp(self.0.mac, from, mac, to, port, payload));
    }

    /// A VRRP packet to all routers (224.0.0.18).
    pub fn vrrp(&self, from: Ipv4Addr, payload: &[u8]) {
        self.0.send(&frame::vrrp(self.0.mac, from, payload));
    }

    /// A frame that was kept, once more; but as every frame here from the
    /// forger's own MAC address: what a switch learns of others' ports is not
    /// the pool's to defend.
    pub fn replay(&self, frame: &[u8]) {
        let mut frame = frame.to_vec();
        frame[6..12].copy_from_slice(&self.0.mac);
        self.0.send(&frame);
    }
}

/// Waits for the next VRRP advertisement that `network` sees; when that was.
///
/// # Errors
///
/// There is none within `patience`.
pub fn wait_advert(network: &Namespace, patience: Duration) -> Result<Moment> {
    let heard = network.run(move || {
        let mut heard = None;
        Tap::open()?.hear(patience, |frame| {
            heard = frame::is_vrrp(frame).then(Moment::now);
            heard.is_some()
        });
        Ok(heard)
    })?;
    heard.ok_or_else(|| Fault::new("nobody advertises"))
}

/// Keeps `count` UDP datagrams to `port` that `network` sees.
///
/// # Errors
///
/// There are not so many within `patience`.
pub fn keep(
    network: &Namespace,
    port: u16,
    count: usize,
    patience: Duration,
) -> Result<Vec<Vec<u8>>> {
    let kept = network.run(move || {
        let tap = Tap::open()?;
        let mut kept = Vec::new();
        tap.hear(patience, |frame| {
            if frame::udp_port(frame) == Some(port) {
                kept.push(frame.to_vec());
            }
            kept.len() == count
        });
        Ok(kept)
    })?;
    if kept.len() < count {
        return Err(Fault::new(format!(
            "only {} of {count} datagrams to port {port} were seen",
            kept.len()
        )));
    }
    Ok(kept)
}
