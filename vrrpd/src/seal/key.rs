//! The pool's key, and what is derived from it.

use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 (RFC 2104, FIPS 180-4).
pub(super) type Tag = Hmac<Sha256>;

const DIGITS: usize = 64;

/// The secret that the three parties of a pool share: 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Which pool a datagram belongs to; derived from the key, not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub [u8; 8]);

impl Key {
    /// A new random key.
    ///
    /// # Errors
    ///
    /// The system has no randomness to give.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// Reads 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong and how to mend it. The text itself is never repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.trim();
        let wrong = || {
            format!(
                "holds no key of {DIGITS} hexadecimal digits: make one with `vrrpctl keygen` \
                 and copy it to all three parties"
            )
        };
        if digits.len() != DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = core::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        if bytes == [0; 32] {
            return Err("holds a key of zeros: make one with `vrrpctl keygen`".to_owned());
        }
        Ok(Self(bytes))
    }

    /// Reads a key file: 64 hexadecimal digits, for its owner's eyes only.
    ///
    /// # Errors
    ///
    /// What is wrong with the file and how to mend it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| {
            format!(
                "cannot be read: {error}: make it with `vrrpctl keygen`, or copy the other parties'"
            )
        })?;
        let metadata = file
            .metadata()
            .map_err(|error| format!("cannot be looked at: {error}"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "has mode {mode:04o}, so others can read it: chmod 0600 {}",
                path.display()
            ));
        }
        let mut text = String::new();
        // One byte more than a key with its line end: enough to see that it is none.
        file.take(DIGITS as u64 + 16)
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot be read: {error}"))?;
        Self::parse(&text)
    }

    /// The key as a key file holds it, without a line end.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Which pool the key is of.
    pub fn pool_id(&self) -> PoolId {
        let digest = self.derive(b"vrrpd pool id");
        let [a, b, c, d, e, f, g, h, ..] = digest;
        PoolId([a, b, c, d, e, f, g, h])
    }

    /// The password of the replication role: 64 hexadecimal digits.
    pub fn replication_password(&self) -> String {
        hex(&self.derive(b"vrrpd replication password"))
    }

    /// What seals the pool's datagrams.
    pub(super) fn sealer(&self) -> Tag {
        keyed(&self.derive(b"vrrpd pool datagram"))
    }

    /// A secret for one purpose; it tells nothing of the key or of the others.
    fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        keyed(&self.0)
            .chain_update(purpose)
            .finalize()
            .into_bytes()
            .into()
    }
}

/// Tells the pool, never the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key of pool {}", self.pool_id())
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn keyed(secret: &[u8; 32]) -> Tag {
    Tag::new_from_slice(secret).expect("HMAC takes a key of any length")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn derivations_are_hmac_sha256_of_their_purpose() {
        // printf %s PURPOSE | openssl dgst -sha256 -mac HMAC -macopt hexkey:TEXT
        let key = Key::parse(TEXT).unwrap();
        assert_eq!(key.pool_id().to_string(), "b15e82797634ebe3");
        assert_eq!(
            key.replication_password(),
            "2d477469c64108a85c4179d1d2dd0db1fad3ec1759549b92677bcb330966b27f"
        );
        assert_eq!(format!("{key:?}"), "Key of pool b15e82797634ebe3");
    }

    #[test]
    fn a_key_prints_as_it_was_read() {
        assert_eq!(Key::parse(&format!("  {TEXT}\n")).unwrap().to_hex(), TEXT);
        let new = Key::generate().unwrap();
        assert_eq!(Key::parse(&new.to_hex()), Ok(new));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in [
            "",
            "secret",
            &TEXT[1..],
            &format!("{TEXT}00"),
            &TEXT.replace('0', "g"),
        ] {
            assert_eq!(
                Key::parse(text).unwrap_err(),
                "holds no key of 64 hexadecimal digits: make one with `vrrpctl keygen` and copy it \
                 to all three parties"
            );
        }
        assert_eq!(
            Key::parse(&"0".repeat(64)).unwrap_err(),
            "holds a key of zeros: make one with `vrrpctl keygen`"
        );
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pool.key");
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            Key::read(&path).unwrap_err(),
            format!(
                "has mode 0640, so others can read it: chmod 0600 {}",
                path.display()
            )
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Key::read(&path), Key::parse(TEXT));
    }

    #[test]
    fn a_missing_key_file_says_how_to_make_it() {
        assert_eq!(
            Key::read(Path::new("/nonexistent/pool.key")).unwrap_err(),
            "cannot be read: No such file or directory (os error 2): make it with `vrrpctl \
             keygen`, or copy the other parties'"
        );
    }
}
