//! When a `sync_group` has changed its state as a whole.

use std::collections::BTreeMap;

use vrrpd_core::router::StateName;

/// The state that each group was last known to be in.
#[derive(Debug, Default)]
pub(super) struct GroupStates(BTreeMap<String, StateName>);

impl GroupStates {
    /// What has changed now that the groups whose members agree are in `states`:
    /// group, before, after. One whose members do not agree keeps its state; a
    /// new one comes from Initialize.
    pub(super) fn changes<'a>(
        &mut self,
        states: impl Iterator<Item = (&'a str, StateName)>,
    ) -> Vec<(String, StateName, StateName)> {
        let change = |(group, new): (&str, StateName)| {
            let known = self.0.insert(group.to_owned(), new);
            let old = known.unwrap_or(StateName::Initialize);
            (old != new).then(|| (group.to_owned(), old, new))
        };
        states.filter_map(change).collect()
    }

    /// The groups are these from now on; nothing is told of it.
    pub(super) fn know<'a>(&mut self, states: impl Iterator<Item = (&'a str, StateName)>) {
        self.0 = states
            .map(|(group, state)| (group.to_owned(), state))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StateName::{Active, Backup, Initialize};

    #[test]
    fn a_group_changes_once_when_its_members_agree() {
        let mut groups = GroupStates::default();
        let mut changes = |states: &[(&str, StateName)]| groups.changes(states.iter().copied());
        let changed = |old, new| vec![("both".to_owned(), old, new)];
        assert_eq!(changes(&[("both", Backup)]), changed(Initialize, Backup));
        assert_eq!(changes(&[("both", Backup)]), []);
        assert_eq!(changes(&[]), [], "they do not agree");
        assert_eq!(changes(&[("both", Active)]), changed(Backup, Active));
    }

    #[test]
    fn a_group_that_a_reload_makes_of_active_routers_was_never_elsewhere() {
        let mut groups = GroupStates::default();
        groups.know([("both", Active)].into_iter());
        assert_eq!(groups.changes([("both", Active)].into_iter()), []);
        groups.know([].into_iter());
        let changes = groups.changes([("both", Backup)].into_iter());
        assert_eq!(changes, [("both".to_owned(), Initialize, Backup)]);
    }
}
