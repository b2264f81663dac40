//! What a configuration names outside its file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::seal::Key;

/// Looks at the files that a configuration names.
pub trait Host {
    /// The key in a key file.
    ///
    /// # Errors
    ///
    /// What is wrong with the file and how to mend it.
    fn key(&self, path: &Path) -> Result<Key, String>;

    /// Whether a program can be run.
    ///
    /// # Errors
    ///
    /// What is wrong with it and how to mend it.
    fn program(&self, path: &Path) -> Result<(), String>;
}

/// The host this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisHost;

impl Host for ThisHost {
    fn key(&self, path: &Path) -> Result<Key, String> {
        Key::read(path)
    }

    fn program(&self, path: &Path) -> Result<(), String> {
        if !path.is_absolute() {
            return Err("is not an absolute path: begin it with /".to_owned());
        }
        let metadata = fs::metadata(path).map_err(|error| {
            format!("cannot be found: {error}: install it, or correct the path")
        })?;
        if !metadata.is_file() {
            return Err("is not a file: name a program".to_owned());
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(format!("is not executable: chmod +x {}", path.display()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_an_executable_file_with_an_absolute_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hook");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            ThisHost.program(&path),
            Err(format!("is not executable: chmod +x {}", path.display()))
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(ThisHost.program(&path), Ok(()));
        assert_eq!(
            ThisHost.program(directory.path()),
            Err("is not a file: name a program".to_owned())
        );
        assert_eq!(
            ThisHost.program(Path::new("hook")),
            Err("is not an absolute path: begin it with /".to_owned())
        );
        assert_eq!(
            ThisHost.program(&directory.path().join("none")),
            Err(
                "cannot be found: No such file or directory (os error 2): install it, or correct \
                 the path"
                    .to_owned()
            )
        );
    }
}
