//! The worked example of vrrpd-plugin(7) is what the two sides really say.
#![forbid(unsafe_code)]

use replicator::plugin::rpc::{FromPlugin, FromReplicator};
use replicator::plugin::{Description, Followed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The lines of the example, each whole, with who says it: `>` to the plugin.
fn example() -> Vec<(char, String)> {
    let page = include_str!("../../man/vrrpd-plugin.7");
    let (_, example) = page.split_once(".Bd -literal\n").expect("an example");
    let (example, _) = example.split_once(".Ed").expect("its end");
    let mut lines: Vec<(char, String)> = Vec::new();
    for line in example.lines() {
        if let Some(more) = line.strip_prefix("   ") {
            let (_, last) = lines.last_mut().expect("a line before its continuation");
            last.push_str(more);
        } else {
            let (who, line) = line.split_once(' ').expect("who says it");
            lines.push((who.parse().expect("one sign"), line.to_owned()));
        }
    }
    lines
}

/// Reads `line`, and writes it again: nothing of it is unknown or missing.
fn round_trip<T: Serialize + DeserializeOwned>(line: &str) {
    let read: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let shown: Value = serde_json::from_str(line).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), shown);
}

#[test]
fn every_line_is_of_the_protocol() {
    let (mut asked, mut said) = (0, 0);
    for (who, line) in example() {
        if who == '>' {
            asked += 1;
            round_trip::<FromReplicator>(&line);
        } else {
            assert_eq!(who, '<');
            said += 1;
            round_trip::<FromPlugin>(&line);
        }
    }
    assert_eq!((asked, said), (4, 5));
}

#[test]
fn answers_are_what_their_requests_ask_for() {
    let results: Vec<Value> = example()
        .iter()
        .filter(|(who, _)| *who == '<')
        .filter_map(|(_, line)| match serde_json::from_str(line) {
            Ok(FromPlugin::Result { result, .. }) => Some(result),
            _ => None,
        })
        .collect();
    let [described, followed, promoted] = &results[..] else {
        panic!("three requests succeed: {results:?}");
    };
    let described: Description = serde_json::from_value(described.clone()).unwrap();
    assert_eq!(described.protocol, replicator::plugin::PROTOCOL);
    let followed: Followed = serde_json::from_value(followed.clone()).unwrap();
    assert_eq!(followed, Followed::Following);
    assert_eq!(*promoted, serde_json::json!({}));
}
