//! The lines of a configuration, with comments gone, files included,
//! conditions decided and names replaced.

use std::path::{Path, PathBuf};

use super::Problem;
use super::around::{Around, matching};
use super::define::{Definitions, Kind, Repeated, bounds, definition, listed, repeated};
use super::note::Place;
use super::word::{Piece, pieces, uncommented};

/// Lines and rounds of one import; a `~SEQ` makes many of one.
const MAX_LINES: usize = 500_000;
/// Bytes that all replacements together may make.
const MAX_REPLACED: usize = 64 << 20;
/// A name may stand for a name, a repetition hold a repetition, a file include a file.
const MAX_DEPTH: usize = 32;

/// A line that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) text: String,
}

/// What was read.
pub(super) struct Expanded {
    pub(super) lines: Vec<Line>,
    /// The files, by the index that places have.
    pub(super) files: Vec<PathBuf>,
    /// Included files that are not there, or cannot be read.
    pub(super) unread: Vec<(Place, String)>,
}

/// Reads `text`, which `file` holds. Lines that begin with `@` and another
/// word than `config_id` are left out.
pub(super) fn expand(
    text: &str,
    file: &Path,
    config_id: &str,
    around: &dyn Around,
) -> Result<Expanded, (Problem, Vec<PathBuf>)> {
    let mut expander = Expander {
        config_id,
        around,
        definitions: Definitions::default(),
        out: Expanded {
            lines: Vec::new(),
            files: Vec::new(),
            unread: Vec::new(),
        },
        steps: 0,
        replaced: 0,
    };
    expander.definitions.set("_INSTANCE", around.host_name());
    match expander.file(text, file, 0) {
        Ok(()) => Ok(expander.out),
        Err(problem) => Err((problem, expander.out.files)),
    }
}

struct Expander<'a> {
    config_id: &'a str,
    around: &'a dyn Around,
    definitions: Definitions,
    out: Expanded,
    steps: usize,
    replaced: usize,
}

impl Expander<'_> {
    fn file(&mut self, text: &str, path: &Path, depth: usize) -> Result<(), Problem> {
        let file = self.out.files.len();
        self.out.files.push(path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.definitions
            .set("_PWD", directory.display().to_string());
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let place = Place {
                file,
                line: index + 1,
            };
            let (mut whole, mut continued) = uncommented(line);
            while continued {
                let Some((_, line)) = lines.next() else {
                    break;
                };
                let (next, more) = uncommented(line);
                whole.push('\n');
                whole.push_str(&next);
                continued = more;
            }
            if !self.defines(&whole) {
                whole = whole.replace('\n', " ");
            }
            match included(&whole) {
                Some(pattern) => {
                    self.include(&directory.join(pattern), place, depth)?;
                    self.definitions
                        .set("_PWD", directory.display().to_string());
                }
                None => self.line(&whole, place, depth)?,
            }
        }
        Ok(())
    }

    fn include(&mut self, pattern: &Path, place: Place, depth: usize) -> Result<(), Problem> {
        if depth == MAX_DEPTH {
            return Err(Problem::at(
                place,
                "includes files in files without end: remove one",
            ));
        }
        let files = matching(self.around, pattern);
        if files.is_empty() {
            let why = format!("{}: no such file", pattern.display());
            self.out.unread.push((place, why));
        }
        for file in files {
            match self.around.read(&file) {
                Ok(text) => self.file(&text, &file, depth + 1)?,
                Err(error) => {
                    let why = format!("{}: {error}", file.display());
                    self.out.unread.push((place, why));
                }
            }
        }
        Ok(())
    }

    /// Whether a line is a definition, after its conditions: those keep their lines.
    fn defines(&self, mut text: &str) -> bool {
        while let Some(condition) = text.strip_prefix('@') {
            let (_, rest) = first_word(condition);
            text = rest;
        }
        definition(text).is_some()
    }

    fn line(&mut self, text: &str, place: Place, depth: usize) -> Result<(), Problem> {
        if depth == MAX_DEPTH {
            return Err(Problem::at(
                place,
                "has names that stand for one another without end: mend their definitions",
            ));
        }
        self.step(place)?;
        let text = text.trim();
        if let Some(condition) = text.strip_prefix('@') {
            let (word, rest) = first_word(condition);
            let holds = match word.strip_prefix('^') {
                Some(not) => not != self.config_id,
                None => word == self.config_id,
            };
            return if holds {
                self.line(rest, place, depth + 1)
            } else {
                Ok(())
            };
        }
        if let Some((name, value)) = definition(text) {
            self.definitions.set(name, value);
            return Ok(());
        }
        if let Some(found) = repeated(text) {
            return self.repeat(&found, place, depth);
        }
        match self.definitions.replaced(text) {
            None if text.is_empty() => Ok(()),
            None => {
                self.out.lines.push(Line {
                    place,
                    text: text.to_owned(),
                });
                Ok(())
            }
            Some(replaced) => {
                self.replaced = self.replaced.saturating_add(replaced.len());
                if self.replaced > MAX_REPLACED {
                    return Err(Problem::at(
                        place,
                        "has names that stand for too much text: mend their definitions",
                    ));
                }
                // What was one line may be several, each for itself.
                replaced
                    .split('\n')
                    .try_for_each(|line| self.line(line, place, depth + 1))
            }
        }
    }

    fn repeat(&mut self, found: &Repeated<'_>, place: Place, depth: usize) -> Result<(), Problem> {
        let Some((&variable, arguments)) = found.arguments.split_first() else {
            return Ok(());
        };
        if found.kind == Kind::List {
            let names = listed(variable);
            for round in arguments {
                for (name, value) in names.iter().zip(listed(round)) {
                    self.definitions.set(name, value);
                }
                self.step(place)?;
                self.line(found.rest, place, depth + 1)?;
            }
            return Ok(());
        }
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&text| self.definitions.replaced(text).unwrap_or(text.to_owned()))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some((start, step, end)) = bounds(&arguments) else {
            return Err(Problem::at(
                place,
                "has a ~SEQ without a range: write ~SEQ(variable, start, step, end)",
            ));
        };
        let mut now = start;
        while if step > 0 { now <= end } else { now >= end } {
            let value = match found.kind {
                Kind::Hexadecimal => format!("{now:x}"),
                Kind::Decimal | Kind::List => now.to_string(),
            };
            self.definitions.set(variable, value);
            self.step(place)?;
            self.line(found.rest, place, depth + 1)?;
            let Some(next) = now.checked_add(step) else {
                break;
            };
            now = next;
        }
        Ok(())
    }

    fn step(&mut self, place: Place) -> Result<(), Problem> {
        self.steps += 1;
        if self.steps > MAX_LINES {
            return Err(Problem::at(
                place,
                format!("makes more than {MAX_LINES} lines: import the files one by one"),
            ));
        }
        Ok(())
    }
}

/// The word that `text` begins with, and the rest.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// The file that an `include` line names.
fn included(text: &str) -> Option<String> {
    let (keyword, rest) = first_word(text);
    let suffix = keyword.strip_prefix("include")?;
    if !matches!(suffix, "" | "r" | "m" | "w" | "b" | "a") {
        return None;
    }
    match pieces(rest).into_iter().next()? {
        Piece::Word(file) => Some(file),
        Piece::Open | Piece::Close => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io;

    struct Files(BTreeMap<&'static str, &'static str>);

    impl Around for Files {
        fn read(&self, file: &Path) -> io::Result<String> {
            let text = file.to_str().and_then(|file| self.0.get(file));
            text.map(|&text| text.to_owned())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn names(&self, directory: &Path) -> Vec<String> {
            let files = self.0.keys().map(Path::new);
            files
                .filter(|file| file.parent() == Some(directory))
                .filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()))
                .collect()
        }

        fn program(&self, _: &str) -> Option<PathBuf> {
            None
        }

        fn host_name(&self) -> String {
            "host".to_owned()
        }
    }

    fn read(text: &str, files: &[(&'static str, &'static str)]) -> Result<Vec<String>, String> {
        let around = Files(files.iter().copied().collect());
        expand(text, Path::new("/etc/k/k.conf"), "main", &around)
            .map(|expanded| expanded.lines.into_iter().map(|line| line.text).collect())
            .map_err(|(problem, _)| format!("{}: {}", problem.place.line, problem.what))
    }

    #[test]
    fn conditions_are_decided_by_the_configuration_id() {
        assert_eq!(
            read(
                "@main a\n@other b\n@^main c\n@^other d\n@main @^other e",
                &[]
            )
            .unwrap(),
            ["a", "d", "e"]
        );
        assert_eq!(
            read("$IF=@main\n$IF a\n@main $P=1\n@other $P=2\np $P", &[]).unwrap(),
            ["a", "p 1"]
        );
    }

    #[test]
    fn names_are_replaced_when_they_are_used() {
        let text = "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.1\n$SUB=10\n${BASE}.1 ${_PWD}";
        assert_eq!(read(text, &[]).unwrap(), ["10.2.0.1", "10.2.10.1 /etc/k"]);
    }

    #[test]
    fn a_definition_may_have_lines() {
        let text =
            "$I= \\\nvrrp_instance VI_${N} { \\\n  priority $N \\\n}\n\n$N=1\n$I\n$N=2\n$I\n";
        assert_eq!(
            read(text, &[]).unwrap(),
            [
                "vrrp_instance VI_1 {",
                "priority 1",
                "}",
                "vrrp_instance VI_2 {",
                "priority 2",
                "}"
            ]
        );
        let nested = "$B= \\\n$N=7 \\\n$A\n$A= \\\nx $N \\\ny\n$B";
        assert_eq!(read(nested, &[]).unwrap(), ["x 7", "y"]);
        assert_eq!(read("lvs a \\\n b", &[]).unwrap(), ["lvs a b"]);
    }

    #[test]
    fn lines_are_repeated() {
        assert_eq!(
            read(
                "~SEQx(A, 0x9, 2) ~LST({B, C}, {1,2}, {3,4}) ${A}.${B}.${C}",
                &[]
            )
            .unwrap()
            .len(),
            16
        );
        assert_eq!(
            read("~SEQ(A, 0, 2) ip ${A}", &[]).unwrap(),
            ["ip 0", "ip 1", "ip 2"]
        );
        assert_eq!(read("~SEQx(A, 15, 16) ${A}", &[]).unwrap(), ["f", "10"]);
        assert!(
            read("~SEQ(A, x) a", &[])
                .unwrap_err()
                .starts_with("1: has a ~SEQ")
        );
        assert!(
            read("\n~SEQ(A, 0, 9223372036854775807) a", &[])
                .unwrap_err()
                .starts_with("2: makes more than")
        );
    }

    #[test]
    fn files_are_included_from_where_they_are() {
        let files = [
            ("/etc/k/conf.d/b.conf", "b ${_PWD}"),
            ("/etc/k/conf.d/a.conf", "a\ninclude sub/c"),
            ("/etc/k/conf.d/sub/c", "c"),
        ];
        assert_eq!(
            read("include conf.d/*.conf\nlast ${_PWD}", &files).unwrap(),
            ["a", "c", "b /etc/k/conf.d", "last /etc/k"]
        );
        assert_eq!(read("includer none\nx", &files).unwrap(), ["x"]);
        assert!(
            read("include k.conf", &[("/etc/k/k.conf", "include k.conf")])
                .unwrap_err()
                .contains("without end")
        );
    }

    #[test]
    fn what_never_ends_is_refused() {
        assert!(
            read("$A=${A}\n${A}", &[])
                .unwrap_err()
                .contains("without end")
        );
        let twice = "$A=${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}\n${A}";
        assert!(read(twice, &[]).is_err());
    }
}
