//! The contract of vrrpd-plugin(7) as a test, for authors of plugins.
//!
//! [`check`] runs two plugins, of managers a and b, each with an empty database
//! of its own, through what the pool will ask of them. Call it from a test of
//! the plugin; `plugins/template/tests/contract.rs` is an example.

use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::rpc::{self, Cancel, FromPlugin, FromReplicator, NOT_A_REQUEST, NOT_JSON, Version};
use super::{
    Access, Command, Description, Failure, Follow, Followed, Notification, ORPHANED, Observation,
    PROTOCOL, Promote, Remedy, Setup, Source, Stop, Stopped, Synchronous,
};
use crate::role::{CopyId, Position, Server, Upstream};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long an observation may take, also while a command is worked on.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a plugin may take to end when its input has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Which manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The Master.
    A,
    /// The Backup.
    B,
}

/// The plugin that is checked, and its two databases.
pub trait Subject: Sync {
    /// The plugin.
    fn executable(&self) -> PathBuf;

    /// The plugin's section of the configuration on that manager.
    fn config(&self, node: Node) -> Value;

    /// A directory of the plugin's own on that manager. It exists.
    fn state(&self, node: Node) -> PathBuf;

    /// Where the other manager reaches that manager's database.
    fn address(&self, node: Node) -> (String, u16);

    /// Commits something to that manager's database, and returns when that is
    /// acknowledged.
    fn write(&self, node: Node);
}

/// Runs `subject` through the contract.
///
/// # Panics
///
/// When it breaks a clause, which is named.
pub fn check(subject: &impl Subject) {
    let mut a = Party::start(subject, Node::A);
    refuses_what_is_no_request(&mut a);
    a.describe();
    starts_as_a_standby(&mut a);
    promotes_only_the_copy_that_is_meant(&mut a);
    survives_its_plugin(&mut a, subject);
    let mut b = Party::start(subject, Node::B);
    b.describe();
    follows_only_the_copy_that_is_meant(&mut a, &mut b);
    commits_wait_for_the_copy(&mut a, &mut b);
    ends_early(&mut a);
    hands_over(&mut a, &mut b);
    gives_up_what_parted(&mut a, &mut b);
    stops_when_it_is_forsaken(b, subject);
    stops_cleanly(&mut a);
}

/// Lines that are no request are answered with an error, and do no harm.
fn refuses_what_is_no_request(a: &mut Party<'_, impl Subject>) {
    for (line, code) in [
        ("what?", NOT_JSON),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"demote"}"#,
            NOT_A_REQUEST,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{}}"#,
            NOT_A_REQUEST,
        ),
    ] {
        a.write(line);
        match a.hear(LIMIT) {
            FromPlugin::Error { error, .. } => assert_eq!(error.code, code, "{line}: {error}"),
            other => panic!("{line}: answered with {other:?}"),
        }
    }
}

/// A server is never started read-write, and `follow` again changes nothing.
fn starts_as_a_standby(a: &mut Party<'_, impl Subject>) {
    assert_ne!(a.observe().server, Server::Primary, "read-write unasked");
    a.follow(None);
    let seen = a.observe();
    assert_eq!(
        (seen.server, seen.healthy),
        (Server::Standby, true),
        "{seen:?}"
    );
    assert!(seen.copy.is_some(), "a standby has a copy id");
    a.follow(None);
    assert_eq!(a.observe().run, seen.run, "followed already: started again");
}

/// `promote` is bound to a copy; once read-write it is so at once, and again.
fn promotes_only_the_copy_that_is_meant(a: &mut Party<'_, impl Subject>) {
    let before = a.observe();
    let copy = before.copy.expect("a copy id");
    let promote = |copy| {
        Command::Promote(Promote {
            copy,
            synchronous: None,
        })
    };
    a.ask(promote(CopyId(!copy.0)))
        .expect_err("another copy was promoted");
    assert_eq!(a.observe().server, Server::Standby);
    for _ in 0..2 {
        assert_eq!(a.done::<Value>(promote(copy)), json!({}));
        let seen = a.observe();
        assert_eq!(seen.server, Server::Primary, "seen after the answer");
        assert_eq!((seen.copy, seen.run), (before.copy, before.run));
    }
    a.synchronous(None);
    a.subject.write(Node::A);
}

/// A plugin that is killed leaves its server, and the next one adopts it.
fn survives_its_plugin<S: Subject>(a: &mut Party<'_, S>, subject: &S) {
    let before = a.observe();
    let successor = {
        drop(a.process.kill());
        drop(a.process.wait());
        let mut next = Process::new(subject.executable());
        Party::<S>::spawn(&mut next)
    };
    (a.process, a.input, a.lines) = successor;
    a.describe();
    let seen = a.observe();
    assert_eq!(
        (seen.server, seen.run, seen.copy),
        (Server::Primary, before.run, before.copy),
        "adopted"
    );
    a.synchronous(None);
    subject.write(Node::A);
    // And it stays, beyond the patience with which an orphan is stopped.
    let begun = Instant::now();
    while begun.elapsed() < ORPHANED * 2 {
        a.take_in(Duration::from_millis(100));
        assert_eq!(a.seen.server, Server::Primary, "{:?}", a.seen);
    }
}

/// Of an upstream that is another copy nothing is taken; the one that is meant
/// is followed, after a clone if need be.
fn follows_only_the_copy_that_is_meant<S: Subject>(a: &mut Party<'_, S>, b: &mut Party<'_, S>) {
    b.follow(None);
    let before = b.observe();
    let meant = a.upstream();
    let other = Upstream {
        copy: meant.copy.map(|copy| CopyId(!copy.0)),
        ..meant.clone()
    };
    let source = |upstream: &Upstream| Source {
        upstream: upstream.clone(),
        access: access(Node::B),
    };
    for command in [
        Command::Follow(Follow {
            upstream: Some(other.clone()),
            access: access(Node::B),
        }),
        Command::Rewind(source(&other)),
        Command::Clone(source(&other)),
    ] {
        let method = command.method();
        b.ask(command)
            .expect_err(&format!("{method} of another copy than is meant"));
        assert_ne!(b.observe().server, Server::Primary);
    }
    b.join(&meant);
    let seen = b.see("streaming", |seen| seen.streaming);
    assert_eq!(seen.upstream, Some(meant), "whom it follows");
    let copy = seen.copy;
    assert!(
        copy.is_some() && copy != a.observe().copy,
        "a copy of its own"
    );
    assert!(
        copy == before.copy || seen.run > before.run,
        "a start is a run"
    );
    a.see("its follower", |seen| {
        seen.follower.map(|follower| follower.copy) == copy
    });
}

/// What is acknowledged is on the copy that commits wait for.
fn commits_wait_for_the_copy<S: Subject>(a: &mut Party<'_, S>, b: &mut Party<'_, S>) {
    let copy = b.observe().copy;
    a.synchronous(copy);
    assert_eq!(a.observe().synchronous, copy, "in effect when answered");
    let before = position(&a.observe());
    a.subject.write(Node::A);
    b.see("what was acknowledged", |seen| {
        seen.position.is_some_and(|held| held.lsn > before.lsn)
    });
    let meant = a.upstream();
    let stopped: Stopped = b.done(Command::Stop(Stop { prepare: false }));
    assert!(stopped.clean);
    let subject = a.subject;
    thread::scope(|scope| {
        let commit = scope.spawn(|| subject.write(Node::A));
        thread::sleep(AT_ONCE);
        assert!(!commit.is_finished(), "acknowledged without the copy");
        b.follow(Some(&meant));
        commit.join().expect("acknowledged with the copy");
    });
    a.synchronous(None);
    assert_eq!(a.observe().synchronous, None);
}

/// A command that cannot succeed is answered after `cancel`, and an observation
/// meanwhile at once.
fn ends_early(a: &mut Party<'_, impl Subject>) {
    let nobody = CopyId(u64::MAX);
    let id = a.request(Command::Synchronous(Synchronous {
        copy: Some(nobody),
        access: access(Node::A),
    }));
    a.observe();
    a.send(&FromReplicator::Cancel {
        jsonrpc: Version::Two,
        method: Cancel::Cancel,
    });
    // It may have been done, or refused, before it was called off.
    drop(a.answer(id, LIMIT));
    a.synchronous(None);
    assert_eq!(a.observe().synchronous, None);
    assert_eq!(a.observe().server, Server::Primary);
}

/// A clean stop leaves the follower with everything, so that the old primary
/// follows the new one as it is.
fn hands_over<S: Subject>(a: &mut Party<'_, S>, b: &mut Party<'_, S>) {
    let prepared: Stopped = a.done(Command::Stop(Stop { prepare: true }));
    assert!(!prepared.clean, "only prepared");
    assert_eq!(a.observe().server, Server::Primary, "only prepared");
    a.subject.write(Node::A);
    let before = a.observe();
    let stopped: Stopped = a.done(Command::Stop(Stop { prepare: false }));
    assert!(stopped.clean);
    let seen = a.observe();
    assert_eq!(seen.server, Server::Stopped);
    assert_eq!(seen.copy, before.copy);
    let end = position(&seen);
    b.see("the log of the one that stopped", |seen| {
        seen.position
            .is_some_and(|held| held.timeline == end.timeline && held.lsn >= end.lsn)
    });
    b.promote();
    assert!(
        position(&b.observe()).timeline > end.timeline,
        "a new timeline"
    );
    b.subject.write(Node::B);
    let meant = b.upstream();
    a.follow(Some(&meant));
    let seen = a.see("streaming", |seen| seen.streaming);
    assert_eq!(seen.copy, before.copy, "neither rewound nor cloned");
    assert!(seen.run > before.run, "a start is a run");
}

/// A history of one's own is given up, never read-write meanwhile, and is
/// another copy then.
fn gives_up_what_parted<S: Subject>(a: &mut Party<'_, S>, b: &mut Party<'_, S>) {
    b.synchronous(None);
    a.promote();
    a.synchronous(None);
    a.subject.write(Node::A);
    b.subject.write(Node::B);
    let (before, meant) = (b.observe(), a.upstream());
    let Followed::Diverged { .. } = b.try_follow(Some(&meant)) else {
        panic!("it follows, though both have written since");
    };
    assert_ne!(b.observe().server, Server::Primary, "told to stand by");
    b.join(&meant);
    let seen = b.see("streaming", |seen| seen.streaming);
    assert_ne!(seen.copy, before.copy, "the same copy id for other data");
    // Everything that was acknowledged here is there.
    let held = position(&a.observe());
    b.see("the log", |seen| {
        seen.position.is_some_and(|position| position >= held)
    });
}

/// A server to which no plugin comes back stops by itself.
fn stops_when_it_is_forsaken<S: Subject>(mut b: Party<'_, S>, subject: &S) {
    let run = b.observe().run;
    drop(b.input.take());
    let begun = Instant::now();
    while b.process.try_wait().expect("the plugin").is_none() {
        assert!(
            begun.elapsed() < LIMIT,
            "its input has ended, and it has not"
        );
        thread::sleep(LOOK);
    }
    thread::sleep(ORPHANED);
    drop(b);
    let begun = Instant::now();
    loop {
        let mut b = Party::start(subject, Node::B);
        b.describe();
        let seen = b.observe();
        assert_eq!(seen.run, run, "started by nobody's order");
        if matches!(seen.server, Server::Down | Server::Stopped) {
            return;
        }
        drop(b.input.take());
        drop(b.process.wait());
        assert!(begun.elapsed() < LIMIT, "it runs still: {seen:?}");
        thread::sleep(ORPHANED);
    }
}

/// A server that does not run is not stopped again.
fn stops_cleanly(a: &mut Party<'_, impl Subject>) {
    for _ in 0..2 {
        let stopped: Stopped = a.done(Command::Stop(Stop { prepare: false }));
        assert!(stopped.clean);
        assert_eq!(a.observe().server, Server::Stopped);
    }
}

fn access(node: Node) -> Access {
    Access {
        peers: vec!["127.0.0.1".to_owned()],
        password: "a password".to_owned(),
        node: match node {
            Node::A => "a".to_owned(),
            Node::B => "b".to_owned(),
        },
    }
}

fn position(seen: &Observation) -> Position {
    seen.position
        .unwrap_or_else(|| panic!("no position: {seen:?}"))
}

type Pipes = (Child, Option<ChildStdin>, Receiver<FromPlugin>);

/// A manager's plugin, and what it has said.
struct Party<'a, S: Subject> {
    subject: &'a S,
    node: Node,
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<FromPlugin>,
    next_id: u64,
    seen: Observation,
}

impl<'a, S: Subject> Party<'a, S> {
    fn start(subject: &'a S, node: Node) -> Self {
        let (process, input, lines) = Self::spawn(&mut Process::new(subject.executable()));
        Self {
            subject,
            node,
            process,
            input,
            lines,
            next_id: 1,
            seen: Observation::unknown(String::new()),
        }
    }

    fn spawn(process: &mut Process) -> Pipes {
        let mut child = process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the plugin can be started");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(Some(line)) = rpc::read_line(&mut output) {
                let said = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("not of the protocol: {error}: {line}"));
                if sender.send(said).is_err() {
                    return;
                }
            }
        });
        (child, input, lines)
    }

    fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has an input");
        writeln!(input, "{line}").expect("the plugin reads");
    }

    fn send(&mut self, line: &FromReplicator) {
        self.write(&serde_json::to_string(line).expect("plain data"));
    }

    fn request(&mut self, command: Command) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&FromReplicator::Request {
            jsonrpc: Version::Two,
            id,
            command,
        });
        id
    }

    fn hear(&mut self, limit: Duration) -> FromPlugin {
        let said = self.lines.recv_timeout(limit).unwrap_or_else(|error| {
            panic!(
                "{:?}: it says nothing: {error}, last {:?}",
                self.node, self.seen
            )
        });
        self.note(&said);
        said
    }

    fn note(&mut self, said: &FromPlugin) {
        if let FromPlugin::Notification {
            notification: Notification::Observed(seen),
            ..
        } = said
        {
            self.seen = seen.clone();
        }
    }

    /// Notes what it says by itself.
    fn take_in(&mut self, span: Duration) {
        match self.lines.recv_timeout(span) {
            Ok(said) => self.note(&said),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("{:?}: it has ended", self.node),
        }
    }

    fn answer(&mut self, id: u64, limit: Duration) -> Result<Value, Failure> {
        let begun = Instant::now();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            match self.hear(left) {
                FromPlugin::Result { id: of, result, .. } if of == id => return Ok(result),
                FromPlugin::Error { id: of, error, .. } if of == Some(id) => return Err(error),
                FromPlugin::Notification { .. } => {}
                // Of an observation that was asked for while it worked.
                FromPlugin::Result { .. } | FromPlugin::Error { .. } => {}
            }
        }
    }

    fn ask(&mut self, command: Command) -> Result<Value, Failure> {
        let id = self.request(command);
        self.answer(id, LIMIT)
    }

    fn done<T: DeserializeOwned>(&mut self, command: Command) -> T {
        let method = command.method();
        let result = self
            .ask(command)
            .unwrap_or_else(|failure| panic!("{:?}: {method}: {failure}", self.node));
        serde_json::from_value(result).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn describe(&mut self) {
        let described: Description = self.done(Command::Describe(Setup {
            config: self.subject.config(self.node),
            state: self.subject.state(self.node),
        }));
        assert_eq!(described.protocol, PROTOCOL);
    }

    fn observe(&mut self) -> Observation {
        let id = self.request(Command::Observe {});
        let seen = self.answer(id, AT_ONCE).expect("an observation");
        self.seen = serde_json::from_value(seen).expect("an observation");
        self.seen.clone()
    }

    /// Waits until it says so by itself: each change is told unasked.
    fn see(&mut self, what: &str, is: impl Fn(&Observation) -> bool) -> Observation {
        let begun = Instant::now();
        self.observe();
        while !is(&self.seen) {
            let (node, seen) = (self.node, &self.seen);
            assert!(begun.elapsed() < LIMIT, "{node:?}: not {what}: {seen:?}");
            self.take_in(Duration::from_millis(100));
        }
        self.seen.clone()
    }

    fn upstream(&mut self) -> Upstream {
        let (host, port) = self.subject.address(self.node);
        Upstream {
            host,
            port,
            copy: self.observe().copy,
        }
    }

    fn try_follow(&mut self, upstream: Option<&Upstream>) -> Followed {
        let access = access(self.node);
        self.done(Command::Follow(Follow {
            upstream: upstream.cloned(),
            access,
        }))
    }

    fn follow(&mut self, upstream: Option<&Upstream>) {
        assert_eq!(self.try_follow(upstream), Followed::Following);
        assert_eq!(self.observe().server, Server::Standby);
    }

    /// Follows, by the remedies that it names.
    fn join(&mut self, upstream: &Upstream) {
        let source = Source {
            upstream: upstream.clone(),
            access: access(self.node),
        };
        let mut remedies = 0;
        while let Followed::Diverged { remedy, why } = self.try_follow(Some(upstream)) {
            remedies += 1;
            assert!(remedies < 3, "neither rewind nor clone has helped: {why}");
            let clone = Command::Clone(source.clone());
            if remedy == Remedy::Clone || self.ask(Command::Rewind(source.clone())).is_err() {
                assert_eq!(self.done::<Value>(clone), json!({}));
            }
            let server = self.observe().server;
            assert!(matches!(server, Server::Down | Server::Stopped), "{server}");
        }
    }

    fn promote(&mut self) {
        let copy = self.observe().copy.expect("a copy id");
        let synchronous = None;
        let promote = Command::Promote(Promote { copy, synchronous });
        assert_eq!(self.done::<Value>(promote), json!({}));
        assert_eq!(self.observe().server, Server::Primary);
    }

    fn synchronous(&mut self, copy: Option<CopyId>) {
        let access = access(self.node);
        let command = Command::Synchronous(Synchronous { copy, access });
        assert_eq!(self.done::<Value>(command), json!({}));
    }
}

impl<S: Subject> Drop for Party<'_, S> {
    fn drop(&mut self) {
        // The end of its input: the server ends after it.
        drop(self.input.take());
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            thread::sleep(LOOK);
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
