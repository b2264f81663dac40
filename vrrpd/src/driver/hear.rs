//! What comes from each source, brought to the core.

use std::io;

use mio::Token;
use vrrpd_core::node::{self, Node};
use vrrpd_core::pool::Order as PoolOrder;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::priority::CheckState;
use vrrpd_sys::netlink::Address;

use super::links::{Change, Read};
use super::pool::Received;
use super::replicator::News;
use super::signals::Signal;
use super::status::{Surroundings, patience, status};
use super::vrrp::Incoming;
use super::{BURST, Driver, LINKS, POOL, REPLICATOR, SIGNALS, TIMER, VRRP, now, start};
use crate::check;
use crate::control::status::Status;
use crate::control::{ClientId, Request};
use crate::job::{Order, Owner};

impl Driver {
    /// Reads from a source up to a bound; true when there may be more.
    pub(super) fn on_ready(&mut self, token: Token) -> io::Result<bool> {
        match token {
            TIMER => Ok(false),
            SIGNALS => self.on_signals().map(|()| false),
            LINKS => self.on_links(),
            POOL => self.on_pool(),
            token if token == REPLICATOR.0 || token == REPLICATOR.1 => self.on_replicator(token),
            token if self.control.owns(token) => self.on_control(token).map(|()| false),
            token if self.runner.owns(token) => self.on_child(token).map(|()| false),
            token => self.on_vrrp(token.0 - VRRP.0),
        }
    }

    fn on_vrrp(&mut self, place: usize) -> io::Result<bool> {
        for _ in 0..BURST {
            let Some(incoming) = self.vrrp.receive(place) else {
                return Ok(false);
            };
            let Some(node) = &mut self.node else {
                continue;
            };
            let event = match incoming {
                Incoming::Packet {
                    interface,
                    header,
                    payload,
                } => node::Event::PacketReceived {
                    interface,
                    header,
                    payload,
                },
                Incoming::Malformed { interface } => node::Event::PacketMalformed { interface },
            };
            node.handle(event, now(), &mut self.actions);
            self.perform()?;
        }
        Ok(true)
    }

    fn on_pool(&mut self) -> io::Result<bool> {
        for _ in 0..BURST {
            let received = match &mut self.pool {
                Some(pool) => pool.receive(now),
                None => Received::Nothing,
            };
            match received {
                Received::Message(envelope) => {
                    self.deliver(node::Event::PoolReceived(*envelope))?
                }
                Received::Other => {}
                Received::Nothing => return Ok(false),
            }
        }
        Ok(true)
    }

    fn on_replicator(&mut self, token: Token) -> io::Result<bool> {
        let Some(replicator) = &mut self.replicator else {
            return Ok(false);
        };
        let mut news = Vec::new();
        let more = if token == REPLICATOR.0 {
            replicator.on_listener(self.poll.registry(), now(), &mut news);
            false
        } else {
            replicator.on_client(now(), &mut news)
        };
        self.tell_news(news)?;
        Ok(more)
    }

    pub(super) fn tell_news(&mut self, news: Vec<News>) -> io::Result<()> {
        for news in news {
            if let (Some(alone), News::Observed(observed)) = (&mut self.alone, &news)
                && alone.on_observed(observed).is_some()
            {
                self.order_alone();
            }
            if let Some(alone) = &mut self.alone {
                if news == News::Lost {
                    alone.on_lost();
                    self.order_alone();
                }
                continue;
            }
            self.deliver(match news {
                News::Observed(observed) => node::Event::Database(observed),
                News::Lost => node::Event::ReplicatorLost,
            })?;
        }
        Ok(())
    }

    fn on_links(&mut self) -> io::Result<bool> {
        let mut gone = Vec::new();
        let read = self.links.read(&mut gone)?;
        if read == Read::Changes {
            self.tell_links()?;
        }
        for address in gone {
            self.on_address_gone(&address)?;
        }
        Ok(read != Read::Nothing)
    }

    /// An address that shall be there is not: unless that was us, a moment ago.
    fn on_address_gone(&mut self, address: &Address) -> io::Result<()> {
        let (interface, ip) = (address.interface, address.address);
        if !self.kernel.holds(interface, ip) || self.links.has(interface, ip)? {
            return Ok(());
        }
        let Some(interface) = self.links.name(interface).map(str::to_owned) else {
            return Ok(());
        };
        self.deliver(node::Event::AddressDeleted {
            interface: &interface,
            address: ip,
        })
    }

    /// Tells what is new about the interfaces.
    pub(super) fn tell_links(&mut self) -> io::Result<()> {
        let routers = &self.config.virtual_routers;
        let mut interfaces: Vec<&str> = routers
            .iter()
            .map(|router| router.identity.interface.as_str())
            .chain(
                self.config
                    .checks
                    .iter()
                    .filter_map(|check| match &check.probe {
                        crate::config::Probe::Interface(name) => Some(name.as_str()),
                        _ => None,
                    }),
            )
            .collect();
        interfaces.sort_unstable();
        interfaces.dedup();
        let of_backup = |ip| {
            routers
                .iter()
                .filter(|router| !router.priority.is_owner())
                .any(|router| router.addresses.iter().any(|address| address.ip == ip))
        };
        let changes = self.links.changes(interfaces.into_iter(), of_backup);
        if !changes.is_empty() {
            self.fit_sockets();
        }
        for change in changes {
            match change {
                Change::Link(interface, up) => {
                    self.deliver(node::Event::Link {
                        interface: &interface,
                        up,
                    })?;
                    self.check(check::Event::Link(interface, up))?;
                }
                Change::Source(interface, family, address) => {
                    self.deliver(node::Event::Source {
                        interface: &interface,
                        family,
                        address,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Tells the checks something, and does what they order.
    pub(super) fn check(&mut self, event: check::Event) -> io::Result<()> {
        let mut actions = Vec::new();
        self.checks.handle(event, now(), &mut actions);
        self.check_actions(actions)
    }

    pub(super) fn check_actions(&mut self, actions: Vec<check::Action>) -> io::Result<()> {
        for action in actions {
            match action {
                check::Action::Order(order) => self.launch(vec![order])?,
                check::Action::Checked { check, state } => {
                    self.deliver(node::Event::Checked { check, state })?;
                }
            }
        }
        Ok(())
    }

    /// Starts and kills children; those that cannot be started have ended.
    pub(super) fn launch(&mut self, orders: Vec<Order>) -> io::Result<()> {
        let mut ended = Vec::new();
        self.runner
            .perform(orders, self.poll.registry(), &mut ended);
        self.on_ended(ended)
    }

    fn on_child(&mut self, token: Token) -> io::Result<()> {
        let mut ended = Vec::new();
        self.runner
            .on_ready(token, self.poll.registry(), &mut ended);
        self.on_ended(ended)
    }

    fn on_ended(&mut self, ended: Vec<(crate::job::Id, crate::job::Outcome)>) -> io::Result<()> {
        for (id, outcome) in ended {
            match id.owner {
                Owner::Check => self.check(check::Event::Ended(id, outcome))?,
                Owner::Hook => {
                    let mut orders = Vec::new();
                    self.hooks.on_ended(id, &outcome, now(), &mut orders);
                    self.launch(orders)?;
                }
            }
        }
        Ok(())
    }

    fn on_control(&mut self, token: Token) -> io::Result<()> {
        let mut requests = Vec::new();
        self.control
            .on_ready(token, self.poll.registry(), &mut requests);
        for (client, request) in requests {
            self.on_request(client, request)?;
        }
        Ok(())
    }

    fn on_request(&mut self, client: ClientId, request: Request) -> io::Result<()> {
        match request {
            Request::Status => {
                let status = self.status();
                self.control.answer(client, &status);
            }
            Request::Log => {
                let entries: Vec<_> = self.journal.entries().collect();
                self.control.answer(client, &entries);
            }
            // The server answers it by itself.
            Request::Watch => {}
            Request::Reload => match self.reload() {
                Ok(()) => self.control.answer(client, &"reloaded"),
                Err(why) => self.control.refuse(client, &why),
            },
            Request::Switchover { epoch } => self.on_switchover(client, epoch)?,
            Request::Promote { alone } => self.on_promote(client, alone)?,
            Request::Pause => self.on_pause(client, true)?,
            Request::Resume => self.on_pause(client, false)?,
            Request::Configure { wish, dry_run } => self.on_configure(client, &wish, dry_run)?,
        }
        Ok(())
    }

    fn on_switchover(&mut self, client: ClientId, epoch: Option<String>) -> io::Result<()> {
        let Some(member) = self.node.as_ref().and_then(Node::member) else {
            self.control.refuse(
                client,
                "this manager is in no pool: there is nobody to switch over to",
            );
            return Ok(());
        };
        let record = member.status(now()).durable.record;
        let present = record.map(|record| record.epoch);
        let epoch = match epoch.map(|text| text.parse()).transpose() {
            Ok(given) => given.or(present),
            Err(error) => {
                self.control.refuse(client, &error.to_string());
                return Ok(());
            }
        };
        let Some(epoch) = epoch else {
            self.control.refuse(client, "no pool has been formed");
            return Ok(());
        };
        let order = PoolOrder::Switchover { epoch };
        self.order(client, order, "the switchover has begun")
    }

    fn on_promote(&mut self, client: ClientId, alone: bool) -> io::Result<()> {
        let Some(member) = self.node.as_ref().and_then(Node::member) else {
            self.control
                .refuse(client, "this manager is in no pool: nobody is promoted");
            return Ok(());
        };
        let epoch = member.reign();
        let order = PoolOrder::Force { epoch, alone };
        self.order(client, order, "the claim by the operator's word has begun")
    }

    fn on_pause(&mut self, client: ClientId, paused: bool) -> io::Result<()> {
        if self.node.as_ref().and_then(Node::member).is_none() {
            self.control
                .refuse(client, "this manager is in no pool: nothing fails over");
            return Ok(());
        }
        let done = if paused { "paused" } else { "resumed" };
        self.order(client, PoolOrder::Pause { paused }, done)
    }

    /// Gives the core an order, and tells whether it was taken.
    fn order(&mut self, client: ClientId, order: PoolOrder, taken: &str) -> io::Result<()> {
        self.refusal = None;
        self.deliver(node::Event::Order(order))?;
        match self.refusal.take() {
            Some(refusal) => self.control.refuse(client, &refusal.to_string()),
            None => self.control.answer(client, &taken),
        }
        Ok(())
    }

    fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.take()? {
            match signal {
                Signal::Stop if self.stops_by.is_some() => {}
                Signal::Stop => {
                    log::info!("stops");
                    self.stops_by = Some(start::patience(&self.config, now()));
                    self.deliver(node::Event::Shutdown)?;
                }
                Signal::Reload => match self.reload() {
                    Ok(()) => log::info!("{}: read again", self.file.display()),
                    Err(why) => why.lines().for_each(|line| log::error!("{line}")),
                },
                Signal::State => self.say_state(),
                Signal::Statistics => self.say_statistics(),
            }
        }
        Ok(())
    }

    /// Looks at what nobody tells.
    pub(super) fn tend(&mut self) -> io::Result<()> {
        self.kernel.tend()?;
        self.tend_formation();
        if self.node.is_none() && self.stops_by.is_none() {
            if let Err(error) = self.begin() {
                log::debug!("{error}");
            }
            if self.node.is_some() {
                log::info!("the state can be written again: begins anew");
            }
        }
        let Some(pool) = &self.config.pool else {
            return Ok(());
        };
        let patience = patience(pool);
        let Some(member) = self.node.as_ref().and_then(Node::member) else {
            return Ok(());
        };
        let now = now();
        let heard: Vec<(NodeId, bool)> = member
            .status(now)
            .peers
            .iter()
            .map(|peer| {
                let recent = peer.heard.is_some_and(|heard| now.since(heard) <= patience);
                (peer.node, recent)
            })
            .collect();
        for (node, recent) in heard {
            self.check(check::Event::Reachable(node, recent))?;
        }
        Ok(())
    }

    /// How this manager is.
    pub(super) fn status(&self) -> Status {
        let mut status = self.plain_status();
        self.tell_formation(&mut status);
        status
    }

    /// The same, without what is being formed.
    pub(super) fn plain_status(&self) -> Status {
        let states: Vec<CheckState> = self.checks.states().map(|(_, state)| state).collect();
        let report = self.replicator.as_ref().and_then(|link| link.report());
        let around = Surroundings {
            gate_open: self.kernel.is_open(),
            database: serde_json::to_value(report).expect("a report is plain data"),
            events: self.journal.entries().cloned().collect(),
        };
        status(&self.config, self.node.as_ref(), &states, around, now())
    }

    fn say_state(&self) {
        let mut status = self.status();
        status.events.clear();
        let text = serde_json::to_string(&status).expect("a status is plain data");
        log::info!("{text}");
    }

    fn say_statistics(&self) {
        for router in self.node.iter().flat_map(Node::routers) {
            let counters = router.statistics();
            log::info!(
                "{}: became Active {} times, {} advertisements sent, {} received, {} of priority 0 \
                 received, {} rivals, {} addresses put back, {} times late",
                router.config().identity,
                counters.became_active,
                counters.adverts_sent,
                counters.adverts_received,
                counters.priority_zero_received,
                counters.rivals,
                counters.put_back,
                counters.late
            );
        }
        if let Some(pool) = &self.pool {
            let (counters, unsent) = pool.counters();
            log::info!(
                "pool: {} messages accepted, {} answered by a hello, {} malformed, {} of another \
                 version, {} of another pool, {} forged, {} replayed, {} misaddressed, {unsent} not sent",
                counters.accepted,
                counters.replied,
                counters.malformed,
                counters.other_version,
                counters.other_pool,
                counters.forged,
                counters.replayed,
                counters.misaddressed
            );
        }
    }
}
