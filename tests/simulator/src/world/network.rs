//! Datagrams between the parties.

use vrrpd_core::pool::Event;
use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::NodeId;

use super::{What, World};
use crate::check::Invariant;
use crate::clock::{MILLIS, Nanos};
use crate::random::Random;
use crate::trace;

/// What a script does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As the weather has it.
    Pass,
    /// Lost.
    Lose,
    /// Held back in [`World::kept`].
    Keep,
}

/// One kind of message that does not pass on one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mute {
    from: NodeId,
    to: NodeId,
    kind: u64,
}

impl Mute {
    pub(crate) fn draw(from: NodeId, to: NodeId, random: &mut Random) -> Self {
        let kind = random.below(KINDS);
        Self { from, to, kind }
    }

    fn silences(&self, envelope: &Envelope) -> bool {
        self.from == envelope.from && self.to == envelope.to && self.kind == kind(&envelope.body)
    }
}

/// How many kinds of messages there are.
const KINDS: u64 = 6;

/// Requests, and the answers to them, by what they are about.
const fn kind(body: &Body) -> u64 {
    match body {
        Body::Hello { .. } | Body::Release { .. } => 0,
        Body::Claim { .. } => 1,
        Body::Deny { .. } => 2,
        Body::Promise { .. } => 3,
        Body::Accept { .. } | Body::Renew { .. } => 4,
        Body::Accepted { .. } | Body::Renewed { .. } => 5,
    }
}

pub(crate) type Intercept = dyn FnMut(&Envelope) -> Fate;

impl World {
    /// Asks `script` about every message from now on.
    pub fn intercept(&mut self, script: impl FnMut(&Envelope) -> Fate + 'static) {
        self.intercept = Some(Box::new(script));
    }

    /// Lets every message pass again.
    pub fn pass_all(&mut self) {
        self.intercept = None;
    }

    /// Whether what `from` sends reaches `to`.
    pub fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        self.cuts[from.index()][to.index()] == 0
    }

    /// Whether replication passes from `from` to the other manager.
    pub(crate) fn streams(&self, from: NodeId, to: NodeId) -> bool {
        self.reaches(from, to) && self.replication_cuts == 0
    }

    /// Cuts the way from `from` to `to`; cuts add up.
    pub fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.cuts[from.index()][to.index()] += 1;
    }

    /// Undoes one [`World::cut_one_way`].
    pub fn join_one_way(&mut self, from: NodeId, to: NodeId) {
        let cuts = &mut self.cuts[from.index()][to.index()];
        *cuts = cuts.saturating_sub(1);
    }

    /// Cuts both ways between two hosts.
    pub fn cut(&mut self, one: NodeId, two: NodeId) {
        self.cut_one_way(one, two);
        self.cut_one_way(two, one);
    }

    /// Undoes one [`World::cut`].
    pub fn join(&mut self, one: NodeId, two: NodeId) {
        self.join_one_way(one, two);
        self.join_one_way(two, one);
    }

    /// Cuts `node` off from both others; clients still reach it.
    pub fn isolate(&mut self, node: NodeId) {
        for other in node.others() {
            self.cut(node, other);
        }
    }

    /// Undoes one [`World::isolate`].
    pub fn rejoin(&mut self, node: NodeId) {
        for other in node.others() {
            self.join(node, other);
        }
    }

    /// Cuts replication between the managers, and nothing else.
    pub fn cut_replication(&mut self) {
        self.replication_cuts += 1;
    }

    /// Undoes one [`World::cut_replication`].
    pub fn join_replication(&mut self) {
        self.replication_cuts = self.replication_cuts.saturating_sub(1);
    }

    /// All links are whole.
    pub fn join_all(&mut self) {
        self.cuts = [[0; 3]; 3];
        self.mutes.clear();
        self.replication_cuts = 0;
    }

    /// Sends a datagram into the weather.
    pub(crate) fn send(&mut self, envelope: Envelope) {
        self.tally.messages += 1;
        if Envelope::decode(&envelope.encode()) != Ok(envelope) {
            self.broken(Invariant::Codec, trace::envelope(&envelope));
        }
        let fate = match &mut self.intercept {
            Some(script) => script(&envelope),
            None if self.mutes.iter().any(|mute| mute.silences(&envelope)) => Fate::Lose,
            None => Fate::Pass,
        };
        match fate {
            Fate::Keep => self.kept.push(envelope),
            Fate::Lose => {}
            Fate::Pass => self.set_out(envelope),
        }
        if self.trace != super::Trace::Off {
            let mark = match fate {
                Fate::Pass if self.reaches(envelope.from, envelope.to) => "",
                Fate::Pass => "  (cut)",
                Fate::Lose => "  (lost)",
                Fate::Keep => "  (kept)",
            };
            self.say(format_args!("{}{mark}", trace::envelope(&envelope)));
        }
    }

    fn set_out(&mut self, envelope: Envelope) {
        let weather = self.weather;
        if !self.reaches(envelope.from, envelope.to) || self.random.chance(weather.loss) {
            return;
        }
        let copies = 1 + u32::from(self.random.chance(weather.duplicate));
        for _ in 0..copies {
            let mut delay = self.random.between(weather.fastest, weather.slowest);
            if self.random.chance(weather.late) {
                delay += self.random.below(weather.latest);
            }
            self.deliver_after(delay, envelope);
        }
    }

    /// Hands a message to its receiver after `delay`, whatever the weather.
    pub fn deliver_after(&mut self, delay: Nanos, envelope: Envelope) {
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place] = envelope;
                place
            }
            None => {
                self.slab.push(envelope);
                self.slab.len() - 1
            }
        };
        self.after(delay, What::Deliver(place));
    }

    /// Hands all that was kept to its receivers, in the order of sending.
    pub fn release_kept(&mut self) {
        for envelope in std::mem::take(&mut self.kept) {
            self.deliver_after(MILLIS / 10, envelope);
        }
    }

    pub(crate) fn on_deliver(&mut self, place: usize) {
        let envelope = self.slab[place];
        self.free.push(place);
        self.feed(envelope.to, Event::Received(envelope));
    }
}
