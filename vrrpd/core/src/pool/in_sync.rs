//! Who is in the in-sync set, and who votes (PROTOCOL.md, The in-sync set).

use super::database::{Follower, Observed, Server, Ticket};
use super::member::{Member, Role};
use super::record::{CopyId, Record};
use super::rule::Rule;
use super::{Action, Decision};
use crate::time::{Duration, Instant};

/// How far behind, in bytes of log, a copy may be for an Add or a switchover
/// to begin: more would make commits wait for it to catch up.
const NEAR: u64 = 1 << 20;

/// An Add that has not been proposed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Add {
    /// It is bound to this copy.
    pub(crate) copy: CopyId,
    begun: Instant,
    /// The order that made it synchronous; older reports prove nothing.
    ticket: Ticket,
    /// Read after synchronous replication was found in effect; to be flushed
    /// by the copy.
    position: Option<u64>,
}

/// How the copy that is in sync keeps up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    flushed: u64,
    /// Since when it has been missing, or behind without progress.
    stalled_since: Option<Instant>,
}

impl Watch {
    fn note(&mut self, database: &Observed, copy: CopyId, now: Instant) {
        let follower = database.follower.filter(|follower| follower.copy == copy);
        let written = database.position.map_or(0, |position| position.lsn);
        let well = follower
            .is_some_and(|follower| follower.flushed >= written || follower.flushed > self.flushed);
        self.flushed = follower.map_or(self.flushed, |follower| follower.flushed);
        if well {
            self.stalled_since = None;
        } else {
            self.stalled_since.get_or_insert(now);
        }
    }

    fn stalled_for(&self, now: Instant) -> Duration {
        self.stalled_since
            .map_or(Duration::ZERO, |since| since.until(now))
    }
}

impl Member {
    /// Proposes what is to be changed, one thing at a time.
    pub(crate) fn tend_in_sync(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.tend_add(now, out);
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let settled = self.voter.is_effective() || !self.rules.hold(Rule::OneProposal);
        let leaving = matches!(primary.phase, super::primary::Phase::Stopping { .. });
        if !settled || leaving {
            return;
        }
        if self.tend_voters(now, out) || self.tend_remove(now, out) {
            return;
        }
        self.begin_add(now, out);
    }

    /// Names a blank voter's new incarnation in place of the one it forgot.
    fn tend_voters(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        let Some(record) = self.voter.durable.record else {
            return false;
        };
        let span = self.config.advertise_interval * 2;
        for node in self.config.id.others() {
            let peer = &self.peers[node.index()];
            let Some(incarnation) = peer
                .blank_for(span, now)
                .filter(|&new| new != record.voters.of(node))
                .filter(|_| peer.is_heard_within(span, now))
            else {
                continue;
            };
            let mut changed = Record {
                voters: record.voters.with(node, incarnation),
                ..record
            };
            // A copy is given up only by one that is whole itself.
            if record.in_sync.copy(node).is_some() && !self.is_whole(now) {
                continue;
            }
            let kept = peer
                .report()
                .and_then(|report| report.copy)
                .filter(|_| !self.rules.hold(Rule::ReplacedLeavesInSync));
            changed.in_sync = changed.in_sync.with(node, kept);
            self.cancel_add("a voter is replaced", now, out);
            return self.propose(changed, "a voter came back without its memory", now, out);
        }
        false
    }

    /// A copy that is gone, replaced or too slow leaves the set.
    fn tend_remove(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        let (Some(record), Some(peer)) = (self.voter.durable.record, self.config.id.peer()) else {
            return false;
        };
        let (Some(copy), Some(database)) = (record.in_sync.copy(peer), self.database) else {
            return false;
        };
        if !self.is_whole(now) {
            return false;
        }
        let span = self.config.remove_after;
        let silent = !self.peers[peer.index()].is_heard_within(span, now);
        let Role::Primary(primary) = &mut self.role else {
            return false;
        };
        primary.watch.note(&database, copy, now);
        let why = if primary.watch.stalled_for(now) >= span {
            "its copy does not keep up"
        } else if silent {
            "it does not answer"
        } else {
            return false;
        };
        primary.add_after = now + span;
        let changed = Record {
            in_sync: record.in_sync.with(peer, None),
            ..record
        };
        self.propose(changed, why, now, out)
    }

    /// Whether this node's own database is read-write, and the copy that the
    /// record names, by a report that is fresh.
    fn is_whole(&self, now: Instant) -> bool {
        let fresh = self.database_heard.until(now) < self.config.remove_after;
        fresh
            && self.reconciled().is_some_and(|database| {
                database.server == Server::Primary
                    && database.healthy
                    && database.copy == self.record_copy()
            })
    }

    /// A copy that follows and is near is made synchronous, to be added.
    fn begin_add(&mut self, now: Instant, out: &mut Vec<Action>) {
        let span = self.config.remove_after;
        let (Some(record), Some(peer)) = (self.voter.durable.record, self.config.id.peer()) else {
            return;
        };
        let reported = self.peers[peer.index()]
            .report()
            .filter(|report| !report.blank)
            .and_then(|report| report.copy);
        let heard = self.peers[peer.index()].is_heard_within(span, now);
        let leased = self.has_lease(now);
        let (Some(primary), Some(database)) = (self.serving(), self.database) else {
            return;
        };
        let Some(follower) = database.follower.filter(|f| Some(f.copy) == reported) else {
            return;
        };
        if record.in_sync.copy(peer).is_some()
            || primary.add.is_some()
            || now < primary.add_after
            || !heard
            || !leased
            || !is_near(&database, follower)
        {
            return;
        }
        let add = Add {
            copy: follower.copy,
            begun: now,
            ticket: self.ticket.next(),
            position: None,
        };
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        primary.add = Some(add);
        let copy = add.copy;
        out.push(Action::Decided(Decision::AddBegins { copy }));
        self.settle(now, out);
    }

    /// Drives an Add: synchronous, then the position, then the flush, then the
    /// proposal. Another copy, or a stall, cancels it.
    fn tend_add(&mut self, now: Instant, out: &mut Vec<Action>) {
        let serving = self.serving().is_some();
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let (Some(add), Some(database)) = (&mut primary.add, self.database) else {
            return;
        };
        let bound = self.rules.hold(Rule::AddIsBoundToItsCopy);
        let Some(follower) = database
            .follower
            .filter(|follower| follower.copy == add.copy || !bound)
        else {
            if bound && (serving || self.rules.hold(Rule::RestartCancelsAdd)) {
                self.cancel_add("it no longer follows", now, out);
            }
            return;
        };
        if database.synchronous == Some(add.copy) && database.ticket.covers(add.ticket)
            || !self.rules.hold(Rule::PositionAfterSynchronous)
        {
            add.position = add
                .position
                .or(database.position.map(|position| position.lsn));
        }
        let flushed = add.position.is_some_and(|position| {
            follower.flushed >= position || !self.rules.hold(Rule::AddWaitsForFlush)
        });
        let (add, stalled) = (*add, add.begun.until(now) >= self.config.remove_after * 10);
        if flushed && serving {
            self.propose_add(&add, follower, now, out);
        } else if stalled {
            self.cancel_add("it does not catch up", now, out);
        }
    }

    fn propose_add(&mut self, add: &Add, follower: Follower, now: Instant, out: &mut Vec<Action>) {
        let (Some(record), Some(peer)) = (self.voter.durable.record, self.config.id.peer()) else {
            return;
        };
        if !self.has_lease(now) || !self.voter.is_effective() {
            return;
        }
        let copy = if self.rules.hold(Rule::AddIsBoundToItsCopy) {
            add.copy
        } else {
            follower.copy
        };
        let changed = Record {
            in_sync: record.in_sync.with(peer, Some(copy)),
            ..record
        };
        if let Role::Primary(primary) = &mut self.role {
            primary.add = None;
            primary.watch = Watch::default();
        }
        self.propose(changed, "its copy has caught up", now, out);
    }

    pub(crate) fn cancel_add(&mut self, why: &'static str, now: Instant, out: &mut Vec<Action>) {
        let pause = self.config.remove_after * 2;
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let Some(add) = primary.add.take() else {
            return;
        };
        primary.add_after = now + pause;
        let copy = add.copy;
        out.push(Action::Decided(Decision::AddCancelled { copy, why }));
    }

    /// Writes the next version of the record and asks for its acceptance.
    /// False if it may not be written.
    fn propose(
        &mut self,
        changed: Record,
        why: &'static str,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> bool {
        let record = Record {
            version: changed.version + 1,
            ..changed
        };
        if self.voter.durable.promised > record.epoch
            && self.rules.hold(Rule::NoRecordBelowPromised)
        {
            return false;
        }
        // Alone by right, a change that leaves it alone is effective by its
        // own write.
        let alone = self.is_alone() && record.in_sync.is_only(self.config.id);
        self.voter.durable.record = Some(record);
        if alone || !self.rules.hold(Rule::BlankNeedsQuorum) {
            self.voter.durable.effective = Some(record);
        }
        self.voter.persist(out);
        out.push(Action::Decided(Decision::Proposes { record, why }));
        if self.voter.is_effective() {
            out.push(Action::Decided(Decision::Effective { record }));
        }
        self.renew(now, out);
        true
    }

    /// A quorum has accepted the record.
    pub(crate) fn on_effective(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.voter.persist(out);
        if let Some(record) = self.voter.durable.effective {
            out.push(Action::Decided(Decision::Effective { record }));
        }
        self.tend_database(now, out);
    }

    /// Whether the other manager's copy is in sync and it would be Primary now,
    /// without an order.
    pub(crate) fn peer_may_take_over(&self, now: Instant) -> bool {
        !self.is_paused() && self.peer_readiness(now).is_ok()
    }

    /// Why the other manager could not be Primary now, if so.
    pub(crate) fn peer_readiness(&self, now: Instant) -> Result<(), super::Refusal> {
        use super::Refusal;
        let Some(peer) = self.config.id.peer() else {
            return Err(Refusal::Arbiter);
        };
        let known = &self.peers[peer.index()];
        let Some(report) = known
            .report()
            .filter(|_| known.is_heard_within(self.config.lease, now))
        else {
            return Err(Refusal::PeerSilent);
        };
        let durable = &self.voter.durable;
        let in_sync = self.voter.is_effective()
            && durable
                .record
                .and_then(|record| record.in_sync.copy(peer))
                .is_some_and(|copy| report.copy == Some(copy));
        if !in_sync {
            return Err(Refusal::PeerNotInSync);
        }
        if !report.healthy || report.priority == 0 {
            return Err(Refusal::PeerUnhealthy);
        }
        Ok(())
    }

    /// Whether the replica is near enough for commits to wait for it.
    pub(crate) fn peer_is_near(&self) -> bool {
        self.database.is_some_and(|database| {
            database
                .follower
                .is_some_and(|follower| is_near(&database, follower))
        })
    }
}

fn is_near(database: &Observed, follower: Follower) -> bool {
    database
        .position
        .is_some_and(|position| position.lsn.saturating_sub(follower.flushed) <= NEAR)
}
