//! The pool's socket: datagrams in and out, sealed.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use vrrpd_core::pool::message::Envelope;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::time::Instant;
use vrrpd_sys::socket::pool_socket;

use crate::config;
use crate::seal::{Boot, Counters, Key, MAX_DATAGRAM, Session, Verdict};

/// This manager's end of the pool's network.
#[derive(Debug)]
pub(super) struct PoolLink {
    socket: UdpSocket,
    /// Of each party, by [`NodeId::index`]; its own is not used.
    addresses: [SocketAddr; 3],
    key: Key,
    id: NodeId,
    session: Session,
    unsent: u64,
}

impl PoolLink {
    /// Listens at the configured address, in the boot `own`.
    ///
    /// # Errors
    ///
    /// The address is taken.
    pub(super) fn open(
        pool: &config::Pool,
        own: Boot,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let here = SocketAddr::from((pool.address, pool.port));
        let mut socket = UdpSocket::from_std(pool_socket(here)?);
        registry.register(&mut socket, token, Interest::READABLE)?;
        let id = pool.member.id;
        let mut addresses = [here; 3];
        addresses[NodeId::R.index()] = (pool.arbiter, pool.arbiter_port).into();
        if let Some(peer) = id.peer() {
            addresses[peer.index()] = (pool.peer, pool.peer_port).into();
        }
        Ok(Self {
            socket,
            addresses,
            session: Session::new(&pool.key, id, own),
            key: pool.key.clone(),
            id,
            unsent: 0,
        })
    }

    /// A new boot: what was meant for the one before counts no more.
    pub(super) fn begin(&mut self, own: Boot) {
        self.session = Session::new(&self.key, self.id, own);
    }

    /// Sends a message; it may be lost.
    pub(super) fn send(&mut self, envelope: &Envelope) {
        let datagram = self.session.stamp(envelope);
        self.send_to(&datagram, self.addresses[envelope.to.index()]);
    }

    /// The next message for this boot; `None` when there is none for now.
    pub(super) fn receive(&mut self, now: impl Fn() -> Instant) -> Received {
        let mut buffer = [0; MAX_DATAGRAM];
        let (length, from) = match self.socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
            // A message of ours could not be delivered: that is its news.
            Err(_) => return Received::Other,
        };
        match self.session.open(&buffer[..length], now()) {
            Verdict::Accepted(envelope) | Verdict::RolledBack(envelope) => {
                Received::Message(Box::new(envelope))
            }
            Verdict::Reply(datagram) => {
                self.send_to(&datagram, from);
                Received::Other
            }
            Verdict::Dropped(_) => Received::Other,
        }
    }

    /// The datagrams by verdict, and those that the socket did not take.
    pub(super) fn counters(&self) -> (Counters, u64) {
        (self.session.counters(), self.unsent)
    }

    fn send_to(&mut self, datagram: &[u8], to: SocketAddr) {
        if self.socket.send_to(datagram, to).is_err() {
            self.unsent += 1;
        }
    }
}

/// What a look at the socket brought.
#[derive(Debug)]
pub(super) enum Received {
    /// Authentic, new, for this boot.
    Message(Box<Envelope>),
    /// Something that is done with.
    Other,
    /// There is nothing more for now.
    Nothing,
}
