//! The world: three hosts, their links and clients, in virtual time.
//!
//! One queue holds everything that is to happen; each step takes the next
//! event, lets it happen, and the invariants are checked where they could
//! have been broken by it.

mod clients;
mod daemon;
mod database;
mod faults;
mod network;
mod recovery;
mod replicator;
mod stream;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use vrrpd_core::pool::Action;
use vrrpd_core::pool::message::Envelope;
use vrrpd_core::pool::record::{
    CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters,
};
use vrrpd_core::pool::{Ending, Refusal};

use crate::check::{Checker, Invariant, Right, Violation};
use crate::clock::{Clock, MILLIS, Nanos, SECONDS};
use crate::ledger::{Kind, Ledger};
use crate::manager::{Directory, Manager};
use crate::plan::{Plan, Weather};
use crate::random::Random;

pub use daemon::{Daemon, Host, Trap};
pub use network::Fate;

/// The managers, in order.
pub const MANAGERS: [NodeId; 2] = [NodeId::A, NodeId::B];

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A datagram arrives: its place in the slab.
    Deliver(usize),
    /// A daemon's deadline may have come.
    Wake(NodeId, u32),
    /// A daemon's slow write has ended.
    Continue(NodeId, u32),
    /// A daemon is started.
    StartDaemon(NodeId),
    /// A host is powered on.
    PowerOn(NodeId),
    /// The socket between daemon and replicator is connected.
    Connect(NodeId, u32),
    /// An order reaches the replicator.
    Order(NodeId, u32),
    /// A report reaches the daemon.
    Report(NodeId, u32),
    /// A silent replicator says that it is there: its report before.
    Heartbeat(NodeId, u64),
    /// A report of a moved position leaves.
    ReportMoved(NodeId),
    /// Work on a server ends.
    Done(NodeId, u32),
    /// The replicator looks again.
    Reconcile(NodeId),
    /// A change of synchronous replication takes effect.
    Synchronous(NodeId, u32),
    /// A commit, on its disk, looks whether to wait: generation, place.
    Commit(NodeId, u32, usize),
    /// Log arrives at a standby: stream, end.
    Ship(NodeId, u32, usize),
    /// A standby's word of what it flushed arrives: stream, end.
    Flushed(NodeId, u32, usize),
    /// The replicator is started.
    StartReplicator(NodeId),
    /// Clients write.
    Write,
    /// Clients read.
    Read,
    /// The next fault.
    Fault,
    /// A fault that a decision of this party has provoked.
    Provoked(NodeId),
    /// A fault ends: its place in the list.
    Mend(usize),
}

/// What has been seen, for tests and for the printed line of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Events that happened.
    pub steps: u64,
    /// Datagrams sent.
    pub messages: u64,
    /// Reigns that began.
    pub reigns: u64,
    /// Gates that opened after being closed.
    pub openings: u64,
    /// Faults injected.
    pub faults: u64,
    /// Pools formed.
    pub formed: u64,
}

/// The newest read-write history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reign {
    pub(crate) epoch: Epoch,
    pub(crate) node: NodeId,
}

/// Three hosts and what is between them.
pub struct World {
    /// What the schedule is drawn from.
    pub plan: Plan,
    /// True time.
    pub now: Nanos,
    /// The hosts, by [`NodeId::index`].
    pub hosts: [Host; 3],
    /// The databases of [`MANAGERS`].
    pub managers: [Manager; 2],
    /// All entries of all logs.
    pub ledger: Ledger,
    /// What must hold.
    pub checker: Checker,
    /// Counts.
    pub tally: Tally,
    /// The present weather.
    pub weather: Weather,
    /// Whether lines are kept, or printed, of what happens.
    pub trace: Trace,
    /// The first violation; nothing happens after it.
    pub violation: Option<Violation>,
    /// Messages that [`Fate::Keep`] held back.
    pub kept: Vec<Envelope>,
    /// What operators were answered.
    pub refusals: Vec<(NodeId, Refusal)>,
    /// Reigns that ended, and why.
    pub endings: Vec<(NodeId, Epoch, Ending)>,
    pub(crate) random: Random,
    pub(crate) reign: Option<Reign>,
    pub(crate) rights: [Right; 3],
    intercept: Option<Box<network::Intercept>>,
    queue: BinaryHeap<Reverse<(Nanos, u64, What)>>,
    sequence: u64,
    slab: Vec<Envelope>,
    free: Vec<usize>,
    cuts: [[u8; 3]; 3],
    replication_cuts: u8,
    actions: Vec<Action>,
    mends: Vec<faults::Mend>,
    faulty: bool,
    /// What becomes of each manager's next promotion.
    promotions: [database::Promotion; 2],
    /// How much longer a change of synchronous replication may take.
    checkpointers: [Nanos; 2],
    /// How much longer an order or a report may take.
    sockets: [Nanos; 2],
    /// What a party's present boot has heard of another's boots.
    heard: [[Option<(u32, Incarnation, u64)>; 3]; 3],
    rolled_back: Option<faults::RolledBack>,
    /// The highest epoch whose Release has left each party.
    released: [Option<Epoch>; 3],
    /// Copies that were lost, or replaced by hand.
    lost: Vec<CopyId>,
    /// Whom the next faults are for.
    focus: Option<NodeId>,
    /// Messages of these kinds do not pass.
    mutes: Vec<network::Mute>,
}

/// What becomes of the lines that say what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Nothing.
    Off,
    /// They are printed.
    Print,
}

impl World {
    /// A world of `plan`, with everything off; [`World::boot`] starts it.
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let hosts = NodeId::ALL.map(|id| {
            let offset = random.between(1, 1_000_000) * SECONDS;
            let drift = i64::try_from(random.below(9_901)).unwrap_or(0) - 4_950;
            Host::new(id, Clock::new(offset, drift))
        });
        let weather = plan.weather;
        let mut world = Self {
            now: 0,
            hosts,
            managers: [
                Manager::new(Directory::default()),
                Manager::new(Directory::default()),
            ],
            ledger: Ledger::default(),
            checker: Checker::default(),
            tally: Tally::default(),
            weather,
            trace: Trace::Off,
            violation: None,
            kept: Vec::new(),
            refusals: Vec::new(),
            endings: Vec::new(),
            random,
            reign: None,
            rights: [Right::default(); 3],
            intercept: None,
            queue: BinaryHeap::with_capacity(256),
            sequence: 0,
            slab: Vec::with_capacity(64),
            free: Vec::with_capacity(64),
            cuts: [[0; 3]; 3],
            replication_cuts: 0,
            actions: Vec::with_capacity(32),
            mends: Vec::new(),
            faulty: false,
            promotions: Default::default(),
            checkpointers: [0; 2],
            sockets: [0; 2],
            heard: [[None; 3]; 3],
            rolled_back: None,
            released: [None; 3],
            lost: Vec::new(),
            focus: None,
            mutes: Vec::new(),
            plan,
        };
        world.fill_disks();
        world
    }

    /// What is on the disks at the beginning: a founded pool whose copies are
    /// in sync, or a Master's data and nothing else.
    fn fill_disks(&mut self) {
        let first = self.ledger.write(Kind::Commit, 1);
        self.managers[0].directory = Directory {
            copy: Some(self.new_copy()),
            log: vec![first],
            ruined: false,
        };
        if !self.plan.founded {
            self.managers[1].directory.ruined = true;
            return;
        }
        self.managers[1].directory = Directory {
            copy: Some(self.new_copy()),
            ..self.managers[0].directory.clone()
        };
        self.ledger.acknowledge(first);
        let in_sync = InSync {
            a: self.managers[0].directory.copy,
            b: self.managers[1].directory.copy,
        };
        let voters = Voters([(); 3].map(|()| Incarnation(self.random.draw())));
        let epoch = Epoch {
            counter: 1,
            node: NodeId::A,
        };
        let record = Record {
            epoch,
            version: 1,
            primary: NodeId::A,
            in_sync,
            voters,
            forced: false,
        };
        self.checker.found(record);
        for id in NodeId::ALL {
            self.hosts[id.index()].disk.write(Durable {
                boots: 1,
                promised: epoch,
                reserved: u64::from(id == NodeId::A),
                record: Some(record),
                effective: Some(record),
                ..Durable::blank(voters.of(id))
            });
        }
    }

    /// Powers every host on, and lets clients come.
    pub fn boot(&mut self) {
        for id in NodeId::ALL {
            self.power_on(id);
        }
        self.after(MILLIS, What::Write);
        self.after(MILLIS, What::Read);
    }

    pub(crate) fn new_copy(&mut self) -> CopyId {
        CopyId(self.random.draw() | 1)
    }

    /// `what` shall happen after `span` of true time.
    pub(crate) fn after(&mut self, span: Nanos, what: What) {
        self.at(self.now.saturating_add(span), what);
    }

    /// `what` shall happen at `at`, in the order of asking.
    pub(crate) fn at(&mut self, at: Nanos, what: What) {
        if at == Nanos::MAX {
            return;
        }
        self.sequence += 1;
        self.queue
            .push(Reverse((at.max(self.now), self.sequence, what)));
    }

    /// Lets the next thing happen, unless that is after `until`. False when
    /// there is none, or an invariant is broken.
    pub fn step(&mut self, until: Nanos) -> bool {
        if self.violation.is_some() {
            return false;
        }
        let Some(Reverse((at, _, what))) = self.queue.peek().copied() else {
            return false;
        };
        if at > until {
            self.now = until;
            return false;
        }
        self.queue.pop();
        self.now = at;
        self.tally.steps += 1;
        self.happen(what);
        true
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Deliver(place) => self.on_deliver(place),
            What::Wake(id, boot) => self.on_wake(id, boot),
            What::Continue(id, boot) => self.on_continue(id, boot),
            What::StartDaemon(id) => self.start_daemon(id),
            What::PowerOn(id) => self.power_on(id),
            What::Connect(id, socket) => self.on_connect(id, socket),
            What::Order(id, socket) => self.on_order(id, socket),
            What::Report(id, socket) => self.on_report(id, socket),
            What::Heartbeat(id, said) => self.on_heartbeat(id, said),
            What::ReportMoved(id) => self.on_report_moved(id),
            What::Done(id, work) => self.on_done(id, work),
            What::Reconcile(id) => self.on_reconcile(id),
            What::Synchronous(id, change) => self.on_synchronous(id, change),
            What::Commit(id, generation, place) => self.on_commit(id, generation, place),
            What::Ship(id, stream, end) => self.on_ship(id, stream, end),
            What::Flushed(id, stream, end) => self.on_flushed(id, stream, end),
            What::StartReplicator(id) => self.start_replicator(id),
            What::Write => self.on_write(),
            What::Read => self.on_read(),
            What::Fault => self.on_fault(),
            What::Provoked(id) => self.on_provoked(id),
            What::Mend(place) => self.mend(place),
        }
    }

    /// Lets `span` pass.
    pub fn run(&mut self, span: Nanos) {
        let until = self.now + span;
        while self.step(until) {}
    }

    /// Lets things happen until `done`, for `span` at most; true if it came.
    pub fn run_until(&mut self, span: Nanos, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now + span;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return false;
            }
        }
    }

    /// An invariant is broken; the first one counts.
    pub(crate) fn broken(&mut self, invariant: Invariant, what: String) {
        let relevant = match invariant {
            Invariant::I1 | Invariant::I5 | Invariant::Codec | Invariant::Deadline => true,
            Invariant::Order | Invariant::I4 | Invariant::I6 => true,
            Invariant::I2 | Invariant::Deposed => !self.plan.breaks_clocks(),
            Invariant::I7 => !self.plan.breaks_clocks(),
            Invariant::I3 => {
                !self.plan.breaks_clocks() && !self.plan.has(crate::plan::Fault::Suspend)
            }
        };
        let memory = matches!(
            invariant,
            Invariant::I5 | Invariant::Codec | Invariant::Deadline | Invariant::Order
        );
        let relevant = relevant && (memory || !self.checker.parted);
        let watched = self.plan.watch.is_none_or(|watch| watch == invariant);
        if relevant && watched && self.violation.is_none() {
            self.say(format_args!("!! {invariant}: {what}"));
            self.violation = Some(Violation {
                invariant,
                at: self.now,
                what,
            });
        }
    }

    /// Prints a line, when lines are printed.
    pub(crate) fn say(&self, line: std::fmt::Arguments<'_>) {
        if self.trace == Trace::Print {
            println!("{:>12.6} {line}", self.now as f64 / 1e9);
        }
    }

    pub(crate) fn host(&self, id: NodeId) -> &Host {
        &self.hosts[id.index()]
    }

    pub(crate) fn host_mut(&mut self, id: NodeId) -> &mut Host {
        &mut self.hosts[id.index()]
    }

    /// The database of a manager; the arbiter has none.
    pub fn manager(&self, id: NodeId) -> &Manager {
        assert!(id != NodeId::R, "the arbiter holds no data");
        &self.managers[id.index()]
    }

    pub(crate) fn manager_mut(&mut self, id: NodeId) -> &mut Manager {
        assert!(id != NodeId::R, "the arbiter holds no data");
        &mut self.managers[id.index()]
    }
}
