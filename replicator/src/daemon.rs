//! The daemon: carries events to the [`Keeper`] and does what it wants.
//!
//! One thread decides; the threads beside it only read (the plugin's output,
//! vrrpd's orders, signals) and send what they read here.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use serde_json::Value;

use crate::config::Config;
use crate::keeper::Keeper;
use crate::link::{self, Heard};
use crate::plugin::client::{Plugin, Said};
use crate::plugin::{
    Command, Description, Failure, Notification, Observation, PROTOCOL, Setup, rpc,
};
use crate::role::{FromReplicator, HEARTBEAT, Order, Report, Server};

/// How long orders hold without a connection to whoever gives them.
pub const GRACE: Duration = Duration::from_secs(2);

/// A plugin is asked for its observation this often, to see that it lives.
const PING: Duration = Duration::from_secs(1);

/// A plugin that does not answer a ping within this is killed.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// So is one that does not describe itself within this.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A command that goes on this long after it was cancelled is the end of the
/// plugin.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(20);

/// For how long a plugin may be gone before the database is called unhealthy.
const PLUGIN_GONE: Duration = Duration::from_secs(1);

/// Waits before the same is tried again: doubled from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A standby that receives nothing for this long asks for its upstream's
/// history again.
const STALLED: Duration = Duration::from_secs(2);

/// The longest that ending may take.
const ENDING: Duration = Duration::from_secs(60);

/// Events that are taken in before the next decision and report.
const BATCH: usize = 256;

/// What the other threads say.
#[derive(Debug)]
pub enum Event {
    /// The plugin of that generation has said something.
    Plugin(u64, Said),
    /// The connection to vrrpd has.
    Link(Heard),
    /// The process is asked to end.
    Terminate,
}

/// A wait that grows with each try that follows soon.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    wait: Duration,
    until: Option<Instant>,
}

impl Backoff {
    const fn new() -> Self {
        Self {
            wait: RETRY.0,
            until: None,
        }
    }

    fn note(&mut self, now: Instant) {
        if self.until.is_some_and(|until| now > until + RETRY.1) {
            self.wait = RETRY.0;
        }
        self.until = Some(now + self.wait);
        self.wait = (self.wait * 2).min(RETRY.1);
    }

    fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A request that has not been answered.
#[derive(Debug)]
struct Pending {
    id: u64,
    command: Command,
    cancelled: Option<Instant>,
}

/// The plugin process, and what was asked of it.
#[derive(Debug)]
struct Running {
    plugin: Plugin,
    /// Described and observed: it may be commanded.
    ready: bool,
    /// The request to describe itself, until it has.
    describing: Option<u64>,
    command: Option<Pending>,
    /// A command was answered, and the ping that is out, or due, was asked for
    /// after that.
    settling: bool,
    ping: Option<(u64, Instant)>,
    next_ping: Instant,
    began: Instant,
}

/// The daemon.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    sender: Sender<Event>,
    keeper: Keeper,
    running: Option<Running>,
    generation: u64,
    plugin_backoff: Backoff,
    /// Since when there is none that has described itself.
    plugin_gone: Option<Instant>,
    /// What was answered last, and when it may be asked for again: it has
    /// failed, or has not led to what it should.
    tried: Option<Command>,
    backoff: Backoff,
    link_started: bool,
    writer: Option<UnixStream>,
    fence_at: Option<Instant>,
    stalled_since: Option<Instant>,
    reported: Option<Report>,
    /// When something is to be said even if nothing has changed.
    heartbeat: Instant,
    ending: Option<Instant>,
}

/// Runs until it is asked to end; the server is stopped then.
///
/// # Errors
///
/// When the replicator's own directory cannot be made.
pub fn run(config: Config, events: (Sender<Event>, Receiver<Event>)) -> io::Result<()> {
    let (sender, receiver) = events;
    fs::create_dir_all(config.state.join(&config.plugin)).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!(
                "{}: cannot be made: {error}: make it and give it to the user that owns the \
                 database",
                config.state.display()
            ),
        )
    })?;
    let mut daemon = Daemon {
        config,
        sender,
        keeper: Keeper::new("the plugin has not answered yet".to_owned()),
        running: None,
        generation: 0,
        plugin_backoff: Backoff::new(),
        plugin_gone: Some(Instant::now()),
        tried: None,
        backoff: Backoff::new(),
        link_started: false,
        writer: None,
        fence_at: Some(Instant::now() + GRACE),
        stalled_since: None,
        reported: None,
        heartbeat: Instant::now(),
        ending: None,
    };
    daemon.serve(&receiver);
    Ok(())
}

impl Daemon {
    fn serve(&mut self, receiver: &Receiver<Event>) {
        loop {
            let now = Instant::now();
            self.tend(now);
            self.report(now);
            if self.has_ended(now) {
                return;
            }
            match receiver.recv_timeout(self.patience(now)) {
                Ok(event) => self.on_event(event, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // What has come meanwhile belongs to the same decision.
            for event in receiver.try_iter().take(BATCH) {
                self.on_event(event, Instant::now());
            }
        }
    }

    fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Plugin(generation, said)
                if generation == self.generation && self.running.is_some() =>
            {
                self.on_plugin(said, now);
            }
            // Of a plugin that was given up.
            Event::Plugin(_, _) => {}
            Event::Link(Heard::Connected(writer)) => {
                self.writer = Some(writer);
                self.reported = None;
                // It speaks first, before any order can be read.
                self.report(now);
            }
            Event::Link(Heard::Order(order)) => self.on_order(order),
            Event::Link(Heard::Lost) => {
                self.writer = None;
                // A connection that brought no order has put nothing off.
                self.fence_at.get_or_insert(now + GRACE);
            }
            Event::Terminate => {
                info!("ends: the database is stopped first");
                self.keeper.end();
                self.ending.get_or_insert(now + ENDING);
            }
        }
    }

    fn on_order(&mut self, order: Order) {
        debug!("order: {order:?}");
        self.keeper.on_order(order);
        self.fence_at = None;
        self.tried = None;
        self.backoff = Backoff::new();
    }

    fn on_plugin(&mut self, said: Said, now: Instant) {
        match said {
            Said::Notification(Notification::Observed(observed)) => self.on_observed(observed),
            Said::Notification(Notification::Progress(progress)) => {
                self.keeper.on_progress(progress);
            }
            Said::Answer(id, answer) => self.on_answer(id, answer, now),
            Said::Ended(why) => self.on_plugin_ended(&why, now),
        }
    }

    fn on_observed(&mut self, observed: Observation) {
        // Until it is described it may know less than its predecessor did.
        if self.running.as_ref().is_some_and(|running| running.ready) {
            self.keeper.on_observed(observed);
        }
    }

    fn on_answer(&mut self, id: u64, answer: Result<Value, Failure>, now: Instant) {
        let Some(running) = &mut self.running else {
            return;
        };
        if running.ping.is_some_and(|(ping, _)| ping == id) {
            running.ping = None;
            running.next_ping = now + PING;
            self.on_ping(answer, now);
        } else if running.describing == Some(id) {
            self.on_described(answer, now);
        } else if let Some(pending) = running.command.take_if(|pending| pending.id == id) {
            debug!("{} answered: {answer:?}", pending.command.method());
            // What it has done is asked for; a ping that is out may not show it.
            running.ping = None;
            running.next_ping = now;
            running.settling = true;
            self.keeper.on_answer(&pending.command, &answer);
            match answer {
                Err(failure) if failure.is_cancelled() => return,
                Err(failure) => warn!("{}: {failure}", pending.command.method()),
                Ok(_) => {}
            }
            if self.tried.as_ref() != Some(&pending.command) {
                self.backoff = Backoff::new();
            }
            self.tried = Some(pending.command);
            self.backoff.note(now);
        }
    }

    fn on_described(&mut self, answer: Result<Value, Failure>, now: Instant) {
        let described = answer.and_then(|value| {
            serde_json::from_value::<Description>(value)
                .map_err(|error| Failure::new(format!("its description cannot be read: {error}")))
        });
        let described = described.and_then(|description| {
            if description.protocol == PROTOCOL {
                Ok(description)
            } else {
                Err(Failure::new(format!(
                    "it speaks version {} of the plugin protocol, not {PROTOCOL}: install the \
                     plugin of this version",
                    description.protocol
                )))
            }
        });
        match described {
            Ok(description) => {
                info!(
                    "plugin {} {} for {}",
                    description.name, description.version, description.database
                );
                self.plugin_gone = None;
                if let Some(running) = &mut self.running {
                    running.describing = None;
                    running.next_ping = now;
                }
                self.ping(now);
            }
            Err(failure) => {
                error!("plugin {}: {failure}", self.config.plugin);
                self.lose_plugin(&failure.message, now);
                self.say_unusable(failure.message);
            }
        }
    }

    /// The answer to a ping; the first one makes the plugin ready.
    fn on_ping(&mut self, answer: Result<Value, Failure>, now: Instant) {
        let observed = answer
            .map_err(|failure| failure.message)
            .and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()));
        let observed = match observed {
            Ok(observed) => observed,
            Err(why) => {
                self.on_plugin_ended(&format!("its observation cannot be read: {why}"), now);
                return;
            }
        };
        let Some(running) = &mut self.running else {
            return;
        };
        if !running.ready {
            running.ready = true;
            self.keeper.on_plugin_started();
        }
        self.keeper.on_observed(observed);
        if std::mem::take(&mut running.settling) {
            self.keeper.on_settled();
        }
        self.start_link();
    }

    /// vrrpd shall see why the database cannot be kept.
    fn say_unusable(&mut self, why: String) {
        self.keeper.on_plugin_lost(why);
        self.start_link();
    }

    fn start_link(&mut self) {
        if !self.link_started {
            self.link_started = true;
            link::start(self.config.socket.clone(), self.sender.clone(), Event::Link);
        }
    }

    fn on_plugin_ended(&mut self, why: &str, now: Instant) {
        warn!("plugin {}: {why}: it is started again", self.config.plugin);
        self.lose_plugin(why, now);
    }

    fn lose_plugin(&mut self, why: &str, now: Instant) {
        let lived = self.running.take().map(|running| now - running.began);
        self.plugin_gone.get_or_insert(now);
        if lived.is_some_and(|lived| lived >= PLUGIN_GONE) {
            self.plugin_backoff = Backoff::new();
        } else {
            self.plugin_backoff.note(now);
        }
        debug!("plugin lost: {why}");
    }

    /// Does what is due, and what is wanted.
    fn tend(&mut self, now: Instant) {
        if self.fence_at.is_some_and(|at| now >= at) {
            self.fence_at = None;
            warn!(
                "without vrrpd for {} s: the database is fenced",
                GRACE.as_secs()
            );
            self.keeper.fence();
        }
        if self.running.is_none() && !self.plugin_backoff.holds(now) {
            self.start_plugin(now);
        }
        if self
            .plugin_gone
            .is_some_and(|since| now - since >= PLUGIN_GONE)
        {
            self.say_unusable(format!("the plugin {} does not answer", self.config.plugin));
        }
        self.note_stall(now);
        self.ping(now);
        self.command(now);
    }

    fn start_plugin(&mut self, now: Instant) {
        self.generation += 1;
        let generation = self.generation;
        let started = Plugin::start(&self.config.executable, self.sender.clone(), move |said| {
            Event::Plugin(generation, said)
        })
        .and_then(|mut plugin| {
            let id = plugin.request(Command::Describe(Setup {
                config: self.config.table.clone(),
                state: self.config.state.join(&self.config.plugin),
            }))?;
            Ok((plugin, id))
        });
        match started {
            Ok((plugin, describing)) => {
                self.running = Some(Running {
                    plugin,
                    ready: false,
                    describing: Some(describing),
                    command: None,
                    settling: false,
                    ping: None,
                    next_ping: now + DESCRIBE_TIMEOUT,
                    began: now,
                });
            }
            Err(error) => {
                error!("{error}");
                self.plugin_gone.get_or_insert(now);
                self.plugin_backoff.note(now);
                self.say_unusable(error.to_string());
            }
        }
    }

    fn note_stall(&mut self, now: Instant) {
        if !self.keeper.is_stalled() {
            self.stalled_since = None;
            return;
        }
        let since = *self.stalled_since.get_or_insert(now);
        if now - since >= STALLED {
            self.stalled_since = Some(now);
            self.keeper.on_stalled();
        }
    }

    /// Sees whether the plugin lives.
    fn ping(&mut self, now: Instant) {
        let Some(running) = &mut self.running else {
            return;
        };
        let hangs = running.describing.is_some() && now - running.began >= DESCRIBE_TIMEOUT
            || running
                .ping
                .is_some_and(|(_, asked)| now - asked >= PING_TIMEOUT)
            || running.command.as_ref().is_some_and(|pending| {
                pending
                    .cancelled
                    .is_some_and(|at| now - at >= CANCEL_TIMEOUT)
            });
        if hangs {
            self.on_plugin_ended("it does not answer", now);
            return;
        }
        if running.ping.is_none() && now >= running.next_ping {
            match running.plugin.request(Command::Observe {}) {
                Ok(id) => running.ping = Some((id, now)),
                Err(error) => self.on_plugin_ended(&error.to_string(), now),
            }
        }
    }

    /// Brings the plugin to do what is wanted.
    fn command(&mut self, now: Instant) {
        let Some(running) = self.running.as_mut().filter(|running| running.ready) else {
            return;
        };
        let outcome = if let Some(pending) = &mut running.command {
            if pending.cancelled.is_some() || self.keeper.serves(&pending.command) {
                return;
            }
            info!("{} is called off", pending.command.method());
            pending.cancelled = Some(now);
            running.plugin.cancel()
        } else {
            let Some(command) = self.keeper.wanted() else {
                return;
            };
            if self.tried.as_ref() == Some(&command) && self.backoff.holds(now) {
                return;
            }
            debug!("{}: {command:?}", command.method());
            self.keeper.on_commanded(&command);
            running.plugin.request(command.clone()).map(|id| {
                running.command = Some(Pending {
                    id,
                    command,
                    cancelled: None,
                });
            })
        };
        if let Err(error) = outcome {
            self.on_plugin_ended(&error.to_string(), now);
        }
    }

    /// Tells vrrpd what has changed.
    fn report(&mut self, now: Instant) {
        let report = self.keeper.report();
        if self.reported.as_ref() == Some(&report) && now < self.heartbeat {
            return;
        }
        self.heartbeat = now + HEARTBEAT;
        if self
            .reported
            .as_ref()
            .is_none_or(|last| last.server != report.server || last.detail != report.detail)
        {
            info!("{}", describe(&report));
        }
        if let Some(writer) = &mut self.writer {
            let line = FromReplicator::Report(report.clone());
            if let Err(error) = rpc::write_line(writer, &line) {
                warn!("a report did not reach vrrpd: {error}");
                // The reading side sees the end and connects again.
                drop(writer.shutdown(Shutdown::Both));
                self.writer = None;
            }
        }
        self.reported = Some(report);
    }

    fn has_ended(&self, now: Instant) -> bool {
        self.keeper.has_ended() || self.ending.is_some_and(|until| now >= until)
    }

    /// Until when nothing is due.
    fn patience(&self, now: Instant) -> Duration {
        let mut next = now + PING;
        if self.writer.is_some() {
            next = next.min(self.heartbeat.max(now));
        }
        let mut due = |at: Option<Instant>| {
            if let Some(at) = at.filter(|&at| at > now) {
                next = next.min(at);
            }
        };
        due(self.fence_at);
        due(self.backoff.until);
        due(self.plugin_backoff.until);
        due(self.plugin_gone.map(|since| since + PLUGIN_GONE));
        due(self.stalled_since.map(|since| since + STALLED));
        due(self.running.as_ref().map(|running| running.next_ping));
        next - now
    }
}

/// One line for the log.
fn describe(report: &Report) -> String {
    let position = report.position.map_or_else(String::new, |position| {
        format!(" at {} on timeline {}", position.lsn, position.timeline)
    });
    let detail = if report.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", report.detail)
    };
    let health = match (report.healthy, report.server) {
        (false, Server::Standby | Server::Primary) => ", not healthy",
        _ => "",
    };
    format!("database: {}{position}{health}{detail}", report.server)
}

/// A channel for [`run`].
pub fn channel() -> (Sender<Event>, Receiver<Event>) {
    mpsc::channel()
}
