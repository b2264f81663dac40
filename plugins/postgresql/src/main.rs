//! `postgresql`: started by the replicator, which talks to it on its standard
//! input and output; see vrrpd-plugin(7).
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use replicator::plugin::ORPHANED;
use replicator::plugin::serve::{Token, serve};
use vrrpd_postgresql::database::Postgresql;
use vrrpd_postgresql::say;

/// Between two looks for a successor.
const LOOK: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let plugin = Postgresql::default();
    if let Err(error) = serve(&plugin, io::stdin().lock(), io::stdout()) {
        say::warning(&format!("the replicator cannot be understood: {error}"));
    }
    let Ok(server) = plugin.server() else {
        return ExitCode::SUCCESS;
    };
    let deadline = Instant::now() + ORPHANED;
    while Instant::now() < deadline {
        if server.has_successor() {
            return ExitCode::SUCCESS;
        }
        thread::sleep(LOOK);
    }
    say::warning("nobody keeps the server any more: it is stopped");
    if server.stop(&Token::default()).is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
