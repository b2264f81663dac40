//! What the replicator reads of `vrrpd.toml`: `[paths]` and `[replication]`.
//!
//! The other sections are vrrpd's; `vrrpd --check` checks the whole file.

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// What it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[replication] plugin`: its name, an executable in `[paths] plugins`.
    pub plugin: String,
    /// Where that executable is.
    pub executable: PathBuf,
    /// `[replication.<plugin>]`, for the plugin alone.
    pub table: Value,
    /// The replicator's own directory, below `[paths] state`.
    pub state: PathBuf,
    /// The socket to vrrpd, in `[paths] run`.
    pub socket: PathBuf,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    paths: Paths,
    replication: Option<toml::Table>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Paths {
    state: PathBuf,
    run: PathBuf,
    plugins: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state: PathBuf::from("/var/lib/vrrpd"),
            run: PathBuf::from("/run/vrrpd"),
            plugins: PathBuf::from("/usr/lib/vrrpd/plugins"),
        }
    }
}

/// Why the configuration cannot be used; one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Reads `file`.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and how to mend it.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|error| {
            ConfigError(format!(
                "{}: cannot be read: {error}: name the file with -c",
                file.display()
            ))
        })?;
        Self::parse(&text)
            .map_err(|what| ConfigError(format!("{}: {what}; see vrrpd.toml(5)", file.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            let line = text[..place].matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        })?;
        let mut replication = file.replication.ok_or(
            "there is no section [replication]: name the database's plugin there, as in \
             plugin = \"postgresql\"",
        )?;
        let plugin = match replication.remove("plugin") {
            Some(toml::Value::String(name)) if is_name(&name) => name,
            Some(_) => return Err("[replication] plugin is not the name of a plugin".to_owned()),
            None => return Err("[replication] names no plugin".to_owned()),
        };
        let table = match replication.remove(&plugin) {
            Some(toml::Value::Table(table)) => serde_json::to_value(table)
                .map_err(|error| format!("[replication.{plugin}]: {error}"))?,
            Some(_) => return Err(format!("[replication.{plugin}] is not a section")),
            None => Value::Object(serde_json::Map::new()),
        };
        Ok(Self {
            executable: file.paths.plugins.join(&plugin),
            plugin,
            table,
            state: file.paths.state.join("replicator"),
            socket: file.paths.run.join("replicator.sock"),
        })
    }
}

/// A file name, so that it cannot lead out of the plugins' directory.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_sections_are_read_and_the_others_left_to_vrrpd() {
        let config = Config::parse(
            "[pool]\nmode = 7\n[paths]\nstate = \"/s\"\nplugins = \"/p\"\nhooks = \"/h\"\n\
             [replication]\nplugin = \"postgresql\"\n\
             [replication.postgresql]\ndata_directory = \"/d\"\nport = 5433\n",
        )
        .unwrap();
        assert_eq!(
            config,
            Config {
                plugin: "postgresql".to_owned(),
                executable: PathBuf::from("/p/postgresql"),
                table: serde_json::json!({"data_directory": "/d", "port": 5433}),
                state: PathBuf::from("/s/replicator"),
                socket: PathBuf::from("/run/vrrpd/replicator.sock"),
            }
        );
    }

    #[test]
    fn each_mistake_says_how_to_mend_it() {
        let mistake = |text: &str| Config::parse(text).unwrap_err();
        assert!(mistake("[node]\n").starts_with("there is no section [replication]"));
        assert_eq!(mistake("[replication]\n"), "[replication] names no plugin");
        assert_eq!(
            mistake("[replication]\nplugin = \"../sh\"\n"),
            "[replication] plugin is not the name of a plugin"
        );
        assert_eq!(
            mistake("[replication]\nplugin = \"x\"\nx = 1\n"),
            "[replication.x] is not a section"
        );
        assert!(mistake("[replication]\nplugin =\n").starts_with("line 2: "));
    }
}
