//! JSON-RPC 2.0, one object a line.

use core::fmt;
use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CANCELLED, Command, FAILED, Notification};

/// The longest line read, in bytes: far above what either side writes.
pub const LINE_MAX: u64 = 1 << 20;

/// Error code: not JSON.
pub const NOT_JSON: i32 = -32700;

/// Error code: no such method, or parameters that it does not take.
pub const NOT_A_REQUEST: i32 = -32600;

/// The protocol's version; anything else is refused when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// `"2.0"`.
    #[default]
    #[serde(rename = "2.0")]
    Two,
}

/// A line from the replicator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromReplicator {
    /// To be answered.
    Request {
        /// `"2.0"`.
        jsonrpc: Version,
        /// Repeated in the answer.
        id: u64,
        /// Its method and parameters.
        #[serde(flatten)]
        command: Command,
    },
    /// Ends the request being worked on.
    Cancel {
        /// `"2.0"`.
        jsonrpc: Version,
        /// `"cancel"`.
        method: Cancel,
    },
}

/// The method of [`FromReplicator::Cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancel {
    /// `"cancel"`.
    Cancel,
}

/// A line from the plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromPlugin {
    /// A request was done.
    Result {
        /// `"2.0"`.
        jsonrpc: Version,
        /// The request's.
        id: u64,
        /// As the method says.
        result: Value,
    },
    /// A request was not done.
    Error {
        /// `"2.0"`.
        jsonrpc: Version,
        /// The request's; absent if it could not be read.
        id: Option<u64>,
        /// Why.
        error: Failure,
    },
    /// Unasked.
    Notification {
        /// `"2.0"`.
        jsonrpc: Version,
        /// Its method and parameters.
        #[serde(flatten)]
        notification: Notification,
    },
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of error.
    pub code: i32,
    /// What, where, how to mend; one line.
    pub message: String,
}

impl Failure {
    /// It could not be done.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            message: message.into(),
        }
    }

    /// It was ended by `cancel`.
    pub fn cancelled() -> Self {
        Self {
            code: CANCELLED,
            message: "cancelled".to_owned(),
        }
    }

    /// Whether it was ended by `cancel`.
    pub const fn is_cancelled(&self) -> bool {
        self.code == CANCELLED
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Failure {}

/// Reads one line, without its end; `None` at the end of the input.
///
/// # Errors
///
/// The reader's, and `InvalidData` for a line above [`LINE_MAX`].
pub fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.take(LINE_MAX).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LINE_MAX && !line.ends_with('\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a line is longer than {LINE_MAX} bytes"),
        ));
    }
    line.truncate(line.trim_end().len());
    Ok(Some(line))
}

/// Writes `value` as one line and flushes it, in one write.
///
/// # Errors
///
/// The writer's.
pub fn write_line(writer: &mut (impl Write + ?Sized), value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Observation, Promote, Stop};
    use crate::role::CopyId;

    #[test]
    fn a_request_is_written_as_json_rpc() {
        let request = FromReplicator::Request {
            jsonrpc: Version::Two,
            id: 7,
            command: Command::Promote(Promote {
                copy: CopyId(0xee),
                synchronous: Some(CopyId(0xab)),
            }),
        };
        let line = r#"{"jsonrpc":"2.0","id":7,"method":"promote","params":{"copy":"00000000000000ee","synchronous":"00000000000000ab"}}"#;
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        assert_eq!(
            serde_json::from_str::<FromReplicator>(line).unwrap(),
            request
        );
    }

    #[test]
    fn every_kind_of_line_is_told_from_the_others() {
        let cancel = r#"{"jsonrpc":"2.0","method":"cancel"}"#;
        assert!(matches!(
            serde_json::from_str(cancel).unwrap(),
            FromReplicator::Cancel { .. }
        ));
        let observe = r#"{"jsonrpc":"2.0","id":1,"method":"observe","params":{}}"#;
        assert!(matches!(
            serde_json::from_str(observe).unwrap(),
            FromReplicator::Request {
                id: 1,
                command: Command::Observe {},
                ..
            }
        ));
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"clean":true}}"#;
        assert!(matches!(
            serde_json::from_str(result).unwrap(),
            FromPlugin::Result { id: 1, .. }
        ));
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}"#;
        assert!(matches!(
            serde_json::from_str(error).unwrap(),
            FromPlugin::Error { id: None, .. }
        ));
        let notification = FromPlugin::Notification {
            jsonrpc: Version::Two,
            notification: Notification::Observed(Observation::down("gone".to_owned())),
        };
        let line = serde_json::to_string(&notification).unwrap();
        assert!(
            line.starts_with(r#"{"jsonrpc":"2.0","method":"observed","params":{"server":"down""#)
        );
        assert_eq!(
            serde_json::from_str::<FromPlugin>(&line).unwrap(),
            notification
        );
    }

    #[test]
    fn another_version_or_method_is_refused() {
        for line in [
            r#"{"jsonrpc":"1.0","id":1,"method":"observe","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"demote","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{}}"#,
        ] {
            assert!(
                serde_json::from_str::<FromReplicator>(line).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn lines_are_read_to_their_end_and_bounded() {
        let mut written = Vec::new();
        write_line(&mut written, &Stop { prepare: true }).unwrap();
        assert_eq!(written, b"{\"prepare\":true}\n");
        let mut reader = &b"one\r\ntwo"[..];
        assert_eq!(read_line(&mut reader).unwrap().as_deref(), Some("one"));
        assert_eq!(read_line(&mut reader).unwrap().as_deref(), Some("two"));
        assert_eq!(read_line(&mut reader).unwrap(), None);
        let long = vec![b'x'; LINE_MAX as usize + 1];
        assert!(read_line(&mut &long[..]).is_err());
    }
}
