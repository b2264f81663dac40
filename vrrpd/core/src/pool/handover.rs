//! Planned switchover, force, and the first forming of the pool
//! (PROTOCOL.md, Release, switchover, force).

use super::database::Server;
use super::member::{Member, Role};
use super::primary::{Phase, Primary};
use super::record::{Epoch, InSync, NodeId, Record, Voters};
use super::{Action, Decision, Ending, Order, Refusal};
use crate::time::{Duration, Instant};

/// How far a force alone raises the counter: above every ballot that the
/// others can have promised meanwhile.
const FORCE_ALONE: u64 = 65_536;

/// A party heard within this many intervals is there, for forming.
const PRESENT: u32 = 5;

impl Member {
    pub(crate) fn on_order(&mut self, order: Order, now: Instant, out: &mut Vec<Action>) {
        let outcome = match order {
            Order::Switchover { epoch } => self.begin_switchover(epoch, now),
            Order::Force { epoch, alone } => self.force(epoch, alone, now, out),
            Order::Pause { paused } => self.order_pause(paused, now, out),
        };
        if let Err(refusal) = outcome {
            self.refuse(refusal, out);
        }
    }

    /// Checks beforehand that the other can take over, then begins with a
    /// checkpoint, while clients are still admitted.
    fn begin_switchover(&mut self, epoch: Epoch, now: Instant) -> Result<(), Refusal> {
        if self.config.id == NodeId::R {
            return Err(Refusal::Arbiter);
        }
        if self.voter.is_blank() {
            return Err(Refusal::Blank);
        }
        if !matches!(self.role, Role::Primary(_)) {
            return Err(Refusal::NotPrimary);
        }
        if epoch != self.reign() {
            return Err(Refusal::Stale);
        }
        if self.serving().is_none() {
            return Err(Refusal::Busy);
        }
        self.peer_readiness(now)?;
        if !self.peer_is_near() {
            return Err(Refusal::PeerBehind);
        }
        self.set_phase(Phase::Checkpointing {
            deadline: now + self.config.switchover_timeout,
        });
        Ok(())
    }

    /// Follows a switchover under way, or begins one for a higher priority.
    pub(crate) fn tend_handover(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        match primary.phase {
            Phase::Checkpointing { deadline } => self.tend_checkpoint(deadline, now, out),
            Phase::Stopping { deadline } => self.tend_stop(deadline, now, out),
            Phase::Serving => self.tend_priority(now, out),
            Phase::Promoting { .. } | Phase::Recovering { .. } | Phase::Fenced { .. } => {}
        }
    }

    fn tend_checkpoint(&mut self, deadline: Instant, now: Instant, out: &mut Vec<Action>) {
        if now >= deadline || self.peer_readiness(now).is_err() {
            self.set_phase(Phase::Serving);
            out.push(Action::Decided(Decision::Notices {
                what: "the switchover is called off: the other manager cannot take over",
            }));
            return;
        }
        let done = self
            .reconciled()
            .is_some_and(|database| database.checkpointed);
        if done {
            self.close_gate(out);
            self.set_phase(Phase::Stopping {
                deadline: now + self.config.switchover_timeout,
            });
            self.settle(now, out);
        }
    }

    fn tend_stop(&mut self, deadline: Instant, now: Instant, out: &mut Vec<Action>) {
        let epoch = self.reign();
        let Some(database) = self.reconciled() else {
            return;
        };
        match database.server {
            Server::Stopped => {
                out.push(Action::Drop);
                self.send_release(epoch, database.position, Ending::Switchover, now, out);
            }
            Server::Down => {
                out.push(Action::Drop);
                self.send_release(epoch, None, Ending::DatabaseFailed, now, out);
            }
            Server::Busy | Server::Standby | Server::Primary if now >= deadline => {
                self.set_phase(Phase::Fenced {
                    deadline: now + self.config.promote_timeout,
                });
                out.push(Action::Decided(Decision::Holds {
                    epoch,
                    why: "the switchover is called off: the database did not stop in time",
                }));
            }
            Server::Busy | Server::Standby | Server::Primary => {}
        }
    }

    /// Hands over to a higher priority that is in sync and stable, or at once
    /// for a fault of its own.
    fn tend_priority(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.is_paused() || self.peer_readiness(now).is_err() {
            self.set_higher_since(None);
            return;
        }
        if self.priority == 0 {
            self.begin_release(Ending::Fault, now, out);
            return;
        }
        let Some(peer) = self.config.id.peer() else {
            return;
        };
        let Some(report) = self.peers[peer.index()].report() else {
            return;
        };
        let preempts = match peer {
            NodeId::A => report.active,
            NodeId::B => self.config.active,
            NodeId::R => false,
        };
        if !preempts || report.priority <= self.priority {
            self.set_higher_since(None);
            return;
        }
        let since = self
            .serving()
            .and_then(|primary| primary.higher_since)
            .unwrap_or(now);
        self.set_higher_since(Some(since));
        if since.until(now) >= self.config.stable && self.peer_is_near() {
            out.push(Action::Decided(Decision::Notices {
                what: "hands over to the other manager, whose priority is higher",
            }));
            self.set_phase(Phase::Checkpointing {
                deadline: now + self.config.switchover_timeout,
            });
        }
    }

    fn set_higher_since(&mut self, since: Option<Instant>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.higher_since = since;
        }
    }

    /// An operator's word in place of the in-sync check.
    fn force(
        &mut self,
        epoch: Epoch,
        alone: bool,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if self.config.id == NodeId::R {
            return Err(Refusal::Arbiter);
        }
        let Some(record) = self.voter.durable.record else {
            return Err(Refusal::Blank);
        };
        if matches!(self.role, Role::Primary(_)) {
            return Err(Refusal::AlreadyPrimary);
        }
        if epoch < record.epoch {
            return Err(Refusal::Stale);
        }
        let healthy = self
            .database
            .filter(|database| database.healthy && database.server == Server::Standby);
        let Some(copy) = healthy.and_then(|database| database.copy) else {
            return Err(Refusal::Unhealthy);
        };
        if !alone {
            self.may_claim(true, now).map_err(|_| Refusal::Busy)?;
            self.begin_claim(true, "an operator's word", now, out);
            return Ok(());
        }
        let in_sync = self.voter.holds(&record, self.config.id, copy)
            && (!record.forced || self.voter.is_effective());
        let known = self.voter.highest_counter().max(self.counter_seen);
        let epoch = self.voter.reserve(known + FORCE_ALONE, out);
        let forced = Record {
            epoch,
            version: 0,
            primary: self.config.id,
            in_sync: InSync::only(self.config.id, copy),
            voters: record
                .voters
                .with(self.config.id, self.voter.durable.incarnation),
            forced: !in_sync,
        };
        self.voter.remember(forced, true);
        self.voter.persist(out);
        let primary = Primary::alone(now, now, &self.config);
        self.become_primary(primary, Decision::Primary { epoch }, now, out);
        Ok(())
    }

    /// Forms the pool: the Master, when both others are there, blank and of the
    /// same offer. It begins alone by right; the others adopt its record.
    pub(crate) fn form(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(offer) = self.offer().filter(|_| self.config.id == NodeId::A) else {
            return;
        };
        let Ok(copy) = self.promotable_copy(now) else {
            return;
        };
        let span: Duration = self.config.advertise_interval * PRESENT;
        let mut voters = Voters([self.voter.durable.incarnation; 3]);
        for node in self.config.id.others() {
            let peer = &self.peers[node.index()];
            let ready = peer.is_heard_within(span, now)
                && peer
                    .present_report()
                    .is_some_and(|report| report.blank && report.offer == Some(offer));
            let Some(incarnation) = peer.incarnation().filter(|_| ready) else {
                return;
            };
            voters = voters.with(node, incarnation);
        }
        let record = Record {
            epoch: Epoch {
                counter: 1,
                node: self.config.id,
            },
            version: 0,
            primary: self.config.id,
            in_sync: InSync::only(self.config.id, copy),
            voters,
            forced: false,
        };
        self.voter.durable.reserved = 1;
        self.voter.remember(record, true);
        self.voter.persist(out);
        let hold_after = now + self.active_down_interval();
        let primary = Primary::alone(hold_after, now, &self.config);
        self.become_primary(primary, Decision::Formed { record }, now, out);
    }
}
