//! `sync_group`: virtual routers that move together (keepalived: vrrp_sync_group).

use super::table::Table;
use super::virtual_router::Found;

/// Notes what keeps the members of a group from moving together.
pub(super) fn judge(top: &Table<'_>, routers: &[Found]) {
    for (index, router) in routers.iter().enumerate() {
        let Some(group) = &router.sync_group else {
            continue;
        };
        let name = &group.value;
        if router.priority.value == 255 {
            top.report.add(
                router.priority.at,
                format!(
                    "priority 255 says that this node owns the address, which does not move with sync_group \"{name}\": remove sync_group, or use 1 to 254"
                ),
            );
        }
        if members(routers, name).count() == 1 {
            top.report.add(
                group.at,
                format!(
                    "sync_group \"{name}\" has one member: put another virtual router into it, or remove it"
                ),
            );
        }
        // With the first of them; it is not compared with itself.
        if let Some(first) = members(&routers[..index], name).next() {
            compare(top, router, first, name);
        }
    }
}

/// One that would win where another loses would keep the group from moving.
fn compare(top: &Table<'_>, router: &Found, first: &Found, group: &str) {
    let Some(first_name) = first.name.as_ref().map(|name| &name.value) else {
        return;
    };
    let differs = |at, key, ours: String, theirs: String| {
        top.report.add(
            at,
            format!(
                "{key} {ours} differs from {theirs} of {first_name}: the virtual routers of sync_group \"{group}\" move together, give them the same {key}"
            ),
        );
    };
    let (ours, theirs) = (router.priority, first.priority);
    if ours.value != theirs.value {
        differs(
            ours.at,
            "priority",
            ours.value.to_string(),
            theirs.value.to_string(),
        );
    }
    let preempts = |found: &Found| found.preempt.is_none_or(|preempt| preempt.value);
    let (ours, theirs) = (preempts(router), preempts(first));
    if ours != theirs {
        let at = router.preempt.map_or(router.at, |preempt| preempt.at);
        differs(at, "preempt", ours.to_string(), theirs.to_string());
    }
}

/// The names of the other virtual routers that move with `router`.
pub(super) fn mates(routers: &[Found], router: &str) -> Vec<String> {
    let name = |found: &Found| found.name.as_ref().map(|name| name.value.clone());
    let is_it = |found: &&Found| name(found).is_some_and(|name| name == router);
    let Some(group) = routers
        .iter()
        .find(is_it)
        .and_then(|found| found.sync_group.as_ref())
    else {
        return Vec::new();
    };
    members(routers, &group.value)
        .filter_map(name)
        .filter(|name| name != router)
        .collect()
}

fn members<'a>(routers: &'a [Found], group: &str) -> impl Iterator<Item = &'a Found> {
    routers.iter().filter(move |found| {
        let of = found.sync_group.as_ref();
        of.is_some_and(|of| of.value == group)
    })
}
