//! `vrrp_sync_group`: virtual routers that move together.

use core::time::Duration;

use super::around::Around;
use super::check::{Tracked, tracked};
use super::hooks::Notify;
use super::keyword::GROUP;
use super::note::{Notes, Verdict};
use super::render::Router;
use super::tree::Statement;
use super::value::{name, quoted, unique};
use crate::config::HookEvent;

/// A group as it is written.
#[derive(Debug)]
pub(super) struct Group {
    statement: Statement,
    /// A name of ours.
    pub(super) name: String,
    /// keepalived's names of its members.
    pub(super) members: Vec<String>,
    pub(super) tracked: Vec<Tracked>,
    pub(super) notify: Vec<Notify>,
    /// Whether keepalived looks at what its members track with a weight.
    pub(super) has_weights: bool,
}

impl Group {
    /// Reads a group; `others` were read before.
    pub(super) fn read(
        statement: &Statement,
        others: &[Self],
        around: &dyn Around,
        notes: &mut Notes,
    ) -> Self {
        let wanted = name(statement.value().unwrap_or_default());
        let names = others.iter().map(|other| other.name.as_str());
        let mut group = Self {
            statement: statement.clone(),
            name: unique(&wanted, names),
            members: Vec::new(),
            tracked: Vec::new(),
            notify: Vec::new(),
            has_weights: false,
        };
        for inner in statement.inner() {
            group.one(inner, around, notes);
        }
        group
    }

    fn one(&mut self, statement: &Statement, around: &dyn Around, notes: &mut Notes) {
        let event = match statement.keyword() {
            "group" => {
                let names = statement.inner().iter().flat_map(|line| line.words.clone());
                self.members.extend(names);
                return;
            }
            "track_interface" | "track_script" | "track_file" | "track_process" => {
                self.tracked.extend(tracked(statement));
                return;
            }
            "sync_group_tracking_weight" => {
                self.has_weights = true;
                return notes.plain(statement, GROUP.find("sync_group_tracking_weight"));
            }
            "notify_master" => Some(HookEvent::Active),
            "notify_backup" => Some(HookEvent::Backup),
            "notify_fault" => Some(HookEvent::Fault),
            "notify_stop" => Some(HookEvent::Stop),
            "notify" => None,
            keyword => return notes.plain(statement, GROUP.find(keyword)),
        };
        match Notify::read(statement, event, around) {
            Some(notify) => self.notify.push(notify),
            None => notes.changed(statement, "it names no program: left out"),
        }
    }
}

/// Puts the virtual routers into their groups, and those of an instance with
/// both families into one of their own.
pub(super) fn settle(groups: &[Group], routers: &mut [Router], notes: &mut Notes) {
    for group in groups {
        join(group, routers, notes);
    }
    for index in 0..routers.len() {
        let router = &routers[index];
        let twin = routers[index + 1..]
            .iter()
            .position(|other| other.instance == router.instance);
        if let (Some(twin), None, 0..=254) = (twin, &router.group, router.priority) {
            let names = groups.iter().map(|group| group.name.as_str());
            let names = names.chain(routers.iter().filter_map(|other| other.group.as_deref()));
            let name = unique(&router.name, names.collect::<Vec<_>>().into_iter());
            routers[index + 1 + twin].group = Some(name.clone());
            routers[index].group = Some(name);
        }
    }
}

/// vrrpd has groups of two or more, of one priority, and of one mind on preemption.
fn join(group: &Group, routers: &mut [Router], notes: &mut Notes) {
    let mut left_out = |why: &str| notes.changed(&group.statement, format!("{why}: left out"));
    let mut members = Vec::new();
    for name in &group.members {
        let found: Vec<usize> = (0..routers.len())
            .filter(|&index| routers[index].instance == *name)
            .collect();
        if found.is_empty() {
            left_out(&format!("there is no virtual router {}", quoted(name)));
        }
        for index in found {
            let router = &routers[index];
            if router.priority == 255 {
                left_out(&format!(
                    "{} is of priority 255, and an owner's address does not move with others",
                    router.name
                ));
            } else if router.group.is_some() {
                left_out(&format!("{} is in another group already", router.name));
            } else if !members.contains(&index) {
                members.push(index);
            }
        }
    }
    let [first, rest @ ..] = &members[..] else {
        return left_out("it has no member");
    };
    if rest.is_empty() {
        return left_out("it has one member only");
    }
    let model = routers[*first].clone();
    for &index in rest {
        let router = &mut routers[index];
        if router.priority != model.priority {
            notes.changed(
                &group.statement,
                format!(
                    "{} has now the priority {} of {}, not {}: a group has one priority",
                    router.name, model.priority, model.name, router.priority
                ),
            );
        }
        if router.preempt != model.preempt {
            notes.changed(
                &group.statement,
                format!(
                    "{} has now preempt = {}, as {} has: a group has one",
                    router.name, model.preempt, model.name
                ),
            );
        }
        router.priority = model.priority;
        router.preempt = model.preempt;
        if !router.preempt {
            router.preempt_delay = Duration::ZERO;
        }
    }
    for &index in &members {
        routers[index].group = Some(group.name.clone());
    }
    let now = format!("sync_group = {}", quoted(&group.name));
    if group.statement.value() == Some(group.name.as_str()) {
        notes.add(&group.statement, Verdict::Renamed(now));
    } else {
        notes.changed(
            &group.statement,
            format!("now {now}: hooks are told this name"),
        );
    }
}
