//! A party of the pool: its vote, its role, and what it knows of the others.
//!
//! ```text
//! blank -> Online <-> Claiming -> Primary -> Releasing -> Online
//! ```
//!
//! Each event is handled in the same order: a lease that has run out ends the
//! role *first*, then the event, then the timers, then what follows from the
//! state (the database's desired role, the kernel's timers).

use super::claim::Claim;
use super::database::{Desired, Observed, Position, Role as DatabaseRole, Server, Ticket};
use super::message::{Body, Envelope, Nonce, Report};
use super::peer::Peer;
use super::primary::{Phase, Primary};
use super::record::{Durable, Epoch, Incarnation, NodeId};
use super::rule::{Rule, Rules};
use super::voter::Voter;
use super::{Action, Config, DRIFT, Decision, Ending, Event, Refusal};
use crate::time::{Duration, Instant};

/// A party of the pool, manager or arbiter.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) config: Config,
    pub(crate) rules: Rules,
    pub(crate) voter: Voter,
    pub(crate) role: Role,
    pub(crate) peers: [Peer; 3],
    /// The last report, `None` while the replicator is not connected.
    pub(crate) database: Option<Observed>,
    /// When the replicator was last heard.
    pub(crate) database_heard: Instant,
    pub(crate) desired: Option<Desired>,
    pub(crate) ticket: Ticket,
    /// The order that first asked for the present role of the database.
    pub(crate) role_ticket: Ticket,
    pub(crate) priority: u8,
    /// Above every ballot seen.
    pub(crate) counter_seen: u64,
    /// What the last Primary said when it stopped.
    pub(crate) released: Option<Released>,
    /// It has not yet been judged whether it may resume alone, since it started
    /// or since its replicator was lost.
    pub(crate) resume_pending: bool,
    nonce_count: u64,
    next_hello: Instant,
    random: Random,
}

/// What the party is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Not Primary; an arbiter and a blank party are never anything else.
    Online(Online),
    /// Asks to be Primary.
    Claiming(Claim),
    /// Is Primary.
    Primary(Box<Primary>),
    /// Was Primary; owes a Release when its writes have stopped.
    Releasing(Releasing),
}

/// Waiting for the Primary to fall silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Online {
    /// RFC 9568's Active_Down_Timer, re-armed by Renews.
    pub(crate) active_down_timer: Instant,
    /// The timer has expired and something else holds the claim back.
    next_attempt: Instant,
}

impl Online {
    pub(crate) const fn until(active_down_timer: Instant) -> Self {
        Self {
            active_down_timer,
            next_attempt: active_down_timer,
        }
    }
}

/// Gate closed and address gone; the database is stopping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Releasing {
    epoch: Epoch,
    why: Ending,
    /// No Release leaves if its writes have not stopped by then.
    deadline: Instant,
}

/// A Release that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Released {
    pub(crate) epoch: Epoch,
    pub(crate) position: Option<Position>,
    /// When it was received: the position is waited for no longer than a
    /// switchover may take.
    pub(crate) at: Instant,
}

/// SplitMix64: jitter and identities, from the seed that was passed in.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Member {
    /// A party with what it has on disk; `None` is a new state directory.
    ///
    /// `seed` is random and different at each start. Call [`Member::start`]
    /// once before anything else.
    pub fn new(config: Config, durable: Option<Durable>, seed: u64, now: Instant) -> Self {
        assert!(
            config.lease >= config.advertise_interval * 3,
            "a lease of fewer than three renewals would end by chance"
        );
        let mut random = Random(seed);
        let durable = durable.unwrap_or_else(|| Durable::blank(Incarnation(random.next())));
        let rules = Rules::default();
        Self {
            voter: Voter::new(config.id, durable, config.lease, rules),
            rules,
            role: Role::Online(Online::until(now)),
            peers: [Peer::default(), Peer::default(), Peer::default()],
            database: None,
            database_heard: now,
            desired: None,
            ticket: Ticket::first(random.next()),
            role_ticket: Ticket::default(),
            priority: if config.id == NodeId::R { 0 } else { 100 },
            counter_seen: 0,
            released: None,
            resume_pending: config.id != NodeId::R,
            nonce_count: 0,
            next_hello: now,
            random,
            config,
        }
    }

    /// Breaks one rule from now on.
    #[cfg(feature = "mutants")]
    pub fn break_rule(&mut self, rule: Rule) {
        self.rules.break_rule(rule);
        self.voter.set_rules(self.rules);
    }

    /// Begins this boot: fenced, and quiet for a lease.
    pub fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.voter.boot(now, out);
        if self.config.id == NodeId::R {
            return;
        }
        out.push(Action::CloseGate);
        self.role = Role::Online(Online::until(
            self.voter.quiet_until + self.active_down_interval(),
        ));
        self.settle(now, out);
        out.push(Action::Drop);
    }

    /// Handles one event; `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        self.expire(now, out);
        match event {
            Event::Wake => {}
            Event::Received(envelope) => self.on_received(&envelope, now, out),
            Event::Database(observed) => self.on_database(observed, now, out),
            Event::ReplicatorLost => self.database = None,
            Event::Priority(priority) => self.priority = priority,
            Event::Order(order) => self.on_order(order, now, out),
        }
        self.on_timers(now, out);
        self.settle(now, out);
    }

    /// When to be woken if nothing happens; never in the past.
    pub fn deadline(&self) -> Option<Instant> {
        if self.config.id == NodeId::R {
            return None;
        }
        let role = match &self.role {
            Role::Online(_) if self.voter.is_blank() => self.next_hello,
            Role::Online(online) => online.next_attempt,
            Role::Claiming(claim) => claim.deadline(),
            Role::Primary(primary) => primary.deadline(),
            Role::Releasing(releasing) => releasing.deadline,
        };
        Some(match self.role {
            Role::Primary(_) => role,
            _ => role.min(self.next_hello),
        })
    }

    fn on_received(&mut self, envelope: &Envelope, now: Instant, out: &mut Vec<Action>) {
        if envelope.to != self.config.id || envelope.from == self.config.id {
            return;
        }
        let own = (self.voter.durable.incarnation, self.voter.durable.boots);
        self.peers[envelope.from.index()].note(envelope, own, now);
        self.learn_pause(envelope.report.pause, now, out);
        if envelope.seen.is_some_and(|(incarnation, boots)| {
            incarnation == self.voter.durable.incarnation && boots > self.voter.durable.boots
        }) {
            self.forget("its state directory has been rolled back", now, out);
            return;
        }
        match envelope.body {
            Body::Hello { answer } => {
                if answer {
                    self.send(envelope.from, Body::Hello { answer: false }, out);
                }
            }
            Body::Claim { .. } => self.on_claim(envelope, now, out),
            Body::Deny { .. } => self.on_deny(envelope, now, out),
            Body::Promise { epoch, record, .. } => {
                self.on_promise(envelope, epoch, record, now, out);
            }
            Body::Accept { record, nonce } => {
                self.on_accept(envelope.from, record, nonce, now, out);
            }
            Body::Renew {
                record,
                effective,
                nonce,
            } => self.on_renew(envelope.from, record, effective, nonce, now, out),
            Body::Accepted {
                epoch,
                version,
                nonce,
            } => {
                self.on_accepted(envelope, epoch, nonce, now, out);
                self.on_acknowledged(envelope, epoch, version, nonce, now, out);
            }
            Body::Renewed {
                epoch,
                version,
                nonce,
            } => self.on_acknowledged(envelope, epoch, version, nonce, now, out),
            Body::Release { epoch, position } => {
                self.on_release(envelope.from, epoch, position, now, out);
            }
        }
    }

    /// Becomes blank with a new incarnation: its votes so far are void.
    fn forget(&mut self, why: &'static str, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.role, Role::Primary(_)) {
            self.end_reign(Ending::Forgot, now, out);
        }
        self.role = Role::Online(Online::until(now + self.active_down_interval()));
        let incarnation = Incarnation(self.random.next());
        // What a ballot was once used for stays used; and one that has been in
        // a pool does not offer itself to be formed into a new one.
        let reserved = self.voter.durable.reserved.max(self.counter_seen).max(1);
        self.voter.durable = Durable {
            boots: self.voter.durable.boots,
            reserved,
            pause: self.voter.durable.pause,
            ..Durable::blank(incarnation)
        };
        self.voter.grant = None;
        self.resume_pending = false;
        self.voter.boot(now, out);
        out.push(Action::Decided(Decision::Forgot { incarnation, why }));
    }

    fn on_database(&mut self, observed: Observed, now: Instant, out: &mut Vec<Action>) {
        self.database_heard = now;
        self.database = Some(observed);
        match &self.role {
            Role::Primary(_) => self.tend_database(now, out),
            Role::Releasing(_) => self.tend_release(now, out),
            Role::Online(_) | Role::Claiming(_) => self.resume_alone(now, out),
        }
    }

    /// The last report, if it has reconciled with the role that is ordered.
    pub(crate) fn reconciled(&self) -> Option<Observed> {
        self.database
            .filter(|database| database.ticket.covers(self.role_ticket))
    }

    fn on_timers(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.config.id == NodeId::R {
            return;
        }
        if let Role::Releasing(_) = &self.role {
            self.tend_release(now, out);
        }
        if let Role::Claiming(_) = &self.role {
            self.on_claim_timer(now, out);
        }
        if let Role::Online(_) = &self.role {
            self.on_active_down_timer(now, out);
        }
        if let Role::Primary(_) = &self.role {
            self.on_primary_timers(now, out);
        }
        if !matches!(self.role, Role::Primary(_)) && now >= self.next_hello {
            self.say_hello(now, out);
        }
    }

    fn on_active_down_timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.form(now, out);
        let Role::Online(online) = &mut self.role else {
            return;
        };
        if now < online.active_down_timer || self.voter.is_blank() {
            return;
        }
        online.next_attempt = now + self.config.advertise_interval;
        if self.pause_holds_back() {
            return;
        }
        let why = if self.released.is_some() {
            "the Primary has released"
        } else {
            "no Primary was heard for the Active_Down_Interval"
        };
        self.begin_claim(false, why, now, out);
    }

    fn say_hello(&mut self, now: Instant, out: &mut Vec<Action>) {
        let interval = self.config.advertise_interval;
        self.next_hello = now
            + if self.voter.is_blank() {
                interval
            } else {
                interval * 5
            };
        self.send_both(Body::Hello { answer: true }, out);
    }

    /// RFC 9568 §6.1: three intervals, or the lease if that is longer, and the
    /// Skew_Time, which lets the higher priority claim first.
    pub(crate) fn active_down_interval(&self) -> Duration {
        let interval = self.config.advertise_interval;
        let skew = interval * (256 - u32::from(self.priority)) / 256;
        (interval * 3).max(self.config.lease) + skew
    }

    /// A Primary was heard, or a claimer promised to: gives it time.
    pub(crate) fn rearm(&mut self, now: Instant) {
        let epoch = self.voter.durable.record.map(|record| record.epoch);
        if self
            .released
            .is_some_and(|released| Some(released.epoch) < epoch)
        {
            self.released = None;
        }
        let until = now + self.active_down_interval();
        if let Role::Online(online) = &mut self.role {
            *online = Online::until(until);
        }
    }

    /// Ends a claim or a reign before something higher is promised or accepted.
    pub(crate) fn step_aside(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &self.role {
            Role::Primary(_) => self.end_reign(Ending::Superseded, now, out),
            Role::Claiming(_) if !self.rules.hold(Rule::NoRecordBelowPromised) => {}
            Role::Claiming(_) => self.abandon_claim("a higher ballot was shown", now, out),
            Role::Online(_) | Role::Releasing(_) => {}
        }
    }

    /// The lease, from when its request was first sent.
    pub(crate) fn lease_from(&self, sent: Instant) -> Instant {
        sent + (self.config.lease - self.config.lease / DRIFT)
    }

    pub(crate) fn next_nonce(&mut self) -> Nonce {
        self.nonce_count += 1;
        Nonce {
            boots: self.voter.durable.boots,
            count: self.nonce_count,
        }
    }

    /// Up to half an interval, at random, less for a higher priority.
    pub(crate) fn jitter(&mut self) -> Duration {
        let interval = self.config.advertise_interval;
        let skew = interval * (256 - u32::from(self.priority)) / 256;
        let nanos = u64::try_from(interval.as_nanos() / 2)
            .unwrap_or(u64::MAX)
            .max(1);
        skew / 2 + Duration::from_nanos(self.random.next() % nanos)
    }

    pub(crate) fn send(&self, to: NodeId, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Send(Envelope {
            from: self.config.id,
            to,
            incarnation: self.voter.durable.incarnation,
            boots: self.voter.durable.boots,
            seen: self.peers[to.index()].seen(),
            report: self.report(),
            body,
        }));
    }

    pub(crate) fn send_both(&self, body: Body, out: &mut Vec<Action>) {
        for to in self.config.id.others() {
            self.send(to, body, out);
        }
    }

    fn report(&self) -> Report {
        let blank = self.voter.is_blank();
        Report {
            priority: self.priority,
            active: self.config.active && self.config.id == NodeId::A,
            blank,
            primary: matches!(self.role, Role::Primary(_)),
            healthy: self.database.is_some_and(|database| {
                database.healthy && matches!(database.server, Server::Standby | Server::Primary)
            }),
            copy: self.database.and_then(|database| database.copy),
            position: self.database.and_then(|database| database.position),
            offer: self.offer(),
            pause: self.voter.durable.pause,
        }
    }

    /// The offer to be formed into a pool, of one that never was in any.
    pub(crate) fn offer(&self) -> Option<u64> {
        let durable = &self.voter.durable;
        self.config
            .offer
            .filter(|_| durable.record.is_none() && durable.reserved == 0)
    }

    /// Gate closed, database fenced, address gone: no Release is owed.
    pub(crate) fn end_reign(&mut self, why: Ending, now: Instant, out: &mut Vec<Action>) {
        let epoch = self.reign();
        // One that only lost its replicator may go on alone when that is back,
        // as it might after a restart of its own.
        self.resume_pending = why == Ending::ReplicatorLost;
        out.push(Action::CloseGate);
        self.role = Role::Online(Online::until(now + self.active_down_interval()));
        self.settle(now, out);
        out.push(Action::Drop);
        out.push(Action::Decided(Decision::Ends { epoch, why }));
    }

    /// Gate closed, address gone; a Release follows when the writes have stopped.
    pub(crate) fn begin_release(&mut self, why: Ending, now: Instant, out: &mut Vec<Action>) {
        let epoch = self.reign();
        // Dead under the order to be Primary, it stays dead.
        let dead = why == Ending::DatabaseFailed
            && self
                .reconciled()
                .is_some_and(|database| database.server == Server::Down);
        out.push(Action::CloseGate);
        self.role = Role::Releasing(Releasing {
            epoch,
            why,
            deadline: now + self.config.switchover_timeout,
        });
        self.settle(now, out);
        out.push(Action::Drop);
        if dead {
            self.send_release(epoch, None, why, now, out);
        }
    }

    fn tend_release(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Role::Releasing(Releasing {
            epoch,
            why,
            deadline,
        }) = self.role
        else {
            return;
        };
        let stopped = self.reconciled().is_some_and(|database| {
            matches!(
                database.server,
                Server::Down | Server::Stopped | Server::Standby
            )
        });
        if stopped {
            self.send_release(epoch, None, why, now, out);
        } else if now >= deadline {
            self.role = Role::Online(Online::until(now + self.active_down_interval()));
            out.push(Action::Decided(Decision::Ends { epoch, why }));
        }
    }

    /// Says that this node has stopped, durably, and lets the other claim.
    pub(crate) fn send_release(
        &mut self,
        epoch: Epoch,
        position: Option<Position>,
        why: Ending,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.rules.hold(Rule::ReleasedIsDurable) {
            self.voter.durable.released = self.voter.durable.released.max(epoch);
            self.voter.persist(out);
        }
        self.send_both(Body::Release { epoch, position }, out);
        out.push(Action::Decided(Decision::Ends { epoch, why }));
        let patience = match why {
            Ending::Switchover => self.config.switchover_timeout,
            _ => self.active_down_interval() * 2,
        };
        self.role = Role::Online(Online::until(now + patience));
    }

    /// The epoch of the highest record.
    pub fn reign(&self) -> Epoch {
        self.voter
            .durable
            .record
            .map_or(Epoch::ZERO, |record| record.epoch)
    }

    /// What follows from the state: the database's role, the kernel's timers.
    pub(crate) fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.config.id == NodeId::R {
            return;
        }
        let mut desired = self.desired();
        if self.desired != Some(desired) {
            self.ticket = self.ticket.next();
            desired.ticket = self.ticket;
            if self
                .desired
                .is_none_or(|before| before.role != desired.role)
            {
                self.role_ticket = self.ticket;
            }
            self.desired = Some(desired);
            out.push(Action::Database(desired));
        }
        self.extend_fences(now, out);
    }

    /// What follows from the role, under the last ticket.
    fn desired(&self) -> Desired {
        let (role, synchronous) = match &self.role {
            Role::Online(_) | Role::Claiming(_) => (DatabaseRole::Standby, None),
            Role::Releasing(releasing) => match releasing.why {
                Ending::Fault | Ending::PromotionFailed => (DatabaseRole::Stopped, None),
                _ => (DatabaseRole::Standby, None),
            },
            Role::Primary(primary) => (primary.database_role(), self.required_copy(primary)),
        };
        let follow = match self.role {
            Role::Primary(_) => None,
            _ if role == DatabaseRole::Standby => self.leader(),
            _ => None,
        };
        let copy = match role {
            DatabaseRole::Primary | DatabaseRole::Retiring => self.record_copy(),
            DatabaseRole::Standby | DatabaseRole::Stopped => follow.and_then(|leader| {
                let effective = self.voter.durable.effective?;
                effective.in_sync.copy(leader)
            }),
        };
        Desired {
            ticket: self.ticket,
            epoch: self.reign(),
            role,
            copy,
            follow,
            synchronous,
        }
    }

    /// The other manager, if it is Primary by an effective record: only then
    /// is this node's own history given up for it.
    ///
    /// Not while its own highest record names another: a claim of its own may
    /// have been accepted without its knowing, and then its copy is the only
    /// one that is whole.
    fn leader(&self) -> Option<NodeId> {
        let durable = &self.voter.durable;
        let highest = durable.record.map(|record| record.primary);
        durable
            .effective
            .map(|record| record.primary)
            .filter(|&primary| primary != self.config.id && Some(primary) == highest)
    }

    pub(crate) fn refuse(&self, refusal: Refusal, out: &mut Vec<Action>) {
        out.push(Action::Refused(refusal));
    }

    /// Whether it is Primary, and in a phase to be left by an order.
    pub(crate) fn serving(&self) -> Option<&Primary> {
        match &self.role {
            Role::Primary(primary) if matches!(primary.phase, Phase::Serving) => Some(primary),
            _ => None,
        }
    }
}
