//! `notify` and `notify_*`: one hook of vrrpd's serves all virtual routers and groups.

use std::collections::BTreeSet;

use super::around::Around;
use super::note::{Notes, Verdict};
use super::program::program;
use super::render::Document;
use super::tree::Statement;
use crate::config::HookEvent;

/// A line of an instance or a group that names a script.
#[derive(Clone, Debug)]
pub(super) struct Notify {
    /// None: every event.
    event: Option<HookEvent>,
    argv: Vec<String>,
    mind: Option<String>,
    statement: Statement,
}

impl Notify {
    /// Reads `notify_master "PROGRAM ARGUMENTS" USER GROUP`.
    pub(super) fn read(
        statement: &Statement,
        event: Option<HookEvent>,
        around: &dyn Around,
    ) -> Option<Self> {
        let found = program(statement.value()?, around)?;
        let user = statement.values().get(1);
        let user = user.map(|user| format!("it runs as the user of vrrpd, not as {user}"));
        let mind: Vec<String> = found.mind.into_iter().chain(user).collect();
        Some(Self {
            event,
            argv: found.argv,
            mind: (!mind.is_empty()).then(|| mind.join("; ")),
            statement: statement.clone(),
        })
    }

    fn key(&self) -> String {
        self.event
            .map_or("on_any".to_owned(), |event| format!("on_{event}"))
    }

    fn note(&self, notes: &mut Notes) {
        match &self.mind {
            None => notes.add(&self.statement, Verdict::Renamed(self.key())),
            Some(mind) => notes.changed(&self.statement, format!("now {}: {mind}", self.key())),
        }
    }
}

/// Whose transitions a hook is told: VRRPD_KIND and VRRPD_NAME.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Router(String),
    Group(String),
}

/// Fills in `[hooks]` from who notifies what. All that exist are in `all`.
pub(super) fn fill(
    document: &mut Document,
    notify: &[(Option<Told>, Notify)],
    all: &[Told],
    notes: &mut Notes,
) {
    for (told, notify) in notify {
        match told {
            Some(_) => notify.note(notes),
            None => notes.changed(
                &notify.statement,
                "what it belongs to is left out: left out",
            ),
        }
    }
    let events = [
        HookEvent::Active,
        HookEvent::Backup,
        HookEvent::Fault,
        HookEvent::Stop,
    ];
    for event in events.map(Some).into_iter().chain([None]) {
        // The last one of an instance counts, as in keepalived.
        let mut seen = BTreeSet::new();
        let mut calls: Vec<(&[String], Vec<&Told>)> = Vec::new();
        for (told, notify) in notify.iter().rev().filter(|(_, n)| n.event == event) {
            let Some(told) = told.as_ref().filter(|&told| seen.insert(told)) else {
                continue;
            };
            match calls.iter_mut().find(|(argv, _)| *argv == notify.argv) {
                Some((_, of)) => of.insert(0, told),
                None => calls.insert(0, (&notify.argv, vec![told])),
            }
        }
        let Some(argv) = hook(&calls, all, event.is_none()) else {
            continue;
        };
        match event {
            Some(event) => document.hooks.push((event, argv)),
            None => document.any = Some(argv),
        }
    }
}

/// The command of a hook. `notify` is given four arguments more, its fellows
/// none: a shell takes them away, and tells apart whose transition it is.
fn hook(calls: &[(&[String], Vec<&Told>)], all: &[Told], arguments: bool) -> Option<Vec<String>> {
    let rest = if arguments { " \"$@\"" } else { "" };
    let groups = all.iter().any(|told| matches!(told, Told::Group(_)));
    let script = match calls {
        [] => return None,
        [(argv, of)] if of.len() == all.len() => {
            if arguments {
                return Some(argv.to_vec());
            }
            format!("exec {}", shell(argv))
        }
        calls => {
            let pattern = |told: &&Told| match told {
                Told::Router(name) if groups => format!("router/{name}"),
                Told::Router(name) => name.clone(),
                Told::Group(name) => format!("group/{name}"),
            };
            let case = |(argv, of): &(&[String], Vec<&Told>)| {
                let patterns: Vec<_> = of.iter().map(pattern).collect();
                format!("{}) exec {}{rest};;", patterns.join("|"), shell(argv))
            };
            let cases: Vec<_> = calls.iter().map(case).collect();
            let kind = if groups { "$VRRPD_KIND/" } else { "" };
            format!("case {kind}$VRRPD_NAME in {} esac", cases.join(" "))
        }
    };
    Some(
        ["/bin/sh", "-c", &script, "hook"]
            .map(str::to_owned)
            .to_vec(),
    )
}

/// `argv` as a shell reads it.
fn shell(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}
