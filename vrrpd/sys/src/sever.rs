//! Resetting connections that are no longer admitted (`linux/inet_diag.h`).
//!
//! A client that waits for an answer sends nothing, so the gate has nothing to
//! answer: without this it would learn of the closed gate only from its own
//! time-out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::socket::SockProtocol;

use crate::netlink::wire::{ACK, REQUEST, Wire, attribute, message};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const DUMP: u16 = 0x300;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const INET_DIAG_BC_S_GE: u8 = 2;
const INET_DIAG_BC_S_LE: u8 = 3;

/// Every TCP state but TIME_WAIT (6), CLOSE (7), LISTEN (10) and the request
/// socket that stands for a half-open connection (12).
const CONNECTED: u32 = 0xfff & !(1 << 6 | 1 << 7 | 1 << 10);

/// `struct inet_diag_sockid`.
const ID: usize = 48;

/// Finds and resets connections by their local port.
#[derive(Debug)]
pub struct Severer {
    wire: Wire,
}

/// The `struct inet_diag_sockid` of a socket and its family.
#[derive(Clone, Copy, Debug)]
struct Connection {
    family: u8,
    id: [u8; ID],
}

impl Severer {
    /// A socket for requests.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            wire: Wire::open(SockProtocol::NetlinkSockDiag, 0)?,
        })
    }

    /// Resets every connection to a local TCP port in `ports` whose other end is
    /// neither in `exempt` nor this host; says how many.
    ///
    /// Both ends learn of it at once; what was written and not yet sent is
    /// never sent.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN`, `EOPNOTSUPP` on a kernel without
    /// `CONFIG_INET_DIAG_DESTROY`.
    pub fn sever(&mut self, ports: &[u16], exempt: &[IpAddr]) -> io::Result<usize> {
        let mut count = 0;
        for &port in ports {
            for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
                for connection in self.connections(family, port)? {
                    let remote = connection.remote();
                    let keep = remote.is_loopback()
                        || remote == connection.local()
                        || exempt.contains(&remote);
                    if !keep && self.destroy(&connection)? {
                        count += 1;
                    }
                }
            }
        }
        Ok(count)
    }

    fn connections(&mut self, family: u8, port: u16) -> io::Result<Vec<Connection>> {
        let sequence = self.wire.next_sequence();
        let mut bytes = Vec::with_capacity(128);
        message(
            &mut bytes,
            SOCK_DIAG_BY_FAMILY,
            REQUEST | DUMP,
            sequence,
            |out| {
                request(out, family, &[0; ID]);
                attribute(out, INET_DIAG_REQ_BYTECODE, |out| local_port_is(out, port));
            },
        );
        self.wire.send(&bytes)?;
        let mut found = Vec::new();
        self.wire.answers(sequence, sequence, |answer| {
            let payload = answer.payload();
            let id = payload.get(4..).and_then(|rest| rest.first_chunk());
            if let (Some(&family), Some(&id)) = (payload.first(), id) {
                found.push(Connection { family, id });
            }
        })?;
        Ok(found)
    }

    /// False when it has ended by itself meanwhile.
    fn destroy(&mut self, connection: &Connection) -> io::Result<bool> {
        let sequence = self.wire.next_sequence();
        let mut bytes = Vec::with_capacity(96);
        message(&mut bytes, SOCK_DESTROY, REQUEST | ACK, sequence, |out| {
            request(out, connection.family, &connection.id);
        });
        self.wire.send(&bytes)?;
        match self.wire.answers(sequence, sequence, |_| {}) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Connection {
    fn local(&self) -> IpAddr {
        self.address(4)
    }

    fn remote(&self) -> IpAddr {
        self.address(20)
    }

    /// An IPv4 client of an IPv6 socket counts by its IPv4 address.
    fn address(&self, at: usize) -> IpAddr {
        let bytes: [u8; 16] = *self.id[at..]
            .first_chunk()
            .expect("both addresses lie within the id");
        if i32::from(self.family) == libc::AF_INET {
            Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
        } else {
            Ipv6Addr::from(bytes).to_canonical()
        }
    }
}

/// `struct inet_diag_req_v2`.
fn request(out: &mut Vec<u8>, family: u8, id: &[u8; ID]) {
    out.extend_from_slice(&[family, libc::IPPROTO_TCP as u8, 0, 0]);
    out.extend_from_slice(&CONNECTED.to_ne_bytes());
    out.extend_from_slice(id);
}

/// `sport >= port && sport <= port` as `struct inet_diag_bc_op`s: each test
/// takes two, the second holding the port; failing jumps 4 past the end.
fn local_port_is(out: &mut Vec<u8>, port: u16) {
    for (code, fail) in [(INET_DIAG_BC_S_GE, 20_u16), (INET_DIAG_BC_S_LE, 12)] {
        out.extend_from_slice(&[code, 8]);
        out.extend_from_slice(&fail.to_ne_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&port.to_ne_bytes());
    }
}
