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
//!     startup_delay: Duration::ZERO,
//!     announce: Announce { count: 1, repeat_after: Duration::from_secs(5), repeats: 1, refresh: None },
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
mod config;
mod notice;
mod reason;
mod statistics;

use std::net::IpAddr;

use crate::packet::Form;
use crate::packet::Priority;
use crate::time::Instant;

pub use action::{Action, Event, Standing, StateName, Transition};
pub use config::{Address, Announce, Checksum, Config, Identity, Mistake};
pub use notice::{Notice, What};
pub use reason::{Fault, Reason};
pub use statistics::Statistics;

/// A virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    config: Config,
    statistics: Statistics,
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
            config,
            statistics: Statistics::default(),
        }
    }

    /// Handles one event; `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        unimplemented!("{event:?} {now} {out:?}")
    }

    /// When [`Event::Wake`] is due; `None`: something else must happen first.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The state it is in.
    pub fn state(&self) -> StateName {
        StateName::Initialize
    }

    /// Why it cannot take part; `None` if it can.
    pub fn fault(&self) -> Option<Fault> {
        None
    }

    /// After checks; `None` while a check makes it a fault.
    pub fn priority(&self) -> Option<Priority> {
        Some(self.config.priority)
    }

    /// Who was last heard as Active, itself included.
    pub fn active(&self) -> Option<IpAddr> {
        None
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
        unimplemented!("{priority:?} {source} {destination} {:?}", Form::Plain)
    }
}
