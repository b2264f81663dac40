//! What the core orders, done in its order.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use vrrpd_core::node::{Action, Node};
use vrrpd_core::pool::Decision;
use vrrpd_core::pool::record::Durable;
use vrrpd_core::router::{Address, Fault, Identity, Reason, StateName, Transition};
use vrrpd_core::time::Instant;

use super::pool::PoolLink;
use super::{Driver, POOL, now};
use crate::config::HookEvent;
use crate::hook;
use crate::seal::Boot;

impl Driver {
    /// Performs all that has been ordered.
    pub(super) fn perform(&mut self) -> io::Result<()> {
        let mut actions = core::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            if let Action::Persist(durable) = action {
                if !self.persist(&durable)? {
                    // What follows depends on it.
                    break;
                }
            } else {
                self.act(action)?;
            }
        }
        self.actions = actions;
        self.kernel.settle()?;
        // Nothing is told while something ordered is still to be done.
        let orders = core::mem::take(&mut self.orders);
        self.launch(orders)?;
        let news = core::mem::take(&mut self.news);
        self.tell_news(news)
    }

    /// True when the state is on disk.
    fn persist(&mut self, durable: &Durable) -> io::Result<bool> {
        let Some(store) = &mut self.store else {
            return Ok(true);
        };
        if let Err(error) = store.save(durable) {
            self.forsake(&error)?;
            return Ok(false);
        }
        self.forsaken = false;
        if core::mem::take(&mut self.new_boot) {
            self.open_pool(Boot {
                incarnation: durable.incarnation,
                boots: durable.boots,
            })?;
        }
        Ok(true)
    }

    /// From its first state on disk, a boot can speak.
    fn open_pool(&mut self, own: Boot) -> io::Result<()> {
        let Some(config) = &self.config.pool else {
            return Ok(());
        };
        match &mut self.pool {
            Some(pool) => pool.begin(own),
            None => {
                let registry = self.poll.registry();
                let pool = PoolLink::open(config, own, registry, POOL).map_err(|error| {
                    let (address, port) = (config.address, config.port);
                    let text = format!("cannot listen at {address} port {port}: {error}");
                    io::Error::new(error.kind(), text)
                })?;
                self.pool = Some(pool);
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::Persist(_) => unreachable!("performed before this is called"),
            Action::SendAdvert {
                router,
                source,
                destination,
                payload,
            } => {
                let sent = self
                    .vrrp
                    .send(&router.interface, &payload, source, destination);
                if let Err(error) = sent {
                    log::debug!("{router}: an advertisement is not sent: {error}");
                }
            }
            Action::AddAddresses {
                router,
                addresses,
                until,
                accept: _,
            } => self.add(&router, &addresses, until)?,
            Action::RenewAddresses { router, until } => self.kernel.renew(&router, until),
            Action::RemoveAddresses {
                router,
                mut addresses,
                owned,
            } => {
                let index = self.links.index(&router.interface);
                if owned {
                    addresses.retain(|address| !self.is_foreign(index, address));
                }
                self.kernel.remove(&router, index, &addresses)?;
            }
            Action::Announce {
                router,
                addresses,
                count,
            } => {
                let name = &router.interface;
                if let (Some(index), Some(mac)) = (self.links.index(name), self.links.mac(name)) {
                    self.kernel.announce(index, mac, &addresses, count);
                }
            }
            Action::PoolSend(envelope) => {
                if let Some(pool) = &mut self.pool {
                    pool.send(&envelope);
                }
            }
            Action::OpenGate { until } => self.kernel.open_gate(until)?,
            Action::CloseGate => self.kernel.close_gate()?,
            Action::Database(desired) => {
                if let Some(replicator) = &mut self.replicator {
                    replicator.order(desired, &mut self.news);
                }
            }
            Action::Transition(transition) => self.on_transition(&transition),
            Action::Notice(notice) => {
                log::warn!("{notice}");
                self.note(notice.to_string());
            }
            Action::Decided(decision) => self.on_decision(decision),
            Action::Refused(refusal) => self.refusal = Some(refusal),
        }
        Ok(())
    }

    fn add(
        &mut self,
        router: &Arc<Identity>,
        addresses: &[Address],
        until: Instant,
    ) -> io::Result<()> {
        let Some(index) = self.links.index(&router.interface) else {
            log::warn!("{router}: the interface is gone");
            return Ok(());
        };
        let ours = |address: &&Address| !self.is_foreign(Some(index), address);
        let ours: Vec<Address> = addresses.iter().filter(ours).copied().collect();
        self.kernel.add(router, index, &ours, until)
    }

    /// What the operator has put there, as an owner's are, is not ours to end.
    fn is_foreign(&self, index: Option<u32>, address: &Address) -> bool {
        self.links
            .addresses()
            .iter()
            .any(|a| !a.ours && (Some(a.interface), a.address) == (index, address.ip))
    }

    fn on_transition(&mut self, transition: &Transition) {
        log::info!("{transition}");
        self.note(transition.to_string());
        let name = &transition.router.name;
        let priority = self
            .node
            .iter()
            .flat_map(Node::routers)
            .find(|router| router.config().identity.name == *name)
            .and_then(|router| router.priority());
        let event = hook::Event {
            source: hook::Source::Router(name.clone()),
            event: match (&transition.to, &transition.reason) {
                (StateName::Initialize, Reason::Fault(Fault::Stopped)) => HookEvent::Stop,
                (StateName::Initialize, _) => HookEvent::Fault,
                (StateName::Backup, _) => HookEvent::Backup,
                (StateName::Active, _) => HookEvent::Active,
            },
            old: transition.from.to_string(),
            new: transition.to.to_string(),
            priority: priority.map_or(0, |priority| priority.as_u8()),
            epoch: self.epoch(),
        };
        self.hooks.push(event.clone(), now(), &mut self.orders);
        self.tell_groups(&event);
    }

    /// A router's transition may be that of its group.
    fn tell_groups(&mut self, last: &hook::Event) {
        let states = self.node.iter().flat_map(Node::groups);
        for (group, old, new) in self.groups.changes(states) {
            let event = hook::Event {
                source: hook::Source::Group(group),
                event: match new {
                    StateName::Initialize if last.event == HookEvent::Stop => HookEvent::Stop,
                    StateName::Initialize => HookEvent::Fault,
                    StateName::Backup => HookEvent::Backup,
                    StateName::Active => HookEvent::Active,
                },
                old: old.to_string(),
                new: new.to_string(),
                ..last.clone()
            };
            self.hooks.push(event, now(), &mut self.orders);
        }
    }

    fn on_decision(&mut self, decision: Decision) {
        log::info!("{}: {decision}", self.config.node);
        self.note(decision.to_string());
        let (event, old, new) = match decision {
            Decision::Primary { .. } | Decision::ResumesAlone { .. } => {
                (HookEvent::Primary, "Online", "Primary")
            }
            Decision::Ends { .. } => (HookEvent::Online, "Primary", "Online"),
            _ => return,
        };
        let member = self.node.as_ref().and_then(Node::member);
        let event = hook::Event {
            source: hook::Source::Pool,
            event,
            old: old.to_owned(),
            new: new.to_owned(),
            priority: member.map_or(0, |member| member.status(now()).priority),
            epoch: self.epoch(),
        };
        self.hooks.push(event, now(), &mut self.orders);
    }

    /// The pool's epoch; empty without one.
    fn epoch(&self) -> String {
        let member = self.node.as_ref().and_then(Node::member);
        member
            .and_then(|member| member.status(now()).durable.record)
            .map_or_else(String::new, |record| record.epoch.to_string())
    }

    /// Keeps a line in the journal, and tells those who watch.
    pub(super) fn note(&mut self, line: String) {
        let entry = self.journal.push(line, SystemTime::now(), now());
        self.control.publish(entry);
    }
}
