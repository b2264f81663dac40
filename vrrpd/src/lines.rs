//! Line-by-line talk over a non-blocking stream, with bounds both ways.

use core::fmt;
use std::io::{self, ErrorKind, Read, Write};

/// Bytes read in one go, so that a busy peer does not hold the loop.
const MAX_READ: usize = 256 * 1024;

/// A stream that carries lines.
///
/// A peer that sends an endless line, or does not read what it is sent, is
/// given up; it never stalls its partner.
#[derive(Debug)]
pub struct Lines<S> {
    stream: S,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` is sent.
    sent: usize,
    max_line: usize,
    max_waiting: usize,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All there was.
    Drained,
    /// There may be more; come again without waiting for the poll.
    More,
    /// The peer sends no more.
    Ended,
}

/// The peer cannot be talked with any more.
#[derive(Debug)]
pub enum Error {
    /// The stream failed.
    Io(io::Error),
    /// A line is longer than allowed.
    LongLine(usize),
    /// It does not read what it is sent.
    Slow(usize),
}

impl<S: Read + Write> Lines<S> {
    /// Lines of at most `max_line` bytes; at most `max_waiting` bytes wait to
    /// be read by the peer.
    pub fn new(stream: S, max_line: usize, max_waiting: usize) -> Self {
        Self {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            max_line,
            max_waiting,
        }
    }

    /// The stream.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads what is there; whole lines are added to `lines`, without their ends.
    ///
    /// # Errors
    ///
    /// The stream failed or a line is too long: give it up.
    pub fn read(&mut self, lines: &mut Vec<String>) -> Result<Progress, Error> {
        let mut chunk = [0; 16 * 1024];
        let mut total = 0;
        while total < MAX_READ {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Progress::Ended),
                Ok(count) => {
                    total += count;
                    self.incoming.extend_from_slice(&chunk[..count]);
                    self.split(lines)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Progress::Drained);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io(error)),
            }
        }
        Ok(Progress::More)
    }

    /// Queues a line and sends what can be sent.
    ///
    /// # Errors
    ///
    /// The stream failed or too much waits: give it up.
    pub fn push(&mut self, line: &str) -> Result<(), Error> {
        self.outgoing.extend_from_slice(line.as_bytes());
        self.outgoing.push(b'\n');
        self.flush()?;
        if self.waiting() > self.max_waiting {
            return Err(Error::Slow(self.waiting()));
        }
        Ok(())
    }

    /// Sends what can be sent without waiting.
    ///
    /// # Errors
    ///
    /// The stream failed: give it up.
    pub fn flush(&mut self) -> Result<(), Error> {
        while self.sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => return Err(Error::Io(ErrorKind::WriteZero.into())),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io(error)),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(())
    }

    /// Bytes that are not sent yet.
    pub fn waiting(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    fn split(&mut self, lines: &mut Vec<String>) -> Result<(), Error> {
        let mut begin = 0;
        while let Some(length) = self.incoming[begin..].iter().position(|&b| b == b'\n') {
            if length > self.max_line {
                return Err(Error::LongLine(self.max_line));
            }
            let line = &self.incoming[begin..begin + length];
            lines.push(String::from_utf8_lossy(line).into_owned());
            begin += length + 1;
        }
        self.incoming.drain(..begin);
        if self.incoming.len() > self.max_line {
            return Err(Error::LongLine(self.max_line));
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::LongLine(max) => write!(f, "it sent a line of more than {max} bytes"),
            Self::Slow(waiting) => write!(f, "it left {waiting} bytes unread"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::LongLine(_) | Self::Slow(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Lines<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Lines::new(ours, 100, 1_000_000), theirs)
    }

    #[test]
    fn lines_arrive_whole_however_they_are_cut() {
        let (mut lines, mut peer) = pair();
        let mut got = Vec::new();
        peer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.read(&mut got).unwrap(), Progress::Drained);
        assert_eq!(got, ["one"]);
        peer.write_all(b"o\n\nthr").unwrap();
        // Dropping it would not do: a child that is just being started has a copy.
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(lines.read(&mut got).unwrap(), Progress::Ended);
        assert_eq!(got, ["one", "two", ""]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let (mut lines, mut peer) = pair();
        peer.write_all(&[b'x'; 101]).unwrap();
        assert_eq!(
            lines.read(&mut Vec::new()).unwrap_err().to_string(),
            "it sent a line of more than 100 bytes"
        );
        let (mut lines, mut peer) = pair();
        let mut got = Vec::new();
        peer.write_all(&[b'x'; 100]).unwrap();
        peer.write_all(b"\n").unwrap();
        lines.read(&mut got).unwrap();
        assert_eq!(got[0].len(), 100);
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up_and_not_waited_for() {
        let (mut lines, _peer) = pair();
        let line = "x".repeat(99_999);
        let mut pushed = 0;
        let error = loop {
            match lines.push(&line) {
                Ok(()) => pushed += 1,
                Err(error) => break error,
            }
            assert!(pushed < 1_000, "the bound is never reached");
        };
        let Error::Slow(waiting) = error else {
            panic!("{error}");
        };
        assert!(pushed >= 10, "a million bytes may wait, {pushed} lines did");
        assert!((1_000_001..=1_100_000).contains(&waiting));
    }

    #[test]
    fn what_waits_is_sent_when_the_peer_reads() {
        let (mut lines, mut peer) = pair();
        let line = "x".repeat(499_999);
        lines.push(&line).unwrap();
        assert!(lines.waiting() > 0);
        let mut received = 0;
        let mut buffer = vec![0; 65_536];
        while received < 500_000 {
            received += peer.read(&mut buffer).unwrap();
            lines.flush().unwrap();
        }
        assert_eq!((received, lines.waiting()), (500_000, 0));
    }
}
