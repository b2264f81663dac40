//! The daemons: a member each, its state directory, its kernel's timers, and
//! the performing of its actions in their order.

use std::collections::VecDeque;
use std::vec::Drain;

use vrrpd_core::pool::database::Desired;
use vrrpd_core::pool::member::Member;
use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::{Durable, NodeId, Record};
use vrrpd_core::pool::{Action, Decision, Ending, Event};
use vrrpd_core::time::Instant;

use super::{MANAGERS, What, World};
use crate::check::{Invariant, Right};
use crate::clock::{Clock, MILLIS, Nanos};
use crate::kernel::Kernel;
use crate::plan::Flaw;
use crate::trace;

/// Events that wait for a stopped daemon; a socket's buffer holds no more.
const INBOX: usize = 128;

/// A state directory, and what a rollback could bring back.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// As it is; none in a new directory.
    pub state: Option<Durable>,
    /// The last state of each earlier boot.
    pub earlier: Vec<Durable>,
}

impl Disk {
    /// Replaces the state.
    pub fn write(&mut self, state: Durable) {
        if let Some(before) = self.state
            && before.incarnation == state.incarnation
            && before.boots < state.boots
        {
            self.earlier.push(before);
        }
        self.state = Some(state);
    }
}

/// A process that meets its fate between two of its actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It dies; the rest of the list is lost.
    Kill,
    /// It is stopped; the rest waits.
    Stop,
}

/// A running daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The core.
    pub member: Member,
    /// It does not run until it is continued.
    pub stopped: bool,
    /// Told again when the replicator connects.
    desired: Option<Desired>,
    /// Actions that wait for a slow disk, or for a stopped process.
    pending: VecDeque<Action>,
    /// The first of them is on its way to the disk.
    writing: bool,
    inbox: VecDeque<Event>,
    inbox_messages: usize,
    /// The wake-up in the queue, in true time.
    wake_at: Option<Nanos>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its CLOCK_BOOTTIME.
    pub clock: Clock,
    /// Its kernel's timers.
    pub kernel: Kernel,
    /// The daemon's state directory.
    pub disk: Disk,
    /// The daemon, while it lives.
    pub daemon: Option<Daemon>,
    /// Raised whenever a daemon starts or ends.
    pub boot: u32,
    /// It has power.
    pub power: bool,
    /// Since when it is suspended, on its own clock.
    pub suspended: Option<Nanos>,
    /// How long a write of the state may take.
    pub disk_delay: Nanos,
    /// Springs after so many actions.
    pub trap: Option<(Trap, u32)>,
    /// Its priority after checks.
    pub priority: u8,
}

impl Host {
    pub(crate) fn new(id: NodeId, clock: Clock) -> Self {
        Self {
            clock,
            kernel: Kernel::default(),
            disk: Disk::default(),
            daemon: None,
            boot: 0,
            power: false,
            suspended: None,
            disk_delay: 0,
            trap: None,
            priority: if id == NodeId::A { 150 } else { 100 },
        }
    }

    /// Whether anything of it runs.
    pub fn is_awake(&self) -> bool {
        self.power && self.suspended.is_none()
    }

    /// Whether clients are admitted at `now`.
    pub fn admits(&self, now: Nanos) -> bool {
        self.is_awake() && self.kernel.gate.is_open(&self.clock, now)
    }

    /// Whether it answers for the virtual address at `now`.
    pub fn answers(&self, now: Nanos) -> bool {
        self.is_awake() && self.kernel.address.is_open(&self.clock, now)
    }
}

impl Daemon {
    fn new(member: Member) -> Self {
        Self {
            member,
            stopped: false,
            desired: None,
            pending: VecDeque::new(),
            writing: false,
            inbox: VecDeque::new(),
            inbox_messages: 0,
            wake_at: None,
        }
    }

    fn enqueue(&mut self, event: Event) {
        if matches!(event, Event::Received(_)) {
            if self.inbox_messages == INBOX {
                return;
            }
            self.inbox_messages += 1;
        }
        self.inbox.push_back(event);
    }

    /// The wake-up in the queue no longer means anything.
    pub(crate) fn forget_wake(&mut self) {
        self.wake_at = None;
    }

    fn dequeue(&mut self) -> Option<Event> {
        let event = self.inbox.pop_front()?;
        self.inbox_messages -= usize::from(matches!(event, Event::Received(_)));
        Some(event)
    }
}

impl World {
    /// Starts the daemon of a powered host that has none.
    pub fn start_daemon(&mut self, id: NodeId) {
        let config = self.plan.config(id);
        let seed = self.random.draw();
        let host = &mut self.hosts[id.index()];
        if !host.is_awake() || host.daemon.is_some() {
            return;
        }
        let now = host.clock.instant(self.now);
        host.boot += 1;
        let mut member = Member::new(config, host.disk.state, seed, now);
        if let Some(rule) = self.plan.rule {
            member.break_rule(rule);
        }
        let priority = host.priority;
        host.daemon = Some(Daemon::new(member));
        self.say(format_args!("{id} starts"));
        let mut actions = std::mem::take(&mut self.actions);
        if let Some(daemon) = &mut self.host_mut(id).daemon {
            daemon.member.start(now, &mut actions);
        }
        self.actions = actions;
        self.finish_list(id, false);
        if id != NodeId::R {
            self.feed(id, Event::Priority(priority));
            self.connect_socket(id);
        }
    }

    /// Ends the daemon; its kernel's timers go on.
    pub fn kill_daemon(&mut self, id: NodeId) {
        let host = self.host_mut(id);
        if host.daemon.take().is_none() {
            return;
        }
        host.boot += 1;
        self.rights[id.index()] = Right::default();
        self.say(format_args!("{id} dies"));
        if id != NodeId::R {
            self.drop_socket(id);
        }
    }

    /// Stops the daemon where it is (SIGSTOP).
    pub fn stop_daemon(&mut self, id: NodeId) {
        if let Some(daemon) = &mut self.host_mut(id).daemon {
            daemon.stopped = true;
            self.say(format_args!("{id} is stopped"));
        }
    }

    /// Continues a stopped daemon.
    pub fn continue_daemon(&mut self, id: NodeId) {
        let boot = self.host(id).boot;
        if let Some(daemon) = &mut self.host_mut(id).daemon
            && daemon.stopped
        {
            daemon.stopped = false;
            self.say(format_args!("{id} is continued"));
            self.after(0, What::Continue(id, boot));
        }
    }

    /// Gives an event to a daemon, now or when it can take it.
    pub fn feed(&mut self, id: NodeId, event: Event) {
        let awake = self.host(id).is_awake();
        let Some(daemon) = &mut self.hosts[id.index()].daemon else {
            return;
        };
        if daemon.stopped || !awake || !daemon.pending.is_empty() {
            daemon.enqueue(event);
            return;
        }
        self.handle(id, event);
    }

    fn handle(&mut self, id: NodeId, event: Event) {
        let leased = self.now < self.rights[id.index()].leased_until;
        let host = &mut self.hosts[id.index()];
        let now = host.clock.instant(self.now);
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if let Event::Received(envelope) = event {
            let said = (host.boot, envelope.incarnation, envelope.boots);
            self.heard[id.index()][envelope.from.index()] = Some(said);
        }
        daemon.member.handle(event, now, &mut self.actions);
        let late = daemon.member.deadline().is_some_and(|at| at <= now) && event == Event::Wake;
        if late {
            let what = format!("{id} at {now}: {:?}", self.actions);
            self.broken(Invariant::Deadline, what);
        }
        self.finish_list(id, leased);
    }

    /// The core has decided: its rights are checked, its actions performed.
    fn finish_list(&mut self, id: NodeId, leased: bool) {
        if id != NodeId::R {
            self.check_rights(id);
        }
        self.perform(id, leased);
        self.arm(id);
    }

    /// I2, from what the core itself says.
    fn check_rights(&mut self, id: NodeId) {
        let host = &self.hosts[id.index()];
        let Some(daemon) = &host.daemon else {
            return;
        };
        let status = daemon.member.status(host.clock.instant(self.now));
        let right = Right {
            leased_until: status
                .lease_until
                .map_or(0, |until| host.clock.when(until.as_nanos())),
            alone: status.alone,
        };
        self.rights[id.index()] = right;
        let epoch = status.durable.record.map(|record| record.epoch);
        if right.holds(self.now) && epoch <= self.released[id.index()] {
            let what = format!("{id} ({}) after its Release", trace::right(right));
            self.broken(Invariant::I2, what);
        }
        let Some(peer) = id.peer() else {
            return;
        };
        if right.holds(self.now) && self.rights[peer.index()].holds(self.now) {
            let what = format!(
                "{id} ({}) and {peer} ({})",
                trace::right(right),
                trace::right(self.rights[peer.index()])
            );
            let excused = [id, peer]
                .into_iter()
                .any(|node| self.is_unbound(node) || self.has_unwritten_word(node));
            if !excused {
                self.broken(Invariant::I2, what);
            }
        }
    }

    /// Whether a word alone is still on its way to the slow disk of `id`.
    fn has_unwritten_word(&self, id: NodeId) -> bool {
        let unknown = |record: Record| self.checker.record(record.key()).is_none();
        self.status(id)
            .is_some_and(|status| status.durable.effective.is_some_and(unknown))
    }

    /// Whether an operator's word has been accepted by a quorum that `id` has
    /// not heard of: it has promised nothing as high.
    fn is_unbound(&self, id: NodeId) -> bool {
        let promised = self.host(id).disk.state.map(|state| state.promised);
        self.checker
            .forced()
            .is_some_and(|forced| promised < Some(forced))
    }

    fn perform(&mut self, id: NodeId, leased: bool) {
        let mut actions = std::mem::take(&mut self.actions);
        self.perform_list(id, &mut actions.drain(..), leased);
        self.actions = actions;
    }

    fn perform_list(&mut self, id: NodeId, list: &mut Drain<'_, Action>, leased: bool) {
        let late = self.plan.flaw == Some(Flaw::SendsBeforePersisting);
        let mut unwritten = None;
        while let Some(action) = list.next() {
            if self.violation.is_some() {
                return;
            }
            match self.spring(id) {
                Some(Trap::Kill) => {
                    self.kill_daemon(id);
                    self.restart_later(id);
                    return;
                }
                Some(Trap::Stop) => {
                    self.postpone(id, action, list);
                    self.stop_daemon(id);
                    self.continue_later(id);
                    return;
                }
                None => {}
            }
            match action {
                Action::Persist(state) if late => unwritten = Some(state),
                Action::Persist(_) if self.host(id).disk_delay > 0 => {
                    self.write_slowly(id, action, list);
                    return;
                }
                _ => self.act(id, action, leased),
            }
        }
        if let Some(state) = unwritten {
            self.persist(id, state);
        }
    }

    /// The list goes on when `action`, a write, has ended.
    fn write_slowly(&mut self, id: NodeId, action: Action, rest: &mut Drain<'_, Action>) {
        let delay = self.host(id).disk_delay;
        let (delay, boot) = (self.random.below(delay), self.host(id).boot);
        self.postpone(id, action, rest);
        if let Some(daemon) = &mut self.host_mut(id).daemon {
            daemon.writing = true;
        }
        self.after(delay, What::Continue(id, boot));
    }

    fn postpone(&mut self, id: NodeId, action: Action, rest: &mut Drain<'_, Action>) {
        if let Some(daemon) = &mut self.host_mut(id).daemon {
            daemon.pending.push_back(action);
            daemon.pending.extend(rest);
        }
    }

    fn spring(&mut self, id: NodeId) -> Option<Trap> {
        let trap = &mut self.host_mut(id).trap;
        match trap {
            Some((kind, 0)) => {
                let kind = *kind;
                *trap = None;
                Some(kind)
            }
            Some((_, count)) => {
                *count -= 1;
                None
            }
            None => None,
        }
    }

    /// Goes on with what was waiting, then with the inbox, then with timers.
    pub(crate) fn on_continue(&mut self, id: NodeId, boot: u32) {
        let host = &mut self.hosts[id.index()];
        if host.boot != boot || !host.is_awake() {
            return;
        }
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if daemon.stopped {
            return;
        }
        let written = std::mem::take(&mut daemon.writing);
        if written && let Some(Action::Persist(state)) = daemon.pending.pop_front() {
            self.persist(id, state);
        }
        let Some(daemon) = &mut self.hosts[id.index()].daemon else {
            return;
        };
        self.actions.extend(daemon.pending.drain(..));
        self.perform(id, false);
        self.drain_inbox(id, boot);
        self.arm(id);
    }

    fn drain_inbox(&mut self, id: NodeId, boot: u32) {
        loop {
            let host = &mut self.hosts[id.index()];
            let Some(daemon) = &mut host.daemon else {
                return;
            };
            let busy = host.boot != boot || daemon.stopped || !daemon.pending.is_empty();
            if busy || self.violation.is_some() {
                return;
            }
            let Some(event) = daemon.dequeue() else {
                return;
            };
            self.handle(id, event);
        }
    }

    /// Puts the next wake-up into the queue, unless an earlier one is there.
    pub(crate) fn arm(&mut self, id: NodeId) {
        let host = &mut self.hosts[id.index()];
        let boot = host.boot;
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        let Some(deadline) = daemon.member.deadline() else {
            return;
        };
        let at = host.clock.when(deadline.as_nanos()).max(self.now);
        if daemon.wake_at.is_none_or(|wake| at < wake) {
            daemon.wake_at = Some(at);
            self.at(at, What::Wake(id, boot));
        }
    }

    pub(crate) fn on_wake(&mut self, id: NodeId, boot: u32) {
        let host = &mut self.hosts[id.index()];
        if host.boot != boot {
            return;
        }
        let awake = host.is_awake();
        let now = host.clock.instant(self.now);
        let Some(daemon) = &mut host.daemon else {
            return;
        };
        if daemon.wake_at.is_none_or(|wake| wake > self.now) {
            return;
        }
        daemon.wake_at = None;
        // What cannot run now looks at its deadlines when it can.
        if daemon.stopped || !awake || !daemon.pending.is_empty() {
            return;
        }
        if daemon.member.deadline().is_some_and(|at| at <= now) {
            self.handle(id, Event::Wake);
        } else {
            self.arm(id);
        }
    }

    fn act(&mut self, id: NodeId, action: Action, leased: bool) {
        match action {
            Action::Persist(state) => self.persist(id, state),
            Action::Send(envelope) => {
                self.check_order(id, &envelope);
                if let Body::Release { epoch, .. } = envelope.body
                    && epoch.node == id
                {
                    let released = &mut self.released[id.index()];
                    *released = (*released).max(Some(epoch));
                }
                self.send(envelope);
            }
            Action::Hold { until } => self.hold(id, until),
            Action::Drop => {
                self.say(format_args!("{id} drops the address"));
                self.host_mut(id).kernel.address.end();
            }
            Action::OpenGate { until } => self.open_gate(id, until),
            Action::CloseGate => {
                if self.host(id).admits(self.now) {
                    self.say(format_args!("{id} closes its gate"));
                }
                self.host_mut(id).kernel.gate.end();
            }
            Action::Database(desired) => {
                if let Some(daemon) = &mut self.host_mut(id).daemon {
                    daemon.desired = Some(desired);
                }
                self.say(format_args!("{id} orders {}", trace::desired(&desired)));
                self.send_order(id, desired);
            }
            Action::Decided(decision) => self.note(id, decision, leased),
            Action::Refused(refusal) => {
                self.say(format_args!("{id} refuses: {refusal}"));
                self.refusals.push((id, refusal));
            }
        }
    }

    /// The order that a replicator is told when it connects.
    pub(crate) fn present_order(&self, id: NodeId) -> Option<Desired> {
        self.host(id)
            .daemon
            .as_ref()
            .and_then(|daemon| daemon.desired)
    }

    fn persist(&mut self, id: NodeId, state: Durable) {
        if Durable::decode(&state.encode()) != Ok(state) {
            self.broken(Invariant::Codec, format!("{state:?}"));
        }
        let before = self.host(id).disk.state;
        if let Err((invariant, what)) = self.checker.persist(id, before.as_ref(), &state) {
            self.broken(invariant, what);
        }
        if before.map(|before| before.record) != Some(state.record)
            || before.map(|before| before.promised) != Some(state.promised)
        {
            self.say(format_args!("{id} writes {}", trace::state(&state)));
        }
        self.host_mut(id).disk.write(state);
    }

    fn hold(&mut self, id: NodeId, until: Instant) {
        let until = self.kernel_until(until);
        self.host_mut(id).kernel.address.extend(until);
        for other in MANAGERS {
            if other != id && self.host(other).answers(self.now) && self.host(id).answers(self.now)
            {
                let what = format!("{id} and {other} answer for the virtual address");
                self.fence_broken([id, other], what);
            }
        }
    }

    fn open_gate(&mut self, id: NodeId, until: Instant) {
        let closed = !self.host(id).admits(self.now);
        let until = self.kernel_until(until);
        self.host_mut(id).kernel.gate.extend(until);
        if !self.host(id).admits(self.now) {
            return;
        }
        for other in MANAGERS {
            if other != id && self.host(other).admits(self.now) {
                let what = format!("the gates of {id} and {other} are open");
                self.fence_broken([id, other], what);
            }
        }
        if closed {
            self.tally.openings += 1;
            self.say(format_args!("{id} opens its gate"));
        }
        self.crown(id);
    }

    fn kernel_until(&self, until: Instant) -> Nanos {
        match self.plan.flaw {
            Some(Flaw::FencesDoNotExpire) => Nanos::MAX,
            _ => until.as_nanos(),
        }
    }

    fn fence_broken(&mut self, nodes: [NodeId; 2], what: String) {
        if !nodes.into_iter().any(|id| self.is_unbound(id)) {
            self.broken(Invariant::I3, what);
        }
    }

    fn note(&mut self, id: NodeId, decision: Decision, leased: bool) {
        self.say(format_args!("{id}: {decision}"));
        self.provoke(id, &decision);
        match decision {
            Decision::Primary { .. } | Decision::ResumesAlone { .. } => self.tally.reigns += 1,
            Decision::Formed { .. } => self.tally.formed += 1,
            Decision::Ends { epoch, why } => {
                self.endings.push((id, epoch, why));
                let overruled = self.checker.forced().is_some_and(|forced| epoch < forced);
                if why == Ending::Superseded && leased && !overruled {
                    let what = format!("{id}, Primary of {epoch}");
                    self.broken(Invariant::Deposed, what);
                }
            }
            Decision::Forgot { .. }
            | Decision::Claims { .. }
            | Decision::Denied { .. }
            | Decision::Abandons { .. }
            | Decision::Promised { .. }
            | Decision::Serves { .. }
            | Decision::Holds { .. }
            | Decision::Alone { .. }
            | Decision::Proposes { .. }
            | Decision::Effective { .. }
            | Decision::AddBegins { .. }
            | Decision::AddCancelled { .. }
            | Decision::Reclaims { .. }
            | Decision::Pauses { .. }
            | Decision::Notices { .. } => {}
        }
    }

    /// What a message says is on disk already, and a promise or a release
    /// leaves a node whose gate is closed (PROTOCOL.md, State of a voter).
    fn check_order(&mut self, id: NodeId, envelope: &Envelope) {
        if self.plan.flaw == Some(Flaw::SendsBeforePersisting) {
            return;
        }
        let host = self.host(id);
        let Some(state) = host.disk.state else {
            self.broken(Invariant::Order, trace::envelope(envelope));
            return;
        };
        let holds = |wanted: &Record| state.record.is_some_and(|own| own.key() >= wanted.key());
        let fenced = !host.admits(self.now) && !host.answers(self.now);
        let kept = match &envelope.body {
            Body::Claim { epoch, .. } => state.reserved >= epoch.counter,
            Body::Promise { epoch, .. } => state.promised >= *epoch && (fenced || id == NodeId::R),
            Body::Accept { record, .. } | Body::Renew { record, .. } => holds(record),
            Body::Accepted { epoch, version, .. } | Body::Renewed { epoch, version, .. } => state
                .record
                .is_some_and(|own| own.key() >= (*epoch, *version)),
            Body::Release { epoch, .. } => epoch.node != id || (state.released >= *epoch && fenced),
            Body::Hello { .. } | Body::Deny { .. } => true,
        };
        let same = state.incarnation == envelope.incarnation && state.boots == envelope.boots;
        let ours = self.plan.rule.is_none();
        if ours && !(kept && same) {
            self.broken(Invariant::Order, trace::envelope(envelope));
        }
    }

    /// The end of whatever a trap did.
    fn restart_later(&mut self, id: NodeId) {
        let span = self.random.between(1, 40) * MILLIS * 10;
        self.after(span, What::StartDaemon(id));
    }

    fn continue_later(&mut self, id: NodeId) {
        let lease = self.plan.lease_nanos();
        let span = self.random.between(MILLIS, lease * 3);
        let mend = self.mend_place(super::faults::Mend::Continue(id));
        self.after(span, What::Mend(mend));
    }
}
