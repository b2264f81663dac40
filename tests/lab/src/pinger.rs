//! A client that asks an address for a sign of life, every millisecond.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::{Moment, wait_for};
use crate::fault::{Attempt, Result};
use crate::frame;
use crate::ledger::{Pause, longest};
use crate::namespace::Namespace;

/// Between two questions, and the longest that one answer is waited for.
const PACE: Duration = Duration::from_millis(1);

/// "Echo reply", in an IPv4 packet without options.
const REPLY: (usize, u8) = (20, 0);

/// A pinger at work; it stops when this is dropped.
#[derive(Debug)]
pub struct Pinger {
    answers: Arc<Mutex<Vec<Moment>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pinger {
    /// Sets a pinger to work on `client`, against `address`.
    ///
    /// # Errors
    ///
    /// No raw sockets.
    pub fn start(client: &Namespace, address: Ipv4Addr) -> Result<Self> {
        // The socket belongs to the network in which it was made.
        let socket = client
            .run(|| {
                let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
                socket.set_read_timeout(Some(PACE))?;
                Ok::<_, std::io::Error>(socket)
            })
            .attempt(|| "open a raw socket (the lab has to be run as root)".into())?;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (answers.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("pinger".into())
            .spawn(move || {
                let to = SocketAddr::from((address, 0)).into();
                while !stopped.load(Ordering::Relaxed) {
                    let start = Moment::now();
                    // Nobody may be there to send it to: that is an answer too.
                    let _ = socket.send_to(&request(), &to);
                    if hears(&socket, address) {
                        let mut answers = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        answers.push(Moment::now());
                    }
                    thread::park_timeout(PACE.saturating_sub(start.elapsed()));
                }
            })
            .attempt(|| "start a thread".into())?;
        Ok(Self {
            answers,
            stop,
            thread: Some(thread),
        })
    }

    /// When the last answer came.
    pub fn last(&self) -> Option<Moment> {
        self.answers().last().copied()
    }

    /// The longest silence that was not over at `from`, and is now.
    pub fn longest_silence(&self, from: Moment) -> Option<Pause> {
        longest(&self.answers(), from)
    }

    /// Waits for an answer that comes later than `moment`.
    ///
    /// # Errors
    ///
    /// None does within `patience`.
    pub fn answers_after(&self, moment: Moment, patience: Duration) -> Result<()> {
        wait_for("an answer at the address", patience, || {
            let last = self.last();
            last.is_some_and(|last| last > moment)
                .then_some(())
                .ok_or_else(|| match last {
                    Some(last) => format!("the last came {:?} before", moment.since(last)),
                    None => "none ever came".into(),
                })
        })
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Vec<Moment>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A pinger that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

/// An ICMP echo request (RFC 792).
fn request() -> [u8; 8] {
    let mut bytes = [8, 0, 0, 0, 0x76, 0x72, 0, 1];
    let sum = frame::checksum(&bytes).to_be_bytes();
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

/// Whether an echo reply of `address` is there before the time is up.
fn hears(mut socket: &Socket, address: Ipv4Addr) -> bool {
    let mut buffer = [0; 128];
    let start = Moment::now();
    while start.elapsed() < PACE {
        // The time is up, or another packet interrupted: the loop tells which.
        let Ok(length) = socket.read(&mut buffer) else {
            continue;
        };
        let packet = &buffer[..length];
        let (at, kind) = REPLY;
        if packet.get(12..16) == Some(&address.octets()) && packet.get(at) == Some(&kind) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_a_checksum_that_fits() {
        assert_eq!(request()[..2], [8, 0]);
        assert_eq!(frame::checksum(&request()), 0);
    }
}
