//! Files that are written whole and survive a loss of power.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use replicator::plugin::Failure;

/// Writes `text` to `path`, for its owner alone, and sees it onto the disk,
/// directory entry included: whoever reads it finds the old or the new text.
///
/// # Errors
///
/// The path and what the system says.
pub fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_added_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_directory_of(path)
    };
    write().map_err(|error| failed(path, "written", &error))
}

/// Creates an empty file, if it is not there.
///
/// # Errors
///
/// The path and what the system says.
pub fn touch(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let make = || -> io::Result<()> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?
            .sync_all()?;
        sync_directory_of(path)
    };
    make().map_err(|error| failed(path, "made", &error))
}

/// Removes a file, if it is there.
///
/// # Errors
///
/// The path and what the system says.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "removed", &error)),
    }
    sync_directory_of(path).map_err(|error| failed(path, "removed", &error))
}

/// Its text; `None` if it is not there.
///
/// # Errors
///
/// The path and what the system says.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read", &error)),
    }
}

/// Sees the entries of the directory that `path` is in onto the disk.
///
/// # Errors
///
/// The system's.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// `path: cannot be written: no space left on device`
pub fn failed(path: &Path, done: &str, error: &io::Error) -> Failure {
    Failure::new(format!("{}: cannot be {done}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note");
        assert_eq!(read(&path), Ok(None));
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(read(&path), Ok(Some("two".to_owned())));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        touch(&path).unwrap();
        assert_eq!(read(&path), Ok(Some("two".to_owned())));
        remove(&path).unwrap();
        remove(&path).unwrap();
        touch(&path).unwrap();
        assert_eq!(read(&path), Ok(Some(String::new())));
        let failure = replace(&directory.path().join("none/note"), "x").unwrap_err();
        assert!(failure.message.contains("none/note: cannot be written: "));
    }
}
