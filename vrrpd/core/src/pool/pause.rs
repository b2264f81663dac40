//! Maintenance: no failover but by an operator's order.
//!
//! A pause only ever keeps somebody from claiming or from handing over. It is no
//! part of what makes a claim, a lease or the right to be alone valid, so that
//! one that has not heard of it is no danger: it is only not paused yet.

use super::member::Member;
use super::message::Body;
use super::record::NodeId;
use super::{Action, Decision, Refusal};
use crate::time::Instant;

/// Whether the pool is paused, as a party last knew it.
///
/// Every message carries it, and all three keep it on disk: the later word
/// holds. Of two words given at the same time, the pause does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pause {
    /// Raised by each word.
    pub word: u64,
    /// Nobody claims on silence, and nobody hands over by priority or fault.
    pub paused: bool,
}

impl Member {
    /// Takes an operator's word, and spreads it.
    pub(crate) fn order_pause(
        &mut self,
        paused: bool,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if self.config.id == NodeId::R {
            return Err(Refusal::Arbiter);
        }
        if self.voter.is_blank() {
            return Err(Refusal::Blank);
        }
        let known = self.voter.durable.pause;
        if known.paused != paused {
            let word = known.word.saturating_add(1);
            self.take_pause(Pause { word, paused }, now, out);
        }
        self.send_both(Body::Hello { answer: true }, out);
        Ok(())
    }

    /// A message told of a pause: the later word is put on disk.
    pub(crate) fn learn_pause(&mut self, told: Pause, now: Instant, out: &mut Vec<Action>) {
        if told > self.voter.durable.pause {
            self.take_pause(told, now, out);
        }
    }

    fn take_pause(&mut self, pause: Pause, now: Instant, out: &mut Vec<Action>) {
        let changed = self.voter.durable.pause.paused != pause.paused;
        self.voter.durable.pause = pause;
        self.voter.persist(out);
        if changed {
            let paused = pause.paused;
            out.push(Action::Decided(Decision::Pauses { paused }));
            // Silence counts anew from the resumption on.
            self.rearm(now);
        }
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.voter.durable.pause.paused
    }

    /// Whether a pause keeps this node from claiming: not the Primary of the
    /// present record, whose return is no failover, nor one that is handed the
    /// Primary status by a switchover, which names its position.
    pub(crate) fn pause_holds_back(&self) -> bool {
        let handed = self
            .released
            .is_some_and(|released| released.epoch == self.reign() && released.position.is_some());
        let own = self
            .voter
            .durable
            .record
            .is_some_and(|record| record.primary == self.config.id);
        self.is_paused() && !handed && !own
    }
}
