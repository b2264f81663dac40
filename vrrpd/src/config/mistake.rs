//! What is wrong in a configuration file, and where.

use core::cell::RefCell;
use core::fmt;
use std::path::Path;

/// All mistakes of one file, in the order of their places; prints one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// The file could not be read at all.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error, page: &str) -> Self {
        Self(vec![format!(
            "{}: cannot be read: {error}: name the file with -c; see {page}",
            file.display()
        )])
    }

    /// One line a mistake.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// Gathers the mistakes of a file while it is read.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    page: &'static str,
    found: RefCell<Vec<(usize, String)>>,
}

impl<'a> Report<'a> {
    /// `page` is the man page that describes the file.
    pub(super) fn new(file: &'a Path, text: &'a str, page: &'static str) -> Self {
        Self {
            file,
            text,
            page,
            found: RefCell::default(),
        }
    }

    /// Notes a mistake at byte `at`: what is wrong, a colon, how to mend it.
    pub(super) fn add(&self, at: usize, what: impl Into<String>) {
        self.found.borrow_mut().push((at, what.into()));
    }

    /// The mistakes, or `value` if there are none.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Mistakes> {
        let mut found = self.found.take();
        if found.is_empty() {
            return Ok(value.expect("a file without a mistake gives a configuration"));
        }
        found.sort_by_key(|&(at, _)| at);
        let lines = found.into_iter().map(|(at, what)| {
            let (line, column) = place(self.text, at);
            format!(
                "{}:{line}:{column}: {what}; see {}",
                self.file.display(),
                self.page
            )
        });
        Err(Mistakes(lines.collect()))
    }
}

/// Line and column of byte `at`, both from 1, columns in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nä = \"ö\"\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 4), (1, 5));
        assert_eq!(place(text, 6), (2, 1));
        assert_eq!(place(text, 11), (2, 5));
        assert_eq!(place(text, 9999), (3, 1));
    }

    #[test]
    fn mistakes_are_told_in_the_order_of_their_places() {
        let report = Report::new(Path::new("x.toml"), "a\nb\n", "x.toml(5)");
        report.add(2, "second is wrong: mend it");
        report.add(0, "first is wrong: mend it");
        assert_eq!(
            report.finish(Some(())).unwrap_err().to_string(),
            "x.toml:1:1: first is wrong: mend it; see x.toml(5)\n\
             x.toml:2:1: second is wrong: mend it; see x.toml(5)"
        );
    }
}
