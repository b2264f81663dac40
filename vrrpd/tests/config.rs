//! Whatever a configuration file holds, it is read whole or refused with every
//! mistake's place; nothing makes the reader panic.
#![forbid(unsafe_code)]

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use vrrpd::config::{Config, Host, Mistakes, arbiter};
use vrrpd::seal::Key;

/// A host whose programs are those in `/bin`, and whose keys are those in `/key`.
struct Somewhere;

impl Host for Somewhere {
    fn key(&self, path: &Path) -> Result<Key, String> {
        if path.starts_with("/key") {
            Key::parse(&"5a".repeat(32))
        } else {
            Err("is not there: make one".to_owned())
        }
    }

    fn program(&self, path: &Path) -> Result<(), String> {
        if path.starts_with("/bin") {
            Ok(())
        } else {
            Err("is not there: install it".to_owned())
        }
    }
}

/// `FILE:LINE:COLUMN: WHAT: HOW; see PAGE`, in the order of their places, and
/// each place is in `text`.
fn judge(text: &str, mistakes: &Mistakes, page: &str) -> Result<(), TestCaseError> {
    prop_assert!(!mistakes.lines().is_empty());
    let mut last = (0, 0);
    for line in mistakes.lines() {
        let place = line.strip_prefix("x.toml:").map(|rest| rest.splitn(3, ':'));
        let parts: Vec<&str> = place.map(Iterator::collect).unwrap_or_default();
        let [row, column, what] = parts[..] else {
            return Err(TestCaseError::fail(format!("no place: {line}")));
        };
        let here: (usize, usize) = (row.parse().unwrap(), column.parse().unwrap());
        prop_assert!(here >= last, "out of order: {}", line);
        last = here;
        let rows: Vec<&str> = text.split('\n').collect();
        prop_assert!((1..=rows.len()).contains(&here.0), "no such line: {}", line);
        let columns = rows[here.0 - 1].chars().count() + 1;
        prop_assert!((1..=columns).contains(&here.1), "no such column: {}", line);
        let what = what.strip_suffix(&format!("; see {page}"));
        prop_assert!(
            what.is_some_and(|what| what.contains(": ")),
            "no help: {}",
            line
        );
    }
    Ok(())
}

fn read_both(text: &str) -> Result<(), TestCaseError> {
    let file = Path::new("x.toml");
    if let Err(mistakes) = Config::parse(text, file, &Somewhere) {
        judge(text, &mistakes, "vrrpd.toml(5)")?;
    }
    if let Err(mistakes) = arbiter::Config::parse(text, file, &Somewhere) {
        judge(text, &mistakes, "arbiter.toml(5)")?;
    }
    Ok(())
}

/// The keys that a man page names, and the sections.
fn words(page: &str) -> (Vec<String>, Vec<String>) {
    let keys = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .filter_map(|line| line.split(" No = ").next())
        .flat_map(|keys| keys.split(" , "))
        .map(str::to_owned)
        .collect();
    let sections = page
        .lines()
        .filter_map(|line| line.strip_prefix(".Ss Section "))
        .map(str::to_owned)
        .collect();
    (keys, sections)
}

fn value() -> impl Strategy<Value = String> {
    let word = select(vec![
        "master",
        "backup",
        "standalone",
        "a",
        "b",
        "eth0",
        "arbiter",
        "peer",
        "auto",
        "rfc9568",
        "keepalived",
        "postgresql",
        "strict",
        "info",
        "physical",
        "/bin/x",
        "/none",
        "/key",
        "200ms",
        "1s",
        "30s",
        "9h",
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.100/24",
        "2001:db8::1/64",
        "fe80::1",
        "224.0.0.18",
        "",
        "é\\n",
    ]);
    let string = word.prop_map(|word| format!("\"{word}\""));
    let number = prop_oneof![-300_i64..300, any::<i64>()].prop_map(|number| number.to_string());
    let plain = prop_oneof![
        4 => string,
        2 => number,
        1 => select(vec!["true", "false", "1.5", "0x10", "1979-05-27", "{}", "{ a = 1 }"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => plain.clone(),
        1 => prop::collection::vec(plain, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
    ]
}

/// A file of sections and keys that exist, with values that may fit.
fn file() -> impl Strategy<Value = String> {
    let (mut keys, mut sections) = words(include_str!("../../man/vrrpd.toml.5"));
    let (more_keys, more_sections) = words(include_str!("../../man/arbiter.toml.5"));
    keys.extend(more_keys);
    sections.extend(more_sections);
    sections.push("[[pool]]".to_owned());
    assert!(
        keys.len() > 50 && sections.len() > 8,
        "{keys:?} {sections:?}"
    );
    let line = (select(keys), value()).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let lines = prop::collection::vec(line, 0..6)
        .prop_map(|lines| lines.concat())
        .boxed();
    let section = (select(sections), lines.clone())
        .prop_map(|(section, lines)| format!("{section}\n{lines}"));
    (lines, prop::collection::vec(section, 0..6))
        .prop_map(|(first, sections)| first + &sections.concat())
}

/// A legal file, and what may be put in the place of one of its values.
fn nearly_legal() -> impl Strategy<Value = String> {
    let legal = select(vec![
        include_str!("../../conf/master.toml"),
        include_str!("../../conf/backup.toml"),
        include_str!("../../conf/router.toml"),
        include_str!("../../conf/arbiter.toml"),
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), value()), 0..4);
    (legal, changes).prop_map(|(legal, changes)| {
        let mut lines: Vec<String> = legal.lines().map(str::to_owned).collect();
        for (index, value) in changes {
            let line = index.get_mut(&mut lines);
            if let Some((key, _)) = line.clone().split_once('=') {
                *line = format!("{key}= {value}");
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read_both(&text)?;
    }

    #[test]
    fn any_toml_is_read_or_refused(text in prop::collection::vec("[\\]\\[=\"'a-c0-9.,{}# \n\r\té-]{0,12}", 0..12)) {
        read_both(&text.concat())?;
    }

    #[test]
    fn any_keys_are_read_or_refused(text in file()) {
        read_both(&text)?;
    }

    #[test]
    fn a_changed_value_is_read_or_refused(text in nearly_legal()) {
        read_both(&text)?;
    }
}
