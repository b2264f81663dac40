//! Who answers for the virtual IP, who serves at it, and whose gate is open.
//!
//! Every few milliseconds a *round* asks: who has the virtual IP (ARP)? And of
//! each manager, by its MAC address: would you let a client in at your own
//! address, at the virtual IP? In a round managers are asked one after the other
//! and the first, if it said yes, once more at the end, so that three times yes is
//! two at the same time: the first both before and after the second.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{Moment, milliseconds};
use crate::fault::{Attempt, Fault, Result};
use crate::frame::{self, End, Heard};
use crate::host::Name;
use crate::link::Link;
use crate::namespace::Namespace;
use crate::postgres;

/// Between the beginnings of two rounds.
const ROUND: Duration = Duration::from_millis(4);

/// So long an answer is waited for. On an idle machine it takes 0.1 ms; one that
/// comes later is missed in this round, and the next asks again.
const ANSWER: Duration = Duration::from_micros(500);

/// A round that took longer proves nothing: a manager may have stopped and the
/// other begun, and back, while it lasted.
const LONGEST: Duration = Duration::from_millis(20);

const MANAGERS: [Name; 2] = [Name::ManagerA, Name::ManagerB];

/// Where a client asks to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The manager's own address: whether its gate is open.
    Own,
    /// The virtual IP: whether it serves there.
    Virtual,
}

/// Two hosts at once where one is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Moment,
    /// What was seen.
    pub what: String,
}

/// What the probe saw so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Rounds done.
    pub rounds: u64,
    /// The first hundred violations.
    pub violations: Vec<Violation>,
    /// Who answered for the virtual IP last, by manager: the last yes of each.
    pub answered: [Option<Moment>; 2],
    /// When each manager last admitted a client at its own address.
    pub admitted: [Option<Moment>; 2],
    /// When each manager last served at the virtual IP.
    pub served: [Option<Moment>; 2],
}

/// A probe at work; it stops when this is dropped.
#[derive(Debug)]
pub struct Probe {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Sets a probe to work on `client`.
    ///
    /// # Errors
    ///
    /// No raw sockets, or no `eth0`.
    pub fn start(client: &Namespace, virtual_ip: Ipv4Addr) -> Result<Self> {
        let entry = client.entry()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        // The socket belongs to the network in which it was made.
        let link = client.run(Link::open)?;
        let (shared, stopped) = (seen.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("probe".into())
            .spawn(move || {
                entry.enter().expect("a thread of root enters a network");
                let mut asker = Asker::new(link, virtual_ip);
                while !stopped.load(Ordering::Relaxed) {
                    let start = Moment::now();
                    let round = asker.round();
                    round.note(
                        start,
                        &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
                    );
                    thread::park_timeout(ROUND.saturating_sub(start.elapsed()));
                }
            })
            .attempt(|| "start a thread".into())?;
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A probe that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl Seen {
    /// Nothing, if no two hosts were ever seen at once.
    ///
    /// # Errors
    ///
    /// What was seen, with its times after `start`.
    pub fn judge(&self, start: Moment) -> Result<()> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = self
            .violations
            .iter()
            .take(10)
            .map(|violation| {
                format!(
                    "  +{}: {}",
                    milliseconds(violation.at.since(start)),
                    violation.what
                )
            })
            .collect();
        Err(Fault::new(format!(
            "two hosts at once, in {} rounds of the probe (of {}):\n{}",
            self.violations.len(),
            self.rounds,
            lines.join("\n")
        )))
    }
}

/// What one round heard.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// Which managers answered for the virtual IP.
    answered: [bool; 2],
    /// By question: A, B, A again.
    own: [bool; 3],
    /// The same at the virtual IP.
    served: [bool; 3],
}

impl Round {
    fn note(self, start: Moment, seen: &mut Seen) {
        let now = Moment::now();
        seen.rounds += 1;
        for (manager, last) in [(0, 0), (1, 1), (0, 2)] {
            if self.own[last] {
                seen.admitted[manager] = Some(now);
            }
            if self.served[last] {
                seen.served[manager] = Some(now);
            }
        }
        for manager in 0..2 {
            if self.answered[manager] {
                seen.answered[manager] = Some(now);
            }
        }
        if now.since(start) > LONGEST {
            return;
        }
        let wrongs = [
            (
                self.answered == [true; 2],
                "both managers answer for the virtual IP",
            ),
            (self.own == [true; 3], "both gates are open"),
            (
                self.served == [true; 3],
                "both managers serve at the virtual IP",
            ),
        ];
        for (wrong, what) in wrongs {
            if wrong && seen.violations.len() < 100 {
                seen.violations.push(Violation {
                    at: now,
                    what: what.into(),
                });
            }
        }
    }
}

/// Asks the questions of a round.
struct Asker {
    link: Link,
    virtual_ip: Ipv4Addr,
    /// Told apart from all earlier ones by what the answers echo.
    question: u32,
}

impl Asker {
    fn new(link: Link, virtual_ip: Ipv4Addr) -> Self {
        Self {
            link,
            virtual_ip,
            question: 0,
        }
    }

    fn round(&mut self) -> Round {
        let mut round = Round {
            answered: self.who_has(),
            ..Round::default()
        };
        for (index, manager) in [MANAGERS[0], MANAGERS[1], MANAGERS[0]]
            .into_iter()
            .enumerate()
        {
            // A no need not be asked for again.
            let again = index == 2;
            round.own[index] = (!again || round.own[0]) && self.admits(manager, Door::Own);
            round.served[index] =
                (!again || round.served[0]) && self.admits(manager, Door::Virtual);
        }
        round
    }

    /// Hands answers to `listen` until it is content or they come no more.
    fn hear(&self, mut listen: impl FnMut(Heard) -> bool) {
        let tap = &self.link.tap;
        tap.hear(ANSWER, |frame| frame::read(frame).is_some_and(&mut listen));
    }

    /// Which managers say that they have the virtual IP.
    fn who_has(&mut self) -> [bool; 2] {
        self.question += 1;
        // Hosts answer whoever asks; the name echoed tells which question it was.
        let asker = Ipv4Addr::new(192, 0, 2, 128 + (self.question % 64) as u8);
        let request = frame::arp_request(self.link.mac, asker, self.virtual_ip);
        self.link.send(&request);
        let mut answered = [false; 2];
        let wanted = self.virtual_ip;
        // The whole time: a second one may answer after the first.
        self.hear(|heard| {
            if let Heard::HasAddress {
                mac,
                address,
                asker: told,
            } = heard
                && (address, told) == (wanted, asker)
                && let Some(manager) = MANAGERS.iter().position(|name| name.mac() == mac)
            {
                answered[manager] = true;
            }
            false
        });
        answered
    }

    /// Whether `manager` lets a client in at `door`.
    fn admits(&mut self, manager: Name, door: Door) -> bool {
        self.question += 1;
        let sequence = self.question.wrapping_mul(0x1_0001);
        let from = End {
            mac: self.link.mac,
            address: Name::Client.address(),
            // Below the ports that the kernel gives to the field units.
            port: 10_000 + (self.question % 16_384) as u16,
        };
        let to = End {
            mac: manager.mac(),
            address: match door {
                Door::Own => manager.address(),
                Door::Virtual => self.virtual_ip,
            },
            port: postgres::PORT,
        };
        self.link
            .send(&frame::connection_request(from, to, sequence));
        let mut admits = false;
        self.hear(|heard| match heard {
            Heard::Connection {
                mac,
                sequence: echoed,
                admitted,
            } => {
                let ours = mac == manager.mac() && echoed == sequence;
                admits |= ours && admitted;
                ours
            }
            Heard::HasAddress { .. } => false,
        });
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(round: Round) -> Seen {
        let mut seen = Seen::default();
        round.note(Moment::now(), &mut seen);
        seen
    }

    #[test]
    fn round_with_both_gates_open_is_a_violation() {
        let seen = note(Round {
            own: [true; 3],
            ..Round::default()
        });
        assert_eq!(seen.violations.len(), 1);
        assert_eq!(seen.violations[0].what, "both gates are open");
        assert!(seen.judge(Moment::now()).is_err());
    }

    #[test]
    fn round_of_a_handover_is_none() {
        let seen = note(Round {
            answered: [false, true],
            own: [true, true, false],
            served: [false, true, false],
        });
        assert!(seen.judge(Moment::now()).is_ok());
        assert!(seen.admitted.iter().all(Option::is_some));
    }

    #[test]
    fn round_that_was_interrupted_proves_nothing() {
        let mut seen = Seen::default();
        let round = Round {
            answered: [true; 2],
            own: [true; 3],
            served: [true; 3],
        };
        round.note(Moment::now().minus(LONGEST + ROUND), &mut seen);
        assert!(seen.violations.is_empty());
    }
}
