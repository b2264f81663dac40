//! The listening end of the control socket.

use std::io;
use std::path::Path;

use mio::{Registry, Token};
use serde::Serialize;

use super::{Entry, Request};

/// A connected client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub u64);

/// The socket and its clients. Uses [`Server::TOKENS`] mio tokens.
#[derive(Debug)]
pub struct Server {
    first: Token,
}

impl Server {
    /// How many tokens it uses, from its first.
    pub const TOKENS: usize = 33;

    /// Binds `path` (0660), replacing the socket of a daemon that is gone.
    pub fn bind(path: &Path, registry: &Registry, first: Token) -> io::Result<Self> {
        let _ = (path, registry);
        Ok(Self { first })
    }

    /// Whether `token` is one of its own.
    pub fn owns(&self, token: Token) -> bool {
        (self.first.0..self.first.0 + Self::TOKENS).contains(&token.0)
    }

    /// Reads and writes what is ready; the requests that came are added to `requests`.
    pub fn on_ready(
        &mut self,
        token: Token,
        registry: &Registry,
        requests: &mut Vec<(ClientId, Request)>,
    ) {
        unimplemented!("{token:?} {registry:?} {requests:?}")
    }

    /// Answers `{"ok": …}`.
    pub fn answer(&mut self, client: ClientId, answer: &impl Serialize) {
        let _ = (client, answer);
    }

    /// Answers `{"error": "…"}`.
    pub fn refuse(&mut self, client: ClientId, why: &str) {
        unimplemented!("{client:?} {why}")
    }

    /// Sends an entry to all who watch.
    pub fn publish(&mut self, entry: &Entry) {
        unimplemented!("{entry:?}")
    }
}
