//! What is known of the interfaces, and which virtual routers live there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::packet::{Family, Vrid};
use crate::router::Router;

/// By name. An interface that no virtual router lives on is remembered too: one
/// may come with a reload.
#[derive(Debug, Default)]
pub(super) struct Interfaces(BTreeMap<String, Interface>);

#[derive(Debug, Default)]
struct Interface {
    up: bool,
    source_v4: Option<IpAddr>,
    source_v6: Option<IpAddr>,
    routers: BTreeMap<(Family, Vrid), usize>,
}

impl Interfaces {
    /// Forgets which routers live where, and learns it anew.
    ///
    /// # Panics
    ///
    /// If two are the same.
    pub(super) fn register(&mut self, routers: &[Router]) {
        for interface in self.0.values_mut() {
            interface.routers.clear();
        }
        for (place, router) in routers.iter().enumerate() {
            let identity = &router.config().identity;
            let key = (identity.family, identity.vrid);
            let interface = self.entry(&identity.interface);
            let other = interface.routers.insert(key, place);
            assert!(other.is_none(), "{identity} is configured twice");
        }
    }

    pub(super) fn set_up(&mut self, name: &str, up: bool) {
        self.entry(name).up = up;
    }

    pub(super) fn set_source(&mut self, name: &str, family: Family, address: Option<IpAddr>) {
        let interface = self.entry(name);
        match family {
            Family::V4 => interface.source_v4 = address,
            Family::V6 => interface.source_v6 = address,
        }
    }

    /// Whether it is up, and its source address of `family`.
    pub(super) fn facts(&self, name: &str, family: Family) -> (bool, Option<IpAddr>) {
        let Some(interface) = self.0.get(name) else {
            return (false, None);
        };
        let source = match family {
            Family::V4 => interface.source_v4,
            Family::V6 => interface.source_v6,
        };
        (interface.up, source)
    }

    /// The place of a virtual router.
    pub(super) fn router(&self, name: &str, family: Family, vrid: Vrid) -> Option<usize> {
        self.0.get(name)?.routers.get(&(family, vrid)).copied()
    }

    /// The places of all that live there.
    pub(super) fn routers(&self, name: &str) -> Vec<usize> {
        self.0.get(name).map_or_else(Vec::new, |interface| {
            interface.routers.values().copied().collect()
        })
    }

    fn entry(&mut self, name: &str) -> &mut Interface {
        self.0.entry(name.to_owned()).or_default()
    }
}
