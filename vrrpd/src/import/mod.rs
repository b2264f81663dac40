//! A keepalived configuration as a `vrrpd.toml`, with a word on every line of it.
//!
//! The text is read as keepalived.conf(5) has it: `expand` takes comments
//! away, includes files, decides conditions and replaces names; `tree` makes
//! statements of the lines that are left. What each keyword is here stands in
//! one table, [`keyword`], which docs/keepalived.md shows.

mod address;
mod around;
mod check;
mod define;
mod expand;
mod globals;
mod group;
mod hooks;
mod instance;
pub mod keyword;
mod note;
mod program;
mod render;
mod source;
mod tree;
mod value;
mod word;

use core::fmt;
use std::path::{Path, PathBuf};

pub use around::{Around, ThisMachine};
pub use note::{Note, Tally, Verdict};

use check::Checks;
use expand::{Expanded, expand};
use globals::Globals;
use group::Group;
use hooks::Told;
use keyword::FILE;
use note::{Notes, Place};
use render::{Document, Router};
use tree::Statement;

/// What an import makes.
#[derive(Clone, Debug)]
pub struct Imported {
    /// `vrrpd.toml`.
    pub toml: String,
    /// What became of each line, in their order.
    pub notes: Vec<Note>,
}

/// Why a file cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    file: PathBuf,
    line: usize,
    what: String,
}

/// `FILE:LINE: WHAT`
impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

impl std::error::Error for Unreadable {}

/// What is wrong with the form of a file.
#[derive(Debug)]
struct Problem {
    place: Place,
    what: String,
}

impl Problem {
    fn at(place: Place, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { place, what }
    }

    fn of(self, files: &[PathBuf]) -> Unreadable {
        Unreadable {
            file: files.get(self.place.file).cloned().unwrap_or_default(),
            line: self.place.line,
            what: self.what,
        }
    }
}

/// Imports `text`, which `file` holds. Lines that begin with `@` are decided
/// by `config_id`; without it by the first part of the machine's name, as
/// keepalived does.
///
/// # Errors
///
/// Braces that do not match, or names without end.
pub fn import(
    text: &str,
    file: &Path,
    config_id: Option<&str>,
    around: &dyn Around,
) -> Result<Imported, Unreadable> {
    let host = around.host_name();
    let config_id = config_id.unwrap_or_else(|| host.split('.').next().unwrap_or_default());
    let Expanded {
        lines,
        files,
        unread,
    } = expand(text, file, config_id, around).map_err(|(problem, files)| problem.of(&files))?;
    let statements = tree::statements(&lines).map_err(|problem| problem.of(&files))?;
    let mut notes = Notes::default();
    for (place, why) in unread {
        notes.put(
            place,
            "include",
            Verdict::Changed(format!("{why}: left out")),
        );
    }
    let document = document(&statements, around, &mut notes);
    Ok(Imported {
        toml: document.to_string(),
        notes: notes.finish(&files),
    })
}

fn document(file: &[Statement], around: &dyn Around, notes: &mut Notes) -> Document {
    let globals = Globals::read(file, notes);
    let mut checks = Checks::read(file, around, notes);
    let mut document = Document {
        node: globals
            .node
            .clone()
            .unwrap_or_else(|| value::name(&around.host_name())),
        realtime: globals.realtime,
        lock_memory: globals.lock_memory,
        ..Document::default()
    };
    let mut groups = Vec::new();
    let mut instances = Vec::new();
    for statement in file {
        match statement.keyword() {
            "vrrp_instance" => {
                let mut inner = Notes::default();
                let read = instance::read(statement, &globals, around, &mut inner);
                let taken = read.filter(|instance| {
                    adopt(&mut document, statement, instance.routers.clone(), notes)
                });
                notes.absorb(inner, statement, taken.is_none());
                let name = statement.value().unwrap_or_default();
                instances.extend(taken.map(|instance| (name, instance)));
            }
            "vrrp_sync_group" => {
                let group = Group::read(statement, &groups, around, notes);
                groups.push(group);
            }
            "global_defs" | "vrrp_script" | "vrrp_track_process" | "track_file"
            | "vrrp_track_file" => {}
            keyword => notes.plain(statement, FILE.find(keyword)),
        }
    }
    address::settle(&mut document.routers, notes);
    group::settle(&groups, &mut document.routers, notes);
    let routers = &document.routers;
    let mut notify = Vec::new();
    for group in &groups {
        let moves = |router: &&Router| router.group.as_ref() == Some(&group.name);
        let named = |router: &&Router| group.members.contains(&router.instance);
        let exists = routers.iter().any(|router| moves(&router));
        let members: Vec<&Router> = routers
            .iter()
            .filter(|router| if exists { moves(router) } else { named(router) })
            .collect();
        for line in group.tracked.iter().filter(|_| !members.is_empty()) {
            checks.track(line, &members, true, notes);
        }
        let told = exists.then(|| Told::Group(group.name.clone()));
        notify.extend(group.notify.iter().map(|one| (told.clone(), one.clone())));
    }
    for (name, instance) in instances {
        let own: Vec<&Router> = routers.iter().filter(|r| r.instance == name).collect();
        let ignores = |group: &Group| !group.has_weights && group.members.iter().any(|m| m == name);
        let weights = !groups.iter().any(ignores);
        for line in instance.tracked.iter().filter(|_| !own.is_empty()) {
            checks.track(line, &own, weights, notes);
        }
        // The second family moves with the first, and keepalived tells it once.
        let told = own.first().map(|router| Told::Router(router.name.clone()));
        notify.extend(instance.notify.into_iter().map(|one| (told.clone(), one)));
    }
    let mut all: Vec<Told> = routers
        .iter()
        .map(|r| Told::Router(r.name.clone()))
        .collect();
    for group in routers.iter().filter_map(|router| router.group.clone()) {
        let group = Told::Group(group);
        if !all.contains(&group) {
            all.push(group);
        }
    }
    document.checks = checks.finish();
    hooks::fill(&mut document, &notify, &all, notes);
    document
}

/// Takes the virtual routers of an instance, unless the file has them already:
/// whether any was taken.
fn adopt(
    document: &mut Document,
    statement: &Statement,
    mut routers: Vec<Router>,
    notes: &mut Notes,
) -> bool {
    let known = &document.routers;
    let instance = statement.value().unwrap_or_default();
    if known.iter().any(|other| other.instance == instance) {
        notes.changed(statement, "there is one of that name already: left out");
        return false;
    }
    routers.retain(|router| {
        let same = |other: &&Router| {
            let identity = |router: &Router| (router.vrid, router.is_ipv6());
            other.interface == router.interface && identity(other) == identity(router)
        };
        let twin = known.iter().find(same);
        if let Some(twin) = twin {
            notes.changed(
                statement,
                format!(
                    "its vrid on {} is that of {}: left out",
                    twin.interface, twin.name
                ),
            );
        }
        twin.is_none()
    });
    let any = !routers.is_empty();
    for mut router in routers {
        let names = document.routers.iter().map(|other| other.name.as_str());
        let name = value::unique(&router.name, names);
        let now = format!("[[virtual_router]] name = {}", value::quoted(&name));
        if name == router.instance {
            notes.add(statement, Verdict::Renamed(now));
        } else {
            notes.changed(statement, format!("now {now}: hooks are told this name"));
        }
        router.name = name;
        document.routers.push(router);
    }
    any
}
