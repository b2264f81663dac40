//! Sessions: a message counts once, and only in the life it was meant for.
//!
//! Every message names the boot of its receiver, as far as the sender knows it,
//! and has a sequence number. A receiver takes only messages for its present
//! boot, each once; so nothing recorded before a restart of either party counts
//! after it. A sender learns the boot to address from the messages it accepts,
//! or from a *hello*: the answer to a message that was authentic but addressed
//! to another boot. A hello names the sequence it answers and is believed once;
//! it teaches the sender whom to address and moves nothing else.

use core::time::Duration;

use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::{Incarnation, NodeId};
use vrrpd_core::time::Instant;

use super::frame::{Header, Kind, Sealer};
use super::{Boot, Key, Reject, Verdict};

/// Hellos to one party are no closer than this, whatever the network sends.
const HELLO_GAP: Duration = Duration::from_millis(10);

/// A hello must answer one of the last messages, this many.
const ECHO_SPAN: u64 = 1024;

/// Incarnations of one party that are remembered; each is one loss of its
/// state directory. Further ones are refused until this process restarts.
const MAX_LIVES: usize = 64;

/// How many datagrams had which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// [`Verdict::Accepted`].
    pub accepted: u64,
    /// [`Verdict::RolledBack`].
    pub rolled_back: u64,
    /// [`Verdict::Reply`].
    pub replied: u64,
    /// [`Reject::Malformed`].
    pub malformed: u64,
    /// [`Reject::OtherVersion`].
    pub other_version: u64,
    /// [`Reject::OtherPool`].
    pub other_pool: u64,
    /// [`Reject::Forged`].
    pub forged: u64,
    /// [`Reject::Replayed`].
    pub replayed: u64,
    /// [`Reject::Misaddressed`].
    pub misaddressed: u64,
}

/// This party's end of the sessions with the two others.
#[derive(Debug)]
pub struct Session {
    sealer: Sealer,
    me: NodeId,
    own: Boot,
    peers: [Peer; 3],
    counters: Counters,
}

/// What is known of one other party.
#[derive(Debug, Default)]
struct Peer {
    /// Whom messages are addressed to.
    present: Option<Boot>,
    /// The last sequence sent.
    sent: u64,
    /// The last message, sent again when a hello corrects its address.
    last: Option<Vec<u8>>,
    /// The highest sequence whose hello was believed.
    taught: u64,
    /// No hello before.
    hello_after: Instant,
    /// What was received, an entry an incarnation.
    lives: Vec<Life>,
}

/// The messages received from one incarnation's latest boot.
#[derive(Debug)]
struct Life {
    boot: Boot,
    window: Window,
}

/// Which of the last 64 sequences were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u64,
    /// Bit `n`: `highest - n` was seen.
    seen: u64,
}

impl Session {
    /// The sessions of `me` in its boot `own`, as the member's first `Persist`
    /// has it.
    ///
    /// # Panics
    ///
    /// If `own.boots` is 0: boots count from 1.
    pub fn new(key: &Key, me: NodeId, own: Boot) -> Self {
        assert_ne!(own.boots, 0, "boots count from 1");
        Self {
            sealer: Sealer::new(key),
            me,
            own,
            peers: Default::default(),
            counters: Counters::default(),
        }
    }

    /// Seals a message: the datagram to send to `envelope.to`.
    ///
    /// A voter that has become blank speaks as a new incarnation; from its first
    /// message on, only what is meant for that one is accepted.
    ///
    /// # Panics
    ///
    /// If the envelope is not from this party to another.
    pub fn stamp(&mut self, envelope: &Envelope) -> Vec<u8> {
        assert_eq!(envelope.from, self.me, "a party speaks for itself");
        assert_ne!(envelope.to, self.me, "a party does not write to itself");
        self.own = Boot {
            incarnation: envelope.incarnation,
            boots: envelope.boots,
        };
        let message = envelope.encode();
        let datagram = self.seal_message(envelope.to, &message);
        self.peers[envelope.to.index()].last = Some(message);
        datagram
    }

    /// Opens a datagram.
    pub fn open(&mut self, datagram: &[u8], now: Instant) -> Verdict {
        let verdict = self.judge(datagram, now).unwrap_or_else(Verdict::Dropped);
        self.counters.count(&verdict);
        verdict
    }

    /// How many datagrams had which verdict since the session began.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn judge(&mut self, datagram: &[u8], now: Instant) -> Result<Verdict, Reject> {
        let (header, message) = self.sealer.open(datagram)?;
        if header.to != self.me || header.from == self.me {
            return Err(Reject::Misaddressed);
        }
        match header.kind {
            Kind::Hello => self.on_hello(&header),
            Kind::Message if header.receiver == Some(self.own) => self.on_message(&header, message),
            Kind::Message => self.on_misaddressed(&header, message, now),
        }
    }

    /// A message for this boot.
    fn on_message(&mut self, header: &Header, message: &[u8]) -> Result<Verdict, Reject> {
        let envelope = parse(header, message)?;
        let peer = &mut self.peers[header.from.index()];
        if peer.take(header.sender, header.sequence)? {
            peer.present = Some(header.sender);
        }
        Ok(Verdict::Accepted(envelope))
    }

    /// A message for another boot, or for none.
    fn on_misaddressed(
        &mut self,
        header: &Header,
        message: &[u8],
        now: Instant,
    ) -> Result<Verdict, Reject> {
        if header.receiver.is_some_and(|boot| {
            boot.incarnation == self.own.incarnation && boot.boots > self.own.boots
        }) {
            // However old it is, it proves that a later boot has been.
            let envelope = parse(header, message)?;
            return Ok(Verdict::RolledBack(Envelope {
                body: Body::Hello { answer: false },
                ..envelope
            }));
        }
        let peer = &mut self.peers[header.from.index()];
        if now < peer.hello_after {
            return Err(Reject::Misaddressed);
        }
        peer.hello_after = now + HELLO_GAP;
        let hello = Header {
            kind: Kind::Hello,
            from: self.me,
            to: header.from,
            sender: self.own,
            sequence: 0,
            receiver: Some(header.sender),
            echo: header.sequence,
        };
        Ok(Verdict::Reply(self.sealer.seal(&hello, &[])))
    }

    /// The answer to a message that was addressed to another boot.
    fn on_hello(&mut self, header: &Header) -> Result<Verdict, Reject> {
        if header.receiver != Some(self.own) {
            return Err(Reject::Misaddressed);
        }
        let peer = &mut self.peers[header.from.index()];
        let answers_lately = header.echo > peer.taught
            && header.echo <= peer.sent
            && peer.sent - header.echo < ECHO_SPAN;
        if !answers_lately || peer.is_past(header.sender) || peer.present == Some(header.sender) {
            return Err(Reject::Replayed);
        }
        peer.taught = header.echo;
        peer.present = Some(header.sender);
        let last = peer.last.clone().ok_or(Reject::Replayed)?;
        Ok(Verdict::Reply(self.seal_message(header.from, &last)))
    }

    fn seal_message(&mut self, to: NodeId, message: &[u8]) -> Vec<u8> {
        let peer = &mut self.peers[to.index()];
        peer.sent += 1;
        let header = Header {
            kind: Kind::Message,
            from: self.me,
            to,
            sender: self.own,
            sequence: peer.sent,
            receiver: peer.present,
            echo: 0,
        };
        self.sealer.seal(&header, message)
    }
}

/// The envelope of an authentic message; it agrees with its header.
fn parse(header: &Header, message: &[u8]) -> Result<Envelope, Reject> {
    let envelope = Envelope::decode(message).map_err(|_| Reject::Malformed)?;
    let sender = Boot {
        incarnation: envelope.incarnation,
        boots: envelope.boots,
    };
    if (envelope.from, envelope.to, sender) == (header.from, header.to, header.sender) {
        Ok(envelope)
    } else {
        Err(Reject::Malformed)
    }
}

impl Peer {
    /// Takes a sequence of `boot`; whether it is the newest of it.
    fn take(&mut self, boot: Boot, sequence: u64) -> Result<bool, Reject> {
        if self.is_past(boot) {
            return Err(Reject::Replayed);
        }
        let at = match self.life(boot.incarnation) {
            Some(at) => at,
            None if self.lives.len() == MAX_LIVES => return Err(Reject::Replayed),
            None => {
                self.lives.push(Life::new(boot));
                self.lives.len() - 1
            }
        };
        if boot.boots > self.lives[at].boot.boots {
            self.lives[at] = Life::new(boot);
        }
        self.lives[at].window.take(sequence)
    }

    /// Whether a later boot of the same incarnation was heard.
    fn is_past(&self, boot: Boot) -> bool {
        self.life(boot.incarnation)
            .is_some_and(|at| boot.boots < self.lives[at].boot.boots)
    }

    fn life(&self, incarnation: Incarnation) -> Option<usize> {
        self.lives
            .iter()
            .position(|life| life.boot.incarnation == incarnation)
    }
}

impl Life {
    fn new(boot: Boot) -> Self {
        Self {
            boot,
            window: Window::default(),
        }
    }
}

impl Window {
    /// Marks `sequence` as seen; whether it is the highest.
    fn take(&mut self, sequence: u64) -> Result<bool, Reject> {
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            self.seen = u32::try_from(ahead)
                .ok()
                .and_then(|ahead| self.seen.checked_shl(ahead))
                .unwrap_or(0)
                | 1;
            self.highest = sequence;
            return Ok(true);
        }
        let behind = self.highest - sequence;
        // Sequences count from 1: 0 is never one.
        if sequence == 0 || behind >= 64 || self.seen >> behind & 1 == 1 {
            return Err(Reject::Replayed);
        }
        self.seen |= 1 << behind;
        Ok(false)
    }
}

impl Counters {
    fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Accepted(_) => &mut self.accepted,
            Verdict::RolledBack(_) => &mut self.rolled_back,
            Verdict::Reply(_) => &mut self.replied,
            Verdict::Dropped(reject) => match reject {
                Reject::Malformed => &mut self.malformed,
                Reject::OtherVersion => &mut self.other_version,
                Reject::OtherPool => &mut self.other_pool,
                Reject::Forged => &mut self.forged,
                Reject::Replayed => &mut self.replayed,
                Reject::Misaddressed => &mut self.misaddressed,
            },
        };
        *counter += 1;
    }
}
