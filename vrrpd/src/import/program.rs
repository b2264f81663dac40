//! A script of keepalived's as a command: a program by its absolute path, and
//! its arguments.

use super::around::Around;
use super::word::arguments;

/// What a script is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The program and its arguments.
    pub(super) argv: Vec<String>,
    /// What to look at.
    pub(super) mind: Option<String>,
}

/// Programs that look at other users' processes.
const LOOKERS: [&str; 5] = ["killall", "pgrep", "pidof", "pkill", "ps"];

/// What a shell does something with.
const SHELL: [char; 9] = ['<', '>', '|', '&', ';', '`', '(', '*', '~'];

/// Reads `script`; `None` if it is empty.
pub(super) fn program(script: &str, around: &dyn Around) -> Option<Program> {
    let mut argv = arguments(script);
    let first = argv.first().filter(|first| !first.is_empty())?.clone();
    if first.starts_with('/') {
        return Some(with_care(argv));
    }
    if first.contains(SHELL) || (!first.contains('/') && script.contains(SHELL)) {
        // /dev/tcp and /dev/udp are bash's own.
        let shell = if script.contains("/dev/tcp/") || script.contains("/dev/udp/") {
            "/bin/bash"
        } else {
            "/bin/sh"
        };
        return Some(Program {
            argv: [shell, "-c", script].map(str::to_owned).to_vec(),
            mind: None,
        });
    }
    match around.program(&first).filter(|_| !first.contains('/')) {
        Some(path) => {
            argv[0] = path.display().to_string();
            Some(with_care(argv))
        }
        None => {
            argv[0] = format!("/usr/bin/{}", first.trim_start_matches("./"));
            let mind = format!("{first} was not found on this machine: correct its path");
            Some(Program {
                argv,
                mind: Some(mind),
            })
        }
    }
}

fn with_care(argv: Vec<String>) -> Program {
    let name = argv[0].rsplit('/').next().unwrap_or_default();
    let mind = LOOKERS.contains(&name).then(|| {
        let signals = if matches!(name, "killall" | "pkill") {
            ", and has no right to signal them: use pgrep -x"
        } else {
            ""
        };
        format!(
            "vrrpd is not root, so {name} sees the processes of others only with ProtectProc=default in a drop-in of vrrpd.service{signals}"
        )
    });
    Program { argv, mind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::{Path, PathBuf};

    struct Bin;

    impl Around for Bin {
        fn read(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn names(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }

        fn program(&self, name: &str) -> Option<PathBuf> {
            (name == "killall" || name == "nc").then(|| Path::new("/usr/bin").join(name))
        }

        fn host_name(&self) -> String {
            String::new()
        }
    }

    fn argv(script: &str) -> (Vec<String>, bool) {
        let program = program(script, &Bin).unwrap();
        (program.argv, program.mind.is_some())
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_program_is_named_by_its_path() {
        assert_eq!(argv("/x 'a b' c|d"), (words(&["/x", "a b", "c|d"]), false));
        assert_eq!(
            argv("nc -z 127.0.0.1 80"),
            (words(&["/usr/bin/nc", "-z", "127.0.0.1", "80"]), false)
        );
        assert_eq!(argv("none -a"), (words(&["/usr/bin/none", "-a"]), true));
        assert_eq!(program("", &Bin), None);
        assert_eq!(program("''", &Bin), None);
    }

    #[test]
    fn what_needs_a_shell_is_given_one() {
        assert_eq!(
            argv("</dev/tcp/127.0.0.1/80"),
            (words(&["/bin/bash", "-c", "</dev/tcp/127.0.0.1/80"]), false)
        );
        assert_eq!(
            argv("nc -z a 80 || exit 1"),
            (words(&["/bin/sh", "-c", "nc -z a 80 || exit 1"]), false)
        );
    }

    #[test]
    fn programs_that_look_at_processes_are_minded() {
        assert_eq!(
            argv("killall -0 haproxy"),
            (words(&["/usr/bin/killall", "-0", "haproxy"]), true)
        );
    }
}
