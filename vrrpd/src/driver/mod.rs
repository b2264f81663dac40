//! The daemon's one loop: it owns every file descriptor, carries what happens
//! to the core, and performs what the core orders, in its order.
//!
//! It holds no decision that a test would want to see.

mod alone;
mod configure;
mod groups;
mod hear;
mod kernel;
mod links;
mod perform;
mod pool;
mod replicator;
pub mod signals;
mod start;
mod status;
mod vrrp;

use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use mio::{Events, Poll, Token};
use vrrpd_core::node::{self, Node};
use vrrpd_core::pool::Refusal;
use vrrpd_core::time::Instant;
use vrrpd_sys::clock::{self, Timer};

use crate::check::Checks;
use crate::config::Config;
use crate::configure::Formation;
use crate::control::{Journal, Server};
use crate::hook::Hooks;
use crate::job::{Order, Runner};
use crate::store::Store;
use alone::Alone;
use groups::GroupStates;
use kernel::Kernel;
use links::Links;
use pool::PoolLink;
use replicator::{News, ReplicatorLink};
use signals::Signals;
use vrrp::VrrpSockets;

const TIMER: Token = Token(0);
const SIGNALS: Token = Token(1);
const LINKS: Token = Token(2);
const POOL: Token = Token(3);
const REPLICATOR: (Token, Token) = (Token(4), Token(5));
const CONTROL: Token = Token(16);
const RUNNER: Token = Token(CONTROL.0 + Server::TOKENS);
const VRRP: Token = Token(RUNNER.0 + Runner::TOKENS);

/// Packets of one source before the others are looked at.
const BURST: usize = 64;

/// Between looks at what nobody tells: the rules, who is reachable, a disk that
/// refused. As long again is waited for a wake-up that comes for another reason.
const TEND: Duration = Duration::from_secs(1);

/// A wake-up is said to be late from here on.
const LATE: Duration = Duration::from_millis(50);

/// The time now.
pub fn now() -> Instant {
    Instant::from_nanos(clock::now())
}

/// A random number for a core's seed.
///
/// # Panics
///
/// When the kernel gives no random numbers.
pub fn seed() -> u64 {
    getrandom::u64().expect("the kernel gives random numbers")
}

/// How a daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// It is to be executed again, with another configuration.
    Again,
}

/// A manager that runs.
#[derive(Debug)]
pub struct Driver {
    file: PathBuf,
    config: Config,
    poll: Poll,
    timer: Timer,
    /// Sources that may have more to read.
    ready: BTreeSet<Token>,
    /// `None` while the state cannot be written: fenced, as if it had stopped.
    node: Option<Node>,
    /// In a pool.
    store: Option<Store>,
    kernel: Kernel,
    links: Links,
    vrrp: VrrpSockets,
    pool: Option<PoolLink>,
    /// It was said that the state cannot be written.
    forsaken: bool,
    /// The next state is the first of a boot.
    new_boot: bool,
    replicator: Option<ReplicatorLink>,
    /// In no pool, with a database.
    alone: Option<Alone>,
    /// What vrrpctl configured, and has not come to its end.
    formation: Option<Formation>,
    /// When a pool that has not formed is given up.
    forms_by: Option<Instant>,
    /// It stops to be executed again.
    again: bool,
    checks: Checks,
    groups: GroupStates,
    hooks: Hooks,
    runner: Runner,
    control: Server,
    journal: Journal,
    signals: Signals,
    actions: Vec<node::Action>,
    /// What the actions led to, done after them.
    orders: Vec<Order>,
    news: Vec<News>,
    refusal: Option<Refusal>,
    next_tend: Instant,
    /// When a stopping daemon ends, ready or not.
    stops_by: Option<Instant>,
}

impl Driver {
    /// Runs until a signal says stop and everything has been given up.
    ///
    /// # Errors
    ///
    /// The kernel's rules cannot be kept, or the system refuses to poll: the
    /// kernel ends all rights on time.
    pub fn run(mut self) -> io::Result<End> {
        let mut events = Events::with_capacity(128);
        loop {
            let deadline = self.deadline();
            if self.timer.armed() != deadline.map(Instant::as_nanos) {
                self.timer.set(deadline.map(Instant::as_nanos))?;
            }
            let overdue = deadline.is_some_and(|deadline| deadline <= now());
            let at_once = overdue || !self.ready.is_empty();
            match self
                .poll
                .poll(&mut events, at_once.then_some(Duration::ZERO))
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            self.on_time(deadline)?;
            self.ready.extend(events.iter().map(|event| event.token()));
            for token in core::mem::take(&mut self.ready) {
                if self.on_ready(token)? {
                    self.ready.insert(token);
                }
            }
            if let Some(by) = self.stops_by
                && (now() >= by || self.has_stopped())
            {
                return self.end();
            }
        }
    }

    /// When something is due.
    fn deadline(&self) -> Option<Instant> {
        [
            self.node.as_ref().and_then(Node::deadline),
            self.hooks.deadline(),
            self.checks.deadline(),
            self.replicator.as_ref().and_then(ReplicatorLink::deadline),
            Some(self.next_tend + TEND),
            self.forms_by,
            self.stops_by,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    fn on_time(&mut self, expected: Option<Instant>) -> io::Result<()> {
        let now = now();
        if let Some(late) = expected.map(|expected| now.since(expected))
            && late >= LATE
        {
            log::warn!("woke {} ms late", late.as_millis());
        }
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.node.as_ref().and_then(Node::deadline)) {
            self.deliver(node::Event::Wake)?;
        }
        if due(self.checks.deadline()) {
            self.check(crate::check::Event::Wake)?;
        }
        if due(self.hooks.deadline()) {
            let mut orders = Vec::new();
            self.hooks.on_wake(now, &mut orders);
            self.launch(orders)?;
        }
        if let Some(replicator) = &mut self.replicator
            && due(replicator.deadline())
        {
            let mut news = Vec::new();
            replicator.on_wake(now, &mut news);
            self.tell_news(news)?;
        }
        if due(self.forms_by) {
            self.give_up_forming()?;
        }
        if due(Some(self.next_tend)) {
            self.next_tend = now + TEND;
            self.tend()?;
        }
        Ok(())
    }

    /// Gives the core an event, and performs what it orders.
    fn deliver(&mut self, event: node::Event<'_>) -> io::Result<()> {
        let Some(node) = &mut self.node else {
            return Ok(());
        };
        // Read after the event was: what a message grants runs from no earlier
        // than its arrival.
        node.handle(event, now(), &mut self.actions);
        self.perform()
    }

    fn has_stopped(&self) -> bool {
        self.node
            .as_ref()
            .is_none_or(|node| node.has_stopped(now()))
            && self.hooks.is_idle()
    }

    /// The last steps of a daemon that stops.
    fn end(mut self) -> io::Result<End> {
        self.kernel.fence()?;
        if self.again {
            log::info!("executes itself again, as {} says now", self.file.display());
            return Ok(End::Again);
        }
        if self.pool.is_some() {
            // The database goes on as a standby, to which nobody is admitted.
            log::info!("stopped; the gate stays closed");
        } else {
            self.kernel.close()?;
            log::info!("stopped");
        }
        Ok(End::Stopped)
    }
}
