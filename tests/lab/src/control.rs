//! vrrpd's control socket, as the lab asks it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::fault::{Attempt, Fault, Result};

/// A daemon that lives answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The status object of the daemon that listens at `socket`.
///
/// # Errors
///
/// Nobody listens, or it refuses, or it is stopped and does not answer.
pub(crate) fn status(socket: &Path) -> Result<Value> {
    let what = || format!("ask {} for its status", socket.display());
    let mut stream = UnixStream::connect(socket).attempt(what)?;
    stream.set_read_timeout(Some(PATIENCE)).attempt(what)?;
    stream
        .write_all(b"{\"command\":\"status\"}\n")
        .attempt(what)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).attempt(what)?;
    let mut answer: Value = serde_json::from_str(&line).attempt(what)?;
    match answer.get_mut("ok") {
        Some(status) => Ok(status.take()),
        None => Err(Fault::new(format!("{}: {}", what(), line.trim_end()))),
    }
}
