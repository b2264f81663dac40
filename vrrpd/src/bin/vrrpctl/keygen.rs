//! `vrrpctl keygen`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use vrrpd::seal::Key;

/// Makes a key, into a new `file` or onto standard output.
pub(crate) fn run(file: Option<&Path>) -> Result<(), String> {
    let key = Key::generate().map_err(|error| format!("no key could be made: {error}"))?;
    let line = format!("{}\n", key.to_hex());
    let Some(file) = file else {
        return crate::print(&line);
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| {
            opened.write_all(line.as_bytes())?;
            opened.sync_all()
        });
    written.map_err(|error| {
        format!(
            "{}: {error}: name a new file; a key that is in use is not replaced",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_file_is_private_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pool.key");
        run(Some(&file)).unwrap();
        let key = Key::read(&file).unwrap();
        assert_eq!(
            run(Some(&file)).unwrap_err(),
            format!(
                "{}: File exists (os error 17): name a new file; a key that is in use is not \
                 replaced",
                file.display()
            )
        );
        assert_eq!(Key::read(&file), Ok(key));
        assert_eq!(fs::read(&file).unwrap().len(), 65);
    }
}
