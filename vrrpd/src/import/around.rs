//! What an import looks at besides the file itself.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the programs of keepalived's scripts are looked for.
const DIRECTORIES: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The machine that the configuration was written for.
pub trait Around {
    /// An included file's text.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn read(&self, file: &Path) -> io::Result<String>;

    /// The names in a directory; none if it cannot be read.
    fn names(&self, directory: &Path) -> Vec<String>;

    /// Where the program `name` is, which is not given by its path.
    fn program(&self, name: &str) -> Option<PathBuf>;

    /// What the machine is called.
    fn host_name(&self) -> String;
}

/// The machine this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Around for ThisMachine {
    fn read(&self, file: &Path) -> io::Result<String> {
        fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(directory) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect()
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let executable = |path: &PathBuf| {
            fs::metadata(path)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let candidates = DIRECTORIES.map(|directory| Path::new(directory).join(name));
        candidates.into_iter().find(executable)
    }

    fn host_name(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    }
}

/// The files that `pattern` means, in the order of their names. Each of its
/// parts may have `*`, `?` and `[...]`.
pub(super) fn matching(around: &dyn Around, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern {
        let part = part.to_string_lossy();
        if !part.contains(['*', '?', '[']) {
            for path in &mut found {
                path.push(&*part);
            }
            continue;
        }
        let pattern: Vec<char> = part.chars().collect();
        let mut next = Vec::new();
        for directory in found {
            let mut names = around.names(if directory.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &directory
            });
            names.retain(|name| {
                let hidden = name.starts_with('.') && pattern.first() != Some(&'.');
                !hidden && matches(&pattern, &name.chars().collect::<Vec<_>>())
            });
            names.sort();
            next.extend(names.into_iter().map(|name| directory.join(name)));
        }
        found = next;
    }
    found
}

/// Whether `name` is what `pattern` means: the last `*` takes more, one
/// character at a time, until the rest fits.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        let taken = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => one(&pattern[p..], name[n]),
            None => None,
        };
        match (taken, star) {
            (Some(taken), _) => {
                p += taken;
                n += 1;
            }
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// How much of `pattern` stands for `c`, if its beginning does.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern[0] {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().skip(2).position(|&c| c == ']')? + 2;
            let class = &pattern[1..end];
            let negated = matches!(class[0], '!' | '^');
            let class = &class[usize::from(negated)..];
            let mut index = 0;
            let mut holds = false;
            while let Some(&first) = class.get(index) {
                match class.get(index + 1..index + 3) {
                    Some(&['-', last]) => {
                        holds |= (first..=last).contains(&c);
                        index += 3;
                    }
                    _ => {
                        holds |= first == c;
                        index += 1;
                    }
                }
            }
            (holds != negated).then_some(end + 1)
        }
        same => (same == c).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_the_shells() {
        let fits = |pattern: &str, name: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            matches(&chars(pattern), &chars(name))
        };
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*", ""),
            ("a*b*c", "aXbYbZc"),
            ("v?.conf", "v1.conf"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf.dpkg"),
            ("v?", "v"),
            ("[a-c]x", "dx"),
            ("[ab", "a"),
            ("a*b", "ac"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        assert_eq!(
            matching(&ThisMachine, &directory.path().join("*.conf")),
            ["a.conf", "b.conf"].map(|name| directory.path().join(name))
        );
        let exact = directory.path().join("none");
        assert_eq!(matching(&ThisMachine, &exact), [exact]);
    }
}
