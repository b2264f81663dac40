//! What became of each line.

use core::fmt;
use std::path::PathBuf;

use super::keyword::{Keyword, Ours};
use super::tree::Statement;

/// A line of one of the files that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the file, in the order they were opened.
    pub(super) file: usize,
    /// From 1.
    pub(super) line: usize,
}

/// What became of a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has the same name here: what is written.
    Taken(String),
    /// It has another name here: what is written.
    Renamed(String),
    /// vrrpd does so without being told: why.
    Needless(String),
    /// It is left out, as vrrpd has nothing like it: why.
    NoCounterpart(String),
    /// It is left out or changed, as its value cannot be taken: why.
    Changed(String),
    /// keepalived has no such keyword.
    Unknown,
}

/// How many lines ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken, under the same or another name.
    pub taken: usize,
    /// Not needed.
    pub needless: usize,
    /// Left out or changed: to be looked at.
    pub open: usize,
}

/// A line of the old configuration and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: usize,
    /// The keyword and its words.
    pub subject: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// Notes while they are made.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<(Place, String, Verdict)>);

impl Notes {
    /// Notes what became of `statement`.
    pub(super) fn add(&mut self, statement: &Statement, verdict: Verdict) {
        self.put(statement.place, &statement.words.join(" "), verdict);
    }

    /// It is written so: `key = value`, under the same name or another.
    pub(super) fn key(&mut self, statement: &Statement, written: impl Into<String>) {
        let written = written.into();
        let same = written.split(" = ").next() == Some(statement.keyword());
        let verdict = if same {
            Verdict::Taken(written)
        } else {
            Verdict::Renamed(written)
        };
        self.add(statement, verdict);
    }

    /// It is left out or changed.
    pub(super) fn changed(&mut self, statement: &Statement, why: impl Into<String>) {
        self.add(statement, Verdict::Changed(why.into()));
    }

    /// It says what the table of keywords says of it.
    pub(super) fn plain(&mut self, statement: &Statement, keyword: Option<&Keyword>) {
        let verdict = match keyword {
            None => Verdict::Unknown,
            Some(keyword) => match keyword.ours {
                Ours::Needless => Verdict::Needless(keyword.remark.to_owned()),
                Ours::None => Verdict::NoCounterpart(keyword.remark.to_owned()),
                Ours::Keys(keys) => Verdict::Renamed(keys.join(", ")),
            },
        };
        self.add(statement, verdict);
    }

    /// Notes what became of `what` at `place`.
    pub(super) fn put(&mut self, place: Place, what: &str, verdict: Verdict) {
        self.0.push((place, subject(what), verdict));
    }

    /// Takes the notes of what stands in `block`: of a block that is left out
    /// only those that say why.
    pub(super) fn absorb(&mut self, inner: Self, block: &Statement, left_out: bool) {
        let block = subject(&block.words.join(" "));
        let mut inner = inner.0;
        inner.retain(|(_, subject, _)| !left_out || *subject == block);
        self.0.append(&mut inner);
    }

    /// All notes, in the order of their lines.
    pub(super) fn finish(mut self, files: &[PathBuf]) -> Vec<Note> {
        self.0.sort_by_key(|(place, _, _)| *place);
        let note = |(place, subject, verdict): (Place, String, Verdict)| Note {
            file: files.get(place.file).cloned().unwrap_or_default(),
            line: place.line,
            subject,
            verdict,
        };
        self.0.into_iter().map(note).collect()
    }
}

/// `FILE:LINE: SUBJECT: VERDICT`, one line.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: ",
            self.file.display(),
            self.line,
            self.subject
        )?;
        match &self.verdict {
            Verdict::Taken(what) => write!(f, "taken as {what}"),
            Verdict::Renamed(what) => write!(f, "now {what}"),
            Verdict::Needless(why) => write!(f, "not needed: {why}"),
            Verdict::NoCounterpart(why) => write!(f, "no counterpart: {why}"),
            Verdict::Changed(why) => write!(f, "mind: {why}"),
            Verdict::Unknown => f.write_str("unknown: keepalived.conf(5) has no such keyword here"),
        }
    }
}

/// `text` on one line.
fn subject(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    text.trim().to_owned()
}

impl Tally {
    /// Counts `notes`.
    pub fn of(notes: &[Note]) -> Self {
        let mut tally = Self::default();
        for note in notes {
            match note.verdict {
                Verdict::Taken(_) | Verdict::Renamed(_) => tally.taken += 1,
                Verdict::Needless(_) => tally.needless += 1,
                Verdict::NoCounterpart(_) | Verdict::Changed(_) | Verdict::Unknown => {
                    tally.open += 1;
                }
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} taken, {} not needed, {} to look at",
            self.taken, self.needless, self.open
        )
    }
}
