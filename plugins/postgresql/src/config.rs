//! `[replication.postgresql]`.

use std::fs;
use std::path::{Path, PathBuf};

use replicator::plugin::Failure;
use serde::Deserialize;

/// Where distributions install PostgreSQL; `{}` is the major version.
const BIN_DIRECTORIES: [&str; 3] = [
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/usr/local/pgsql/bin",
];

/// The major versions that are supported.
pub const MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

/// What `vrrpd.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Owned by the user that runs the replicator.
    pub data_directory: PathBuf,
    /// Default: found by the version of the data directory.
    pub bin_directory: Option<PathBuf>,
    /// Default 5432.
    #[serde(default = "port")]
    pub port: u16,
    /// Default `*`.
    #[serde(default = "listen_addresses")]
    pub listen_addresses: String,
    /// Default `/var/run/postgresql`.
    #[serde(default = "socket_directory")]
    pub socket_directory: PathBuf,
    /// Where its own sessions connect; default `postgres`.
    #[serde(default = "postgres")]
    pub database: String,
    /// Who they are; default `postgres`. Authenticated by the operating system
    /// (`peer`), so it is named as the user that runs the replicator.
    #[serde(default = "postgres")]
    pub superuser: String,
}

const fn port() -> u16 {
    5432
}

fn listen_addresses() -> String {
    "*".to_owned()
}

fn socket_directory() -> PathBuf {
    PathBuf::from("/var/run/postgresql")
}

fn postgres() -> String {
    "postgres".to_owned()
}

impl Config {
    /// Reads the section.
    ///
    /// # Errors
    ///
    /// The first mistake and how to mend it.
    pub fn parse(section: serde_json::Value) -> Result<Self, Failure> {
        let mut config: Self = serde_json::from_value(section).map_err(|error| {
            Failure::new(format!(
                "[replication.postgresql]: {error}; see vrrpd.toml(5)"
            ))
        })?;
        let mistake = |key: &str, what: &str| {
            Err(Failure::new(format!(
                "[replication.postgresql] {key} {what}; see vrrpd.toml(5)"
            )))
        };
        if !config.data_directory.is_absolute() {
            return mistake("data_directory", "is not an absolute path: begin it with /");
        }
        // As processes show it: a link may lead there.
        if let Ok(real) = fs::canonicalize(&config.data_directory) {
            config.data_directory = real;
        }
        if !config.socket_directory.is_absolute() {
            return mistake(
                "socket_directory",
                "is not an absolute path: begin it with /",
            );
        }
        if config.port == 0 {
            return mistake("port", "0 is out of range: use 1 to 65535");
        }
        Ok(config)
    }

    /// The major version of the data directory; none while it is empty.
    ///
    /// # Errors
    ///
    /// A version that is not supported, or a directory that is not PostgreSQL's.
    pub fn major(&self) -> Result<Option<u32>, Failure> {
        let file = self.data_directory.join("PG_VERSION");
        let Ok(text) = fs::read_to_string(&file) else {
            let empty = fs::read_dir(&self.data_directory)
                .map_or(true, |mut entries| entries.next().is_none());
            if empty {
                return Ok(None);
            }
            return Err(Failure::new(format!(
                "{}: has files but no PG_VERSION: it is not a PostgreSQL data directory; correct \
                 data_directory, or empty it",
                self.data_directory.display()
            )));
        };
        let major = text.trim().parse().ok();
        major
            .filter(|major| MAJORS.contains(major))
            .map(Some)
            .ok_or_else(|| {
                Failure::new(format!(
                    "{}: version {} is not supported: use {} to {}",
                    file.display(),
                    text.trim(),
                    MAJORS.start(),
                    MAJORS.end()
                ))
            })
    }

    /// Where `postgres` and its tools of that version are; of any version
    /// while none is known.
    ///
    /// # Errors
    ///
    /// When they are not installed.
    pub fn binaries(&self, major: Option<u32>) -> Result<PathBuf, Failure> {
        let has_postgres = |directory: &Path| directory.join("postgres").is_file();
        if let Some(directory) = &self.bin_directory {
            if has_postgres(directory) {
                return Ok(directory.clone());
            }
            return Err(Failure::new(format!(
                "{}: has no executable postgres: correct bin_directory, or install PostgreSQL",
                directory.display()
            )));
        }
        let majors: Vec<u32> = major.map_or_else(|| MAJORS.rev().collect(), |major| vec![major]);
        majors
            .iter()
            .flat_map(|major| {
                BIN_DIRECTORIES
                    .iter()
                    .map(move |path| PathBuf::from(path.replace("{}", &major.to_string())))
            })
            .find(|directory| has_postgres(directory))
            .ok_or_else(|| {
                Failure::new(
                    "no PostgreSQL of the data directory's version is installed: install it, or \
                     set bin_directory",
                )
            })
    }

    /// The file that a person edits: in the data directory, or where Debian
    /// keeps it. None: PostgreSQL's defaults.
    pub fn main_file(&self, major: u32) -> Option<PathBuf> {
        let own = self.data_directory.join("postgresql.conf");
        let cluster = self.data_directory.file_name()?;
        let debian = Path::new("/etc/postgresql")
            .join(major.to_string())
            .join(cluster)
            .join("postgresql.conf");
        let is_debian = self.data_directory.parent()
            == Some(&Path::new("/var/lib/postgresql").join(major.to_string()));
        [(true, own), (is_debian, debian)]
            .into_iter()
            .find_map(|(may, file)| (may && file.is_file()).then_some(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_filled_in() {
        let config = Config::parse(json!({"data_directory": "/nowhere/main"})).unwrap();
        assert_eq!(
            config,
            Config {
                data_directory: PathBuf::from("/nowhere/main"),
                bin_directory: None,
                port: 5432,
                listen_addresses: "*".to_owned(),
                socket_directory: PathBuf::from("/var/run/postgresql"),
                database: "postgres".to_owned(),
                superuser: "postgres".to_owned(),
            }
        );
        assert_eq!(config.major(), Ok(None));
    }

    #[test]
    fn mistakes_name_the_key() {
        for (section, mistake) in [
            (json!({}), "missing field `data_directory`"),
            (
                json!({"data_directory": "x"}),
                "data_directory is not an absolute path",
            ),
            (
                json!({"data_directory": "/x", "port": 0}),
                "port 0 is out of range",
            ),
            (
                json!({"data_directory": "/x", "prot": 1}),
                "unknown field `prot`",
            ),
        ] {
            let failure = Config::parse(section).unwrap_err();
            assert!(failure.message.contains(mistake), "{failure}");
        }
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::parse(json!({"data_directory": directory.path()})).unwrap();
        assert_eq!(config.major(), Ok(None));
        fs::write(directory.path().join("letter"), "dear").unwrap();
        assert!(
            config
                .major()
                .unwrap_err()
                .message
                .contains("no PG_VERSION")
        );
        fs::write(directory.path().join("PG_VERSION"), "9.6\n").unwrap();
        assert!(
            config
                .major()
                .unwrap_err()
                .message
                .contains("9.6 is not supported")
        );
        fs::write(directory.path().join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(config.major(), Ok(Some(15)));
    }
}
