//! A voter's durable state on disk (PROTOCOL.md, State of a voter).
//!
//! One small file, replaced whole: written beside, synced, renamed, and the
//! directory synced. It is read back only if it is exactly what was written.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0–7 | `VRRPDST` and a line end |
//! | 8–11 | version, 1, big endian |
//! | 12–15 | length of the payload, big endian |
//! | 16–47 | SHA-256 of the payload |
//! | 48– | the payload: [`Durable::encode`] |

use core::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};
use vrrpd_core::pool::record::Durable;

const MAGIC: [u8; 8] = *b"VRRPDST\n";
const VERSION: u32 = 1;
const HEADER: usize = 48;

/// The state.
const STATE: &str = "state";
/// The next state, until it is whole.
const NEXT: &str = "state.next";
/// Held locked by the process that uses the directory.
const LOCK: &str = "lock";

/// A state directory, held by this process alone until dropped.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Open, to sync renames in it.
    directory: File,
    _lock: Flock<File>,
}

impl Store {
    /// Makes the directory if it is missing (0700) and locks it.
    ///
    /// # Errors
    ///
    /// It cannot be made or opened, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io {
                doing,
                path,
                source,
            }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make", path))?;
        let directory = File::open(path).map_err(failed("open", path))?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(failed("open", &lock))?;
        let lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(
                |(_, errno)| match errno {
                    nix::errno::Errno::EWOULDBLOCK => Error::Busy(path.to_owned()),
                    other => failed("lock", &lock)(other.into()),
                },
            )?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            _lock: lock,
        })
    }

    /// What was saved last; `None` in a new directory.
    ///
    /// # Errors
    ///
    /// A damaged file is refused, never taken for a new one: a voter that has
    /// forgotten its promises must not vote.
    pub fn load(&self) -> Result<Option<Durable>, Error> {
        let path = self.path.join(STATE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Io {
                    doing: "read",
                    path,
                    source,
                });
            }
        };
        match unpack(&bytes) {
            Ok(durable) => Ok(Some(durable)),
            Err(what) => Err(Error::Damaged {
                directory: self.path.clone(),
                what,
            }),
        }
    }

    /// Replaces the saved state: on disk, synced, when it returns.
    ///
    /// # Errors
    ///
    /// The disk refused. What was saved before may still stand, so nothing that
    /// depends on `durable` may be said: end the process.
    pub fn save(&mut self, durable: &Durable) -> Result<(), Error> {
        let next = self.path.join(NEXT);
        self.replace(&next, &pack(durable))
            .map_err(|source| Error::Io {
                doing: "write",
                path: next,
                source,
            })
    }

    fn replace(&self, next: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(next, self.path.join(STATE))?;
        self.directory.sync_all()
    }
}

fn pack(durable: &Durable) -> Vec<u8> {
    let payload = durable.encode();
    let length = u32::try_from(payload.len()).expect("a voter's state is small");
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&Sha256::digest(&payload));
    bytes.extend_from_slice(&payload);
    bytes
}

fn unpack(bytes: &[u8]) -> Result<Durable, &'static str> {
    let (header, payload) = bytes
        .split_first_chunk::<HEADER>()
        .ok_or("it ends too early")?;
    if header[..8] != MAGIC {
        return Err("it is not a state file");
    }
    if header[8..12] != VERSION.to_be_bytes() {
        return Err("it was written by another version of this program");
    }
    if u32::try_from(payload.len())
        .map(u32::to_be_bytes)
        .as_ref()
        .map(<[u8; 4]>::as_slice)
        != Ok(&header[12..16])
    {
        return Err("its length is not the length that was written");
    }
    if header[16..48] != Sha256::digest(payload)[..] {
        return Err("its contents are not what was written");
    }
    Durable::decode(payload).map_err(|_| "its contents make no sense")
}

/// Why the state could not be read or written: what, where, how to mend it.
#[derive(Debug)]
pub enum Error {
    /// The system refused.
    Io {
        /// `make`, `open`, `lock`, `read` or `write`.
        doing: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses the directory.
    Busy(PathBuf),
    /// The file is not what was written.
    Damaged {
        /// The state directory.
        directory: PathBuf,
        /// How it differs.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                doing,
                path,
                source,
            } => write!(
                f,
                "{}: cannot {doing} it: {source}: the state must be on a writable disk with room \
                 to spare; see [paths] state",
                path.display()
            ),
            Self::Busy(directory) => write!(
                f,
                "{}: another process uses this state directory: stop it, or give this one its own \
                 [paths] state",
                directory.display()
            ),
            Self::Damaged { directory, what } => write!(
                f,
                "{0}/{STATE}: damaged: {what}: it cannot be mended; if the other two parties of \
                 the pool are up, move {0} away and start again: this one joins anew, as after \
                 the loss of its disk",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Busy(_) | Self::Damaged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use vrrpd_core::pool::record::{Epoch, Incarnation, NodeId};

    fn durable(boots: u64) -> Durable {
        Durable {
            boots,
            promised: Epoch {
                counter: 7,
                node: NodeId::B,
            },
            ..Durable::blank(Incarnation(0x0123_4567_89ab_cdef))
        }
    }

    #[test]
    fn a_new_directory_is_private_and_holds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lib/vrrpd");
        let store = Store::open(&path).unwrap();
        assert_eq!(store.load().unwrap(), None);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_was_saved_last_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(root.path()).unwrap();
        store.save(&durable(1)).unwrap();
        store.save(&durable(2)).unwrap();
        assert_eq!(store.load().unwrap(), Some(durable(2)));
        drop(store);
        let store = Store::open(root.path()).unwrap();
        assert_eq!(store.load().unwrap(), Some(durable(2)));
    }

    #[test]
    fn the_file_begins_with_these_bytes() {
        let bytes = pack(&durable(1));
        let payload = durable(1).encode();
        assert_eq!(bytes[..12], *b"VRRPDST\n\0\0\0\x01");
        assert_eq!(bytes[12..15], [0, 0, 0]);
        assert_eq!(usize::from(bytes[15]), payload.len());
        assert_eq!(bytes[48..], payload);
    }

    #[test]
    fn one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = Store::open(root.path()).unwrap();
        assert_eq!(
            Store::open(root.path()).unwrap_err().to_string(),
            format!(
                "{}: another process uses this state directory: stop it, or give this one its \
                 own [paths] state",
                root.path().display()
            )
        );
        drop(first);
        Store::open(root.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_is_damaged() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(root.path()).unwrap();
        store.save(&durable(1)).unwrap();
        let file = root.path().join(STATE);
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            fs::write(&file, damaged).unwrap();
            assert!(
                matches!(store.load(), Err(Error::Damaged { .. })),
                "byte {at}"
            );
            fs::write(&file, &whole[..at]).unwrap();
            assert!(
                matches!(store.load(), Err(Error::Damaged { .. })),
                "cut at {at}"
            );
        }
        assert_eq!(
            store.load().unwrap_err().to_string(),
            format!(
                "{0}/state: damaged: its length is not the length that was written: it cannot be \
                 mended; if the other two parties of the pool are up, move {0} away and start \
                 again: this one joins anew, as after the loss of its disk",
                root.path().display()
            )
        );
    }

    #[test]
    fn an_interrupted_save_leaves_the_state_before_it() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(root.path()).unwrap();
        store.save(&durable(1)).unwrap();
        fs::write(root.path().join(NEXT), b"VRRP").unwrap();
        assert_eq!(store.load().unwrap(), Some(durable(1)));
        store.save(&durable(2)).unwrap();
        assert_eq!(store.load().unwrap(), Some(durable(2)));
    }

    #[test]
    fn a_refused_write_is_told() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::open(root.path()).unwrap();
        // A directory in the way: true for root as well.
        fs::create_dir(root.path().join(NEXT)).unwrap();
        let error = store.save(&durable(1)).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "{}/state.next: cannot write it: ",
                root.path().display()
            )),
            "{error}"
        );
    }
}
