//! A PostgreSQL client that never waits longer than it is told to.
//!
//! The protocol's simple query, and no more (PostgreSQL documentation, chapter
//! 55). A library's client would add its own waiting to what is measured: its
//! connection timeouts are whole seconds, or a dead peer blocks it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::clock::Moment;

/// Protocol version 3.0.
const VERSION: u32 = 196_608;

/// No message of a server to the lab is longer.
const LONGEST: usize = 64 << 20;

/// Why a statement has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server refused it: SQLSTATE and message. What it did is undone.
    Refused(String, String),
    /// The connection is lost, or the answer did not come in time: the
    /// statement may have been done or not.
    Lost(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(state, message) => write!(f, "{message} (SQLSTATE {state})"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
        }
    }
}

/// What a statement answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The rows; a null is empty.
    pub rows: Vec<Vec<String>>,
    /// Warnings that came with it. One of a cancelled wait means that a commit
    /// is *not* acknowledged by all copies.
    pub warnings: Vec<String>,
}

/// A connection, ready for a query.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    /// The message that is read next was read up to here.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Connects over TCP to database `postgres` as user `postgres`.
    ///
    /// # Errors
    ///
    /// Nobody answers within `patience`, or the server refuses.
    pub fn tcp(address: SocketAddr, patience: Duration) -> Result<Self, Trouble> {
        let end = Moment::now().plus(patience);
        let stream = TcpStream::connect_timeout(&address, patience).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        Self::begin(Stream::Tcp(stream), end)
    }

    /// The same over a server's Unix socket.
    ///
    /// # Errors
    ///
    /// As [`Connection::tcp`].
    pub fn unix(path: &Path, patience: Duration) -> Result<Self, Trouble> {
        let end = Moment::now().plus(patience);
        let stream = UnixStream::connect(path).map_err(lost)?;
        Self::begin(Stream::Unix(stream), end)
    }

    fn begin(stream: Stream, end: Moment) -> Result<Self, Trouble> {
        let mut connection = Self {
            stream,
            buffer: Vec::new(),
        };
        let mut packet = VERSION.to_be_bytes().to_vec();
        packet.extend_from_slice(
            b"user\0postgres\0database\0postgres\0application_name\0field_unit\0\0",
        );
        connection.write(None, &packet, end)?;
        connection.answer(end)?;
        Ok(connection)
    }

    /// Runs `statements`.
    ///
    /// # Errors
    ///
    /// See [`Trouble`]; after [`Trouble::Lost`] the connection is of no use.
    pub fn query(&mut self, statements: &str, patience: Duration) -> Result<Answer, Trouble> {
        let end = Moment::now().plus(patience);
        let mut text = statements.as_bytes().to_vec();
        text.push(0);
        self.write(Some(b'Q'), &text, end)?;
        self.answer(end)
    }

    /// Reads until the server is ready for the next query.
    fn answer(&mut self, end: Moment) -> Result<Answer, Trouble> {
        let mut answer = Answer::default();
        let mut refused = None;
        loop {
            let (kind, body) = self.read(end)?;
            match kind {
                b'Z' => return refused.map_or(Ok(answer), Err),
                b'E' => {
                    let trouble = Trouble::Refused(field(&body, b'C'), field(&body, b'M'));
                    // A fatal one ends the connection without a further word.
                    if matches!(field(&body, b'V').as_str(), "FATAL" | "PANIC") {
                        return Err(trouble);
                    }
                    refused = Some(trouble);
                }
                b'N' if field(&body, b'V') == "WARNING" => {
                    answer.warnings.push(field(&body, b'M'));
                }
                b'D' => answer.rows.push(row(&body).ok_or_else(malformed)?),
                b'R' if body != [0; 4] => {
                    return Err(Trouble::Lost(
                        "the server asks for a password: the lab's pg_hba.conf trusts".into(),
                    ));
                }
                // Descriptions, parameters, notices: nothing to do with them.
                _ => {}
            }
        }
    }

    fn write(&mut self, kind: Option<u8>, body: &[u8], end: Moment) -> Result<(), Trouble> {
        let length = u32::try_from(body.len() + 4).map_err(|_| malformed())?;
        let mut packet: Vec<u8> = kind.into_iter().collect();
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(body);
        let left = left(end)?;
        match &mut self.stream {
            Stream::Tcp(stream) => {
                stream.set_write_timeout(Some(left)).map_err(lost)?;
                stream.write_all(&packet).map_err(lost)
            }
            Stream::Unix(stream) => {
                stream.set_write_timeout(Some(left)).map_err(lost)?;
                stream.write_all(&packet).map_err(lost)
            }
        }
    }

    /// One message: its kind and its body.
    fn read(&mut self, end: Moment) -> Result<(u8, Vec<u8>), Trouble> {
        loop {
            if let Some((&kind, rest)) = self.buffer.split_first()
                && let Some((length, rest)) = rest.split_first_chunk()
            {
                let length = u32::from_be_bytes(*length) as usize;
                if !(4..=LONGEST).contains(&length) {
                    return Err(malformed());
                }
                if let Some(body) = rest.get(..length - 4) {
                    let body = body.to_vec();
                    self.buffer.drain(..=length);
                    return Ok((kind, body));
                }
            }
            let mut chunk = [0; 65_536];
            let left = left(end)?;
            let count = match &mut self.stream {
                Stream::Tcp(stream) => {
                    stream.set_read_timeout(Some(left)).map_err(lost)?;
                    stream.read(&mut chunk)
                }
                Stream::Unix(stream) => {
                    stream.set_read_timeout(Some(left)).map_err(lost)?;
                    stream.read(&mut chunk)
                }
            };
            match count {
                Ok(0) => return Err(Trouble::Lost("closed by the server".into())),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }
}

/// What is left until `end`, more than nothing.
fn left(end: Moment) -> Result<Duration, Trouble> {
    let left = end.since(Moment::now());
    if left.is_zero() {
        return Err(Trouble::Lost("no answer in time".into()));
    }
    Ok(left)
}

fn lost(error: io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Trouble::Lost("no answer in time".into())
        }
        _ => Trouble::Lost(error.to_string()),
    }
}

fn malformed() -> Trouble {
    Trouble::Lost("the server does not speak protocol 3.0".into())
}

/// A field of an error or a notice.
fn field(body: &[u8], code: u8) -> String {
    body.split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(&[code]))
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .unwrap_or_default()
}

/// The columns of a row, as text.
fn row(body: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = body.split_first_chunk()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (column, after) = after.split_at_checked(length)?;
        columns.push(String::from_utf8_lossy(column).into_owned());
        rest = after;
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_with_a_null_and_a_text_is_read() {
        let body = [0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3, b'a', b'b', b'c'];
        assert_eq!(row(&body), Some(vec![String::new(), "abc".into()]));
        assert_eq!(row(&body[..12]), None);
    }

    #[test]
    fn field_of_a_notice_is_found_by_its_code() {
        let body = b"SWARNUNG\0VWARNING\0C01000\0Mcanceling wait\0\0";
        assert_eq!(field(body, b'V'), "WARNING");
        assert_eq!(field(body, b'M'), "canceling wait");
        assert_eq!(field(body, b'X'), "");
    }
}
