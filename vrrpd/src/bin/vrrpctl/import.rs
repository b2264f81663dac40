//! `vrrpctl import`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use vrrpd::config::{Config, ThisHost};
use vrrpd::import::{Imported, Tally, ThisMachine, import};

/// Where keepalived has its configuration.
pub(crate) const KEEPALIVED: &str = "/etc/keepalived/keepalived.conf";

/// Writes the configuration in `file`, `-` for standard input, as a
/// `vrrpd.toml` onto standard output, and what became of each line onto
/// standard error, or into comments if `explain`.
pub(crate) fn run(file: &Path, config_id: Option<&str>, explain: bool) -> Result<(), String> {
    let (text, file) = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        (read.map(|_| bytes), Path::new("stdin"))
    } else {
        (fs::read(file), file)
    };
    let text = text.map_err(|error| {
        format!(
            "{}: {error}: name keepalived's configuration",
            file.display()
        )
    })?;
    let text = String::from_utf8_lossy(&text);
    let imported = import(&text, file, config_id, &ThisMachine).map_err(|why| why.to_string())?;
    let toml = written(&imported, file, explain);
    crate::print(&toml)?;
    let mut lines = String::new();
    if !explain {
        for note in &imported.notes {
            lines.push_str(&format!("{note}\n"));
        }
    }
    lines.push_str(&format!(
        "{}: {}\n",
        file.display(),
        Tally::of(&imported.notes)
    ));
    let mistakes = Config::parse(&toml, Path::new("vrrpd.toml"), &ThisHost).err();
    if let Some(mistakes) = &mistakes {
        lines.push_str(&format!("{mistakes}\n"));
    }
    io::stderr()
        .write_all(lines.as_bytes())
        .map_err(|error| format!("standard error: {error}"))?;
    if mistakes.is_some() {
        return Err(
            "what was written is no legal vrrpd.toml yet: mend what is told above, then ask vrrpd --check"
                .to_owned(),
        );
    }
    Ok(())
}

/// The file: where it comes from, what became of each line if `explain`, and itself.
fn written(imported: &Imported, file: &Path, explain: bool) -> String {
    let mut text = format!(
        "# Imported from {}, see vrrpd.toml(5).\n",
        file.display().to_string().replace(char::is_control, " ")
    );
    if explain {
        text.push_str("#\n");
        for note in &imported.notes {
            text.push_str(&format!("# {note}\n").replace('\t', " "));
        }
    }
    text.push('\n');
    text.push_str(&imported.toml);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n\
                       priority 150\n smtp_alert\n virtual_ipaddress {\n 192.0.2.100/24\n }\n}\n";

    #[test]
    fn comments_explain_what_is_written() {
        let file = Path::new("/etc/k.conf");
        let imported = import(OLD, file, None, &ThisMachine).unwrap();
        let bare = written(&imported, file, false);
        let explained = written(&imported, file, true);
        assert!(bare.starts_with("# Imported from /etc/k.conf, see vrrpd.toml(5).\n\n[node]\n"));
        assert!(explained.contains("# /etc/k.conf:5: priority 150: taken as priority = 150\n"));
        assert!(explained.contains("# /etc/k.conf:6: smtp_alert: no counterpart: "));
        assert!(explained.ends_with(&imported.toml) && bare.ends_with(&imported.toml));
        for text in [bare, explained] {
            let config = Config::parse(&text, file, &ThisHost).unwrap();
            assert_eq!(config.virtual_routers[0].identity.name, "VI_1");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        assert_eq!(
            run(Path::new("/none/k.conf"), None, false).unwrap_err(),
            "/none/k.conf: No such file or directory (os error 2): name keepalived's configuration"
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("k.conf");
        fs::write(&file, "vrrp_instance VI_1 {\n").unwrap();
        assert_eq!(
            run(&file, None, false).unwrap_err(),
            format!(
                "{}:1: vrrp_instance VI_1 {{ is never closed: add }}",
                file.display()
            )
        );
    }
}
