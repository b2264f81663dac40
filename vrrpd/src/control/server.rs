//! The listening end of the control socket.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use serde::Serialize;

use super::{Entry, Reply, Request};
use crate::lines::{Lines, Progress};

/// Clients at a time.
const MAX_CLIENTS: usize = 32;
/// Bytes of a request.
const MAX_REQUEST: usize = 4096;
/// Bytes that wait to be read by a client; one that lets more wait is dropped.
const MAX_WAITING: usize = 1024 * 1024;

/// A connected client; never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(u64);

/// The socket and its clients. Uses [`Server::TOKENS`] mio tokens.
///
/// Nothing here waits: a client that does not read is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    listener: UnixListener,
    first: Token,
    /// A slot a token, from the second.
    clients: Vec<Option<Client>>,
    accepted: u64,
}

#[derive(Debug)]
struct Client {
    id: ClientId,
    lines: Lines<UnixStream>,
    watches: bool,
    /// Requests that have not been answered.
    asked: usize,
    /// It sends no more.
    ended: bool,
}

impl Server {
    /// How many tokens it uses, from its first.
    pub const TOKENS: usize = 1 + MAX_CLIENTS;

    /// Binds `path` (0660), replacing the socket of a daemon that is gone.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when a daemon listens there; else as the system says.
    pub fn bind(path: &Path, registry: &Registry, first: Token) -> io::Result<Self> {
        remove_stale(path)?;
        let mut listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        registry.register(&mut listener, first, Interest::READABLE)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            first,
            clients: (0..MAX_CLIENTS).map(|_| None).collect(),
            accepted: 0,
        })
    }

    /// Whether `token` is one of its own.
    pub fn owns(&self, token: Token) -> bool {
        (self.first.0..self.first.0 + Self::TOKENS).contains(&token.0)
    }

    /// Reads and writes what is ready; the requests that came are added to
    /// `requests`. Each is to be answered once, by [`Server::answer`] or
    /// [`Server::refuse`].
    pub fn on_ready(
        &mut self,
        token: Token,
        registry: &Registry,
        requests: &mut Vec<(ClientId, Request)>,
    ) {
        match (token.0 - self.first.0).checked_sub(1) {
            None => self.accept(registry),
            Some(slot) => {
                let Some(client) = &mut self.clients[slot] else {
                    return;
                };
                if client.serve(token, registry, requests).is_none() || client.is_done() {
                    self.clients[slot] = None;
                }
            }
        }
    }

    /// Answers `{"ok": …}`. A client that has left hears nothing.
    pub fn answer(&mut self, client: ClientId, answer: &impl Serialize) {
        let reply = match serde_json::to_value(answer) {
            Ok(value) => Reply::Ok(value),
            Err(error) => Reply::Error(format!("the answer cannot be written: {error}")),
        };
        self.reply(client, &reply);
    }

    /// Answers `{"error": "…"}`.
    pub fn refuse(&mut self, client: ClientId, why: &str) {
        self.reply(client, &Reply::Error(why.to_owned()));
    }

    /// Sends an entry to all who watch.
    pub fn publish(&mut self, entry: &Entry) {
        let mut line = None;
        for slot in &mut self.clients {
            let Some(client) = slot.as_mut().filter(|client| client.watches) else {
                continue;
            };
            let line = line.get_or_insert_with(|| written(&Reply::Event(entry.clone())));
            if client.push(line).is_none() {
                *slot = None;
            }
        }
    }

    fn reply(&mut self, id: ClientId, reply: &Reply) {
        for slot in &mut self.clients {
            let Some(client) = slot.as_mut().filter(|client| client.id == id) else {
                continue;
            };
            client.asked = client.asked.saturating_sub(1);
            if client.push(&written(reply)).is_none() || client.is_done() {
                *slot = None;
            }
        }
    }

    fn accept(&mut self, registry: &Registry) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::warn!("{}: cannot accept: {error}", self.path.display());
                    return;
                }
            };
            let Some(slot) = self.clients.iter().position(Option::is_none) else {
                log::warn!(
                    "{}: a client was turned away: {MAX_CLIENTS} are connected already",
                    self.path.display()
                );
                continue;
            };
            let token = Token(self.first.0 + 1 + slot);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = registry.register(&mut stream, token, interest) {
                log::warn!("{}: cannot watch a client: {error}", self.path.display());
                continue;
            }
            self.accepted += 1;
            self.clients[slot] = Some(Client {
                id: ClientId(self.accepted),
                lines: Lines::new(stream, MAX_REQUEST, MAX_WAITING),
                watches: false,
                asked: 0,
                ended: false,
            });
        }
    }
}

impl Client {
    /// Reads and writes what is ready; `None` when it is to be dropped.
    fn serve(
        &mut self,
        token: Token,
        registry: &Registry,
        requests: &mut Vec<(ClientId, Request)>,
    ) -> Option<()> {
        let mut lines = Vec::new();
        let progress = self.lines.read(&mut lines).map_err(dropped).ok()?;
        for line in &lines {
            match Request::parse(line) {
                Ok(Request::Watch) => {
                    self.watches = true;
                    self.push(&written(&Reply::Ok(serde_json::Value::Null)))?;
                }
                Ok(request) => {
                    self.asked += 1;
                    requests.push((self.id, request));
                }
                Err(why) => self.push(&written(&Reply::Error(why)))?,
            }
        }
        match progress {
            Progress::Drained => {}
            Progress::Ended => self.ended = true,
            Progress::More => {
                // The poll tells of an edge once; this makes it look again.
                let interest = Interest::READABLE | Interest::WRITABLE;
                registry
                    .reregister(self.lines.stream(), token, interest)
                    .map_err(|error| log::debug!("a client is dropped: {error}"))
                    .ok()?;
            }
        }
        self.lines.flush().map_err(dropped).ok()
    }

    fn push(&mut self, line: &str) -> Option<()> {
        self.lines.push(line).map_err(dropped).ok()
    }

    /// It has left, and has been told all that it asked for.
    fn is_done(&self) -> bool {
        self.ended && self.asked == 0 && self.lines.waiting() == 0
    }
}

fn dropped(error: crate::lines::Error) {
    log::debug!("a control client is dropped: {error}");
}

fn written(reply: &Reply) -> String {
    serde_json::to_string(reply).expect("a reply is strings, numbers and values")
}

/// Removes the socket at `path` if nobody listens on it.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                format!("{} is there and is no socket: remove it", path.display()),
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!("a daemon listens on {} already", path.display()),
        )),
        Err(_) => fs::remove_file(path),
    }
}

/// Removes its socket.
impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("{}: cannot be removed: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream as Std;
    use std::time::Duration;

    struct Bench {
        poll: Poll,
        server: Server,
        directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let poll = Poll::new().unwrap();
            let path = directory.path().join("control.sock");
            let server = Server::bind(&path, poll.registry(), Token(7)).unwrap();
            Self {
                poll,
                server,
                directory,
            }
        }

        fn connect(&self) -> Std {
            let stream = Std::connect(self.directory.path().join("control.sock")).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            stream
        }

        /// Polls until `until` holds of the requests that came.
        fn run(
            &mut self,
            until: impl Fn(&Server, &[(ClientId, Request)]) -> bool,
        ) -> Vec<(ClientId, Request)> {
            let mut requests = Vec::new();
            let mut events = Events::with_capacity(16);
            for _ in 0..1_000 {
                if until(&self.server, &requests) {
                    return requests;
                }
                self.poll
                    .poll(&mut events, Some(Duration::from_millis(100)))
                    .unwrap();
                for event in &events {
                    assert!(self.server.owns(event.token()));
                    self.server
                        .on_ready(event.token(), self.poll.registry(), &mut requests);
                }
            }
            panic!("it never came to that: {requests:?}");
        }

        fn connected(server: &Server) -> usize {
            server.clients.iter().flatten().count()
        }
    }

    fn line(stream: &Std) -> String {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    fn entry(line: &str) -> Entry {
        Entry {
            time: "2026-01-31T09:15:02.123Z".to_owned(),
            boottime_ms: 5,
            line: line.to_owned(),
        }
    }

    #[test]
    fn a_request_is_answered_to_who_asked() {
        let mut bench = Bench::new();
        let (mut one, mut two) = (bench.connect(), bench.connect());
        one.write_all(b"{\"command\":\"status\"}\n").unwrap();
        two.write_all(b"{\"command\":\"reload\"}\n").unwrap();
        let requests = bench.run(|_, requests| requests.len() == 2);
        for (client, request) in requests {
            match request {
                Request::Status => bench.server.answer(client, &vec![1, 2]),
                _ => bench.server.refuse(client, "not now"),
            }
        }
        assert_eq!(line(&one), "{\"ok\":[1,2]}\n");
        assert_eq!(line(&two), "{\"error\":\"not now\"}\n");
    }

    #[test]
    fn a_client_that_ends_its_side_is_still_answered() {
        let mut bench = Bench::new();
        let mut client = bench.connect();
        client.write_all(b"{\"command\":\"log\"}\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let requests = bench.run(|server, requests| {
            !requests.is_empty() && server.clients.iter().flatten().all(|client| client.ended)
        });
        bench.server.answer(requests[0].0, &"here");
        assert_eq!(line(&client), "{\"ok\":\"here\"}\n");
        assert_eq!(Bench::connected(&bench.server), 0);
    }

    #[test]
    fn who_watches_hears_every_entry() {
        let mut bench = Bench::new();
        let mut watcher = bench.connect();
        let mut other = bench.connect();
        watcher.write_all(b"{\"command\":\"watch\"}\n").unwrap();
        other.write_all(b"nonsense\n").unwrap();
        bench.run(|server, _| {
            server.clients.iter().flatten().any(|client| client.watches)
                && Bench::connected(server) == 2
        });
        bench.server.publish(&entry("Backup -> Active"));
        let mut reader = BufReader::new(&watcher);
        let mut heard = String::new();
        reader.read_line(&mut heard).unwrap();
        reader.read_line(&mut heard).unwrap();
        assert_eq!(
            heard,
            "{\"ok\":null}\n{\"event\":{\"time\":\"2026-01-31T09:15:02.123Z\",\"boottime_ms\":5,\
             \"line\":\"Backup -> Active\"}}\n"
        );
        bench.run(|server, _| {
            server
                .clients
                .iter()
                .flatten()
                .all(|c| c.watches || c.asked == 0)
        });
        assert!(line(&other).starts_with("{\"error\":\"not a request: "));
    }

    #[test]
    fn a_watcher_that_does_not_read_is_dropped_and_never_waited_for() {
        let mut bench = Bench::new();
        let mut watcher = bench.connect();
        watcher.write_all(b"{\"command\":\"watch\"}\n").unwrap();
        bench.run(|server, _| server.clients.iter().flatten().any(|client| client.watches));
        let long = entry(&"x".repeat(10_000));
        for _ in 0..1_000 {
            bench.server.publish(&long);
        }
        assert_eq!(Bench::connected(&bench.server), 0);
    }

    #[test]
    fn a_socket_is_replaced_only_when_nobody_listens() {
        let bench = Bench::new();
        let path = bench.directory.path().join("control.sock");
        let again = Server::bind(&path, bench.poll.registry(), Token(100)).unwrap_err();
        assert_eq!(
            again.to_string(),
            format!("a daemon listens on {} already", path.display())
        );
        let stale = bench.directory.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        let server = Server::bind(&stale, bench.poll.registry(), Token(200)).unwrap();
        let mode = fs::metadata(&stale).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        drop(server);
        assert!(!stale.exists());
        let file = bench.directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Server::bind(&file, bench.poll.registry(), Token(300)).is_err());
        assert!(file.exists());
    }

    #[test]
    fn the_33rd_client_is_turned_away() {
        let mut bench = Bench::new();
        let clients: Vec<_> = (0..33).map(|_| bench.connect()).collect();
        bench.run(|server, _| Bench::connected(server) == 32 && server.accepted == 32);
        assert_eq!(line(&clients[32]), "", "its connection is closed");
    }
}
