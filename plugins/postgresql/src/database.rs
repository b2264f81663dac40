//! The commands of the replicator, done with a PostgreSQL server.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use postgres::Client;
use replicator::plugin::serve::{Database, Notifier, Token};
use replicator::plugin::{
    Access, Description, Failure, Follow, Followed, Observation, PROTOCOL, Promote, Remedy, Setup,
    Source, Stop, Stopped, Synchronous as Ordered,
};
use replicator::role::{CopyId, Position, Upstream};

use crate::access;
use crate::config::Config;
use crate::control::Control;
use crate::copy::Stage;
use crate::say;
use crate::server::{Server, StartFailure};
use crate::session::{self, Waits};
use crate::settings::Synchronous;
use crate::state::{Phase, State};
use crate::tool;
use crate::upstream::{self, Facts};

/// How long an adopted server may take to say what it is.
const ADOPTION: Duration = Duration::from_secs(2);

/// Between two looks whether a commit waits.
const LOOK: Duration = Duration::from_millis(1);

/// The plugin.
#[derive(Default)]
pub struct Postgresql {
    state: Arc<State>,
    server: OnceLock<Arc<Server>>,
}

impl Postgresql {
    /// The server, once it was described.
    ///
    /// # Errors
    ///
    /// It was not.
    pub fn server(&self) -> Result<&Arc<Server>, Failure> {
        self.server
            .get()
            .ok_or_else(|| Failure::new("describe comes first"))
    }
}

impl Database for Postgresql {
    fn describe(&self, setup: Setup, notifier: &Notifier) -> Result<Description, Failure> {
        let config = Config::parse(setup.config)?;
        let major = config.major()?;
        let binaries = config.binaries(major)?;
        let version = tool::output({
            let mut command = tool::command(&binaries, "postgres");
            command.arg("--version");
            command
        })?;
        if self.server.get().is_none() {
            let server = Server::open(config, setup.state, Arc::clone(&self.state))?;
            adopt(&server);
            drop(self.server.set(server));
        }
        self.state.notify(notifier);
        Ok(Description {
            name: "postgresql".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            database: format!("PostgreSQL {}", major_of(&version)),
        })
    }

    fn observe(&self) -> Observation {
        self.state.look(|inner| inner.observation())
    }

    fn promote(&self, promote: &Promote, token: &Token) -> Result<(), Failure> {
        let server = self.server()?;
        let promoted = self.state.look(|inner| {
            inner.sample.is_some_and(|sample| !sample.standby) && inner.copy == Some(promote.copy)
        });
        if promoted {
            return Ok(());
        }
        server.change(|settings| {
            settings.changing.synchronous = match promote.synchronous {
                None => Synchronous::Off,
                Some(copy) => Synchronous::Copy(copy),
            };
        })?;
        server.promote(promote.copy, token)?;
        // A rewind of the other one reads the timeline from a checkpoint.
        let checkpointing = Arc::clone(server);
        thread::spawn(move || {
            if let Ok(mut client) = session::own(&checkpointing.config, Waits::No)
                && let Err(error) = client.batch_execute("CHECKPOINT")
            {
                say::warning(&format!("checkpoint: {}", session::said(&error)));
            }
        });
        Ok(())
    }

    fn follow(&self, follow: &Follow, token: &Token) -> Result<Followed, Failure> {
        let server = self.server()?;
        let (writable, ours) = self.state.look(|inner| {
            let ours = inner.postmaster.as_ref().map(|postmaster| postmaster.ours);
            (inner.is_writable(), ours)
        });
        match ours {
            Some(false) => server.stop(token)?,
            Some(true) if writable => {
                server.kill("it was stopped at once: it is not to be read-write");
            }
            Some(true) | None => {}
        }
        let runs = self.state.look(|inner| inner.postmaster.is_some());
        if !runs && let Some(diverged) = start(server, follow, token)? {
            return Ok(diverged);
        }
        match &follow.upstream {
            None => {
                server.change(|settings| settings.changing.upstream = None)?;
                server.admit(&follow.access)?;
                self.state.update(|inner| inner.upstream = None);
                Ok(Followed::Following)
            }
            Some(upstream) => attach(server, upstream, &follow.access, token),
        }
    }

    fn stop(&self, stop: &Stop, token: &Token) -> Result<Stopped, Failure> {
        let server = self.server()?;
        if stop.prepare {
            session::run(
                &mut server.connect()?,
                "CHECKPOINT",
                "the checkpoint",
                token,
            )?;
            return Ok(Stopped { clean: false });
        }
        server.stop(token)?;
        let clean = self
            .state
            .look(|inner| matches!(inner.phase, Phase::Stopped(_)));
        Ok(Stopped { clean })
    }

    fn copy(&self, source: &Source, notifier: &Notifier, token: &Token) -> Result<(), Failure> {
        let server = self.server()?;
        server.admit(&source.access)?;
        left_down(server, server.replace(source, notifier, token))
    }

    fn rewind(&self, source: &Source, token: &Token) -> Result<(), Failure> {
        let server = self.server()?;
        server.admit(&source.access)?;
        left_down(server, server.rewind(source, token))
    }

    fn synchronous(&self, ordered: &Ordered, token: &Token) -> Result<(), Failure> {
        let server = self.server()?;
        if !self.state.look(|inner| inner.is_writable()) {
            return Err(Failure::new("the server is not read-write"));
        }
        let mut client = server.connect()?;
        server.admit(&ordered.access)?;
        access::grant(&mut client, &ordered.access)?;
        match ordered.copy {
            None => relax(server, token),
            Some(copy) => wait_for_copy(server, &mut client, copy, token),
        }
    }
}

/// Learns what a server that was running already is.
fn adopt(server: &Arc<Server>) {
    let runs = server.state.look(|inner| inner.postmaster.is_some());
    if !runs {
        return;
    }
    let known = server
        .state
        .wait_for(ADOPTION, |inner| inner.sample.map(|sample| sample.standby));
    let names = server.settings().changing.synchronous;
    if let (Some(false), Synchronous::Copy(copy)) = (known, names) {
        // It must be seen again that commits wait, before it is said.
        let token = Token::default();
        let limit = token.clone();
        thread::spawn(move || {
            thread::sleep(ADOPTION);
            limit.cancel();
        });
        let outcome = server
            .connect()
            .and_then(|mut client| demonstrate(server, &mut client, copy, &token));
        if let Err(failure) = outcome {
            say::warning(&failure.message);
        }
    }
}

/// After a rewind or clone, done or not: nothing is under way any more.
fn left_down<T>(server: &Server, outcome: Result<T, Failure>) -> Result<T, Failure> {
    server.state.update(|inner| {
        if matches!(inner.phase, Phase::Working(_)) {
            let what = outcome.as_ref().err();
            let why = what.map_or("the server does not run yet", |failure| &failure.message);
            inner.phase = Phase::Down(why.to_owned());
        }
    });
    outcome
}

/// Starts a server that does not run; or says why it cannot follow.
fn start(server: &Server, follow: &Follow, token: &Token) -> Result<Option<Followed>, Failure> {
    let diverged = |why: String| {
        Some(Followed::Diverged {
            remedy: Remedy::Clone,
            why,
        })
    };
    let facts = |access: &Access, upstream: &Upstream| {
        server.settings().set_password(&access.password)?;
        upstream::ask(&server.config, upstream, access, None, token)
    };
    let data = server.config.data_directory.display();
    if server.is_empty()? {
        let Some(upstream) = &follow.upstream else {
            return Err(Failure::new(format!(
                "{data}: there is no database: make one with initdb"
            )));
        };
        facts(&follow.access, upstream)?;
        return Ok(diverged(format!("{data} is empty")));
    }
    let known = follow
        .upstream
        .as_ref()
        .map(|upstream| facts(&follow.access, upstream));
    let control = server.control();
    if let (Some(Ok(facts)), Ok(control)) = (&known, &control)
        && facts.system != control.system
    {
        return Ok(diverged(format!("{data} has another database")));
    }
    let stage = server.copy.stage()?;
    let upstream = match stage {
        Stage::Whole => None,
        Stage::NeedsClone | Stage::Fresh => {
            // It is of no use without the primary.
            let Some(known) = known.as_ref() else {
                return Err(Failure::new(
                    "a copy that is not complete: waits for the primary",
                ));
            };
            known.clone()?;
            if stage == Stage::NeedsClone {
                return Ok(diverged("a rewind has not ended well".to_owned()));
            }
            follow.upstream.as_ref()
        }
    };
    match server.start(&control?, upstream, &follow.access, token) {
        Ok(()) => {
            settle_copy(server, token)?;
            Ok(None)
        }
        Err(StartFailure::Ruined(why)) if matches!(known, Some(Ok(_))) => Ok(diverged(why)),
        Err(StartFailure::Ruined(why)) => Err(Failure::new(why)),
        Err(StartFailure::Other(failure)) => Err(failure),
    }
}

/// A copy that has less than was noted of it was put back by hand: it gets a
/// new id. One that was made from another is whole when it answers.
fn settle_copy(server: &Server, token: &Token) -> Result<(), Failure> {
    if let Some(noted) = server.copy.noted()? {
        let position = server.replayed(token)?;
        if position.lsn < noted.lsn {
            say::warning(&format!(
                "the data end at {}, before {} that was noted: they were put back, and \
                 count as another copy",
                position.lsn, noted.lsn
            ));
            let stage = server.copy.stage()?;
            let copy = server.copy.renew(stage)?;
            server.change(|settings| settings.changing.copy = Some(copy))?;
            server.state.update(|inner| inner.copy = Some(copy));
        }
    }
    server.copy.becomes_whole()
}

/// Sets a running standby to replicate from `upstream`, if it can.
fn attach(
    server: &Server,
    upstream: &Upstream,
    access: &Access,
    token: &Token,
) -> Result<Followed, Failure> {
    server.settings().set_password(&access.password)?;
    let control = server.control()?;
    let attached = server
        .state
        .look(|inner| inner.upstream.as_ref() == Some(upstream));
    let streams = server.sample().is_some_and(|sample| sample.streaming);
    // What comes over a stream that runs needs no look at the replay.
    let position = match server.sample().filter(|_| attached && streams) {
        Some(sample) => sample.position,
        None => server.replayed(token)?,
    };
    let need = Some((position.lsn, control.segment_size));
    let facts = upstream::ask(&server.config, upstream, access, need, token)?;
    if let Some(diverged) = judge(server, &facts, position, &control)? {
        return Ok(diverged);
    }
    server.admit(access)?;
    server.change(|settings| {
        settings.changing.upstream = Some(upstream.clone());
        settings.changing.node.clone_from(&access.node);
    })?;
    server
        .state
        .update(|inner| inner.upstream = Some(upstream.clone()));
    // The slot of the replica that this server had would hold log for ever.
    access::drop_slots(&mut server.connect()?)?;
    Ok(Followed::Following)
}

/// Whether a copy at `position` can follow; if not, what makes it able to.
fn judge(
    server: &Server,
    facts: &Facts,
    position: Position,
    control: &Control,
) -> Result<Option<Followed>, Failure> {
    let clone = |why: String| {
        Ok(Some(Followed::Diverged {
            remedy: Remedy::Clone,
            why,
        }))
    };
    if facts.system != control.system {
        return clone("it has another database than the primary".to_owned());
    }
    let fork = server.history(position.timeline)?.fork(&facts.history);
    if position.lsn > fork {
        let why = format!(
            "it has {} on timeline {}, the primary's history left that at {fork}",
            position.lsn, position.timeline
        );
        if !control.is_rewindable {
            return clone(why);
        }
        return Ok(Some(Followed::Diverged {
            remedy: Remedy::Rewind,
            why,
        }));
    }
    if !facts.has_log {
        return clone(format!(
            "the primary has no log from {} on any more",
            position.lsn
        ));
    }
    Ok(None)
}

/// Commits wait for nobody any more.
fn relax(server: &Server, token: &Token) -> Result<(), Failure> {
    server.state.update(|inner| inner.synchronous = None);
    let waited = server.settings().changing.synchronous != Synchronous::Off;
    server.change(|settings| settings.changing.synchronous = Synchronous::Off)?;
    if !waited {
        return Ok(());
    }
    // In effect when a commit of our own does not wait.
    let mut commit = Commit::begin(server)?;
    commit.wait_done(token)
}

/// Commits wait for `copy`.
fn wait_for_copy(
    server: &Server,
    client: &mut Client,
    copy: CopyId,
    token: &Token,
) -> Result<(), Failure> {
    let (settled, streams) = server.state.look(|inner| {
        let follower = inner.sample.and_then(|sample| sample.follower);
        (
            inner.synchronous == Some(copy),
            follower.is_some_and(|follower| follower.copy == copy),
        )
    });
    if settled {
        return Ok(());
    }
    if !streams {
        return Err(Failure::new(format!(
            "no replica vrrpd_{copy} streams: waits for it to connect"
        )));
    }
    demonstrate(server, client, copy, token)
}

/// Has commits wait for a copy that does not exist, sees one wait, and lets
/// them wait for `copy`: nothing else shows that waiting is in effect.
fn demonstrate(
    server: &Server,
    client: &mut Client,
    copy: CopyId,
    token: &Token,
) -> Result<(), Failure> {
    server.state.update(|inner| inner.synchronous = None);
    server.change(|settings| settings.changing.synchronous = Synchronous::Settling)?;
    let seen = see_one_wait(server, client, token);
    // Whatever became of it: commits that wait shall wait for a copy that exists.
    server.change(|settings| settings.changing.synchronous = Synchronous::Copy(copy))?;
    // Its commit goes on waiting, for that copy, as every one from now on does.
    seen?;
    server.state.update(|inner| inner.synchronous = Some(copy));
    Ok(())
}

fn see_one_wait(server: &Server, client: &mut Client, token: &Token) -> Result<Commit, Failure> {
    let refused = |error: postgres::Error| Failure::new(session::said(&error));
    let statement = client
        .prepare("SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1")
        .map_err(refused)?;
    loop {
        let mut commit = Commit::begin(server)?;
        while !commit.is_done()? {
            let row = client
                .query_opt(&statement, &[&commit.pid])
                .map_err(refused)?;
            if row.and_then(|row| row.get::<_, Option<bool>>(0)) == Some(true) {
                return Ok(commit);
            }
            token.pause(LOOK)?;
        }
        token.pause(LOOK)?;
    }
}

/// A commit that waits as a client's does, and goes on when this is dropped.
struct Commit {
    pid: i32,
    outcome: std::sync::mpsc::Receiver<Result<(), String>>,
}

impl Commit {
    fn begin(server: &Server) -> Result<Self, Failure> {
        let refused = |error: postgres::Error| Failure::new(session::said(&error));
        let mut client = session::own(&server.config, Waits::Yes).map_err(refused)?;
        let row = client
            .query_one("SELECT pg_backend_pid()", &[])
            .map_err(refused)?;
        let (send, outcome) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let done = client
                .query_one(
                    "SELECT pg_logical_emit_message(true, 'vrrpd', '')::text",
                    &[],
                )
                .map(drop)
                .map_err(|error| session::said(&error));
            drop(send.send(done));
        });
        Ok(Self {
            pid: row.get(0),
            outcome,
        })
    }

    fn is_done(&mut self) -> Result<bool, Failure> {
        match self.outcome.try_recv() {
            Ok(outcome) => outcome.map(|()| true).map_err(Failure::new),
            Err(std::sync::mpsc::TryRecvError::Empty) => Ok(false),
            Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                Err(Failure::new("a session broke down"))
            }
        }
    }

    fn wait_done(&mut self, token: &Token) -> Result<(), Failure> {
        while !self.is_done()? {
            token.pause(LOOK)?;
        }
        Ok(())
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`: 15.
fn major_of(version: &str) -> &str {
    version
        .split_whitespace()
        .find_map(|word| {
            let digits = word.split('.').next()?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(digits)
        })
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        let text = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(major_of(text), "15");
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), "");
    }
}
