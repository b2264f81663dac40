//! Virtual routers that become Active together, and leave Active together
//! (keepalived: vrrp_sync_group).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::router::{Config, Event, Router, StateName};

/// The groups of a node's routers, by the routers' places.
#[derive(Debug, Default)]
pub(super) struct Groups {
    members: BTreeMap<Arc<str>, Vec<usize>>,
    /// Something has happened to a member of these.
    touched: BTreeSet<Arc<str>>,
    /// These have left Active.
    left: Vec<usize>,
}

impl Groups {
    /// Those of `configs`, all of which are to be looked at.
    pub(super) fn of(configs: &[Config]) -> Self {
        let mut groups = Self::default();
        for (place, config) in configs.iter().enumerate() {
            if let Some(group) = &config.group {
                groups.touched.insert(Arc::clone(&group.name));
                let members = groups.members.entry(Arc::clone(&group.name)).or_default();
                members.push(place);
            }
        }
        groups
    }

    /// Something has happened to the router at `place`, which was in state
    /// `before` until then.
    pub(super) fn note(&mut self, place: usize, before: StateName, router: &Router) {
        let Some(group) = &router.config().group else {
            return;
        };
        self.touched.insert(Arc::clone(&group.name));
        if before == StateName::Active && router.state() == StateName::Backup {
            self.left.push(place);
        }
    }

    /// A reload may put routers into a group of which some are Active, while one
    /// at `place` listens to another that is: as if it had just left.
    pub(super) fn note_divided(&mut self, place: usize, router: &Router) {
        let listens = router.state() == StateName::Backup && router.active().is_some();
        if listens && router.config().group.is_some() {
            self.left.push(place);
        }
    }

    /// The groups to be looked at.
    pub(super) fn touched(&self) -> Vec<Arc<str>> {
        self.touched.iter().cloned().collect()
    }

    /// They have been looked at, and told all there is.
    pub(super) fn settle(&mut self) {
        self.touched.clear();
        self.left.clear();
    }

    /// What the members of `group` are to be told of one another: who cannot
    /// take part, who has left Active.
    pub(super) fn news(&self, group: &str, routers: &[Router]) -> Vec<(usize, Event)> {
        let members = self.members(group);
        let mut faulty = members
            .iter()
            .filter(|&&member| routers[member].own_fault().is_some());
        // The first, and who the first itself is told of.
        let (first, second) = (faulty.next().copied(), faulty.next().copied());
        let mut news = Vec::new();
        for &member in members {
            let mate = if first == Some(member) { second } else { first };
            let why = mate.map(|mate| fault(&routers[mate]));
            if routers[member].mate_fault() != why.as_ref() {
                news.push((member, Event::MateFault(why)));
            }
        }
        for &left in self.left.iter().filter(|left| members.contains(left)) {
            let name: Arc<str> = routers[left].config().identity.name.as_str().into();
            let mates = members.iter().filter(|&&member| member != left);
            news.extend(mates.map(|&mate| (mate, Event::MateLeft(Arc::clone(&name)))));
        }
        news
    }

    /// If all members of `group` are ready or Active: those that are ready.
    pub(super) fn ready(&self, group: &str, routers: &[Router]) -> Vec<usize> {
        let members = self.members(group).iter().copied();
        let active = |place: usize| routers[place].state() == StateName::Active;
        let (ready, others): (Vec<_>, Vec<_>) =
            members.partition(|&place| routers[place].is_ready());
        if others.into_iter().all(active) {
            ready
        } else {
            Vec::new()
        }
    }

    /// The groups whose members are all in one state.
    pub(super) fn states(&self, routers: &[Router]) -> impl Iterator<Item = (&str, StateName)> {
        self.members.iter().filter_map(|(group, members)| {
            let mut states = members.iter().map(|&place| routers[place].state());
            let first = states.next()?;
            states
                .all(|state| state == first)
                .then_some((&**group, first))
        })
    }

    fn members(&self, group: &str) -> &[usize] {
        self.members.get(group).map_or(&[], Vec::as_slice)
    }
}

/// Makes the one of the lowest VRID the first of its group: the same on all
/// hosts, whatever the order in their files.
pub(super) fn appoint(routers: &mut [Config]) {
    let key = |config: &Config| {
        let identity = &config.identity;
        (identity.vrid, identity.family, identity.interface.clone())
    };
    let mut first = BTreeMap::new();
    for config in routers.iter() {
        if let Some(group) = &config.group {
            let lowest = first
                .entry(Arc::clone(&group.name))
                .or_insert_with(|| key(config));
            *lowest = key(config).min(lowest.clone());
        }
    }
    for config in routers {
        let own = key(config);
        if let Some(group) = &mut config.group {
            group.first = first.get(&group.name) == Some(&own);
        }
    }
}

/// As in `lan: the interface is down`.
fn fault(router: &Router) -> Arc<str> {
    let fault = router
        .own_fault()
        .map_or_else(String::new, |fault| fault.to_string());
    format!("{}: {fault}", router.config().identity.name).into()
}
