//! Statements: a keyword, its words, and the block in braces after it.

use super::Problem;
use super::expand::Line;
use super::note::Place;
use super::word::{Piece, pieces};

/// Blocks within blocks; keepalived has three.
const MAX_DEPTH: usize = 16;

/// A keyword with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) place: Place,
    /// The keyword and its words, at least one.
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Statement>>,
}

impl Statement {
    pub(super) fn keyword(&self) -> &str {
        &self.words[0]
    }

    /// The words after the keyword.
    pub(super) fn values(&self) -> &[String] {
        &self.words[1..]
    }

    /// The word after the keyword.
    pub(super) fn value(&self) -> Option<&str> {
        self.words.get(1).map(String::as_str)
    }

    /// What stands in its block.
    pub(super) fn inner(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// A block that is not closed yet, and what stands around it.
struct Opened {
    place: Place,
    words: Vec<String>,
    around: Vec<Statement>,
}

/// Reads the statements of `lines`.
pub(super) fn statements(lines: &[Line]) -> Result<Vec<Statement>, Problem> {
    let mut open: Vec<Opened> = Vec::new();
    let mut here = Vec::new();
    for line in lines {
        let place = line.place;
        let mut words = Vec::new();
        for piece in pieces(&line.text) {
            match piece {
                Piece::Word(word) => words.push(word),
                Piece::Open => {
                    let (place, words) = if words.is_empty() {
                        named(&mut here, place)?
                    } else {
                        (place, core::mem::take(&mut words))
                    };
                    if open.len() == MAX_DEPTH {
                        return Err(Problem::at(place, "is in too many blocks: close some"));
                    }
                    open.push(Opened {
                        place,
                        words,
                        around: core::mem::take(&mut here),
                    });
                }
                Piece::Close => {
                    end(&mut here, &mut words, place);
                    let Some(opened) = open.pop() else {
                        return Err(Problem::at(place, "} closes nothing: remove it"));
                    };
                    let block = core::mem::replace(&mut here, opened.around);
                    here.push(Statement {
                        place: opened.place,
                        words: opened.words,
                        block: Some(block),
                    });
                }
            }
        }
        end(&mut here, &mut words, place);
    }
    match open.pop() {
        None => Ok(here),
        Some(opened) => Err(Problem::at(
            opened.place,
            format!("{} {{ is never closed: add }}", opened.words.join(" ")),
        )),
    }
}

/// The keyword of a brace that stands on a line of its own: the one before.
fn named(here: &mut Vec<Statement>, place: Place) -> Result<(Place, Vec<String>), Problem> {
    match here.pop() {
        Some(statement) if statement.block.is_none() => Ok((statement.place, statement.words)),
        _ => Err(Problem::at(
            place,
            "{ has no keyword before it: add one, or remove the brace",
        )),
    }
}

fn end(here: &mut Vec<Statement>, words: &mut Vec<String>, place: Place) {
    if !words.is_empty() {
        here.push(Statement {
            place,
            words: core::mem::take(words),
            block: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Statement>, String> {
        let lines: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(index, text)| Line {
                place: Place {
                    file: 0,
                    line: index + 1,
                },
                text: text.to_owned(),
            })
            .collect();
        statements(&lines).map_err(|problem| format!("{}: {}", problem.place.line, problem.what))
    }

    fn shape(statements: &[Statement]) -> String {
        let one = |statement: &Statement| match &statement.block {
            None => statement.words.join(" "),
            Some(block) => format!("{} ({})", statement.words.join(" "), shape(block)),
        };
        statements.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn braces_stand_anywhere() {
        let same = "vrrp_instance A (priority 5; group (B C))";
        for text in [
            "vrrp_instance A {\n priority 5\n group {\n B C\n }\n}",
            "vrrp_instance A\n{\n priority 5\n group { B C } }",
            "vrrp_instance A{priority 5\ngroup{B C}}",
        ] {
            assert_eq!(shape(&read(text).unwrap()), same, "{text}");
        }
    }

    #[test]
    fn what_does_not_match_is_told() {
        assert_eq!(
            read("a {\nb\n").unwrap_err(),
            "1: a { is never closed: add }"
        );
        assert_eq!(read("a\n}").unwrap_err(), "2: } closes nothing: remove it");
        assert_eq!(
            read("{ a }").unwrap_err(),
            "1: { has no keyword before it: add one, or remove the brace"
        );
        assert_eq!(
            read("a { b } {").unwrap_err(),
            "1: { has no keyword before it: add one, or remove the brace"
        );
        assert!(read(&"a {".repeat(100_000)).is_err());
    }
}
