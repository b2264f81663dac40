//! Being Primary: the lease, the right to go alone, the database's phases and
//! the gate (PROTOCOL.md, Renewing).

use super::database::{Observed, Role as DatabaseRole, Server};
use super::in_sync::{Add, Watch};
use super::member::{Member, Role};
use super::message::{Body, Envelope, Nonce};
use super::record::{CopyId, Epoch, Record};
use super::rule::Rule;
use super::{Action, Config, Decision, Durability, Ending};
use crate::time::{Duration, Instant};

/// How many renewals may be under way at once; older ones extend nothing.
const SENDINGS: usize = 32;

/// The state of a Primary.
#[derive(Clone, Debug)]
pub(crate) struct Primary {
    pub(crate) lease_until: Instant,
    pub(crate) phase: Phase,
    /// The run of the database that may be served.
    pub(crate) run: Option<u64>,
    pub(crate) add: Option<Add>,
    /// No Add begins before.
    pub(crate) add_after: Instant,
    pub(crate) watch: Watch,
    /// Since when the other has been in sync, healthy and of higher priority.
    pub(crate) higher_since: Option<Instant>,
    /// Renewals by nonce, with when each was first sent.
    sent: Vec<(u64, Instant)>,
    next_renew: Instant,
    reclaim: Option<Reclaim>,
    /// Address and gate wait until a renewal is answered, or until then.
    hold_after: Option<Instant>,
    alone_said: bool,
    held_until: Option<Instant>,
    gate_until: Option<Instant>,
}

/// A re-claim in place that is out.
#[derive(Clone, Copy, Debug)]
struct Reclaim {
    epoch: Epoch,
    since: Instant,
}

/// How far the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Becoming read-write.
    Promoting { deadline: Instant },
    /// Read-write; the copies in sync have yet to receive what became visible,
    /// up to `lsn`, before a client may read it.
    Recovering { lsn: u64 },
    /// Clients are admitted.
    Serving,
    /// It failed and nobody else can take over: to be started as a standby.
    Fenced { deadline: Instant },
    /// A planned switchover: a checkpoint first, clients still admitted.
    Checkpointing { deadline: Instant },
    /// A planned switchover: gate closed, a clean stop.
    Stopping { deadline: Instant },
}

impl Primary {
    /// By a claim that a quorum accepted.
    pub(crate) fn elected(
        lease_until: Instant,
        sent: (u64, Instant),
        now: Instant,
        config: &Config,
    ) -> Self {
        Self {
            lease_until,
            phase: Phase::Promoting {
                deadline: now + config.promote_timeout,
            },
            run: None,
            add: None,
            add_after: now,
            watch: Watch::default(),
            higher_since: None,
            sent: vec![sent],
            next_renew: now,
            reclaim: None,
            hold_after: None,
            alone_said: false,
            held_until: None,
            gate_until: None,
        }
    }

    /// By right of holding the only current copy: without a lease, and with
    /// clients only when a renewal was answered or `hold_after` has passed.
    pub(crate) fn alone(hold_after: Instant, now: Instant, config: &Config) -> Self {
        Self {
            sent: Vec::new(),
            hold_after: Some(hold_after),
            ..Self::elected(Instant::ZERO, (0, now), now, config)
        }
    }

    pub(crate) const fn database_role(&self) -> DatabaseRole {
        match self.phase {
            Phase::Promoting { .. } | Phase::Recovering { .. } | Phase::Serving => {
                DatabaseRole::Primary
            }
            Phase::Fenced { .. } => DatabaseRole::Standby,
            Phase::Checkpointing { .. } => DatabaseRole::Retiring,
            Phase::Stopping { .. } => DatabaseRole::Stopped,
        }
    }

    /// Whether clients may be admitted, the lease aside.
    pub(crate) const fn admits(&self) -> bool {
        matches!(self.phase, Phase::Serving | Phase::Checkpointing { .. })
    }

    pub(crate) const fn gate_until(&self) -> Option<Instant> {
        self.gate_until
    }

    /// When something is to be done without an event.
    pub(crate) fn deadline(&self) -> Instant {
        // A lease that runs out while it is not alone is met by the first
        // renewal after it, or here.
        match self.lease_until > Instant::ZERO && !self.alone_said {
            true => self.next_renew.min(self.lease_until),
            false => self.next_renew,
        }
    }
}

impl Member {
    /// Whether it is Primary under a lease at `now`.
    pub(crate) fn has_lease(&self, now: Instant) -> bool {
        matches!(&self.role, Role::Primary(primary) if now < primary.lease_until)
    }

    /// Whether it is Primary and nobody else can be promoted: both the
    /// effective record and its own name its copy alone, and it has promised
    /// nothing to another.
    pub(crate) fn is_alone(&self) -> bool {
        let durable = &self.voter.durable;
        let id = self.config.id;
        let only = |record: Option<Record>| {
            record.is_some_and(|record| record.primary == id && record.in_sync.is_only(id))
        };
        matches!(self.role, Role::Primary(_))
            && only(durable.effective)
            && (only(durable.record) || !self.rules.hold(Rule::PendingAddEndsAlone))
            && (durable.promised <= self.reign()
                || !self.rules.hold(Rule::AloneRestartNeedsNoPromise))
    }

    /// Ends a reign whose lease has run out, before anything else is done.
    pub(crate) fn expire(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !matches!(self.role, Role::Primary(_)) || self.has_lease(now) {
            return;
        }
        if !self.is_alone() {
            self.end_reign(Ending::LeaseRanOut, now, out);
            return;
        }
        let epoch = self.reign();
        if let Role::Primary(primary) = &mut self.role
            && !primary.alone_said
        {
            primary.alone_said = true;
            out.push(Action::Decided(Decision::Alone { epoch }));
        }
    }

    /// Takes the role: the database is ordered, then the effective record is
    /// put on disk, before this node relies on it to go alone.
    pub(crate) fn become_primary(
        &mut self,
        primary: Primary,
        decision: Decision,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.released = None;
        self.resume_pending = false;
        self.role = Role::Primary(Box::new(primary));
        out.push(Action::Decided(decision));
        self.settle(now, out);
        self.voter.persist(out);
        self.tend_database(now, out);
    }

    /// After a restart, its own or its replicator's, once: goes on with its old epoch if it alone holds the
    /// current copy (PROTOCOL.md, Renewing).
    pub(crate) fn resume_alone(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(copy) = self.database.and_then(|database| database.copy) else {
            return;
        };
        if !self.resume_pending {
            return;
        }
        self.resume_pending = false;
        let durable = &self.voter.durable;
        let Some(record) = durable.record else {
            return;
        };
        let id = self.config.id;
        let effective = durable.effective == durable.record
            || !self.rules.hold(Rule::AloneRestartNeedsEffective);
        let unpromised =
            durable.promised == record.epoch || !self.rules.hold(Rule::AloneRestartNeedsNoPromise);
        let may = effective
            && unpromised
            && record.primary == id
            && record.in_sync.is_only(id)
            && record.in_sync.copy(id) == Some(copy)
            && self.voter.is_named_in(&record)
            && durable.released < record.epoch;
        if may {
            let epoch = record.epoch;
            let hold_after = now + self.active_down_interval();
            let mut primary = Primary::alone(hold_after, now, &self.config);
            primary.alone_said = true;
            self.become_primary(primary, Decision::ResumesAlone { epoch }, now, out);
        }
    }

    pub(crate) fn on_primary_timers(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.database_heard.until(now) >= self.config.replicator_timeout {
            self.end_reign(Ending::ReplicatorLost, now, out);
            return;
        }
        self.tend_database(now, out);
        self.tend_handover(now, out);
        self.tend_in_sync(now, out);
        if let Role::Primary(primary) = &self.role
            && now >= primary.next_renew
        {
            self.renew(now, out);
        }
    }

    /// Asks both others to extend the lease.
    pub(crate) fn renew(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(record) = self.voter.durable.record else {
            return;
        };
        let nonce = self.next_nonce();
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        if primary.sent.len() == SENDINGS {
            primary.sent.remove(0);
        }
        primary.sent.push((nonce.count, now));
        primary.next_renew = now + self.config.advertise_interval;
        let body = Body::Renew {
            record,
            effective: self.voter.is_effective(),
            nonce,
        };
        self.send_both(body, out);
    }

    /// An answer to a renewal: extends the lease, and makes what is proposed
    /// effective. Counted by the effective record's voters.
    pub(crate) fn on_acknowledged(
        &mut self,
        envelope: &Envelope,
        epoch: Epoch,
        version: u32,
        nonce: Nonce,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Some(effective) = self.voter.durable.effective else {
            return;
        };
        let counts = nonce.boots == self.voter.durable.boots
            && (self.peers[envelope.from.index()].votes(envelope, &effective.voters)
                || !self.rules.hold(Rule::VotesAreNamed));
        let lease = self.config.lease - self.config.lease / super::DRIFT;
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let Some(&(_, sent)) = primary
            .sent
            .iter()
            .find(|(count, _)| counts && *count == nonce.count)
        else {
            return;
        };
        primary.lease_until = primary.lease_until.max(sent + lease);
        primary.hold_after = None;
        primary.alone_said &= now >= primary.lease_until;
        let record = self.voter.durable.record;
        if !self.voter.is_effective() && record.is_some_and(|r| r.key() == (epoch, version)) {
            self.voter.durable.effective = record;
            self.on_effective(now, out);
        }
    }

    /// A Deny of this reign. A higher record ends it; a higher promise is
    /// overtaken by a re-claim in place; nothing else deposes a Primary.
    pub(crate) fn on_reign_denied(
        &mut self,
        denied: Epoch,
        promised: Epoch,
        shown: Option<Record>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let own = self.voter.durable.record;
        if shown.is_some_and(|shown| shown.is_above(own.as_ref())) {
            self.end_reign(Ending::Superseded, now, out);
            return;
        }
        if !self.rules.hold(Rule::DenyDeposesNobody) && promised > self.reign() {
            self.end_reign(Ending::Superseded, now, out);
            return;
        }
        let idle = self.voter.is_effective();
        if denied != self.reign() || promised <= self.reign() || !idle {
            return;
        }
        self.reclaim(now, out);
    }

    fn reclaim(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval;
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let outstanding = primary
            .reclaim
            .is_some_and(|reclaim| reclaim.since.until(now) < interval);
        let Some(copy) = self.record_copy() else {
            return;
        };
        if outstanding || !self.has_lease(now) && !self.is_alone() {
            return;
        }
        let epoch = self.voter.reserve(self.counter_seen, out);
        if let Role::Primary(primary) = &mut self.role {
            primary.reclaim = Some(Reclaim { epoch, since: now });
        }
        out.push(Action::Decided(Decision::Reclaims { epoch }));
        self.send_claim(epoch, copy, false, out);
    }

    /// This node's copy by its own record.
    pub(crate) fn record_copy(&self) -> Option<CopyId> {
        self.voter
            .durable
            .record
            .and_then(|record| record.in_sync.copy(self.config.id))
    }

    /// A promise for a re-claim: the same reign under a higher ballot.
    pub(crate) fn on_reclaim_promise(
        &mut self,
        envelope: &Envelope,
        epoch: Epoch,
        shown: Option<Record>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Some(own) = self.voter.durable.record else {
            return;
        };
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let ours = primary.reclaim.is_some_and(|r| r.epoch == epoch);
        if !ours
            || !self.voter.is_effective()
            || self.voter.durable.promised > epoch
            || !self.peers[envelope.from.index()].votes(envelope, &own.voters)
        {
            return;
        }
        primary.reclaim = None;
        if shown.is_some_and(|shown| shown.is_above(Some(&own))) {
            self.end_reign(Ending::Superseded, now, out);
            return;
        }
        self.voter.remember(
            Record {
                epoch,
                version: 0,
                ..own
            },
            false,
        );
        self.voter.persist(out);
        self.renew(now, out);
    }

    /// Follows the database through its phases.
    pub(crate) fn tend_database(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let (phase, run) = (primary.phase, primary.run);
        let database = self.reconciled();
        match phase {
            Phase::Promoting { deadline } => match database {
                Some(database) if database.server == Server::Primary && database.healthy => {
                    self.on_promoted(&database, now, out);
                }
                _ if now >= deadline => self.begin_release(Ending::PromotionFailed, now, out),
                _ => {}
            },
            Phase::Fenced { deadline } => match database {
                // Before it is ordered: promoted, another copy would be
                // followed by the one that is whole.
                Some(database) if database.copy.is_some_and(|c| Some(c) != self.record_copy()) => {
                    self.begin_release(Ending::CopyReplaced, now, out);
                }
                Some(database) if database.server == Server::Standby && database.healthy => {
                    self.set_phase(Phase::Promoting { deadline });
                }
                _ if self.peer_may_take_over(now) => {
                    self.begin_release(Ending::DatabaseFailed, now, out);
                }
                _ if now >= deadline => self.begin_release(Ending::PromotionFailed, now, out),
                _ => {}
            },
            Phase::Recovering { lsn } => match database {
                Some(database) if !serves(&database, run) => self.on_database_failed(now, out),
                Some(database) if self.copies_hold(&database, lsn) => {
                    self.set_phase(Phase::Serving);
                    let epoch = self.reign();
                    out.push(Action::Decided(Decision::Serves { epoch }));
                }
                _ => {}
            },
            Phase::Serving | Phase::Checkpointing { .. } => match database {
                Some(database) if !serves(&database, run) => self.on_database_failed(now, out),
                Some(database) if database.copy != self.record_copy() => {
                    self.begin_release(Ending::CopyReplaced, now, out);
                }
                _ => {}
            },
            Phase::Stopping { .. } => {}
        }
    }

    pub(crate) fn set_phase(&mut self, phase: Phase) {
        if let Role::Primary(primary) = &mut self.role {
            primary.phase = phase;
        }
    }

    /// Read-write: whether it is the copy that was elected is asked again.
    fn on_promoted(&mut self, database: &Observed, now: Instant, out: &mut Vec<Action>) {
        if database.copy != self.record_copy() {
            self.begin_release(Ending::CopyReplaced, now, out);
            return;
        }
        let Some(position) = database.position else {
            return;
        };
        if let Role::Primary(primary) = &mut self.role {
            primary.run = Some(database.run);
            primary.phase = Phase::Recovering { lsn: position.lsn };
        }
        self.tend_database(now, out);
    }

    /// Whether every copy of the effective *and* of the proposed set has the
    /// log up to `lsn`: what a restart made visible is on all of them.
    fn copies_hold(&self, database: &Observed, lsn: u64) -> bool {
        let Some(peer) = self.config.id.peer() else {
            return true;
        };
        if !self.rules.hold(Rule::GateClosesForRestart) {
            return true;
        }
        let durable = &self.voter.durable;
        let effective = durable
            .effective
            .filter(|_| self.rules.hold(Rule::ReopenNeedsEffectiveRemove));
        [effective, durable.record]
            .into_iter()
            .flatten()
            .filter_map(|record| record.in_sync.copy(peer))
            .all(|copy| {
                database
                    .follower
                    .is_some_and(|follower| follower.copy == copy && follower.flushed >= lsn)
            })
    }

    /// The database died or hangs. The gate is closed before anything of it
    /// can be read again; the other takes over if it can.
    fn on_database_failed(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.rules.hold(Rule::RestartCancelsAdd) {
            self.cancel_add("the database has restarted", now, out);
        }
        if self.peer_may_take_over(now) {
            self.begin_release(Ending::DatabaseFailed, now, out);
            return;
        }
        if self.rules.hold(Rule::GateClosesForRestart) {
            self.close_gate(out);
        }
        self.set_phase(Phase::Fenced {
            deadline: now + self.config.promote_timeout,
        });
        out.push(Action::Decided(Decision::Holds {
            epoch: self.reign(),
            why: "the database has failed; it is being started again",
        }));
    }

    pub(crate) fn close_gate(&mut self, out: &mut Vec<Action>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.gate_until = None;
        }
        out.push(Action::CloseGate);
    }

    /// The copy that every commit has to wait for: of the record, of the
    /// effective record until a Remove is effective, or of an Add under way.
    pub(crate) fn required_copy(&self, primary: &Primary) -> Option<CopyId> {
        let peer = self.config.id.peer()?;
        let of = |record: Option<Record>| record.and_then(|record| record.in_sync.copy(peer));
        let durable = &self.voter.durable;
        let proposed = of(durable.record)
            .filter(|_| self.voter.is_effective() || self.rules.hold(Rule::SynchronousStaysOn));
        let effective = of(durable.effective).filter(|_| self.rules.hold(Rule::RemoveNeedsQuorum));
        let adding = primary.add.as_ref().map(|add| add.copy);
        proposed
            .or(effective)
            .or(adding)
            .or(match self.config.durability {
                Durability::Available => None,
                // A copy that does not exist: commits wait for the next real one.
                Durability::Strict => Some(CopyId(0)),
            })
    }

    /// Lets the kernel hold the address and the gate for as long as the role
    /// is this node's by right.
    pub(crate) fn extend_fences(&mut self, now: Instant, out: &mut Vec<Action>) {
        let alone = self.is_alone();
        let covered = self.lease_from(now);
        let grain = self.config.advertise_interval / 4;
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        if primary.hold_after.is_some_and(|after| now < after)
            || matches!(primary.phase, Phase::Stopping { .. })
        {
            return;
        }
        let until = if alone {
            primary.lease_until.max(covered)
        } else {
            primary.lease_until
        };
        if until <= now {
            return;
        }
        if is_due(primary.held_until, until, grain) {
            primary.held_until = Some(until);
            out.push(Action::Hold { until });
        }
        if (primary.admits() || primary.gate_until.is_some())
            && is_due(primary.gate_until, until, grain)
        {
            primary.gate_until = Some(until);
            out.push(Action::OpenGate { until });
        }
    }
}

/// Whether the database goes on as the run that was admitted.
fn serves(database: &Observed, run: Option<u64>) -> bool {
    database.server == Server::Primary && database.healthy && Some(database.run) == run
}

/// Whether a kernel timer set to `last` is worth setting to `until`.
fn is_due(last: Option<Instant>, until: Instant, grain: Duration) -> bool {
    last.is_none_or(|last| until >= last + grain)
}
