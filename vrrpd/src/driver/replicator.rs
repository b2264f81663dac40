//! The socket that the replicator connects to: orders out, reports in.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use replicator::role;
use vrrpd_core::pool::database::{Desired, Follower, Observed, Position, Role, Server, Ticket};
use vrrpd_core::pool::record::{CopyId, NodeId};
use vrrpd_core::time::{Duration, Instant};

use crate::config;
use crate::lines::{Lines, Progress};

/// The longest report.
const MAX_LINE: usize = 64 * 1024;

/// Orders that wait in a replicator that does not read.
const MAX_WAITING: usize = 64 * 1024;

/// The `replicator_timeout` of a manager in no pool.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who may connect: the daemon's user and group.
const MODE: u32 = 0o660;

/// The socket, and the replicator if it is connected.
#[derive(Debug)]
pub(super) struct ReplicatorLink {
    listener: UnixListener,
    client_token: Token,
    client: Option<Lines<UnixStream>>,
    /// When the replicator was last heard, or connected.
    heard: Instant,
    /// So long a silence is its loss.
    timeout: Duration,
    terms: Terms,
    /// What holds now; told again after each connection.
    desired: Option<Desired>,
    /// What was reported last.
    report: Option<role::Report>,
}

/// What every order says beside what the core desires.
#[derive(Debug)]
struct Terms {
    node: NodeId,
    /// The other manager; a standalone one has none.
    peer: Option<String>,
    port: u16,
    password: String,
}

/// What the link has to tell the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The database reported.
    Observed(Observed),
    /// The connection ended.
    Lost,
}

impl ReplicatorLink {
    /// Listens at `path`, in place of a daemon that is gone.
    ///
    /// # Errors
    ///
    /// The socket cannot be made there.
    pub(super) fn open(
        path: &Path,
        pool: Option<&config::Pool>,
        replication: &config::Replication,
        registry: &Registry,
        tokens: (Token, Token),
    ) -> io::Result<Self> {
        let terms = Terms {
            node: pool.map_or(NodeId::A, |pool| pool.member.id),
            peer: pool.map(|pool| pool.peer.to_string()),
            port: replication.port,
            password: pool.map_or_else(String::new, |pool| pool.key.replication_password()),
        };
        let timeout = pool.map_or(TIMEOUT, |pool| pool.member.replicator_timeout);
        Self::listen(path, terms, timeout, registry, tokens)
    }

    fn listen(
        path: &Path,
        terms: Terms,
        timeout: Duration,
        registry: &Registry,
        tokens: (Token, Token),
    ) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        registry.register(&mut listener, tokens.0, Interest::READABLE)?;
        Ok(Self {
            listener,
            client_token: tokens.1,
            client: None,
            heard: Instant::ZERO,
            timeout,
            terms,
            desired: None,
            report: None,
        })
    }

    /// What holds from now on.
    pub(super) fn order(&mut self, desired: Desired, news: &mut Vec<News>) {
        self.desired = Some(desired);
        self.tell(news);
    }

    /// Ends the connection, and has no order for the next, as if the daemon had
    /// stopped.
    pub(super) fn forsake(&mut self) {
        self.desired = None;
        self.client = None;
        self.report = None;
    }

    /// What was reported last by the replicator that is connected.
    pub(super) fn report(&self) -> Option<&role::Report> {
        self.report.as_ref()
    }

    /// Someone connects: the newest connection is the replicator's.
    pub(super) fn on_listener(&mut self, registry: &Registry, now: Instant, news: &mut Vec<News>) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    log::warn!("the replicator cannot connect: {error}");
                    return;
                }
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            // The old one, dropped first, gives its token back.
            if self.client.take().is_some() {
                log::warn!("another replicator connected: the one before is disconnected");
                self.report = None;
                news.push(News::Lost);
            }
            if let Err(error) = registry.register(&mut stream, self.client_token, interest) {
                log::warn!("the replicator cannot connect: {error}");
                return;
            }
            log::info!("the replicator has connected");
            self.client = Some(Lines::new(stream, MAX_LINE, MAX_WAITING));
            self.heard = now;
            self.tell(news);
        }
    }

    /// The replicator speaks, or reads on. True when there may be more.
    pub(super) fn on_client(&mut self, now: Instant, news: &mut Vec<News>) -> bool {
        let Some(client) = &mut self.client else {
            return false;
        };
        let mut lines = Vec::new();
        let read = client.flush().and_then(|()| client.read(&mut lines));
        for line in &lines {
            match observed(line) {
                Ok((report, observed)) => {
                    self.heard = now;
                    self.report = Some(report);
                    news.push(News::Observed(observed));
                }
                Err(why) => {
                    self.lose(&format!("its report makes no sense: {why}"), news);
                    return false;
                }
            }
        }
        match read {
            Ok(Progress::Drained) => false,
            Ok(Progress::More) => true,
            Ok(Progress::Ended) => {
                self.lose("it closed the connection", news);
                false
            }
            Err(error) => {
                self.lose(&error.to_string(), news);
                false
            }
        }
    }

    /// When a replicator that says nothing more is lost.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.client.as_ref().map(|_| self.heard + self.timeout)
    }

    /// The deadline may have passed.
    pub(super) fn on_wake(&mut self, now: Instant, news: &mut Vec<News>) {
        let is_due = |link: &Self| link.deadline().is_some_and(|deadline| deadline <= now);
        if !is_due(self) {
            return;
        }
        // It may be this daemon that was late.
        self.on_client(now, news);
        if is_due(self) {
            let silence = format!("it has said nothing for {} ms", self.timeout.as_millis());
            self.lose(&silence, news);
        }
    }

    fn tell(&mut self, news: &mut Vec<News>) {
        let (Some(client), Some(desired)) = (&mut self.client, self.desired) else {
            return;
        };
        let order = role::ToReplicator::Order(self.terms.order(desired));
        let line = serde_json::to_string(&order).expect("an order is plain data");
        if let Err(error) = client.push(&line) {
            self.lose(&error.to_string(), news);
        }
    }

    fn lose(&mut self, why: &str, news: &mut Vec<News>) {
        log::warn!("the replicator is disconnected: {why}");
        self.client = None;
        self.report = None;
        news.push(News::Lost);
    }
}

impl Terms {
    fn order(&self, desired: Desired) -> role::Order {
        let copy = desired.copy.map(|copy| role::CopyId(copy.0));
        role::Order {
            ticket: desired.ticket.0,
            epoch: desired.epoch.to_string(),
            role: match desired.role {
                Role::Standby => role::Role::Standby,
                Role::Primary => role::Role::Primary,
                Role::Retiring => role::Role::Retiring,
                Role::Stopped => role::Role::Stopped,
            },
            copy: copy.filter(|_| desired.follow.is_none()),
            // The only other copy is the peer's.
            follow: desired
                .follow
                .and(self.peer.clone())
                .map(|host| role::Upstream {
                    host,
                    port: self.port,
                    copy,
                }),
            synchronous: desired.synchronous.map(|copy| role::CopyId(copy.0)),
            peers: self.peer.iter().cloned().collect(),
            password: self.password.clone(),
            node: self.node.to_string(),
        }
    }
}

/// The report in a line, as it was and as the core hears it.
fn observed(line: &str) -> Result<(role::Report, Observed), String> {
    let role::FromReplicator::Report(report) =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let observed = Observed {
        ticket: Ticket(report.ticket),
        server: match report.server {
            role::Server::Down => Server::Down,
            role::Server::Busy => Server::Busy,
            role::Server::Stopped => Server::Stopped,
            role::Server::Standby => Server::Standby,
            role::Server::Primary => Server::Primary,
        },
        healthy: report.healthy,
        copy: report.copy.map(|copy| CopyId(copy.0)),
        run: report.run,
        synchronous: report.synchronous.map(|copy| CopyId(copy.0)),
        position: report.position.map(|position| Position {
            timeline: position.timeline,
            lsn: position.lsn.0,
        }),
        follower: report.follower.map(|follower| Follower {
            copy: CopyId(follower.copy.0),
            flushed: follower.flushed.0,
        }),
        checkpointed: report.checkpointed,
    };
    Ok((report, observed))
}

#[cfg(test)]
mod tests;
