//! Plans, refusals, and files that keep what the operator wrote.

use std::os::unix::fs::PermissionsExt;

use super::*;

const FILE: &str = r#"# The left rack.
[node]
name = "manager-a" # as on the label

[pool]
mode = "standalone" # for now

[[virtual_router]]
name = "service"
interface = "eth9"
vrid = 7            # agreed with the network team
priority = 120
advertise_interval = "100ms"
addresses = ["192.0.2.99/24"]

[replication]
plugin = "postgresql"

[replication.postgresql]
data_directory = "/var/lib/postgresql/15/main"
"#;

struct Server {
    directory: tempfile::TempDir,
}

impl Server {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Self { directory };
        fs::write(server.file(), text).unwrap();
        let key = server.directory.path().join("pool.key");
        fs::write(
            &key,
            "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
        )
        .unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        server
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("vrrpd.toml")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn plan(&self, wish: &Wish, present: Present) -> Result<Plan, String> {
        let addresses = vec![
            ("lo".to_owned(), "127.0.0.1".parse().unwrap()),
            ("eth0".to_owned(), "192.0.2.11".parse().unwrap()),
        ];
        plan(&self.file(), wish, present, &addresses)
    }
}

fn common() -> Common {
    Common {
        local: None,
        virtual_ip: "192.0.2.100/24".to_owned(),
        interface: None,
        arbiter: Some("192.0.2.13".parse().unwrap()),
    }
}

fn master(common: Common) -> Wish {
    Wish::Master {
        backup: "192.0.2.12".parse().unwrap(),
        common,
        active: true,
    }
}

fn backup(common: Common) -> Wish {
    Wish::Backup {
        master: "192.0.2.12".parse().unwrap(),
        common,
    }
}

#[test]
fn what_the_operator_wrote_stays() {
    let server = Server::new(FILE);
    let plan = server.plan(&master(common()), Present::Standalone).unwrap();
    assert_eq!(server.text(), FILE, "a plan touches nothing");
    plan.apply(&server.state()).unwrap();
    let key = server.directory.path().join("pool.key");
    let pool = format!(
        "mode = \"master\" # for now\naddress = \"192.0.2.11\"\npeer = \"192.0.2.12\"\narbiter = \
         \"192.0.2.13\"\nactive = true\nkey_file = \"{}\"\n",
        key.display()
    );
    let expected = FILE
        .replace("mode = \"standalone\" # for now\n", &pool)
        .replace("eth9", "eth0")
        .replace("192.0.2.99", "192.0.2.100");
    assert_eq!(server.text(), expected);
    assert_eq!(
        Formation::load(&server.state()),
        Ok(Some(Formation::OnHold))
    );
}

#[test]
fn a_manager_without_a_pool_gets_one() {
    let (before, rest) = FILE.split_once("[pool]").unwrap();
    let (_, rest) = rest.split_once("\n\n[replication]").unwrap();
    let server = Server::new(&format!("{before}[replication]{rest}"));
    let plan = server.plan(&backup(common()), Present::Standalone).unwrap();
    assert!(
        plan.steps
            .iter()
            .any(|step| step.contains("THE DATA OF THIS SERVER ARE REPLACED"))
    );
    plan.apply(&server.state()).unwrap();
    let config = Config::load(&server.file()).unwrap();
    let pool = config.pool.unwrap();
    assert_eq!(pool.peer, "192.0.2.12".parse::<IpAddr>().unwrap());
    assert_eq!(pool.priority, 100);
    assert_eq!(config.virtual_routers[0].identity.interface, "eth0");
}

#[test]
fn leaving_and_falling_back_change_the_mode_alone() {
    let server = Server::new(FILE);
    let forming = server.plan(&master(common()), Present::Standalone).unwrap();
    forming.apply(&server.state()).unwrap();
    let pooled = server.text();
    let standalone = pooled.replace("mode = \"master\"", "mode = \"standalone\"");
    let leaving = server.plan(&Wish::Standalone, Present::Pooled).unwrap();
    leaving.apply(&server.state()).unwrap();
    assert_eq!(server.text(), standalone);
    assert_eq!(
        Formation::load(&server.state()),
        Ok(Some(Formation::Leaving))
    );
    fs::write(server.file(), pooled).unwrap();
    fall_back(&server.file(), &server.state(), "nobody came").unwrap();
    assert_eq!(server.text(), standalone);
    let failed = Formation::Failed("nobody came".to_owned());
    assert_eq!(Formation::load(&server.state()), Ok(Some(failed)));
}

#[test]
fn what_cannot_be_is_refused_with_a_cure_and_changes_nothing() {
    let server = Server::new(FILE);
    let with = |change: &dyn Fn(&mut Common)| {
        let mut common = common();
        change(&mut common);
        master(common)
    };
    let refused = |wish: &Wish, present| server.plan(wish, present).unwrap_err();
    for (wish, present, why) in [
        (Wish::Standalone, Present::Standalone, "standalone already"),
        (
            master(common()),
            Present::Pooled,
            "leave it first, with vrrpctl configure standalone",
        ),
        (
            with(&|common| common.local = "192.0.2.77".parse().ok()),
            Present::Standalone,
            "192.0.2.77 is no address of this server",
        ),
        (
            with(&|common| common.virtual_ip = "198.51.100.1/24".to_owned()),
            Present::Standalone,
            "no address of this server is in the subnet of 198.51.100.1/24",
        ),
        (
            with(&|common| common.interface = Some("lo".to_owned())),
            Present::Standalone,
            "no address of this server is in the subnet",
        ),
        (
            with(&|common| common.virtual_ip = "192.0.2.12/24".to_owned()),
            Present::Standalone,
            "virtual address 192.0.2.12 is peer in [pool]",
        ),
        (
            with(&|common| common.arbiter = None),
            Present::Standalone,
            "arbiter = \"192.0.2.13\"",
        ),
    ] {
        let refusal = refused(&wish, present);
        assert!(refusal.contains(why), "{refusal}");
    }
    fs::remove_file(server.directory.path().join("pool.key")).unwrap();
    let refusal = refused(&master(common()), Present::Standalone);
    assert!(refusal.contains("pool.key"), "{refusal}");
    assert_eq!(server.text(), FILE);
    assert_eq!(Formation::load(&server.state()), Ok(None));
}
