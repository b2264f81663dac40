//! The virtual router: RFC 9568 §6, VRRPv2's rules where they differ, and the
//! governed mode in which a pool decides. Events in, actions out.
//!
//! Which interface is up and what its address is comes as events, before
//! [`Event::Startup`]:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use vrrpd_core::packet::{Centiseconds, Family, Priority, Version, Vrid};
//! use vrrpd_core::router::{
//!     Action, Address, Announce, Checksum, Config, Event, Identity, Router, StateName,
//! };
//! use vrrpd_core::time::Instant;
//!
//! let mut router = Router::new(Config {
//!     identity: Arc::new(Identity {
//!         name: "service".into(),
//!         interface: "eth0".into(),
//!         vrid: Vrid::new(51).unwrap(),
//!         family: Family::V4,
//!     }),
//!     version: Version::V3,
//!     priority: Priority::new(150).unwrap(),
//!     advertise_interval: Centiseconds::new(20).unwrap(),
//!     addresses: vec![Address { ip: "192.0.2.100".parse().unwrap(), prefix: 24 }],
//!     checksum: Checksum::Auto,
//!     preempt: true,
//!     preempt_delay: Duration::ZERO,
//!     accept: true,
//!     unicast_peers: Vec::new(),
//!     min_hop_limit: 255,
//!     startup_delay: Duration::ZERO,
//!     announce: Announce { count: 1, repeat_after: Duration::from_secs(5), repeats: 1, refresh: None },
//!     group: None,
//!     governed: false,
//! });
//! let mut out = Vec::new();
//! let now = Instant::ZERO;
//! router.handle(Event::InterfaceUp, now, &mut out);
//! router.handle(Event::SourceChanged(Some("192.0.2.11".parse().unwrap())), now, &mut out);
//! router.handle(Event::Startup, now, &mut out);
//! assert_eq!(router.state(), StateName::Backup);
//!
//! // The driver sleeps until the deadline, unless something happens.
//! let now = router.deadline().unwrap();
//! out.clear();
//! router.handle(Event::Wake, now, &mut out);
//! assert_eq!(router.state(), StateName::Active);
//! assert!(matches!(out[0], Action::SendAdvert { .. }));
//! ```

mod action;
mod active;
mod advert;
mod backup;
mod config;
mod initialize;
mod log;
mod notice;
mod reason;
mod state;
mod statistics;
mod timing;

use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::{self, Advert, Form, Priority, Version};
use crate::time::Instant;
use log::Log;
use state::{Initialize, State};

pub use action::{Action, Event, Standing, StateName, Transition};
pub use config::{Address, Announce, Checksum, Config, Group, Identity, Mistake};
pub use notice::{Notice, What};
pub use reason::{Fault, Reason};
pub use statistics::Statistics;

/// A virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    config: Config,
    state: State,
    running: Running,
    interface_up: bool,
    /// The last known; kept when it is lost, for a last advertisement.
    source: Option<IpAddr>,
    source_lost: bool,
    standing: Standing,
    /// Why another router of its group cannot take part.
    mate_fault: Option<Arc<str>>,
    /// The last valid checksum's, of a VRRPv3 peer over IPv4.
    learned_form: Option<Form>,
    log: Log,
    statistics: Statistics,
}

/// What the daemon wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    NotYet,
    Yes,
    NoMore,
}

impl Router {
    /// A router in Initialize, that knows nothing of its interface yet.
    ///
    /// # Panics
    ///
    /// If [`Config::check`] finds a mistake.
    pub fn new(config: Config) -> Self {
        if let Err(mistake) = config.check() {
            panic!("{}: {mistake}", config.identity);
        }
        Self {
            state: State::Initialize(Initialize::default()),
            running: Running::NotYet,
            interface_up: false,
            source: None,
            source_lost: true,
            standing: Standing::Fit {
                priority: config.priority,
                why: Arc::from(""),
            },
            mate_fault: None,
            learned_form: None,
            log: Log::default(),
            statistics: Statistics::default(),
            config,
        }
    }

    /// Handles one event; `now` never goes back.
    ///
    /// An Active router whose right to its addresses has ended gives them up
    /// *first*, whatever the event (VRRP.md, trap 19).
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        self.yield_if_late(now, out);
        let fault = self.fault();
        match event {
            Event::Startup => self.on_startup(out),
            Event::Shutdown => self.running = Running::NoMore,
            Event::Wake => self.on_wake(now, out),
            Event::AdvertReceived(received) => self.on_advert_received(&received, now, out),
            Event::PacketRefused { refusal, source } => self.refuse(refusal, source, now, out),
            Event::InterfaceUp => self.on_interface_up(now, out),
            Event::InterfaceDown => self.interface_up = false,
            Event::SourceChanged(source) => self.on_source_changed(source, out),
            Event::StandingChanged(standing) => self.on_standing_changed(standing, now, out),
            Event::MateFault(why) => self.on_mate_fault(why),
            Event::MateLeft(mate) => self.on_mate_left(mate, now, out),
            Event::MatesReady => self.on_mates_ready(now, out),
            Event::AddressDeleted(address) => self.on_address_deleted(address, now, out),
            Event::Reload { config, standing } => self.on_reload(*config, standing, now, out),
            Event::Hold { until } => self.on_hold(until, now, out),
            Event::Drop => self.on_drop(now, out),
        }
        self.follow_fault(fault, now, out);
    }

    /// When [`Event::Wake`] is due; `None`: something else must happen first.
    pub fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// The state it is in.
    pub fn state(&self) -> StateName {
        self.state.name()
    }

    /// Why it cannot take part; `None` if it can. The first that applies.
    pub fn fault(&self) -> Option<Fault> {
        self.own_fault()
            .or_else(|| self.mate_fault.clone().map(Fault::Mate))
    }

    /// The same, whatever its group.
    pub(crate) fn own_fault(&self) -> Option<Fault> {
        match self.running {
            Running::NotYet => return Some(Fault::NotStarted),
            Running::NoMore => return Some(Fault::Stopped),
            Running::Yes => {}
        }
        if !self.interface_up {
            return Some(Fault::InterfaceDown);
        }
        if self.source_lost {
            return Some(Fault::NoSource);
        }
        if let Standing::Failed { why } = &self.standing {
            return Some(Fault::Check(Arc::clone(why)));
        }
        match &self.state {
            State::Initialize(Initialize { fought_until }) => {
                fought_until.map(|_| Fault::AddressesDeleted {
                    times: state::FIGHT_MAX,
                })
            }
            State::Backup(_) => None,
            State::Active(active) => active
                .fight
                .lost()
                .map(|times| Fault::AddressesDeleted { times }),
        }
    }

    /// What it was told last of its group.
    pub(crate) fn mate_fault(&self) -> Option<&Arc<str>> {
        self.mate_fault.as_ref()
    }

    /// Whether its Active_Down_Timer has expired, and it waits for its group.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Backup(backup) if backup.ready)
    }

    /// After checks; `None` while a check makes it a fault.
    pub fn priority(&self) -> Option<Priority> {
        match self.standing {
            Standing::Fit { priority, .. } => Some(priority),
            Standing::Failed { .. } => None,
        }
    }

    /// Who is Active as far as it knows, itself included.
    pub fn active(&self) -> Option<IpAddr> {
        match &self.state {
            State::Initialize(_) => None,
            State::Backup(backup) => backup.active,
            State::Active(_) => self.source,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its counters.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The payload of the advertisement that [`Action::SendAdvert`] orders, for
    /// one destination.
    pub fn advert(
        &self,
        priority: Option<Priority>,
        source: IpAddr,
        destination: IpAddr,
    ) -> Vec<u8> {
        let advert = Advert {
            version: self.config.version,
            vrid: self.config.identity.vrid,
            priority,
            interval: self.config.advertise_interval,
            addresses: self.config.advertised(),
        };
        packet::encode(&advert, self.form(), source, destination)
    }

    /// The checksum that VRRPv3 over IPv4 sends.
    fn form(&self) -> Form {
        match self.config.checksum {
            Checksum::Fixed(form) => form,
            Checksum::Auto => self.learned_form.unwrap_or(Form::Plain),
        }
    }

    /// What it competes and advertises with. A governed router may hold its
    /// addresses with a failed check until the pool has decided.
    fn rank(&self) -> Priority {
        self.priority().unwrap_or(Priority::MIN)
    }

    fn on_wake(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Initialize(initialize) => {
                initialize.fought_until = initialize.fought_until.filter(|&until| now < until);
            }
            State::Backup(_) => self.on_active_down_timer(now, out),
            State::Active(_) => self.on_active_timers(now, out),
        }
    }

    fn on_interface_up(&mut self, now: Instant, out: &mut Vec<Action>) {
        let was_up = core::mem::replace(&mut self.interface_up, true);
        match self.state {
            State::Initialize(_) | State::Backup(_) => {}
            // Governed, it kept them: the kernel has flushed some of them.
            State::Active(_) if !was_up => self.install(now, out),
            State::Active(_) => {}
        }
    }

    fn on_source_changed(&mut self, source: Option<IpAddr>, out: &mut Vec<Action>) {
        self.source_lost = source.is_none();
        let Some(source) = source else {
            return;
        };
        let before = self.source.replace(source);
        match self.state {
            State::Initialize(_) => {}
            State::Backup(_) | State::Active(_) => {
                if before != Some(source) {
                    self.say(What::Source { source }, out);
                }
            }
        }
    }

    fn on_mate_fault(&mut self, why: Option<Arc<str>>) {
        if self.config.group.is_some() {
            self.mate_fault = why;
        }
    }

    fn on_standing_changed(&mut self, standing: Standing, now: Instant, out: &mut Vec<Action>) {
        let told = self.rank();
        self.take_standing(standing, out);
        if self.rank() != told {
            self.tell_change(now, out);
        }
    }

    fn take_standing(&mut self, standing: Standing, out: &mut Vec<Action>) {
        let before = self.priority();
        self.standing = standing;
        let Standing::Fit { priority, why } = &self.standing else {
            return;
        };
        if let Some(from) = before.filter(|before| before != priority) {
            let (to, why) = (*priority, Arc::clone(why));
            self.say(What::Priority { from, to, why }, out);
        }
    }

    /// The others shall not wait for the next advertisement to know.
    fn tell_change(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.state {
            State::Initialize(_) | State::Backup(_) => {}
            State::Active(_) => {
                if self.fault().is_none() {
                    self.advertise_at_once(now, out);
                }
            }
        }
    }

    fn on_reload(
        &mut self,
        config: Config,
        standing: Standing,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Err(mistake) = config.check() {
            panic!("{}: {mistake}", config.identity);
        }
        let told = self.rank();
        let before = core::mem::replace(&mut self.config, config);
        assert!(
            before.identity == self.config.identity
                && before.version == self.config.version
                && before.governed == self.config.governed,
            "another virtual router, not a reload of this one"
        );
        if before.group != self.config.group {
            self.mate_fault = None;
        }
        match &mut self.state {
            State::Initialize(_) => {}
            State::Backup(backup) => {
                // Without a group there is nobody to wait for: it is due at once.
                backup.ready &= self.config.group.is_some();
                match self.config.version {
                    // One interval for all (RFC 3768 §7.1).
                    Version::V2 => backup.active_adver_interval = self.config.advertise_interval,
                    // Learned from the Active router.
                    Version::V3 => {}
                }
            }
            State::Active(_) => self.change_addresses(&before, now, out),
        }
        self.take_standing(standing, out);
        let told_otherwise = before.advertise_interval != self.config.advertise_interval
            || before.addresses != self.config.addresses
            || told != self.rank();
        if told_otherwise {
            self.tell_change(now, out);
        }
    }

    /// Governed: the pool says that this manager is Primary.
    fn on_hold(&mut self, until: Instant, now: Instant, out: &mut Vec<Action>) {
        if !self.config.governed || self.running == Running::NoMore || until <= now {
            return;
        }
        match &mut self.state {
            State::Initialize(_) | State::Backup(_) => {
                self.become_active(Reason::Held, until, now, out);
            }
            State::Active(active) => {
                if until > active.until {
                    active.until = until;
                    out.push(Action::RenewAddresses { until });
                }
            }
        }
    }

    /// Governed: the pool says that this manager is not Primary.
    fn on_drop(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.config.governed {
            return;
        }
        match &self.state {
            State::Initialize(_) | State::Backup(_) => self.remove_addresses(out),
            State::Active(active) => {
                let fought = active.fight.lost().is_some();
                self.resign(out);
                if fought {
                    self.become_fought(now, out);
                } else {
                    self.become_backup(Reason::Dropped, now, out);
                }
            }
        }
    }

    fn enter(&mut self, state: State, reason: Reason, out: &mut Vec<Action>) {
        let from = self.state.name();
        self.state = state;
        self.log_transition(from, reason, out);
    }

    fn log_transition(&self, from: StateName, reason: Reason, out: &mut Vec<Action>) {
        out.push(Action::Transition(Transition {
            router: Arc::clone(&self.config.identity),
            from,
            to: self.state.name(),
            reason,
        }));
    }

    fn remove_addresses(&self, out: &mut Vec<Action>) {
        out.push(Action::RemoveAddresses {
            addresses: self.config.addresses.clone(),
            owned: self.config.priority.is_owner(),
        });
    }

    fn say(&self, what: What, out: &mut Vec<Action>) {
        out.push(Action::Notice(Notice {
            router: Arc::clone(&self.config.identity),
            what,
        }));
    }
}
