//! The replicator's side of a plugin: a child process and its answers.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use log::{info, warn};
use serde_json::Value;

use super::rpc::{self, Cancel, Failure, FromPlugin, FromReplicator, Version};
use super::{Command, Notification};

/// What comes from a plugin.
#[derive(Debug)]
pub enum Said {
    /// The answer to the request of that id.
    Answer(u64, Result<Value, Failure>),
    /// Unasked.
    Notification(Notification),
    /// Its output has ended: it is gone, or of no use.
    Ended(String),
}

/// A running plugin.
///
/// Dropping it kills the process; the database server goes on.
#[derive(Debug)]
pub struct Plugin {
    path: PathBuf,
    child: Child,
    input: ChildStdin,
    next_id: u64,
}

impl Plugin {
    /// Starts the executable at `path`. All it says goes to `events` as
    /// `wrap` makes it; what it writes on its standard error, to the log.
    ///
    /// # Errors
    ///
    /// Why it could not be started, with its path.
    pub fn start<E: Send + 'static>(
        path: &Path,
        events: Sender<E>,
        wrap: impl Fn(Said) -> E + Send + 'static,
    ) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!(
                    "{}: cannot be started: {error}: install the plugin or correct \
                     [replication] plugin or [paths] plugins",
                    path.display()
                ),
            )
        };
        let mut child = Process::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(named)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let ended = loop {
                match next(&mut output) {
                    Ok(Some(said)) => drop(events.send(wrap(said))),
                    Ok(None) => break "it has ended".to_owned(),
                    Err(error) => break error.to_string(),
                }
            };
            drop(events.send(wrap(Said::Ended(ended))));
        });
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                match line.strip_prefix("warning: ") {
                    Some(warning) => warn!("{warning}"),
                    None => info!("{line}"),
                }
            }
        });
        Ok(Self {
            path: path.to_owned(),
            child,
            input,
            next_id: 1,
        })
    }

    /// Sends a request; its answer comes with the id returned.
    ///
    /// # Errors
    ///
    /// The pipe's: the plugin is gone.
    pub fn request(&mut self, command: Command) -> io::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        rpc::write_line(
            &mut self.input,
            &FromReplicator::Request {
                jsonrpc: Version::Two,
                id,
                command,
            },
        )?;
        Ok(id)
    }

    /// Ends the command being worked on; it is answered still.
    ///
    /// # Errors
    ///
    /// The pipe's: the plugin is gone.
    pub fn cancel(&mut self) -> io::Result<()> {
        rpc::write_line(
            &mut self.input,
            &FromReplicator::Cancel {
                jsonrpc: Version::Two,
                method: Cancel::Cancel,
            },
        )
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its executable is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(self.input.flush());
        // It may be gone already; nothing is owed to it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn next(output: &mut impl BufRead) -> io::Result<Option<Said>> {
    let Some(line) = rpc::read_line(output)? else {
        return Ok(None);
    };
    let said = match serde_json::from_str(&line) {
        Ok(FromPlugin::Result { id, result, .. }) => Said::Answer(id, Ok(result)),
        Ok(FromPlugin::Error {
            id: Some(id),
            error,
            ..
        }) => Said::Answer(id, Err(error)),
        Ok(FromPlugin::Error { error, .. }) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it could not read a request: {error}"),
            ));
        }
        Ok(FromPlugin::Notification { notification, .. }) => Said::Notification(notification),
        Err(error) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it wrote a line that is not of the plugin protocol: {error}"),
            ));
        }
    };
    Ok(Some(said))
}
