//! Our own configuration file: it includes the operator's, and comes last.
//!
//! The server is started with it (`config_file`), so that nothing of the
//! operator's is edited. `postgresql.auto.conf` is read after it by the server:
//! what `ALTER SYSTEM` set there of ours is taken out before each start.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use replicator::plugin::Failure;
use replicator::role::{CopyId, Upstream};

use crate::config::Config;
use crate::file;
use crate::say;
use crate::session::REPLICATION_ROLE;
use crate::tool;

/// The operator's settings that ours depend on.
const ASKED: [&str; 13] = [
    "fsync",
    "full_page_writes",
    "hba_file",
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "max_worker_processes",
    "synchronous_commit",
    "wal_keep_size",
    "wal_level",
];

/// Settings whose value is always ours.
const FIXED: [(&str, &str); 22] = [
    // Only the pool decides whether and as what a server starts again.
    ("restart_after_crash", "off"),
    ("hot_standby", "on"),
    ("wal_log_hints", "on"),
    // Without these two an acknowledged commit may not be on disk.
    ("fsync", "on"),
    ("full_page_writes", "on"),
    // A promotion asks it for each segment: it must not be slow or hang.
    ("restore_command", ""),
    ("recovery_target", ""),
    ("recovery_target_lsn", ""),
    ("recovery_target_name", ""),
    ("recovery_target_time", ""),
    ("recovery_target_xid", ""),
    ("recovery_target_timeline", "latest"),
    ("recovery_min_apply_delay", "0"),
    ("wal_retrieve_retry_interval", "200ms"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_receiver_timeout", "5s"),
    ("wal_sender_timeout", "5s"),
    // Queries on a standby never hold back the replay that a promotion waits for.
    ("max_standby_archive_delay", "50ms"),
    ("max_standby_streaming_delay", "50ms"),
    // Clients are not admitted to a standby, so nothing needs its old rows.
    ("hot_standby_feedback", "off"),
    // Set at run time.
    ("primary_conninfo", ""),
    ("synchronous_standby_names", ""),
];

/// The least of what replication needs.
const LEAST: [(&str, u64); 2] = [("max_wal_senders", 10), ("max_replication_slots", 10)];

/// The settings that a standby must not have lower than its primary.
const STANDBY_MINIMUMS: [&str; 5] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
];

/// A setting of nobody's, by which a server tells its copy id to its replica.
pub const COPY: &str = "vrrpd.copy";

/// Which copy commits wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Nobody.
    #[default]
    Off,
    /// One that does not exist: while what commits wait for is being changed.
    Settling,
    /// That one.
    Copy(CopyId),
}

/// What changes while the server runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changing {
    /// Whom to replicate from.
    pub upstream: Option<Upstream>,
    /// As which copy.
    pub copy: Option<CopyId>,
    /// With the slot of which manager.
    pub node: String,
    /// Which copy commits wait for.
    pub synchronous: Synchronous,
}

/// What the operator's own files say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operators {
    main_file: Option<PathBuf>,
    stamps: Vec<Option<(SystemTime, u64)>>,
    values: BTreeMap<&'static str, String>,
}

/// The file, and what is in it.
#[derive(Debug)]
pub struct Settings {
    path: PathBuf,
    passfile: PathBuf,
    operators: Option<Operators>,
    major: u32,
    minimums: Vec<(&'static str, u64)>,
    /// What changes.
    pub changing: Changing,
}

impl Settings {
    /// In the state directory.
    pub fn new(state: &Path) -> Self {
        Self {
            path: state.join("postgresql.conf"),
            passfile: state.join("passfile"),
            operators: None,
            major: 0,
            minimums: Vec::new(),
            changing: Changing::default(),
        }
    }

    /// The file that the server is started with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the replication password, for PostgreSQL's own programs.
    pub fn passfile(&self) -> &Path {
        &self.passfile
    }

    /// Writes the replication password, if it is another.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn set_password(&self, password: &str) -> Result<(), Failure> {
        let password = password.replace('\\', "\\\\").replace(':', "\\:");
        let text = format!("*:*:*:{REPLICATION_ROLE}:{password}\n");
        if file::read(&self.passfile)?.as_deref() == Some(&text) {
            return Ok(());
        }
        file::replace(&self.passfile, &text)
    }

    /// Reads what the operator's files say, if they have changed, and takes out
    /// of `postgresql.auto.conf` what must be ours. `minimums` is what the
    /// primary had when the data were written. Only before a start.
    ///
    /// # Errors
    ///
    /// A mistake in those files, as PostgreSQL says it.
    pub fn prepare(
        &mut self,
        config: &Config,
        binaries: &Path,
        major: u32,
        minimums: &[(&'static str, u64)],
    ) -> Result<(), Failure> {
        let auto = config.data_directory.join("postgresql.auto.conf");
        clean(&auto)?;
        self.major = major;
        minimums.clone_into(&mut self.minimums);
        let main_file = config.main_file(major);
        let stamps = [main_file.as_deref(), Some(&auto)]
            .into_iter()
            .map(|path| {
                let metadata = fs::metadata(path?).ok()?;
                Some((metadata.modified().ok()?, metadata.len()))
            })
            .collect();
        let same = self.operators.as_ref().is_some_and(|operators| {
            operators.main_file == main_file && operators.stamps == stamps
        });
        if !same {
            let values = ask(config, binaries, main_file.as_deref())?;
            self.operators = Some(Operators {
                main_file,
                stamps,
                values,
            });
        }
        Ok(())
    }

    /// Takes what a running server was told last from the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn adopt(&mut self) -> Result<(), Failure> {
        let text = file::read(&self.path)?.unwrap_or_default();
        let copy_of = |value: &str| value.parse::<CopyId>().ok();
        self.changing.copy = last_value(&text, COPY).and_then(copy_of);
        let names = last_value(&text, "synchronous_standby_names").unwrap_or("");
        self.changing.synchronous = match names.trim_matches('"').strip_prefix("vrrpd_") {
            None => Synchronous::Off,
            Some(name) => copy_of(name).map_or(Synchronous::Settling, Synchronous::Copy),
        };
        Ok(())
    }

    /// Where the server's `pg_hba.conf` is; known after [`Settings::prepare`].
    pub fn hba_file(&self) -> Option<PathBuf> {
        let operators = self.operators.as_ref()?;
        operators.values.get("hba_file").map(PathBuf::from)
    }

    /// One line for each setting of the operator's that cannot be followed.
    pub fn complaints(&self) -> Vec<String> {
        let Some(operators) = &self.operators else {
            return Vec::new();
        };
        let is = |name: &str, value: &str| {
            operators
                .values
                .get(name)
                .is_some_and(|found| found == value)
        };
        let mut complaints = Vec::new();
        let mut complain = |wrong: bool, line: &str| {
            if wrong {
                complaints.push(line.to_owned());
            }
        };
        complain(
            is("fsync", "off"),
            "fsync = off loses acknowledged commits: it is set on",
        );
        complain(
            is("full_page_writes", "off"),
            "full_page_writes = off makes a rewind impossible: it is set on",
        );
        complain(
            is("wal_level", "minimal"),
            "wal_level = minimal cannot be replicated: it is set to replica",
        );
        complain(
            matches!(
                self.synchronous_commit(),
                Some("off" | "local" | "remote_write")
            ),
            "synchronous_commit below on acknowledges commits that can be lost: it is set on; a \
             session that lowers it does so at its own risk",
        );
        complain(
            is("max_slot_wal_keep_size", "-1"),
            "max_slot_wal_keep_size is unlimited, so that a lost replica would fill the disk: it \
             is set to 4GB",
        );
        complaints
    }

    fn synchronous_commit(&self) -> Option<&str> {
        let operators = self.operators.as_ref()?;
        operators
            .values
            .get("synchronous_commit")
            .map(String::as_str)
    }

    /// Writes the file; true if it has changed, so that a reload is needed.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, config: &Config) -> Result<bool, Failure> {
        let text = self.text(config);
        if file::read(&self.path)?.as_deref() == Some(&text) {
            return Ok(false);
        }
        file::replace(&self.path, &text)?;
        Ok(true)
    }

    /// Where to connect as a replica, for libpq.
    pub fn conninfo(&self, upstream: &Upstream) -> String {
        format!(
            "host={} port={} user={REPLICATION_ROLE} passfile={} connect_timeout=2 \
             keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=5000 \
             gssencmode=disable",
            conninfo_value(&upstream.host),
            upstream.port,
            conninfo_value(&self.passfile.display().to_string()),
        )
    }

    fn text(&self, config: &Config) -> String {
        let mut text = String::from(
            "# Written by vrrpd's PostgreSQL plugin. Edit the file that is included here.\n",
        );
        if let Some(Operators {
            main_file: Some(file),
            ..
        }) = &self.operators
        {
            // Not through `set`: an include takes no equals sign.
            line(
                &mut text,
                &format!("include {}", quote(&file.display().to_string())),
            );
        }
        let mut set = |name: &str, value: &str| {
            line(&mut text, &format!("{name} = {}", quote(value)));
        };
        set(
            "data_directory",
            &config.data_directory.display().to_string(),
        );
        set("port", &config.port.to_string());
        set("listen_addresses", &config.listen_addresses);
        set(
            "unix_socket_directories",
            &config.socket_directory.display().to_string(),
        );
        for (name, value) in FIXED {
            set(name, value);
        }
        if self.major < 16 {
            set("promote_trigger_file", "");
        }
        if self.major >= 14 {
            // Otherwise a crashed server opens each of its files before it recovers.
            set("recovery_init_sync_method", "syncfs");
        }
        for (name, value) in self.computed() {
            set(name, &value);
        }
        if let Some(copy) = self.changing.copy {
            set(COPY, &copy.to_string());
        }
        if let Some(upstream) = &self.changing.upstream {
            let mut conninfo = self.conninfo(upstream);
            if let Some(copy) = self.changing.copy {
                let _ = write!(conninfo, " application_name={}", application_name(copy));
            }
            set("primary_conninfo", &conninfo);
            if !self.changing.node.is_empty() {
                set("primary_slot_name", &slot_name(&self.changing.node));
            }
        }
        match self.changing.synchronous {
            Synchronous::Off => {}
            Synchronous::Settling => set("synchronous_standby_names", "\"vrrpd_settling\""),
            Synchronous::Copy(copy) => set(
                "synchronous_standby_names",
                &format!("\"{}\"", application_name(copy)),
            ),
        }
        text
    }

    /// What follows from the operator's settings and the data.
    fn computed(&self) -> Vec<(&'static str, String)> {
        let Some(operators) = &self.operators else {
            return Vec::new();
        };
        let asked = |name: &str| operators.values.get(name).map_or("", String::as_str);
        let mut computed = Vec::new();
        if asked("wal_level") == "minimal" {
            computed.push(("wal_level", "replica".to_owned()));
        }
        if matches!(
            asked("synchronous_commit"),
            "off" | "local" | "remote_write"
        ) {
            computed.push(("synchronous_commit", "on".to_owned()));
        }
        if asked("max_slot_wal_keep_size") == "-1" {
            computed.push(("max_slot_wal_keep_size", "4GB".to_owned()));
        }
        if asked("wal_keep_size") == "0" {
            // What a returned primary needs besides a slot that is made anew.
            computed.push(("wal_keep_size", "512MB".to_owned()));
        }
        for name in STANDBY_MINIMUMS
            .into_iter()
            .chain(["max_replication_slots"])
        {
            let own = asked(name).parse().unwrap_or(0);
            let least = LEAST
                .iter()
                .find(|least| least.0 == name)
                .map_or(0, |l| l.1);
            let primarys = self
                .minimums
                .iter()
                .find(|minimum| minimum.0 == name)
                .map_or(0, |minimum| minimum.1);
            if own < least.max(primarys) {
                computed.push((name, least.max(primarys).to_string()));
            }
        }
        computed
    }
}

/// How a copy presents itself to its primary.
pub fn application_name(copy: CopyId) -> String {
    format!("vrrpd_{copy}")
}

/// The slot that a manager's replica uses on the other.
pub fn slot_name(node: &str) -> String {
    format!("vrrpd_{node}")
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A value of a configuration file.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A value of a connection string.
fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The value of a setting in a file that was written here: the last one counts.
fn last_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = '"))
        .next_back()
        .map(|value| value.trim_end_matches('\''))
}

/// Asks PostgreSQL what the operator's files say.
fn ask(
    config: &Config,
    binaries: &Path,
    main_file: Option<&Path>,
) -> Result<BTreeMap<&'static str, String>, Failure> {
    let file = main_file.unwrap_or(Path::new("/dev/null"));
    let mut values = BTreeMap::new();
    for name in ASKED {
        let mut command = tool::command(binaries, "postgres");
        command
            .arg("-D")
            .arg(&config.data_directory)
            .arg("-c")
            .arg(format!("config_file={}", file.display()))
            .args(["-C", name]);
        values.insert(name, tool::output(command)?.trim().to_owned());
    }
    Ok(values)
}

/// Takes out of `postgresql.auto.conf` what would come after our own settings.
fn clean(auto: &Path) -> Result<(), Failure> {
    let Some(text) = file::read(auto)? else {
        return Ok(());
    };
    let is_ours = |line: &str| {
        let name = line.split(['=', ' ', '\t']).next().unwrap_or("");
        FIXED
            .iter()
            .map(|fixed| fixed.0)
            .chain([
                "data_directory",
                "port",
                "listen_addresses",
                "unix_socket_directories",
                "primary_slot_name",
                "promote_trigger_file",
                "recovery_target_action",
                "recovery_target_inclusive",
            ])
            .any(|ours| ours.eq_ignore_ascii_case(name))
    };
    let kept: String = text
        .lines()
        .filter(|line| !is_ours(line.trim_start()))
        .map(|line| format!("{line}\n"))
        .collect();
    if kept == text {
        return Ok(());
    }
    for line in text.lines().filter(|line| is_ours(line.trim_start())) {
        let name = line.split('=').next().unwrap_or("").trim();
        say::warning(&format!(
            "{}: {name} is vrrpd's to set: taken out",
            auto.display()
        ));
    }
    file::replace(auto, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Config {
        Config::parse(json!({"data_directory": "/nowhere/d'ata", "port": 5433})).unwrap()
    }

    fn settings(values: &[(&'static str, &str)]) -> Settings {
        let mut settings = Settings::new(Path::new("/state"));
        settings.major = 15;
        settings.operators = Some(Operators {
            main_file: Some(PathBuf::from("/etc/p/postgresql.conf")),
            stamps: Vec::new(),
            values: values
                .iter()
                .map(|&(name, value)| (name, value.to_owned()))
                .collect(),
        });
        settings
    }

    /// The value that counts: the last.
    fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
            .next_back()
    }

    #[test]
    fn ours_come_after_the_operators() {
        let text = settings(&[]).text(&config());
        let mut lines = text.lines().skip(1);
        assert_eq!(lines.next(), Some("include '/etc/p/postgresql.conf'"));
        assert_eq!(lines.next(), Some("data_directory = '/nowhere/d''ata'"));
        assert_eq!(value(&text, "port"), Some("'5433'"));
        assert_eq!(value(&text, "restart_after_crash"), Some("'off'"));
        assert_eq!(value(&text, "synchronous_standby_names"), Some("''"));
        assert_eq!(value(&text, "primary_conninfo"), Some("''"));
        assert_eq!(value(&text, "wal_level"), None);
    }

    #[test]
    fn an_operators_setting_is_raised_never_lowered() {
        let mut settings = settings(&[
            ("wal_level", "logical"),
            ("max_connections", "300"),
            ("max_wal_senders", "20"),
            ("max_replication_slots", "4"),
            ("max_worker_processes", "8"),
        ]);
        settings.minimums = vec![("max_connections", 200), ("max_worker_processes", 16)];
        let text = settings.text(&config());
        assert_eq!(value(&text, "wal_level"), None);
        assert_eq!(value(&text, "max_connections"), None);
        assert_eq!(value(&text, "max_wal_senders"), None);
        assert_eq!(value(&text, "max_replication_slots"), Some("'10'"));
        assert_eq!(value(&text, "max_worker_processes"), Some("'16'"));
    }

    #[test]
    fn what_cannot_work_has_one_line_each() {
        let settings = settings(&[
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("wal_level", "minimal"),
            ("synchronous_commit", "local"),
            ("max_slot_wal_keep_size", "-1"),
        ]);
        assert_eq!(settings.complaints().len(), 5);
        let text = settings.text(&config());
        assert_eq!(value(&text, "wal_level"), Some("'replica'"));
        assert_eq!(value(&text, "synchronous_commit"), Some("'on'"));
        assert_eq!(value(&text, "max_slot_wal_keep_size"), Some("'4GB'"));
    }

    #[test]
    fn a_replica_names_its_copy_and_its_slot() {
        let mut settings = settings(&[]);
        settings.changing = Changing {
            upstream: Some(Upstream {
                host: "192.0.2.12".to_owned(),
                port: 5432,
                copy: Some(CopyId(0xee)),
            }),
            copy: Some(CopyId(0xab)),
            node: "b".to_owned(),
            synchronous: Synchronous::Copy(CopyId(0xcd)),
        };
        let text = settings.text(&config());
        let conninfo = value(&text, "primary_conninfo").unwrap();
        assert!(conninfo.starts_with("'host=''192.0.2.12'' port=5432 user=vrrpd_replication "));
        assert!(conninfo.ends_with(" application_name=vrrpd_00000000000000ab'"));
        assert_eq!(value(&text, "primary_slot_name"), Some("'vrrpd_b'"));
        assert_eq!(
            value(&text, "synchronous_standby_names"),
            Some("'\"vrrpd_00000000000000cd\"'")
        );
    }

    #[test]
    fn alter_system_does_not_come_after_ours() {
        let directory = tempfile::tempdir().unwrap();
        let auto = directory.path().join("postgresql.auto.conf");
        let text = "# do not edit\nwork_mem = '8MB'\nsynchronous_standby_names = '*'\n\
                    Port = 1\nfsync=off\n";
        fs::write(&auto, text).unwrap();
        clean(&auto).unwrap();
        assert_eq!(
            fs::read_to_string(&auto).unwrap(),
            "# do not edit\nwork_mem = '8MB'\n"
        );
    }
}
