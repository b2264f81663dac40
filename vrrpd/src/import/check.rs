//! What instances and groups track: scripts, interfaces, files, processes.

use std::collections::BTreeSet;

use super::around::Around;
use super::instance::is_interface;
use super::note::{Notes, Verdict};
use super::render::{Check, Probe, Router};
use super::source::{Kind, Source, source, weight};
use super::tree::Statement;
use super::value::{list, quoted, unique};

/// A line of a `track_` block.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    kind: Kind,
    statement: Statement,
    weight: Option<i32>,
    reverse: Option<bool>,
}

/// What stands in a `track_` block.
pub(super) fn tracked(block: &Statement) -> Vec<Tracked> {
    let Some(kind) = Kind::of(block.keyword()) else {
        return Vec::new();
    };
    let one = |statement: &Statement| {
        let (weight, reverse) = weight(statement.values().strip_prefix(&["weight".to_owned()]));
        Tracked {
            kind,
            statement: statement.clone(),
            weight,
            reverse,
        }
    };
    block.inner().iter().map(one).collect()
}

/// The checks of a file.
#[derive(Debug, Default)]
pub(super) struct Checks {
    sources: Vec<Source>,
    found: Vec<(Kind, String, Check)>,
}

impl Checks {
    /// Reads what can be tracked.
    pub(super) fn read(file: &[Statement], around: &dyn Around, notes: &mut Notes) -> Self {
        let used: BTreeSet<_> = file
            .iter()
            .filter(|statement| matches!(statement.keyword(), "vrrp_instance" | "vrrp_sync_group"))
            .flat_map(Statement::inner)
            .flat_map(tracked)
            .map(|tracked| tracked.statement.words[0].clone())
            .collect();
        let mut sources: Vec<Source> = Vec::new();
        for statement in file {
            let Some(kind) = Kind::of(statement.keyword()) else {
                continue;
            };
            let name = statement.value().unwrap_or_default();
            if sources
                .iter()
                .any(|other| other.kind == kind && other.name == name)
            {
                notes.changed(statement, "there is one of that name already: left out");
            } else if used.contains(name) {
                sources.push(source(kind, name, statement, around, notes));
            } else {
                let why = "nothing tracks it, so keepalived does not look at it either: left out";
                notes.add(statement, Verdict::Needless(why.to_owned()));
            }
        }
        Self {
            sources,
            found: Vec::new(),
        }
    }

    /// Has `routers` watch what a line of theirs says, with a weight only if
    /// they have `weights`.
    pub(super) fn track(
        &mut self,
        tracked: &Tracked,
        routers: &[&Router],
        weights: bool,
        notes: &mut Notes,
    ) {
        let statement = &tracked.statement;
        match self.legal(tracked, routers, weights) {
            Ok((probe, weight, mind)) => {
                let name = self.add(tracked, probe, weight, routers);
                let mut now = format!("[[check]] name = {}", quoted(&name));
                if weight != 0 {
                    now.push_str(&format!(", weight = {weight}"));
                }
                let names: Vec<_> = routers.iter().map(|router| &router.name).collect();
                now.push_str(&format!(", routers = {}", list(&names)));
                match mind {
                    None => notes.add(statement, Verdict::Renamed(now)),
                    Some(mind) => notes.changed(statement, format!("now {now}: {mind}")),
                }
            }
            Err(verdict) => notes.add(statement, verdict),
        }
    }

    /// What is looked at, with which weight and what to mind; or why not.
    fn legal(
        &self,
        tracked: &Tracked,
        routers: &[&Router],
        weights: bool,
    ) -> Result<(Probe, i16, Option<&'static str>), Verdict> {
        let changed = |why: &str| Err(Verdict::Changed(format!("{why}: left out")));
        let none = |why: &str| Err(Verdict::NoCounterpart(why.to_owned()));
        let name = tracked.statement.keyword();
        let (probe, default, reverse) = if tracked.kind == Kind::Interface {
            if routers.iter().all(|router| router.interface == name) {
                let why = "a virtual router's own interface is watched in any case";
                return Err(Verdict::Needless(why.to_owned()));
            }
            if !is_interface(name) {
                return changed("it is no interface's name");
            }
            (
                Probe::Interface(name.to_owned()),
                Kind::Interface.weight(),
                false,
            )
        } else {
            let mut sources = self.sources.iter();
            let found = sources.find(|source| source.kind == tracked.kind && source.name == name);
            let Some(source) = found else {
                return changed("nothing of that name is defined");
            };
            let Some(probe) = source.probe.clone() else {
                return changed("what it names cannot be taken");
            };
            (probe, source.weight, source.reverse)
        };
        if tracked.reverse.unwrap_or(reverse) {
            return none(
                "there is no reverse: let the script exit the other way, with the weight of the other sign",
            );
        }
        let weight = tracked.weight.unwrap_or(default);
        if weight != 0 && !weights {
            return changed(
                "keepalived ignores a weight in a group without sync_group_tracking_weight, and here it would count for all of the group",
            );
        }
        if tracked.kind == Kind::File && weight != 0 {
            return none(
                "a check tells good or bad, no number: let a command compare the number in the file",
            );
        }
        let used = i16::try_from(weight.clamp(-253, 253)).unwrap_or(0);
        if let Some(why) = routers.iter().find_map(|router| useless(router, used)) {
            return changed(why);
        }
        let mind = (i32::from(used) != weight).then_some("a weight is -253 to 253");
        Ok((probe, used, mind))
    }

    fn add(&mut self, tracked: &Tracked, probe: Probe, weight: i16, routers: &[&Router]) -> String {
        let wanted = tracked.statement.keyword();
        let same = self.found.iter_mut().find(|(kind, name, check)| {
            *kind == tracked.kind && name == wanted && check.weight == weight
        });
        let check = match same {
            Some((_, _, check)) => check,
            None => {
                let names = self.found.iter().map(|(_, _, check)| check.name.as_str());
                let check = Check {
                    name: unique(wanted, names),
                    probe,
                    weight,
                    routers: Vec::new(),
                };
                self.found.push((tracked.kind, wanted.to_owned(), check));
                let Some((_, _, check)) = self.found.last_mut() else {
                    return String::new();
                };
                check
            }
        };
        for router in routers {
            if !check.routers.contains(&router.name) {
                check.routers.push(router.name.clone());
            }
        }
        check.name.clone()
    }

    pub(super) fn finish(self) -> Vec<Check> {
        self.found.into_iter().map(|(_, _, check)| check).collect()
    }
}

/// Why a weight can never change who is Active; vrrpd refuses such a check.
fn useless(router: &Router, weight: i16) -> Option<&'static str> {
    let base = i16::from(router.priority);
    let held = (base + weight).clamp(1, 254);
    if weight == 0 {
        None
    } else if router.priority == 255 {
        Some("priority 255 is 255 whatever a check with a weight says")
    } else if held == base {
        Some("the priority is as high, or as low, as it can be without it")
    } else if !router.preempt {
        Some(
            "with nopreempt nobody takes over for a priority that a check has changed; without its weight a failure would be a fault",
        )
    } else {
        None
    }
}
