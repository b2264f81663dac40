//! Hooks: programs of the operator's that hear of transitions, in order.
//!
//! There is a queue for the pool, and one for each virtual router and group. In a queue
//! one program runs at a time, and the next is not started before it has ended
//! or was killed for running too long. Nothing waits for a hook.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use log::Level;
use vrrpd_core::time::Instant;

use crate::config::{self, HookEvent, HookStyle};
use crate::job::{self, Command, Order, Outcome, Owner};

/// Transitions that wait in one queue; beyond, the oldest is told by the log only.
const MAX_WAITING: usize = 64;

/// Whose transition it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This manager, in its pool.
    Pool,
    /// A virtual router, by its name.
    Router(String),
    /// The virtual routers of a `sync_group`, by its name.
    Group(String),
}

/// A transition to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose.
    pub source: Source,
    /// What it is: names the hook.
    pub event: HookEvent,
    /// The state that was left, as the log names it.
    pub old: String,
    /// The state that was entered.
    pub new: String,
    /// The priority now, after checks.
    pub priority: u8,
    /// The pool's epoch, e.g. `7.a`; empty without a pool.
    pub epoch: String,
}

/// The executables in `[paths] hooks` that are named after events.
///
/// A directory that is not there holds none.
pub fn installed(directory: &Path) -> Vec<(HookEvent, String)> {
    let executable = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    HookEvent::ALL
        .into_iter()
        .filter_map(|event| {
            let path = directory.join(event.to_string());
            executable(&path).then(|| (event, path.display().to_string()))
        })
        .collect()
}

/// The queues.
#[derive(Debug)]
pub struct Hooks {
    node: String,
    config: config::Hooks,
    installed: Vec<(HookEvent, String)>,
    queues: BTreeMap<Source, Queue>,
    launched: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    /// What is still to run for the event that is being told.
    rest: VecDeque<Call>,
    running: Option<Running>,
}

/// A program to run for an event.
#[derive(Debug)]
struct Call {
    hook: String,
    command: Command,
}

#[derive(Debug)]
struct Running {
    id: job::Id,
    hook: String,
    since: Instant,
    /// When it is killed; `None` once it was.
    until: Option<Instant>,
}

impl Hooks {
    /// Empty queues of the manager `node`. A hook of `config` goes before one
    /// that is [`installed`].
    pub fn new(node: &str, config: config::Hooks, installed: Vec<(HookEvent, String)>) -> Self {
        Self {
            node: node.to_owned(),
            config,
            installed,
            queues: BTreeMap::new(),
            launched: 0,
        }
    }

    /// Queues `event`, and launches its hook at once when nothing runs before it.
    pub fn push(&mut self, event: Event, now: Instant, out: &mut Vec<Order>) {
        let source = event.source.clone();
        let queue = self.queues.entry(source.clone()).or_default();
        queue.waiting.push_back(event);
        if queue.waiting.len() > MAX_WAITING
            && let Some(oldest) = queue.waiting.pop_front()
        {
            out.push(Order::Say(
                Level::Warn,
                format!(
                    "{source}: hooks: {MAX_WAITING} transitions wait: {} -> {} is not told by \
                     itself, later ones are",
                    oldest.old, oldest.new
                ),
            ));
        }
        self.proceed(&source, now, out);
    }

    /// A hook ended.
    pub fn on_ended(&mut self, id: job::Id, outcome: &Outcome, now: Instant, out: &mut Vec<Order>) {
        let found = self.queues.iter_mut().find_map(|(source, queue)| {
            let running = queue.running.take_if(|running| running.id == id)?;
            Some((source.clone(), running))
        });
        let Some((source, running)) = found else {
            return;
        };
        let took = running.since.until(now).as_secs_f64();
        let (level, killed) = match (running.until, outcome.is_success()) {
            (None, _) => (Level::Warn, ", killed"),
            (Some(_), true) => (Level::Debug, ""),
            (Some(_), false) => (Level::Warn, ""),
        };
        out.push(Order::Say(
            level,
            format!(
                "{source}: hook {}: {outcome} after {took:.3} s{killed}",
                running.hook
            ),
        ));
        self.proceed(&source, now, out);
    }

    /// The deadline has come: kills what has run for too long.
    pub fn on_wake(&mut self, now: Instant, out: &mut Vec<Order>) {
        for (source, queue) in &mut self.queues {
            let Some(running) = &mut queue.running else {
                continue;
            };
            if running.until.is_some_and(|until| until <= now) {
                running.until = None;
                out.push(Order::Say(
                    Level::Warn,
                    format!(
                        "{source}: hook {} has run for {:.0} s: it is killed",
                        running.hook,
                        running.since.until(now).as_secs_f64()
                    ),
                ));
                out.push(Order::Kill(running.id));
            }
        }
    }

    /// When [`Hooks::on_wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let running = |queue: &Queue| queue.running.as_ref()?.until;
        self.queues.values().filter_map(running).min()
    }

    /// Nothing runs and nothing waits: a stopping daemon may exit.
    pub fn is_idle(&self) -> bool {
        self.queues.values().all(|queue| {
            queue.running.is_none() && queue.rest.is_empty() && queue.waiting.is_empty()
        })
    }

    /// A new configuration after a reload; what waits is told by it.
    pub fn reconfigure(&mut self, config: config::Hooks, installed: Vec<(HookEvent, String)>) {
        self.config = config;
        self.installed = installed;
    }

    /// Launches the next program of a queue if none runs.
    fn proceed(&mut self, source: &Source, now: Instant, out: &mut Vec<Order>) {
        let Some(queue) = self.queues.get_mut(source) else {
            return;
        };
        while queue.running.is_none() {
            let Some(call) = queue.rest.pop_front() else {
                let Some(event) = queue.waiting.pop_front() else {
                    return;
                };
                queue.rest = calls(&self.node, &self.config, &self.installed, &event);
                continue;
            };
            self.launched += 1;
            let id = job::Id {
                owner: Owner::Hook,
                number: self.launched,
            };
            queue.running = Some(Running {
                id,
                hook: call.hook,
                since: now,
                until: Some(now + self.config.timeout),
            });
            out.push(Order::Launch(id, call.command));
        }
    }
}

/// The programs that hear of `event`, in order: its own, then `on_any`.
fn calls(
    node: &str,
    config: &config::Hooks,
    installed: &[(HookEvent, String)],
    event: &Event,
) -> VecDeque<Call> {
    let own = config
        .commands
        .iter()
        .find(|(of, _)| *of == event.event)
        .map(|(_, argv)| argv.clone())
        .or_else(|| {
            let (_, path) = installed.iter().find(|(of, _)| *of == event.event)?;
            Some(vec![path.clone()])
        });
    own.into_iter()
        .chain(config.any.clone())
        .map(|argv| Call {
            hook: argv[0].clone(),
            command: command(node, config.style, argv, event),
        })
        .collect()
}

fn command(node: &str, style: HookStyle, mut argv: Vec<String>, event: &Event) -> Command {
    let name = match &event.source {
        Source::Pool => node,
        Source::Router(name) | Source::Group(name) => name,
    };
    let kind = match &event.source {
        Source::Pool => "pool",
        Source::Router(_) => "router",
        Source::Group(_) => "group",
    };
    let told = event.event.to_string();
    let priority = event.priority.to_string();
    match style {
        HookStyle::Vrrpd => {
            argv.extend([&told, name, &event.old, &event.new, &priority].map(str::to_owned));
        }
        HookStyle::Keepalived => {
            let kind = match event.source {
                Source::Pool | Source::Group(_) => "GROUP",
                Source::Router(_) => "INSTANCE",
            };
            argv.extend([kind, name, keepalived(event.event), &priority].map(str::to_owned));
        }
    }
    let environment = [
        ("VRRPD_EVENT", told.as_str()),
        ("VRRPD_KIND", kind),
        ("VRRPD_NODE", node),
        ("VRRPD_NAME", name),
        ("VRRPD_OLD", &event.old),
        ("VRRPD_NEW", &event.new),
        ("VRRPD_PRIORITY", &priority),
        ("VRRPD_EPOCH", &event.epoch),
    ];
    Command {
        argv,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    }
}

/// The state as keepalived's notify scripts know it.
fn keepalived(event: HookEvent) -> &'static str {
    match event {
        HookEvent::Primary | HookEvent::Active => "MASTER",
        HookEvent::Online | HookEvent::Backup => "BACKUP",
        HookEvent::Fault => "FAULT",
        HookEvent::Stop => "STOP",
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool => f.write_str("pool"),
            Self::Router(name) => f.write_str(name),
            Self::Group(name) => write!(f, "sync_group {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn hooks(style: HookStyle) -> Hooks {
        let config = config::Hooks {
            commands: vec![
                (
                    HookEvent::Active,
                    vec!["/h/notify".to_owned(), "--mail".to_owned()],
                ),
                (HookEvent::Primary, vec!["/h/primary".to_owned()]),
            ],
            any: None,
            timeout: Duration::from_secs(5),
            style,
        };
        let installed = vec![
            (HookEvent::Active, "/etc/active".to_owned()),
            (HookEvent::Backup, "/etc/backup".to_owned()),
        ];
        Hooks::new("manager-a", config, installed)
    }

    fn event(router: &str, event: HookEvent) -> Event {
        let (old, new) = match event {
            HookEvent::Active => ("Backup", "Active"),
            _ => ("Active", "Backup"),
        };
        Event {
            source: Source::Router(router.to_owned()),
            event,
            old: old.to_owned(),
            new: new.to_owned(),
            priority: 150,
            epoch: String::new(),
        }
    }

    /// The launches among `out`, as `number: words`, and clears it.
    fn launches(out: &mut Vec<Order>) -> Vec<String> {
        out.drain(..)
            .filter_map(|order| match order {
                Order::Launch(id, command) => {
                    Some(format!("{}: {}", id.number, command.argv.join(" ")))
                }
                Order::Kill(_) | Order::Say(..) => None,
            })
            .collect()
    }

    fn id(number: u64) -> job::Id {
        job::Id {
            owner: Owner::Hook,
            number,
        }
    }

    #[test]
    fn transitions_of_one_router_are_told_one_after_the_other() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        for of in [HookEvent::Active, HookEvent::Backup, HookEvent::Active] {
            hooks.push(event("lan", of), at(0), &mut out);
        }
        assert_eq!(
            launches(&mut out),
            ["1: /h/notify --mail active lan Backup Active 150"]
        );
        hooks.on_ended(id(1), &Outcome::Exited(0), at(100), &mut out);
        assert_eq!(
            launches(&mut out),
            ["2: /etc/backup backup lan Active Backup 150"]
        );
        hooks.on_ended(id(2), &Outcome::Exited(0), at(200), &mut out);
        assert_eq!(
            launches(&mut out),
            ["3: /h/notify --mail active lan Backup Active 150"]
        );
        assert!(!hooks.is_idle());
        hooks.on_ended(id(3), &Outcome::Exited(0), at(300), &mut out);
        assert_eq!(launches(&mut out), [""; 0]);
        assert!(hooks.is_idle());
    }

    #[test]
    fn routers_do_not_wait_for_one_another() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        hooks.push(event("wan", HookEvent::Active), at(0), &mut out);
        assert_eq!(launches(&mut out).len(), 2);
    }

    #[test]
    fn keepalived_scripts_get_their_four_arguments() {
        let mut hooks = hooks(HookStyle::Keepalived);
        let mut out = Vec::new();
        hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        hooks.push(
            Event {
                source: Source::Pool,
                event: HookEvent::Primary,
                old: "Online".to_owned(),
                new: "Primary".to_owned(),
                priority: 100,
                epoch: "7.a".to_owned(),
            },
            at(0),
            &mut out,
        );
        hooks.push(
            Event {
                source: Source::Group("both".to_owned()),
                ..event("lan", HookEvent::Active)
            },
            at(0),
            &mut out,
        );
        let Order::Launch(_, command) = &out[1] else {
            panic!("the pool's hook is launched");
        };
        assert_eq!(
            command.environment,
            [
                ("VRRPD_EVENT", "primary"),
                ("VRRPD_KIND", "pool"),
                ("VRRPD_NODE", "manager-a"),
                ("VRRPD_NAME", "manager-a"),
                ("VRRPD_OLD", "Online"),
                ("VRRPD_NEW", "Primary"),
                ("VRRPD_PRIORITY", "100"),
                ("VRRPD_EPOCH", "7.a"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(
            launches(&mut out),
            [
                "1: /h/notify --mail INSTANCE lan MASTER 150",
                "2: /h/primary GROUP manager-a MASTER 100",
                "3: /h/notify --mail GROUP both MASTER 150",
            ]
        );
    }

    #[test]
    fn a_hook_that_runs_too_long_is_killed_and_the_next_follows_its_end() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        hooks.push(event("lan", HookEvent::Backup), at(10), &mut out);
        out.clear();
        assert_eq!(hooks.deadline(), Some(at(5_000)));
        hooks.on_wake(at(4_999), &mut out);
        assert_eq!(out, []);
        hooks.on_wake(at(5_000), &mut out);
        assert_eq!(
            out,
            [
                Order::Say(
                    Level::Warn,
                    "lan: hook /h/notify has run for 5 s: it is killed".to_owned()
                ),
                Order::Kill(id(1)),
            ]
        );
        assert_eq!(hooks.deadline(), None, "it is killed once");
        out.clear();
        hooks.on_ended(id(1), &Outcome::Signalled(9), at(5_001), &mut out);
        assert_eq!(
            out[0],
            Order::Say(
                Level::Warn,
                "lan: hook /h/notify: ended by signal 9 after 5.001 s, killed".to_owned()
            )
        );
        assert_eq!(
            launches(&mut out),
            ["2: /etc/backup backup lan Active Backup 150"]
        );
    }

    #[test]
    fn a_hook_that_cannot_be_started_does_not_hold_the_queue() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        hooks.push(event("lan", HookEvent::Backup), at(0), &mut out);
        out.clear();
        let outcome = Outcome::NotStarted("Permission denied (os error 13)".to_owned());
        hooks.on_ended(id(1), &outcome, at(0), &mut out);
        assert_eq!(
            out[0],
            Order::Say(
                Level::Warn,
                "lan: hook /h/notify: could not be started: Permission denied (os error 13) after \
                 0.000 s"
                    .to_owned()
            )
        );
        assert_eq!(launches(&mut out).len(), 1);
    }

    #[test]
    fn beyond_64_waiting_the_oldest_is_told_by_the_log() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        for _ in 0..65 {
            hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        }
        assert_eq!(launches(&mut out).len(), 1);
        hooks.push(event("lan", HookEvent::Backup), at(0), &mut out);
        assert_eq!(
            out,
            [Order::Say(
                Level::Warn,
                "lan: hooks: 64 transitions wait: Backup -> Active is not told by itself, later \
                 ones are"
                    .to_owned()
            )]
        );
    }

    #[test]
    fn an_event_without_a_hook_is_passed_over_and_any_hears_all() {
        let mut hooks = hooks(HookStyle::Vrrpd);
        let mut out = Vec::new();
        hooks.push(event("lan", HookEvent::Stop), at(0), &mut out);
        assert!(out.is_empty() && hooks.is_idle());
        let config = config::Hooks {
            any: Some(vec!["/h/any".to_owned()]),
            ..hooks.config.clone()
        };
        hooks.reconfigure(config, Vec::new());
        hooks.push(event("lan", HookEvent::Active), at(0), &mut out);
        hooks.on_ended(id(1), &Outcome::Exited(1), at(1), &mut out);
        assert_eq!(
            launches(&mut out),
            [
                "1: /h/notify --mail active lan Backup Active 150",
                "2: /h/any active lan Backup Active 150",
            ]
        );
    }

    #[test]
    fn executables_named_after_events_are_found() {
        let directory = tempfile::tempdir().unwrap();
        for (name, mode) in [("primary", 0o755), ("backup", 0o644), ("other", 0o755)] {
            let path = directory.path().join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(
            installed(directory.path()),
            [(
                HookEvent::Primary,
                directory.path().join("primary").display().to_string()
            )]
        );
        assert_eq!(installed(Path::new("/nonexistent")), []);
    }
}
