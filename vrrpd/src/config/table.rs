//! A table of a TOML file, read key by key.
//!
//! Every getter notes what is wrong and goes on, so that one reading finds all
//! mistakes; [`Table::finish`] notes the keys that nobody asked for.

use core::cell::RefCell;
use core::fmt::Display;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::net::IpAddr;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Report;
use super::value;

/// A value and the byte it begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) at: usize,
    pub(super) value: T,
}

/// A table, what it is called and where it begins.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) report: &'a Report<'a>,
    /// As the file writes it, e.g. `[pool]`.
    name: String,
    pub(super) at: usize,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        report: &'a Report<'a>,
        name: impl Into<String>,
        table: &'a Spanned<DeTable<'a>>,
    ) -> Self {
        Self::named(report, name.into(), table.span().start, table.get_ref())
    }

    fn named(report: &'a Report<'a>, name: String, at: usize, entries: &'a DeTable<'a>) -> Self {
        Self {
            report,
            name,
            at,
            entries,
            asked: RefCell::default(),
        }
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where `key` stands.
    pub(super) fn place_of(&self, key: &str) -> Option<usize> {
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(name, _)| name.span().start)
    }

    /// Notes a mistake at `key`, or at the table when it is not there.
    pub(super) fn wrong(&self, key: &str, what: impl Into<String>) {
        self.report.add(self.place_of(key).unwrap_or(self.at), what);
    }

    /// Notes that `key` must be there; `example` shows how to write it.
    pub(super) fn missing(&self, key: &str, example: &str) {
        self.report.add(
            self.at,
            format!("{key} is missing{}: add {example}", self.within()),
        );
    }

    /// ` in [table]`, nothing for the file itself.
    fn within(&self) -> String {
        if self.name.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.name)
        }
    }

    /// Whether `key` is there, else notes that it must be.
    pub(super) fn require(&self, key: &str, example: &str) {
        if !self.has(key) {
            self.missing(key, example);
        }
    }

    /// A string that is not empty.
    pub(super) fn string(&self, key: &str) -> Option<At<String>> {
        let value = self.value(key)?;
        let DeValue::String(text) = value.get_ref() else {
            return self.mistyped(key, value, "a string, in quotes");
        };
        if text.is_empty() {
            self.report.add(
                value.span().start,
                format!("{key} is empty: give it a value, or leave it out"),
            );
            return None;
        }
        Some(at(value, text.to_string()))
    }

    /// A number in `range`; `hint` says what to use.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
        hint: &str,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.mistyped(key, value, "a number");
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.report.add(
                value.span().start,
                format!("{key} {integer} is out of range: use {hint}"),
            );
        }
        Some(at(value, number?))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: &str) -> Option<At<bool>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(at(value, *truth)),
            _ => self.mistyped(key, value, "true or false"),
        }
    }

    /// One of `choices`.
    pub(super) fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Option<At<T>> {
        let text = self.string(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == text.value);
        if chosen.is_none() {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            self.report.add(
                text.at,
                format!(
                    "{key} \"{}\" is unknown: use {}",
                    text.value,
                    names.join(" or ")
                ),
            );
        }
        chosen.map(|(_, value)| At {
            at: text.at,
            value: value.clone(),
        })
    }

    /// A duration in `range`, e.g. `"200ms"`.
    pub(super) fn duration(
        &self,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<At<Duration>> {
        let found = self.value(key)?;
        let DeValue::String(text) = found.get_ref() else {
            return self.mistyped(key, found, "a duration in quotes, e.g. \"200ms\"");
        };
        let place = found.span().start;
        let Some(duration) = value::duration(text) else {
            self.report.add(
                place,
                format!(
                    "{key} \"{text}\" is no duration: write a whole number and ms, s, m or h, e.g. \"200ms\""
                ),
            );
            return None;
        };
        if !range.contains(&duration) {
            self.report.add(
                place,
                format!(
                    "{key} \"{text}\" is out of range: use \"{}\" to \"{}\"",
                    value::written(*range.start()),
                    value::written(*range.end())
                ),
            );
            return None;
        }
        Some(at(found, duration))
    }

    /// The IP address of one host.
    pub(super) fn ip(&self, key: &str) -> Option<At<IpAddr>> {
        let text = self.string(key)?;
        self.parsed(key, &text, "192.0.2.11", |text| {
            let ip = text.parse().map_err(|_| "is not an IP address")?;
            value::unicast(ip)
        })
    }

    /// An absolute path.
    pub(super) fn path(&self, key: &str) -> Option<At<PathBuf>> {
        let text = self.string(key)?;
        if !text.value.starts_with('/') {
            self.report.add(
                text.at,
                format!(
                    "{key} \"{}\" is a relative path: begin it with /",
                    text.value
                ),
            );
            return None;
        }
        Some(At {
            at: text.at,
            value: text.value.into(),
        })
    }

    /// A list of strings, none empty.
    pub(super) fn strings(&self, key: &str) -> Option<At<Vec<At<String>>>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.mistyped(key, value, "a list of strings, in [ ]");
        };
        let mut strings = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) if !text.is_empty() => {
                    strings.push(at(item, text.to_string()))
                }
                DeValue::String(_) => self.report.add(
                    item.span().start,
                    format!("a string in {key} is empty: remove it"),
                ),
                other => self.report.add(
                    item.span().start,
                    format!("{key} holds {}: it holds strings, in quotes", kind(other)),
                ),
            }
        }
        Some(at(value, strings))
    }

    /// A list of values that are written as strings.
    pub(super) fn list<T>(
        &self,
        key: &str,
        example: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<At<Vec<At<T>>>> {
        let strings = self.strings(key)?;
        let value = strings
            .value
            .iter()
            .filter_map(|text| self.parsed(key, text, example, &parse))
            .collect();
        Some(At {
            at: strings.at,
            value,
        })
    }

    /// A list of numbers in `range`.
    pub(super) fn numbers<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<At<Vec<At<T>>>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.mistyped(key, value, "a list of numbers, in [ ]");
        };
        let mut numbers = Vec::with_capacity(array.len());
        for item in array.iter() {
            let number = item
                .get_ref()
                .as_integer()
                .and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok())
                .filter(|number| range.contains(number))
                .and_then(|number| T::try_from(number).ok());
            match number {
                Some(number) => numbers.push(at(item, number)),
                None => self.report.add(
                    item.span().start,
                    format!(
                        "{key} holds what is out of range: use numbers from {} to {}",
                        range.start(),
                        range.end()
                    ),
                ),
            }
        }
        Some(at(value, numbers))
    }

    /// A program and its arguments: a string (no arguments) or a list.
    pub(super) fn command(&self, key: &str) -> Option<At<Vec<String>>> {
        let value = self.value(key)?;
        let argv = match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => vec![text.to_string()],
            DeValue::Array(_) => {
                let strings = self.strings(key)?.value;
                strings.into_iter().map(|text| text.value).collect()
            }
            _ => {
                return self.mistyped(
                    key,
                    value,
                    "a program: \"/path\" or [\"/path\", \"argument\"]",
                );
            }
        };
        if argv.is_empty() {
            self.report.add(
                value.span().start,
                format!("{key} is empty: name a program, or leave {key} out"),
            );
            return None;
        }
        Some(at(value, argv))
    }

    /// The table `[key]`.
    pub(super) fn table(&self, key: &str) -> Option<Table<'a>> {
        let value = self.value(key)?;
        let name = self.name_of(key);
        match value.get_ref() {
            DeValue::Table(entries) => {
                Some(Table::named(self.report, name, value.span().start, entries))
            }
            _ => self.mistyped(key, value, &format!("a table: write {name}")),
        }
    }

    /// The tables `[[key]]`.
    pub(super) fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let name = format!("[[{key}]]");
        let how = format!("a list of tables: write {name}");
        let DeValue::Array(array) = value.get_ref() else {
            self.mistyped::<()>(key, value, &how);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(Table::named(
                        self.report,
                        name.clone(),
                        item.span().start,
                        entries,
                    ));
                }
                _ => {
                    self.mistyped::<()>(key, item, &how);
                }
            }
        }
        tables
    }

    /// Takes every key for known: another program's.
    pub(super) fn opaque(self) {}

    /// Notes the keys that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.take();
        let within = self.within();
        for (key, value) in self.entries {
            if asked.iter().any(|known| known == key.get_ref()) {
                continue;
            }
            let what = match value.get_ref() {
                DeValue::Table(_) => "section",
                DeValue::Array(array) if array.iter().any(|item| item.get_ref().is_table()) => {
                    "section"
                }
                _ => "key",
            };
            let mend = match nearest(key.get_ref(), &asked) {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it, or look the name up".to_owned(),
            };
            self.report.add(
                key.span().start,
                format!("unknown {what} \"{}\"{}: {mend}", key.get_ref(), within),
            );
        }
    }

    /// Reads one text by `parse`, whose error follows the text in the message.
    fn parsed<T>(
        &self,
        key: &str,
        text: &At<String>,
        example: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<At<T>> {
        match parse(&text.value) {
            Ok(value) => Some(At { at: text.at, value }),
            Err(why) => {
                self.report.add(
                    text.at,
                    format!("{key} \"{}\" {why}: write e.g. \"{example}\"", text.value),
                );
                None
            }
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key.to_owned());
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    fn mistyped<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Option<T> {
        self.report.add(
            value.span().start,
            format!("{key} is {}: it must be {expected}", kind(value.get_ref())),
        );
        None
    }

    fn name_of(&self, key: &str) -> String {
        match self
            .name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(outer) => format!("[{}.{key}]", outer.trim_matches(['[', ']'])),
            None => format!("[{key}]"),
        }
    }
}

impl<T> At<T> {
    /// The value alone.
    pub(super) fn into(self) -> T {
        self.value
    }
}

/// Notes the second and later of equal values; `what` says what they are.
pub(super) fn unique<T: PartialEq + Display>(report: &Report<'_>, what: &str, values: &[At<T>]) {
    for (index, value) in values.iter().enumerate() {
        if values[..index]
            .iter()
            .any(|earlier| earlier.value == value.value)
        {
            report.add(
                value.at,
                format!("{what} {} is there twice: remove one", value.value),
            );
        }
    }
}

fn at<T>(found: &Spanned<DeValue<'_>>, value: T) -> At<T> {
    At {
        at: found.span().start,
        value,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known key that `key` may have been meant to be.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    let limit = (key.chars().count() / 3).max(2);
    let abridged = |name: &&String| key.len() >= 4 && name.starts_with(key);
    if let Some(name) = known.iter().find(abridged) {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (distance(key, name), name.as_str()))
        .filter(|&(distance, name)| distance <= limit && distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// How many letters to insert, remove or replace (Levenshtein); `-` is as good as `_`.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars()
            .map(|c| {
                if c == '-' {
                    '_'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested() {
        let known = ["advertise_interval", "addresses", "priority", "vrid"].map(str::to_owned);
        assert_eq!(
            nearest("advert_interval", &known),
            Some("advertise_interval")
        );
        assert_eq!(
            nearest("advertise-interval", &known),
            Some("advertise_interval")
        );
        assert_eq!(nearest("Priority", &known), Some("priority"));
        assert_eq!(nearest("address", &known), Some("addresses"));
        assert_eq!(nearest("advertise", &known), Some("advertise_interval"));
        assert_eq!(nearest("vird", &known), Some("vrid"));
        assert_eq!(nearest("garp_master_delay", &known), None);
        assert_eq!(nearest("x", &["a".to_owned()]), None);
    }
}
