//! The asking end of the control socket: blocking, for programs without a loop.

use core::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Entry, Reply, Request};

/// The daemon answers at once, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to vrrpd.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

/// Why an answer did not come, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// vrrpd says no, and why.
    Refused(String),
    /// It cannot be asked.
    Unreachable(String),
}

impl Client {
    /// Connects to the control socket at `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there, or this user may not ask.
    pub fn connect(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let mend = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "is vrrpd running? Name its configuration with -c, or its socket with --socket"
                }
                io::ErrorKind::PermissionDenied => "become root, or a member of vrrpd's group",
                _ => "look at vrrpd's log",
            };
            Failure::Unreachable(format!("{}: {error}: {mend}", path.display()))
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    ///
    /// It is refused, or does not come.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let mut line = serde_json::to_string(request).expect("a request is strings");
        line.push('\n');
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        sent.map_err(|error| self.broken(&error))?;
        match self.reply()? {
            Reply::Ok(value) => {
                serde_json::from_value(value).map_err(|error| self.unintelligible(&error))
            }
            Reply::Error(why) => Err(Failure::Refused(why)),
            Reply::Event(_) => Err(self.unintelligible(&"an event comes where an answer is due")),
        }
    }

    /// The next entry after [`Request::Watch`]; waits for it, for `patience` if
    /// that is given. `None` when nothing came.
    ///
    /// # Errors
    ///
    /// vrrpd has gone.
    pub fn next(&mut self, patience: Option<Duration>) -> Result<Option<Entry>, Failure> {
        let patient = self.stream.get_mut().set_read_timeout(patience);
        patient.map_err(|error| self.broken(&error))?;
        match self.stream.fill_buf() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(self.broken(&error)),
        }
        // A line has begun: the daemon writes lines whole.
        let patient = self.stream.get_mut().set_read_timeout(Some(PATIENCE));
        patient.map_err(|error| self.broken(&error))?;
        match self.reply()? {
            Reply::Event(entry) => Ok(Some(entry)),
            Reply::Error(why) => Err(Failure::Refused(why)),
            Reply::Ok(_) => Err(self.unintelligible(&"an answer comes where an event is due")),
        }
    }

    fn reply(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(self.broken(&"vrrpd has closed the connection")),
            Ok(_) => serde_json::from_str(&line).map_err(|error| self.unintelligible(&error)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(self.broken(&format!(
                "vrrpd has not answered for {} s",
                PATIENCE.as_secs()
            ))),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, why: &dyn fmt::Display) -> Failure {
        Failure::Unreachable(format!(
            "{}: {why}: look at vrrpd's log",
            self.path.display()
        ))
    }

    fn unintelligible(&self, why: &dyn fmt::Display) -> Failure {
        Failure::Unreachable(format!(
            "{}: the answer cannot be read: {why}: use the vrrpctl of vrrpd's version",
            self.path.display()
        ))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A daemon that answers each line with the next of `answers`.
    fn daemon(
        answers: &'static [&'static str],
    ) -> (tempfile::TempDir, thread::JoinHandle<Vec<String>>) {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut writer = stream.try_clone().unwrap();
            let mut lines = BufReader::new(stream).lines();
            answers
                .iter()
                .map(|answer| {
                    let line = lines.next().unwrap().unwrap();
                    writer.write_all(answer.as_bytes()).unwrap();
                    line
                })
                .collect()
        });
        (directory, thread)
    }

    #[test]
    fn answers_refusals_and_events_are_told_apart() {
        let (directory, daemon) = daemon(&[
            "{\"ok\":[1,2]}\n",
            "{\"error\":\"not Primary\"}\n",
            "{\"ok\":null}\n{\"event\":{\"time\":\"t\",\"boottime_ms\":1,\"line\":\"x\"}}\n",
        ]);
        let mut client = Client::connect(&directory.path().join("s")).unwrap();
        assert_eq!(client.ask(&Request::Log), Ok(vec![1, 2]));
        assert_eq!(
            client.ask::<()>(&Request::Switchover { epoch: None }),
            Err(Failure::Refused("not Primary".to_owned()))
        );
        assert_eq!(client.ask(&Request::Watch), Ok(()));
        assert_eq!(client.next(None).unwrap().unwrap().line, "x");
        assert_eq!(
            daemon.join().unwrap(),
            [
                "{\"command\":\"log\"}",
                "{\"command\":\"switchover\"}",
                "{\"command\":\"watch\"}"
            ]
        );
        let gone = client.next(None).unwrap_err().to_string();
        assert!(
            gone.ends_with("/s: vrrpd has closed the connection: look at vrrpd's log"),
            "{gone}"
        );
    }

    #[test]
    fn a_quiet_daemon_is_not_waited_for_longer_than_asked() {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let mut client = Client::connect(&directory.path().join("s")).unwrap();
        let (_daemon, _) = listener.accept().unwrap();
        assert_eq!(client.next(Some(Duration::from_millis(1))), Ok(None));
    }

    #[test]
    fn a_daemon_that_is_not_there_is_told_with_a_cure() {
        assert_eq!(
            Client::connect(Path::new("/nonexistent/s"))
                .unwrap_err()
                .to_string(),
            "/nonexistent/s: No such file or directory (os error 2): is vrrpd running? Name its \
             configuration with -c, or its socket with --socket"
        );
    }
}
