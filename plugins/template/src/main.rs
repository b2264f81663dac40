//! A plugin to begin with: it keeps a database that is a log of lines.
//!
//! Copy this folder, and put your database in place of `server` and `data`.
//! What is said here of a log of lines is what vrrpd-plugin(7) asks of any
//! database; `tests/contract.rs` shows whether yours does it.
#![forbid(unsafe_code)]

mod data;
mod server;

use std::env;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use replicator::plugin::serve::{self, Database, Notifier, Token};
use replicator::plugin::{
    Description, Failure, Follow, Followed, Observation, PROTOCOL, Promote, Remedy, Setup, Source,
    Stop, Stopped, Synchronous,
};
use replicator::role::{Progress, Server};
use serde::Deserialize;

use data::Data;
use server::{Reply, Request, Status};

/// How often the server is looked at. Have your database's death told at once
/// (a pidfd, the end of a connection) rather than found out.
const WATCH: Duration = Duration::from_millis(20);

/// How long the server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// `[replication.template]` in vrrpd.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    data_directory: PathBuf,
    port: u16,
}

struct Place {
    data: Data,
    port: u16,
    notifier: Notifier,
}

#[derive(Default)]
struct Plugin {
    place: OnceLock<Place>,
    known: Mutex<Known>,
}

/// What is known of the server.
#[derive(Default)]
struct Known {
    told: Option<Observation>,
    /// The data are being replaced.
    replacing: bool,
    /// The server knows by it that a plugin is there.
    presence: Option<UnixStream>,
    child: Option<Child>,
}

/// Names what failed, so that the message says where.
fn failed(what: &str) -> impl FnOnce(io::Error) -> Failure + '_ {
    move |error| Failure::new(format!("{what}: {error}"))
}

impl Plugin {
    fn place(&self) -> Result<&Place, Failure> {
        self.place
            .get()
            .ok_or_else(|| Failure::new("it has not been described yet"))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server. `None`: it does not run.
    fn ask(&self, request: &Request) -> Result<Option<Reply>, Failure> {
        let Ok(stream) = UnixStream::connect(server::control(&self.place()?.data)) else {
            return Ok(None);
        };
        match server::ask(stream, request) {
            Ok(Reply::Failed(why)) => Err(Failure::new(why)),
            Ok(reply) => Ok(Some(reply)),
            Err(_) => Ok(None),
        }
    }

    fn status(&self) -> Result<Option<Status>, Failure> {
        Ok(match self.ask(&Request::Status)? {
            Some(Reply::Status(status)) => Some(status),
            _ => None,
        })
    }

    /// Asks a server that has to be there.
    fn order(&self, request: &Request) -> Result<(), Failure> {
        let answer = self.ask(request)?;
        self.look();
        answer
            .map(drop)
            .ok_or_else(|| Failure::new("the server does not run"))
    }

    /// Sees what is, and tells it if that is new: under the lock, so that
    /// observations are told in their order.
    fn look(&self) {
        let (Ok(place), mut known) = (self.place(), self.known()) else {
            return;
        };
        let status = self.status().ok().flatten();
        if status.is_none() {
            known.presence = None;
        } else if known.presence.is_none() {
            known.presence = server::attend(&place.data).ok();
        }
        if let Some(child) = &mut known.child {
            // One that has ended is not to stay a zombie.
            drop(child.try_wait());
        }
        let seen = observe(&place.data, status, known.replacing);
        if known.told.as_ref() != Some(&seen) {
            place.notifier.observed(&seen);
            known.told = Some(seen);
        }
    }

    /// Waits until the server runs, or does not.
    fn wait(&self, runs: bool, token: &Token) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.status()?.is_some() != runs {
            if begun.elapsed() >= PATIENCE {
                let what = if runs { "start" } else { "end" };
                return Err(Failure::new(format!("the server does not {what}")));
            }
            token.pause(Duration::from_millis(5))?;
        }
        self.look();
        Ok(())
    }

    fn start(&self, token: &Token) -> Result<(), Failure> {
        let place = self.place()?;
        place.data.begin_run().map_err(failed("run"))?;
        let executable = env::current_exe().map_err(failed("its own path"))?;
        // Without our pipes: it goes on when we end.
        let child = Command::new(executable)
            .arg("serve")
            .arg(&place.data.0)
            .arg(place.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed("the server"))?;
        self.known().child = Some(child);
        self.wait(true, token)
    }

    fn end(&self, token: &Token) -> Result<(), Failure> {
        self.ask(&Request::Stop)?;
        self.wait(false, token)
    }

    /// The upstream's lines; of no other copy than the one that is meant.
    fn history(source: &Source) -> Result<Vec<String>, Failure> {
        let upstream = &source.upstream;
        let request = Request::History(source.access.password.clone());
        let reply = server::ask_upstream(upstream, &request);
        match reply.map_err(failed(&format!("upstream {upstream}")))? {
            Reply::Lines(copy, lines) if Some(copy) == upstream.copy => Ok(lines),
            Reply::Lines(copy, _) => Err(Failure::new(format!(
                "upstream {upstream}: its copy is {copy}, and another is meant"
            ))),
            Reply::Failed(why) => Err(Failure::new(format!("upstream {upstream}: {why}"))),
            Reply::Done | Reply::Status(_) => Err(Failure::new("upstream: no lines")),
        }
    }

    /// Puts other data in place, of a server that does not run.
    fn replace(&self, lines: &[String], token: &Token) -> Result<(), Failure> {
        self.end(token)?;
        self.known().replacing = true;
        self.look();
        let outcome = self.place()?.data.replace(lines).map_err(failed("data"));
        self.known().replacing = false;
        self.look();
        outcome
    }
}

fn observe(data: &Data, status: Option<Status>, replacing: bool) -> Observation {
    let at_rest = Observation {
        copy: data.copy(),
        run: data.run(),
        ..Observation::down(String::new())
    };
    let Some(status) = status else {
        let lines = data.lines().unwrap_or_default();
        let stopped = data.is_clean() && !data.is_ruined();
        return Observation {
            server: match (replacing, stopped) {
                (true, _) => Server::Busy,
                (false, true) => Server::Stopped,
                (false, false) => Server::Down,
            },
            healthy: stopped && !replacing,
            position: Some(data::end(&lines)),
            ..at_rest
        };
    };
    Observation {
        server: if status.primary {
            Server::Primary
        } else {
            Server::Standby
        },
        healthy: true,
        synchronous: status.synchronous,
        position: Some(status.position),
        follower: status.follower,
        upstream: status.upstream,
        streaming: status.streaming,
        ..at_rest
    }
}

impl Database for Plugin {
    fn describe(&self, setup: Setup, notifier: &Notifier) -> Result<Description, Failure> {
        let config: Config = serde_json::from_value(setup.config)
            .map_err(|error| Failure::new(format!("[replication.template]: {error}")))?;
        let data = Data(config.data_directory);
        let name = data.0.display().to_string();
        data.make().map_err(failed(&name))?;
        // One that is described again keeps its place.
        drop(self.place.set(Place {
            data,
            port: config.port,
            notifier: notifier.clone(),
        }));
        self.look();
        Ok(Description {
            name: "template".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            database: "Lines 1".to_owned(),
        })
    }

    fn observe(&self) -> Observation {
        let told = self.known().told.clone();
        told.unwrap_or_else(|| Observation::unknown(String::new()))
    }

    fn promote(&self, promote: &Promote, _: &Token) -> Result<(), Failure> {
        // Nothing can replace the data while the server runs.
        if self.place()?.data.copy() != Some(promote.copy) {
            return Err(Failure::new("these data are not the copy that is meant"));
        }
        self.order(&Request::Promote(promote.synchronous))
    }

    fn follow(&self, follow: &Follow, token: &Token) -> Result<Followed, Failure> {
        // First what keeps it from being read-write, whatever else fails.
        let primary = |status: Option<Status>| status.is_some_and(|status| status.primary);
        if primary(self.status()?) {
            self.end(token)?;
        }
        if self.place()?.data.is_ruined() {
            return Ok(Followed::Diverged {
                remedy: Remedy::Clone,
                why: "a rewind or a clone has not ended".to_owned(),
            });
        }
        if self.status()?.is_none() {
            self.start(token)?;
        }
        let access = follow.access.clone();
        let alone = Request::Follow(None, access.password.clone());
        let Some(upstream) = follow.upstream.clone() else {
            self.order(&alone)?;
            return Ok(Followed::Following);
        };
        // Whether it can follow is judged from the two histories.
        let source = Source { upstream, access };
        let theirs = Plugin::history(&source)?;
        let ours = self.place()?.data.lines().map_err(failed("log"))?;
        if !theirs.starts_with(&ours) {
            self.order(&alone)?;
            return Ok(Followed::Diverged {
                remedy: Remedy::Rewind,
                why: format!("of {} lines not all are the upstream's", ours.len()),
            });
        }
        let Source { upstream, access } = source;
        self.order(&Request::Follow(Some(upstream), access.password))?;
        Ok(Followed::Following)
    }

    fn stop(&self, stop: &Stop, token: &Token) -> Result<Stopped, Failure> {
        if stop.prepare {
            // Here is the place for a checkpoint.
            return Ok(Stopped { clean: false });
        }
        self.end(token)?;
        let clean = self.place()?.data.is_clean();
        Ok(Stopped { clean })
    }

    fn copy(&self, source: &Source, notifier: &Notifier, token: &Token) -> Result<(), Failure> {
        let lines = Plugin::history(source)?;
        let (done, total) = (0, lines.len() as u64);
        notifier.progress(Progress { done, total });
        self.replace(&lines, token)?;
        notifier.progress(Progress { done: total, total });
        Ok(())
    }

    fn rewind(&self, source: &Source, token: &Token) -> Result<(), Failure> {
        let theirs = Plugin::history(source)?;
        self.end(token)?;
        let ours = self.place()?.data.lines().map_err(failed("log"))?;
        let common = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        // Nothing that was written is lost without a trace.
        for (place, line) in ours.iter().enumerate().skip(common) {
            eprintln!("warning: line {place} is taken back: {line}");
        }
        self.replace(&ours[..common], token)
    }

    fn synchronous(&self, synchronous: &Synchronous, _: &Token) -> Result<(), Failure> {
        let password = synchronous.access.password.clone();
        self.order(&Request::Synchronous(synchronous.copy, password))
    }
}

/// Speaks with the replicator until that has ended. The server goes on then.
fn speak() -> io::Result<()> {
    let plugin = Arc::new(Plugin::default());
    let watched = Arc::clone(&plugin);
    thread::spawn(move || {
        loop {
            watched.look();
            thread::sleep(WATCH);
        }
    });
    serve::serve(&*plugin, io::stdin().lock(), io::stdout())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [] => speak(),
        [serve, directory, port] if serve == "serve" => {
            server::serve(Data(directory.into()), port.parse().unwrap_or(0))
        }
        _ => Err(io::Error::other(
            "it takes no arguments: the replicator starts it",
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("warning: {error}");
            ExitCode::FAILURE
        }
    }
}
