//! The loop: one socket, many pools.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use vrrpd::config::arbiter::{self, Config};
use vrrpd::driver::now;
use vrrpd::driver::signals::{Signal, Signals};
use vrrpd::seal::{MAX_DATAGRAM, PoolId, pool_of};
use vrrpd_core::time::Instant;
use vrrpd_sys::clock::Timer;
use vrrpd_sys::socket::pool_socket;

use crate::pool::{Outgoing, Pool};
use crate::wakes::Wakes;

const SOCKET: Token = Token(0);
const TIMER: Token = Token(1);
const SIGNALS: Token = Token(2);

/// Datagrams that are read before timers and signals are looked at.
const BURST: usize = 256;

/// Pools that are started at the same time: each waits for the disk.
const STARTERS: usize = 16;

/// The arbiter of all its pools.
#[derive(Debug)]
pub struct Arbiter {
    poll: Poll,
    socket: UdpSocket,
    timer: Timer,
    signals: Signals,
    pools: Vec<Pool>,
    by_id: HashMap<PoolId, usize>,
    wakes: Wakes,
    /// Datagrams of no pool of ours.
    strangers: u64,
    /// Answers that the socket did not take.
    unsent: u64,
}

impl Arbiter {
    /// Starts every pool's voter and listens.
    ///
    /// # Errors
    ///
    /// The address is taken, or a pool's state cannot be read or written.
    pub fn start(config: Config, signals: Signals) -> Result<Self, Box<dyn std::error::Error>> {
        let address = (config.address, config.port).into();
        let socket = pool_socket(address).map_err(|error| {
            format!("cannot listen at {address}: {error}: is another arbiter running here?")
        })?;
        let mut socket = UdpSocket::from_std(socket);
        let pools = start_pools(config.pools, &config.state)?;
        let timer = Timer::new()?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut socket, SOCKET, Interest::READABLE)?;
        for (fd, token) in [(timer.as_raw_fd(), TIMER), (signals.as_raw_fd(), SIGNALS)] {
            poll.registry()
                .register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        let by_id = pools
            .iter()
            .enumerate()
            .map(|(n, pool)| (pool.id(), n))
            .collect();
        let mut wakes = Wakes::default();
        for (number, pool) in pools.iter().enumerate() {
            wakes.set(number, pool.deadline());
        }
        log::info!("arbiter at {address}: votes in {} pools", pools.len());
        Ok(Self {
            poll,
            socket,
            timer,
            signals,
            pools,
            by_id,
            wakes,
            strangers: 0,
            unsent: 0,
        })
    }

    /// Runs until a signal says stop.
    ///
    /// # Errors
    ///
    /// The system refuses to poll.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        let mut unread = false;
        loop {
            self.timer.set(self.wakes.next().map(Instant::as_nanos))?;
            let timeout = unread.then_some(core::time::Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            unread |= events.iter().any(|event| event.token() == SOCKET);
            self.wake_due(now());
            if unread {
                unread = self.read_burst();
            }
            while let Some(signal) = self.signals.take()? {
                match signal {
                    Signal::Stop => return Ok(()),
                    Signal::State => self.say_state(),
                    Signal::Statistics => self.say_statistics(),
                    Signal::Reload => log::warn!(
                        "HUP: the arbiter reads its configuration only at its start: restart it"
                    ),
                }
            }
        }
    }

    /// Whether there may be more to read.
    fn read_burst(&mut self) -> bool {
        let mut buffer = [0; MAX_DATAGRAM];
        let mut out = Vec::new();
        for _ in 0..BURST {
            let (length, from) = match self.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An answer of ours could not be delivered: that is its news.
                Err(_) => continue,
            };
            let datagram = &buffer[..length];
            let Some(&number) = pool_of(datagram).and_then(|id| self.by_id.get(&id)) else {
                self.strangers += 1;
                continue;
            };
            let pool = &mut self.pools[number];
            pool.on_datagram(datagram, from, now(), &mut out);
            self.wakes.set(number, pool.deadline());
            self.send(&mut out);
        }
        true
    }

    fn wake_due(&mut self, now: Instant) {
        let mut out = Vec::new();
        while let Some(number) = self.wakes.due(now) {
            let pool = &mut self.pools[number];
            pool.on_wake(now, &mut out);
            // "Never in the past once handled" is the core's promise.
            debug_assert!(pool.deadline().is_none_or(|deadline| deadline > now));
            self.wakes.set(number, pool.deadline());
        }
        self.send(&mut out);
    }

    fn send(&mut self, out: &mut Vec<Outgoing>) {
        for (address, datagram) in out.drain(..) {
            if self.socket.send_to(&datagram, address).is_err() {
                self.unsent += 1;
            }
        }
    }

    fn say_state(&self) {
        for pool in &self.pools {
            log::info!("{pool}");
        }
    }

    fn say_statistics(&self) {
        log::info!(
            "{} datagrams of no pool of ours, {} answers not sent",
            self.strangers,
            self.unsent
        );
        for pool in &self.pools {
            let counters = pool.counters();
            log::info!(
                "{}: {} accepted, {} answered by a hello, {} malformed, {} of another version, \
                 {} forged, {} replayed, {} misaddressed",
                pool.id(),
                counters.accepted,
                counters.replied,
                counters.malformed,
                counters.other_version,
                counters.forged,
                counters.replayed,
                counters.misaddressed
            );
        }
    }
}

/// Starts the pools' voters; each waits for the disk, so several at a time.
fn start_pools(pools: Vec<arbiter::Pool>, state: &Path) -> Result<Vec<Pool>, vrrpd::store::Error> {
    let share = NonZeroUsize::new(pools.len().div_ceil(STARTERS)).unwrap_or(NonZeroUsize::MIN);
    let shares: Vec<Vec<arbiter::Pool>> = pools.chunks(share.get()).map(<[_]>::to_vec).collect();
    let start = |share: Vec<arbiter::Pool>| {
        let start = |pool| Pool::start(pool, state, now());
        share.into_iter().map(start).collect::<Result<Vec<_>, _>>()
    };
    thread::scope(|scope| {
        let starters: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || start(share)))
            .collect();
        let mut started = Vec::new();
        for starter in starters {
            started.extend(starter.join().expect("a starter does not panic")?);
        }
        Ok(started)
    })
}
