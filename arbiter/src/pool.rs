//! One pool's voter, its memory on disk, and its sessions with the managers.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use vrrpd::config::arbiter;
use vrrpd::driver;
use vrrpd::seal::{Boot, Counters, PoolId, Session, Verdict};
use vrrpd::store::{self, Store};
use vrrpd_core::pool::member::Member;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::{Action, Event};
use vrrpd_core::time::Instant;

/// Between attempts to write the state after the disk refused it.
const RETRY: Duration = Duration::from_secs(1);

/// A datagram to send.
pub type Outgoing = (SocketAddr, Vec<u8>);

/// A pool that this arbiter votes in.
#[derive(Debug)]
pub struct Pool {
    config: arbiter::Pool,
    directory: PathBuf,
    /// Where each manager last spoke from, authentically.
    addresses: [Option<SocketAddr>; 3],
    voter: Voter,
}

#[derive(Debug)]
enum Voter {
    /// It votes.
    Voting(Box<Voting>),
    /// Its state could not be written: it is as if switched off until it can.
    Silent { retry: Instant },
}

#[derive(Debug)]
struct Voting {
    member: Member,
    session: Session,
    store: Store,
}

impl Voting {
    /// Begins a boot: from here on it answers.
    fn start(
        config: &arbiter::Pool,
        directory: &Path,
        now: Instant,
    ) -> Result<(Self, Vec<Action>), store::Error> {
        let mut store = Store::open(directory)?;
        let durable = store.load()?;
        let mut member = Member::new(config.member, durable, driver::seed(), now);
        let mut actions = Vec::new();
        member.start(now, &mut actions);
        let durable = member.status(now).durable;
        store.save(&durable)?;
        actions.retain(|action| !matches!(action, Action::Persist(_)));
        let boot = Boot {
            incarnation: durable.incarnation,
            boots: durable.boots,
        };
        let session = Session::new(&config.key, NodeId::R, boot);
        Ok((
            Self {
                member,
                session,
                store,
            },
            actions,
        ))
    }
}

impl Pool {
    /// Starts the voter of `config`, whose state is in a directory of its name
    /// in `state`.
    ///
    /// # Errors
    ///
    /// The state cannot be read or written.
    pub fn start(config: arbiter::Pool, state: &Path, now: Instant) -> Result<Self, store::Error> {
        let directory = state.join(&config.name);
        let (voting, actions) = Voting::start(&config, &directory, now)?;
        let mut pool = Self {
            config,
            directory,
            addresses: [None; 3],
            voter: Voter::Voting(Box::new(voting)),
        };
        pool.perform(actions, now, &mut Vec::new());
        Ok(pool)
    }

    /// What its datagrams carry.
    pub fn id(&self) -> PoolId {
        self.config.key.pool_id()
    }

    /// A datagram of this pool arrived; what it is answered with is added to `out`.
    pub fn on_datagram(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
        out: &mut Vec<Outgoing>,
    ) {
        let Voter::Voting(voting) = &mut self.voter else {
            return;
        };
        let envelope = match voting.session.open(datagram, now) {
            Verdict::Accepted(envelope) => {
                self.addresses[envelope.from.index()] = Some(from);
                envelope
            }
            Verdict::RolledBack(envelope) => envelope,
            Verdict::Reply(datagram) => return out.push((from, datagram)),
            Verdict::Dropped(_) => return,
        };
        let mut actions = Vec::new();
        voting
            .member
            .handle(Event::Received(envelope), now, &mut actions);
        self.perform(actions, now, out);
    }

    /// Its deadline has come.
    pub fn on_wake(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        let mut actions = Vec::new();
        match &mut self.voter {
            Voter::Voting(voting) => voting.member.handle(Event::Wake, now, &mut actions),
            Voter::Silent { retry } if *retry > now => {}
            Voter::Silent { retry } => match Voting::start(&self.config, &self.directory, now) {
                Ok((voting, started)) => {
                    log::info!(
                        "{}: its state can be written again: it votes",
                        self.config.name
                    );
                    self.voter = Voter::Voting(Box::new(voting));
                    actions = started;
                }
                Err(_) => *retry = now + RETRY,
            },
        }
        self.perform(actions, now, out);
    }

    /// When [`Pool::on_wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.voter {
            Voter::Voting(voting) => voting.member.deadline(),
            Voter::Silent { retry } => Some(*retry),
        }
    }

    /// How many datagrams had which verdict since it started.
    pub fn counters(&self) -> Counters {
        match &self.voter {
            Voter::Voting(voting) => voting.session.counters(),
            Voter::Silent { .. } => Counters::default(),
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Instant, out: &mut Vec<Outgoing>) {
        let Voter::Voting(voting) = &mut self.voter else {
            return;
        };
        for action in actions {
            match action {
                Action::Persist(durable) => {
                    if let Err(error) = voting.store.save(&durable) {
                        // What depends on it must not be said; from disk it
                        // knows only what it has said.
                        log::error!("{}: {error}: it votes no more until then", self.config.name);
                        self.voter = Voter::Silent { retry: now + RETRY };
                        return;
                    }
                }
                Action::Send(envelope) => {
                    if let Some(address) = self.addresses[envelope.to.index()] {
                        out.push((address, voting.session.stamp(&envelope)));
                    }
                }
                Action::Decided(decision) => log::info!("{}: {decision}", self.config.name),
                // It has no address, no gate, no database and takes no orders.
                Action::Hold { .. }
                | Action::Drop
                | Action::OpenGate { .. }
                | Action::CloseGate
                | Action::Database(_)
                | Action::Refused(_) => {}
            }
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.config.name, self.id())?;
        let Voter::Voting(voting) = &self.voter else {
            return f.write_str("silent, its state cannot be written");
        };
        let durable = voting.member.status(driver::now()).durable;
        match durable.record {
            Some(record) => write!(f, "{record}, promised {}", durable.promised)?,
            None => f.write_str("remembers no pool")?,
        }
        for (node, name) in [(NodeId::A, "master"), (NodeId::B, "backup")] {
            match self.addresses[node.index()] {
                Some(address) => write!(f, ", {name} at {address}")?,
                None => write!(f, ", {name} not heard")?,
            }
        }
        Ok(())
    }
}
