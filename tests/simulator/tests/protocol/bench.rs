//! Three members on a bench: every message passes through the script's hands,
//! databases obey at once, and the invariants are checked after every action.

use simulator::check::{Checker, Invariant};
use vrrpd_core::pool::database::{Desired, Follower, Observed, Position, Role, Server, Ticket};
use vrrpd_core::pool::member::Member;
use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::{
    CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters,
};
use vrrpd_core::pool::rule::Rule;
use vrrpd_core::pool::status::{Standing, Status};
use vrrpd_core::pool::{Action, Config, Decision, Durability, Event, Order, Refusal};
use vrrpd_core::time::{Duration, Instant};

pub(crate) use NodeId::{A, B, R};

/// One millisecond of virtual time.
const MILLI: Duration = Duration::from_millis(1);

/// A grant.
pub(crate) const LEASE: u64 = 300;

/// A database that does at once what it is told, unless the script speaks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Database {
    /// Its replicator is connected.
    pub(crate) connected: bool,
    /// It does what it is told, and tells so.
    pub(crate) obeys: bool,
    /// What it says of itself.
    pub(crate) said: Observed,
}

/// One party.
pub(crate) struct Party {
    member: Option<Member>,
    /// It does not run, and messages wait.
    pub(crate) frozen: bool,
    /// Its state directory.
    pub(crate) disk: Option<Durable>,
    /// Its database.
    pub(crate) database: Database,
    /// The last order to it.
    pub(crate) desired: Option<Desired>,
    /// The kernel's timers.
    gate_until: Instant,
    address_until: Instant,
    /// What it decided, in order.
    pub(crate) journal: Vec<Decision>,
    /// Why it refused orders.
    pub(crate) refusals: Vec<Refusal>,
    released: Option<Epoch>,
}

type Matches = Box<dyn Fn(&Envelope) -> bool>;
type Springs = Box<dyn Fn(&Action) -> bool>;

/// The bench.
pub(crate) struct Bench {
    /// The parties, by index.
    pub(crate) parties: [Party; 3],
    /// What members are told at their start.
    pub(crate) config: Config,
    /// Replication passes between the managers.
    pub(crate) replicates: bool,
    /// Messages that the script holds in its hands.
    pub(crate) held: Vec<Envelope>,
    /// What a restart of a's database made visible ends here.
    pub(crate) recovered: Option<u64>,
    /// What a's clients were told is committed ends here.
    pub(crate) acknowledged: Option<u64>,
    /// What did not hold, in order.
    pub(crate) broken: Vec<(Invariant, String)>,
    rule: Option<Rule>,
    now: Instant,
    wire: Vec<Envelope>,
    cuts: [[bool; 3]; 3],
    hold: Option<Matches>,
    /// The party is frozen before this action.
    freeze: Option<(NodeId, Springs)>,
    /// The party dies after this action.
    death: Option<(NodeId, Springs)>,
    checker: Checker,
    seed: u64,
}

/// The copy that `node` has at the beginning.
pub(crate) fn copy(node: NodeId) -> CopyId {
    CopyId(0xc0 + node.index() as u64)
}

/// The voters of the beginning.
pub(crate) const VOTERS: Voters = Voters([Incarnation(1), Incarnation(2), Incarnation(3)]);

/// Both copies of the beginning.
pub(crate) fn both() -> InSync {
    InSync {
        a: Some(copy(A)),
        b: Some(copy(B)),
    }
}

/// A record with which a pool begins.
pub(crate) fn record(counter: u64, node: NodeId, version: u32, in_sync: InSync) -> Record {
    Record {
        epoch: Epoch { counter, node },
        version,
        primary: node,
        in_sync,
        voters: VOTERS,
        forced: false,
    }
}

fn config() -> Config {
    Config {
        id: A,
        advertise_interval: Duration::from_millis(100),
        lease: Duration::from_millis(LEASE),
        remove_after: Duration::from_millis(1_000),
        switchover_timeout: Duration::from_millis(2_400),
        promote_timeout: Duration::from_millis(3_000),
        replicator_timeout: Duration::from_secs(600),
        stable: Duration::from_millis(1_200),
        active: false,
        durability: Durability::Available,
        offer: Some(7),
    }
}

impl Bench {
    /// Everything is off; `first` is on every disk, and effective.
    pub(crate) fn founded(first: Record, rule: Option<Rule>) -> Self {
        let party = |id: NodeId| Party {
            member: None,
            frozen: false,
            disk: Some(Durable {
                boots: 1,
                promised: first.epoch,
                reserved: first.epoch.counter,
                record: Some(first),
                effective: Some(first),
                ..Durable::blank(VOTERS.of(id))
            }),
            database: Database {
                connected: id != R,
                obeys: true,
                said: Observed {
                    ticket: Ticket::default(),
                    server: Server::Down,
                    healthy: true,
                    copy: Some(copy(id)),
                    run: 1,
                    synchronous: None,
                    position: Some(Position {
                        timeline: 1,
                        lsn: 1_000,
                    }),
                    follower: None,
                    checkpointed: false,
                },
            },
            desired: None,
            gate_until: Instant::ZERO,
            address_until: Instant::ZERO,
            journal: Vec::new(),
            refusals: Vec::new(),
            released: None,
        };
        let mut checker = Checker::default();
        checker.found(first);
        Self {
            parties: NodeId::ALL.map(party),
            config: config(),
            replicates: true,
            held: Vec::new(),
            recovered: None,
            acknowledged: None,
            broken: Vec::new(),
            rule,
            now: Instant::from_nanos(1_000_000_000_000),
            wire: Vec::new(),
            cuts: [[false; 3]; 3],
            hold: None,
            freeze: None,
            death: None,
            checker,
            seed: 0,
        }
    }

    /// a is Primary of a pool whose copies are both in sync.
    pub(crate) fn whole(rule: Option<Rule>) -> Self {
        Self::whole_leased(LEASE, rule)
    }

    /// The same, with grants that last for `millis`.
    pub(crate) fn whole_leased(millis: u64, rule: Option<Rule>) -> Self {
        let mut bench = Self::founded(record(1, A, 1, both()), rule);
        bench.config.lease = Duration::from_millis(millis);
        for id in NodeId::ALL {
            bench.start(id);
        }
        bench.run_until("a serves with both in sync", |bench| {
            bench.serves(A) && bench.record(A).in_sync == both() && bench.is_effective(A)
        });
        bench.run(150);
        for party in &mut bench.parties {
            party.journal.clear();
            party.refusals.clear();
        }
        bench
    }

    /// a is Primary and alone in sync; b is off.
    pub(crate) fn sole(rule: Option<Rule>) -> Self {
        let mut bench = Self::whole(rule);
        bench.stop(B);
        bench.run_until("b's copy leaves the set", |bench| {
            bench.record(A).in_sync.is_only(A) && bench.is_effective(A)
        });
        bench.run(150);
        bench
    }

    /// Starts `id` with what is on its disk.
    pub(crate) fn start(&mut self, id: NodeId) {
        assert!(self.party(id).member.is_none(), "{id} runs already");
        self.seed += 1;
        let config = Config { id, ..self.config };
        let mut member = Member::new(config, self.party(id).disk, self.seed, self.now);
        if let Some(rule) = self.rule {
            member.break_rule(rule);
        }
        let mut out = Vec::new();
        member.start(self.now, &mut out);
        let party = self.party_mut(id);
        party.member = Some(member);
        party.frozen = false;
        self.perform(id, out);
        if id != R {
            let priority = if id == A { 150 } else { 100 };
            self.feed(id, Event::Priority(priority));
        }
        self.obey(id);
    }

    /// Ends the daemon of `id`; its kernel's timers go on.
    pub(crate) fn stop(&mut self, id: NodeId) {
        self.party_mut(id).member = None;
    }

    /// Ends it, and starts it again.
    pub(crate) fn restart(&mut self, id: NodeId) {
        self.stop(id);
        self.start(id);
    }

    /// The disk of `id`, off, is lost, and a new voter put in its place; the old
    /// disk is handed out.
    pub(crate) fn replace_disk(&mut self, id: NodeId, disk: Option<Durable>) -> Option<Durable> {
        self.stop(id);
        std::mem::replace(&mut self.party_mut(id).disk, disk)
    }

    /// The host of `id` loses its power.
    pub(crate) fn power_off(&mut self, id: NodeId) {
        self.stop(id);
        let party = self.party_mut(id);
        party.gate_until = Instant::ZERO;
        party.address_until = Instant::ZERO;
    }

    /// Cuts the way from one party to another.
    pub(crate) fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.cuts[from.index()][to.index()] = true;
    }

    /// Cuts both ways.
    pub(crate) fn cut(&mut self, one: NodeId, two: NodeId) {
        self.cut_one_way(one, two);
        self.cut_one_way(two, one);
    }

    /// Cuts `id` off from both others.
    pub(crate) fn isolate(&mut self, id: NodeId) {
        for other in id.others() {
            self.cut(id, other);
        }
    }

    /// Joins all.
    pub(crate) fn join(&mut self) {
        self.cuts = [[false; 3]; 3];
    }

    /// Joins two.
    pub(crate) fn join_two(&mut self, one: NodeId, two: NodeId) {
        self.cuts[one.index()][two.index()] = false;
        self.cuts[two.index()][one.index()] = false;
    }

    /// From now on, messages for which `matches` says so stay in the script's hands.
    pub(crate) fn hold(&mut self, matches: impl Fn(&Envelope) -> bool + 'static) {
        self.hold = Some(Box::new(matches));
    }

    /// Holds no more; what is held stays so.
    pub(crate) fn hold_nothing(&mut self) {
        self.hold = None;
    }

    /// Hands out what is held, in the order of sending, and holds no more.
    pub(crate) fn release(&mut self) {
        self.hold = None;
        for envelope in std::mem::take(&mut self.held) {
            self.hand(envelope);
        }
    }

    /// Hands a message to its receiver.
    pub(crate) fn hand(&mut self, envelope: Envelope) {
        self.feed(envelope.to, Event::Received(envelope));
    }

    /// `id` is frozen before it performs the first action for which `springs`.
    pub(crate) fn freeze_before(
        &mut self,
        id: NodeId,
        springs: impl Fn(&Action) -> bool + 'static,
    ) {
        self.freeze = Some((id, Box::new(springs)));
    }

    /// `id` dies after it has performed the first action for which `springs`.
    pub(crate) fn die_after(&mut self, id: NodeId, springs: impl Fn(&Action) -> bool + 'static) {
        self.death = Some((id, Box::new(springs)));
    }

    /// An operator's word.
    pub(crate) fn order(&mut self, id: NodeId, order: Order) {
        self.feed(id, Event::Order(order));
    }

    /// An operator forces `id`.
    pub(crate) fn force(&mut self, id: NodeId, alone: bool) {
        let epoch = self.record(id).epoch;
        self.order(id, Order::Force { epoch, alone });
    }

    /// The database of `id` becomes what `change` makes of it, and says so. It
    /// has reconciled with its last order, and obeys no longer by itself.
    pub(crate) fn says(&mut self, id: NodeId, change: impl FnOnce(&mut Observed)) {
        let party = self.party_mut(id);
        party.database.obeys = false;
        if let Some(desired) = party.desired {
            party.database.said.ticket = desired.ticket;
        }
        change(&mut party.database.said);
        self.report(id);
    }

    /// Lets `millis` pass: deadlines, messages, reports.
    pub(crate) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }

    /// Lets time pass until `done`, ten seconds at most.
    pub(crate) fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..10_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("not within 10 s: {what}\n{}", self.describe());
    }

    fn step(&mut self) {
        self.now = self.now + MILLI;
        for id in NodeId::ALL {
            let due = self.member(id).and_then(Member::deadline);
            if due.is_some_and(|due| due <= self.now) {
                self.feed(id, Event::Wake);
            }
        }
        for envelope in std::mem::take(&mut self.wire) {
            if self.party(envelope.to).frozen {
                self.wire.push(envelope);
            } else {
                self.hand(envelope);
            }
        }
        if (self.now.as_nanos() / 1_000_000).is_multiple_of(50) {
            self.report(A);
            self.report(B);
        }
        self.check();
    }

    fn feed(&mut self, id: NodeId, event: Event) {
        let now = self.now;
        let party = self.party_mut(id);
        if party.frozen {
            return;
        }
        let Some(member) = &mut party.member else {
            return;
        };
        let mut out = Vec::new();
        member.handle(event, now, &mut out);
        self.perform(id, out);
    }

    fn perform(&mut self, id: NodeId, actions: Vec<Action>) {
        let mut ordered = false;
        for action in actions {
            if self
                .freeze
                .as_ref()
                .is_some_and(|(node, springs)| *node == id && springs(&action))
            {
                self.freeze = None;
                self.party_mut(id).frozen = true;
                return;
            }
            ordered |= matches!(action, Action::Database(_));
            self.act(id, action);
            if self
                .death
                .as_ref()
                .is_some_and(|(node, springs)| *node == id && springs(&action))
            {
                self.death = None;
                self.stop(id);
                return;
            }
        }
        if ordered {
            self.obey(id);
        }
        self.check();
    }

    fn act(&mut self, id: NodeId, action: Action) {
        match action {
            Action::Persist(state) => {
                let before = self.party(id).disk;
                if let Err(broken) = self.checker.persist(id, before.as_ref(), &state) {
                    self.broken.push(broken);
                }
                self.party_mut(id).disk = Some(state);
            }
            Action::Send(envelope) => self.send(id, envelope),
            Action::Hold { until } => {
                let timer = &mut self.party_mut(id).address_until;
                *timer = (*timer).max(until);
            }
            Action::Drop => self.party_mut(id).address_until = Instant::ZERO,
            Action::OpenGate { until } => {
                let timer = &mut self.party_mut(id).gate_until;
                *timer = (*timer).max(until);
            }
            Action::CloseGate => self.party_mut(id).gate_until = Instant::ZERO,
            Action::Database(desired) => self.party_mut(id).desired = Some(desired),
            Action::Decided(decision) => self.party_mut(id).journal.push(decision),
            Action::Refused(refusal) => self.party_mut(id).refusals.push(refusal),
        }
    }

    fn send(&mut self, id: NodeId, envelope: Envelope) {
        if let Body::Release { epoch, .. } = envelope.body
            && epoch.node == id
        {
            self.party_mut(id).released = Some(epoch);
        }
        let party = self.party(id);
        let closed = (party.gate_until, party.address_until) == (Instant::ZERO, Instant::ZERO);
        if matches!(envelope.body, Body::Promise { .. }) && !closed {
            let what = format!("{id} promises with its gate open");
            self.broken.push((Invariant::I3, what));
        }
        if self.hold.as_ref().is_some_and(|hold| hold(&envelope)) {
            self.held.push(envelope);
        } else if !self.cuts[envelope.from.index()][envelope.to.index()] {
            self.wire.push(envelope);
        }
    }

    /// The database does what it was last told.
    fn obey(&mut self, id: NodeId) {
        let Some(desired) = self.party(id).desired.filter(|_| id != R) else {
            return;
        };
        let database = &mut self.party_mut(id).database;
        if database.obeys {
            let said = &mut database.said;
            let fits = said.copy == desired.copy;
            said.ticket = desired.ticket;
            said.server = match desired.role {
                Role::Standby => Server::Standby,
                Role::Primary | Role::Retiring if fits => Server::Primary,
                Role::Primary | Role::Retiring => Server::Standby,
                Role::Stopped => Server::Stopped,
            };
            said.synchronous = desired
                .synchronous
                .filter(|_| said.server == Server::Primary);
            said.checkpointed = desired.role == Role::Retiring;
        }
        self.report(id);
    }

    /// The database of `id` says what it is.
    pub(crate) fn report(&mut self, id: NodeId) {
        let Some(peer) = id.peer().filter(|_| self.party(id).database.connected) else {
            return;
        };
        if self.party(id).database.obeys {
            let other = self.party(peer);
            let said = other.database.said;
            let follows = other
                .desired
                .is_some_and(|desired| desired.role == Role::Standby && desired.follow == Some(id));
            let streams = self.replicates && follows && other.member.is_some();
            let follower = said.copy.filter(|_| streams).map(|copy| Follower {
                copy,
                flushed: said.position.map_or(0, |position| position.lsn),
            });
            let own = &mut self.party_mut(id).database.said;
            own.follower = follower.filter(|_| own.server == Server::Primary);
        }
        let said = self.party(id).database.said;
        self.feed(id, Event::Database(said));
    }

    /// I2 and I3, as the parties say themselves and as their kernels have it.
    fn check(&mut self) {
        for id in [A, B] {
            let Some(status) = self.status(id).filter(Status::reigns) else {
                continue;
            };
            let epoch = status.durable.record.map(|record| record.epoch);
            if epoch <= self.party(id).released {
                self.broken
                    .push((Invariant::I2, format!("{id} after its Release")));
            }
        }
        if self.shows_unreplicated() {
            let what = "clients read what the copy in sync does not have".to_owned();
            self.broken.push((Invariant::I7, what));
        }
        if self.trusts_what_lacks() {
            let what = "a copy in sync lacks what is acknowledged".to_owned();
            self.broken.push((Invariant::I1, what));
        }
        if self.is_unbound(A) || self.is_unbound(B) {
            return;
        }
        let reigns = |id| self.status(id).is_some_and(|status| status.reigns());
        if reigns(A) && reigns(B) {
            let what = self.describe();
            self.broken.push((Invariant::I2, what));
        }
        if self.admits(A) && self.admits(B) || self.answers(A) && self.answers(B) {
            let what = self.describe();
            self.broken.push((Invariant::I3, what));
        }
    }

    /// Whether a's gate is open while b's copy, in sync by a quorum's word, lacks
    /// what a restart has made visible.
    fn shows_unreplicated(&self) -> bool {
        let (Some(end), Some(state)) = (self.recovered, self.party(A).disk) else {
            return false;
        };
        let named = state.effective.and_then(|record| record.in_sync.copy(B));
        let follower = self.party(A).database.said.follower;
        self.admits(A)
            && named
                .is_some_and(|copy| !follower.is_some_and(|f| f.copy == copy && f.flushed >= end))
    }

    /// Whether b's present copy is in sync by a quorum's word, and lacks what a's
    /// clients were told is committed.
    fn trusts_what_lacks(&self) -> bool {
        let (Some(end), Some(state)) = (self.acknowledged, self.party(A).disk) else {
            return false;
        };
        let named = state.effective.and_then(|record| record.in_sync.copy(B));
        let said = self.party(B).database.said;
        named.is_some() && named == said.copy && said.position.is_none_or(|p| p.lsn < end)
    }

    /// An operator's word was accepted, and `id` has not heard of it.
    fn is_unbound(&self, id: NodeId) -> bool {
        let promised = self.party(id).disk.map(|state| state.promised);
        self.checker
            .forced()
            .is_some_and(|forced| promised < Some(forced))
    }

    fn party(&self, id: NodeId) -> &Party {
        &self.parties[id.index()]
    }

    /// The party `id`.
    pub(crate) fn party_mut(&mut self, id: NodeId) -> &mut Party {
        &mut self.parties[id.index()]
    }

    fn member(&self, id: NodeId) -> Option<&Member> {
        self.party(id)
            .member
            .as_ref()
            .filter(|_| !self.party(id).frozen)
    }

    /// What `id` says of itself, if it runs.
    pub(crate) fn status(&self, id: NodeId) -> Option<Status> {
        let member = self.party(id).member.as_ref();
        member.map(|member| member.status(self.now))
    }

    /// Whether `id` is Primary by its own word.
    pub(crate) fn reigns(&self, id: NodeId) -> bool {
        self.status(id).is_some_and(|status| status.reigns())
    }

    /// Whether `id` is Primary and admits clients.
    pub(crate) fn serves(&self, id: NodeId) -> bool {
        let serving = |status: Status| status.standing == Standing::Serving;
        self.status(id).is_some_and(serving) && self.admits(id)
    }

    /// Whether clients are admitted at `id`.
    pub(crate) fn admits(&self, id: NodeId) -> bool {
        self.party(id).gate_until > self.now
    }

    /// Whether `id` answers for the address.
    pub(crate) fn answers(&self, id: NodeId) -> bool {
        self.party(id).address_until > self.now
    }

    /// The state on the disk of `id`.
    pub(crate) fn state(&self, id: NodeId) -> Durable {
        self.party(id).disk.expect("a state directory")
    }

    /// The record on the disk of `id`.
    pub(crate) fn record(&self, id: NodeId) -> Record {
        self.state(id).record.expect("it is not blank")
    }

    /// Whether `id` knows its record to be accepted.
    pub(crate) fn is_effective(&self, id: NodeId) -> bool {
        self.state(id).record == self.state(id).effective
    }

    /// The copy for which commits of `id` were last ordered to wait.
    pub(crate) fn waits_for(&self, id: NodeId) -> Option<CopyId> {
        self.party(id)
            .desired
            .and_then(|desired| desired.synchronous)
    }

    /// The role in which the database of `id` was last ordered to be.
    pub(crate) fn role(&self, id: NodeId) -> Option<Role> {
        self.party(id).desired.map(|desired| desired.role)
    }

    /// How many claims `id` has begun.
    pub(crate) fn claims(&self, id: NodeId) -> usize {
        let claims = |one: &&Decision| matches!(one, Decision::Claims { .. });
        self.party(id).journal.iter().filter(claims).count()
    }

    /// Nothing was broken.
    pub(crate) fn well(&self) {
        assert!(
            self.broken.is_empty(),
            "{:?}\n{}",
            self.broken,
            self.describe()
        );
    }

    /// Where everything stands.
    pub(crate) fn describe(&self) -> String {
        let mut said = String::new();
        for id in NodeId::ALL {
            let party = self.party(id);
            let standing = self
                .status(id)
                .map(|status| (status.standing, status.held_back));
            said.push_str(&format!("{id}: {standing:?}"));
            if let Some(state) = party.disk {
                let record = state.record.map_or("blank".to_owned(), |r| r.to_string());
                said.push_str(&format!(", promised {}, {record}", state.promised));
            }
            for decision in party.journal.iter().rev().take(6).rev() {
                said.push_str(&format!("\n    {decision}"));
            }
            said.push('\n');
        }
        said
    }
}

/// Whether a message is a claim.
pub(crate) fn is_claim(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Claim { .. })
}

/// Whether it is a promise.
pub(crate) fn is_promise(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Promise { .. })
}

/// Whether it is an Accept.
pub(crate) fn is_accept(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Accept { .. })
}

/// Whether it is a renewal.
pub(crate) fn is_renew(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Renew { .. })
}

/// Whether it is a Release.
pub(crate) fn is_release(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Release { .. })
}

/// Whether it goes from one to the other.
pub(crate) fn goes(envelope: &Envelope, from: NodeId, to: NodeId) -> bool {
    envelope.from == from && envelope.to == to
}
