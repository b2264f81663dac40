//! What is asked and answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;
use crate::configure::Wish;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// The [`super::status::Status`].
    Status,
    /// The journal's new entries as they come, until the client leaves. The
    /// server answers it by itself.
    Watch,
    /// Hand the Primary status over; answered when it has been begun.
    Switchover {
        /// The epoch in which the order is given; the present one if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
    },
    /// Become Primary by an operator's word, though commits may be lost; answered
    /// when the order is taken.
    Promote {
        /// Both others are attested to be off: without their promises.
        #[serde(default)]
        alone: bool,
    },
    /// Begin maintenance: no failover but by an order.
    Pause,
    /// End it.
    Resume,
    /// The journal: a list of [`Entry`].
    Log,
    /// Read the configuration again; answered when it is in force.
    Reload,
    /// Form a pool, or leave it; answered with what happens, a list of
    /// sentences, before it does.
    Configure {
        /// What this manager shall be.
        wish: Wish,
        /// Only tell what would happen.
        #[serde(default)]
        dry_run: bool,
    },
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// Done; what was asked for.
    Ok(Value),
    /// Refused or failed: why, in one line.
    Error(String),
    /// To who watches.
    Event(Entry),
}

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in one line.
    pub fn parse(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| {
            format!(
                "not a request: {error}: send e.g. {{\"command\":\"status\"}}, one object a line"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_these_lines() {
        for (line, request) in [
            (r#"{"command":"status"}"#, Request::Status),
            (r#"{"command":"watch"}"#, Request::Watch),
            (r#"{"command":"log"}"#, Request::Log),
            (r#"{"command":"reload"}"#, Request::Reload),
            (r#"{"command":"pause"}"#, Request::Pause),
            (
                r#"{"command":"promote","alone":true}"#,
                Request::Promote { alone: true },
            ),
            (r#"{"command":"resume"}"#, Request::Resume),
            (
                r#"{"command":"switchover"}"#,
                Request::Switchover { epoch: None },
            ),
            (
                r#"{"command":"switchover","epoch":"7.a"}"#,
                Request::Switchover {
                    epoch: Some("7.a".to_owned()),
                },
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(Request::parse(line), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_told_so() {
        assert_eq!(
            Request::parse(r#"{"command":"stats"}"#).unwrap_err(),
            "not a request: unknown variant `stats`, expected one of `status`, `watch`, \
             `switchover`, `promote`, `pause`, `resume`, `log`, `reload`, `configure` at line 1 column 18: send e.g. \
             {\"command\":\"status\"}, one object a line"
        );
        assert!(Request::parse("status").is_err());
        assert!(Request::parse(r#"{"command":"switchover","force":true}"#).is_err());
    }

    #[test]
    fn replies_are_these_lines() {
        let entry = Entry {
            time: "2026-01-31T09:15:02.123Z".to_owned(),
            boottime_ms: 5,
            line: "x".to_owned(),
        };
        for (reply, line) in [
            (Reply::Ok(Value::Null), r#"{"ok":null}"#),
            (Reply::Error("no".to_owned()), r#"{"error":"no"}"#),
            (
                Reply::Event(entry),
                r#"{"event":{"time":"2026-01-31T09:15:02.123Z","boottime_ms":5,"line":"x"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&reply).unwrap(), line);
        }
    }
}
