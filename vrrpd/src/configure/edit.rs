//! The configuration as the operator wrote it, with single values changed.

use std::net::IpAddr;
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::Common;

/// `vrrpd.toml` with its comments.
#[derive(Debug)]
pub(super) struct Document(DocumentMut);

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: toml_edit::TomlError| error.message().to_owned())
    }

    pub(super) fn into_text(self) -> String {
        self.0.to_string()
    }

    /// `[pool] address`, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.get("pool")?.get("address")?.as_str()?.parse().ok()
    }

    pub(super) fn become_standalone(&mut self) {
        set(self.pool(), "mode", "standalone".into());
    }

    pub(super) fn become_master(
        &mut self,
        backup: IpAddr,
        common: &Common,
        local: IpAddr,
        interface: &str,
        active: bool,
    ) {
        self.pooled("master", backup, common, local);
        if active || self.pool().contains_key("active") {
            set(self.pool(), "active", active.into());
        }
        self.serve(common, interface, 150);
    }

    pub(super) fn become_backup(
        &mut self,
        master: IpAddr,
        common: &Common,
        local: IpAddr,
        interface: &str,
    ) {
        self.pooled("backup", master, common, local);
        // It is the Master's option.
        self.pool().remove("active");
        self.serve(common, interface, 100);
    }

    /// `[pool] key_file`, where none is named.
    pub(super) fn default_key_file(&mut self, path: &Path) {
        if !self.pool().contains_key("key_file") {
            set(self.pool(), "key_file", path.display().to_string().into());
        }
    }

    fn pooled(&mut self, mode: &str, peer: IpAddr, common: &Common, local: IpAddr) {
        let pool = self.pool();
        set(pool, "mode", mode.into());
        set(pool, "address", local.to_string().into());
        set(pool, "peer", peer.to_string().into());
        if let Some(arbiter) = common.arbiter {
            set(pool, "arbiter", arbiter.to_string().into());
        }
    }

    /// The first virtual router has the virtual IP; without one, it is made.
    fn serve(&mut self, common: &Common, interface: &str, priority: i64) {
        let routers = self
            .0
            .entry("virtual_router")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        // Anything else is a mistake, which the check of the whole file tells.
        let Some(routers) = routers.as_array_of_tables_mut() else {
            return;
        };
        if routers.is_empty() {
            let mut router = Table::new();
            router.insert("name", value("service"));
            router.insert("vrid", value(51));
            router.insert("priority", value(priority));
            routers.push(router);
        }
        let Some(router) = routers.get_mut(0) else {
            return;
        };
        set(router, "interface", interface.into());
        let has = |item: &Item| {
            let addresses = item.as_array();
            addresses.is_some_and(|all| {
                all.iter()
                    .any(|one| one.as_str() == Some(common.virtual_ip.as_str()))
            })
        };
        if !router.get("addresses").is_some_and(has) {
            let mut addresses = Array::new();
            addresses.push(common.virtual_ip.as_str());
            set(router, "addresses", Value::Array(addresses));
        }
    }

    fn pool(&mut self) -> &mut Table {
        let pool = self
            .0
            .entry("pool")
            .or_insert_with(|| Item::Table(Table::new()));
        if !pool.is_table() {
            // `pool = { … }` on one line, or nonsense.
            let table = std::mem::take(pool).into_table().unwrap_or_default();
            *pool = Item::Table(table);
        }
        pool.as_table_mut().expect("it was made a table")
    }
}

/// Changes a value, and leaves the comment behind it.
fn set(table: &mut Table, key: &str, mut new: Value) {
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        *new.decor_mut() = old.decor().clone();
        *old = new;
    } else {
        table.insert(key, Item::Value(new));
    }
}
