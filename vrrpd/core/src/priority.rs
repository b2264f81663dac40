//! What checks do to priorities.

use std::sync::Arc;

use crate::packet::Priority;
use crate::router::Standing;

/// A check, as far as priorities go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As configured.
    pub name: Arc<str>,
    /// What it does.
    pub effect: Effect,
    /// The virtual routers that it concerns, by name; empty: all.
    pub routers: Vec<String>,
}

/// What a check's state does to a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A fault while it fails.
    Fault,
    /// Below 0: added while it fails. Above 0: added while it is good.
    Weight(i16),
}

/// What a check said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Nothing yet: good enough for a weight, not for taking part.
    Unknown,
    /// Good.
    Good,
    /// Failing.
    Failing,
}

/// The standing of virtual router `router` whose configured priority is `base`.
///
/// Weights leave 1 to 254; an owner's 255 is changed by faults only.
pub fn standing<'a>(
    base: Priority,
    router: &str,
    checks: impl Iterator<Item = (&'a Check, CheckState)>,
) -> Standing {
    let mut sum = i64::from(base.as_u8());
    let mut why = String::new();
    for (check, state) in checks.filter(|(check, _)| check.concerns(router)) {
        match (check.effect, state) {
            (Effect::Fault, CheckState::Unknown) => {
                return failed(&check.name, "has not answered yet");
            }
            (Effect::Fault, CheckState::Failing) => return failed(&check.name, "fails"),
            (Effect::Fault, CheckState::Good) => {}
            (Effect::Weight(weight), _) if base.is_owner() || !counts(weight, state) => {}
            (Effect::Weight(weight), _) => {
                sum += i64::from(weight);
                let sign = if weight < 0 { '-' } else { '+' };
                why.push_str(&format!(
                    " {sign} {} ({})",
                    weight.unsigned_abs(),
                    check.name
                ));
            }
        }
    }
    if !why.is_empty() {
        why.insert_str(0, &base.to_string());
    }
    Standing::Fit {
        priority: if base.is_owner() { base } else { clamp(sum) },
        why: why.into(),
    }
}

/// Below 0: while it fails. Above 0: while it is good.
const fn counts(weight: i16, state: CheckState) -> bool {
    match state {
        CheckState::Unknown => false,
        CheckState::Good => weight > 0,
        CheckState::Failing => weight < 0,
    }
}

fn clamp(sum: i64) -> Priority {
    let bounded = sum.clamp(1, i64::from(Priority::BACKUP_MAX.as_u8()));
    u8::try_from(bounded)
        .ok()
        .and_then(Priority::new)
        .unwrap_or(Priority::MIN)
}

fn failed(name: &str, how: &str) -> Standing {
    Standing::Failed {
        why: format!("check {name} {how}").into(),
    }
}

impl Check {
    fn concerns(&self, router: &str) -> bool {
        self.routers.is_empty() || self.routers.iter().any(|name| name == router)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, effect: Effect) -> Check {
        Check {
            name: name.into(),
            effect,
            routers: Vec::new(),
        }
    }

    fn judge(base: u8, checks: &[(Check, CheckState)]) -> Standing {
        let base = Priority::new(base).unwrap();
        standing(
            base,
            "service",
            checks.iter().map(|(check, state)| (check, *state)),
        )
    }

    fn fit(priority: u8, why: &str) -> Standing {
        Standing::Fit {
            priority: Priority::new(priority).unwrap(),
            why: why.into(),
        }
    }

    #[test]
    fn weights_count_while_they_apply() {
        let gateway = check("gateway", Effect::Weight(-60));
        let bonus = check("bonus", Effect::Weight(20));
        let states = |a, b| [(gateway.clone(), a), (bonus.clone(), b)];
        use CheckState::{Failing, Good, Unknown};
        assert_eq!(judge(150, &states(Good, Failing)), fit(150, ""));
        assert_eq!(judge(150, &states(Unknown, Unknown)), fit(150, ""));
        assert_eq!(
            judge(150, &states(Failing, Failing)),
            fit(90, "150 - 60 (gateway)")
        );
        assert_eq!(
            judge(150, &states(Failing, Good)),
            fit(110, "150 - 60 (gateway) + 20 (bonus)")
        );
    }

    #[test]
    fn weights_leave_1_to_254() {
        let down = [(check("gateway", Effect::Weight(-253)), CheckState::Failing)];
        let up = [(check("bonus", Effect::Weight(253)), CheckState::Good)];
        assert_eq!(judge(100, &down), fit(1, "100 - 253 (gateway)"));
        assert_eq!(judge(100, &up), fit(254, "100 + 253 (bonus)"));
    }

    #[test]
    fn an_owner_is_moved_by_faults_only() {
        let weight = [(check("gateway", Effect::Weight(-60)), CheckState::Failing)];
        let fault = [(check("gateway", Effect::Fault), CheckState::Failing)];
        assert_eq!(judge(255, &weight), fit(255, ""));
        assert_eq!(
            judge(255, &fault),
            Standing::Failed {
                why: "check gateway fails".into()
            }
        );
    }

    #[test]
    fn a_check_without_weight_must_have_answered() {
        let state = |state| judge(100, &[(check("disk", Effect::Fault), state)]);
        assert_eq!(state(CheckState::Good), fit(100, ""));
        assert_eq!(
            state(CheckState::Unknown),
            Standing::Failed {
                why: "check disk has not answered yet".into()
            }
        );
    }

    #[test]
    fn a_check_concerns_the_routers_it_names() {
        let mut other = check("gateway", Effect::Fault);
        other.routers = vec!["backup-service".to_owned()];
        assert_eq!(
            judge(100, &[(other.clone(), CheckState::Failing)]),
            fit(100, "")
        );
        other.routers.push("service".to_owned());
        assert_ne!(judge(100, &[(other, CheckState::Failing)]), fit(100, ""));
    }
}
