//! A file replaced whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Replaces `file` by `bytes`: written beside it, synced, renamed, and the
/// directory synced. It keeps its mode, and its owner where that is allowed.
///
/// # Errors
///
/// Of the system; `file` is as it was.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link names is replaced, not the link.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".next");
    let next = file.with_file_name(name);
    let written = write(&next, &file, bytes).and_then(|()| fs::rename(&next, &file));
    if written.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&next);
    }
    written?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}

fn write(next: &Path, like: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(next)?;
    if let Ok(before) = fs::metadata(like) {
        // Only root may give a file away; the group is what matters here.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}
