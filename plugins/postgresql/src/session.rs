//! Sessions with a server: our own, over its socket, and the upstream's.

use std::thread;
use std::time::Duration;

use postgres::{Client, Config as Connect, NoTls, error::SqlState};
use replicator::plugin::serve::Token;
use replicator::plugin::{Access, Failure};
use replicator::role::Upstream;

use crate::config::Config;

/// The role that replicas connect as.
pub const REPLICATION_ROLE: &str = "vrrpd_replication";

/// What our own sessions must not inherit from the server's configuration:
/// they never time out, and leave no password in a log.
const OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=0 \
                       -c idle_in_transaction_session_timeout=0 \
                       -c default_transaction_read_only=off -c log_statement=none \
                       -c log_min_duration_statement=-1 -c search_path=pg_catalog";

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the commits of a session wait for the synchronous copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// They are local.
    No,
    /// As a client's do.
    Yes,
}

/// Connects to the server of this plugin.
///
/// # Errors
///
/// The server's or the system's.
pub fn own(config: &Config, waits: Waits) -> Result<Client, postgres::Error> {
    let commit = match waits {
        Waits::No => "local",
        Waits::Yes => "on",
    };
    Connect::new()
        .host_path(&config.socket_directory)
        .port(config.port)
        .user(&config.superuser)
        .dbname(&config.database)
        .application_name("vrrpd")
        .options(&format!("{OPTIONS} -c synchronous_commit={commit}"))
        .connect_timeout(CONNECT_TIMEOUT)
        .connect(NoTls)
}

/// Connects to the server of the other manager.
///
/// # Errors
///
/// The server's or the system's, with its place.
pub fn upstream(config: &Config, upstream: &Upstream, access: &Access) -> Result<Client, Failure> {
    Connect::new()
        .host(&upstream.host)
        .port(upstream.port)
        .user(REPLICATION_ROLE)
        .password(&access.password)
        .dbname(&config.database)
        .application_name("vrrpd")
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(Duration::from_secs(5))
        .keepalives_idle(Duration::from_secs(2))
        .connect(NoTls)
        .map_err(|error| {
            Failure::new(format!(
                "the primary at {upstream} cannot be asked: {}",
                said(&error)
            ))
        })
}

/// What an error says, in one line.
pub fn said(error: &postgres::Error) -> String {
    use std::error::Error;
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether the server answered that it cannot be used yet, or not any more.
pub fn is_starting(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
}

/// Runs one statement that may take long; it is cancelled with `token`.
///
/// # Errors
///
/// The server's, with what was being `done`; or that it was called off.
pub fn run(client: &mut Client, statement: &str, done: &str, token: &Token) -> Result<(), Failure> {
    let cancel = client.cancel_token();
    thread::scope(|scope| {
        let running = scope.spawn(|| client.batch_execute(statement));
        while !running.is_finished() {
            if token.pause(Duration::from_millis(2)).is_err() {
                // It may have ended in this very moment.
                drop(cancel.cancel_query(NoTls));
                // Once more if it was not begun yet.
                thread::sleep(Duration::from_millis(2));
            }
        }
        let outcome = running
            .join()
            .map_err(|_| Failure::new(format!("{done} failed: the session broke down")))?;
        match outcome {
            Ok(()) => Ok(()),
            Err(_) if token.is_cancelled() => Err(Failure::cancelled()),
            Err(error) => Err(Failure::new(format!("{done} failed: {}", said(&error)))),
        }
    })
}
