//! Weights that can never change who is Active, with the arithmetic.

use vrrpd_core::pool::record::NodeId;

use super::mistake::Report;
use super::pool::Form;
use super::table::At;
use super::virtual_router::Found;

/// Priority `base` with `weight` added, in the range that competes.
fn adjusted(base: u8, weight: i16) -> i16 {
    (i16::from(base) + weight).clamp(1, 254)
}

/// Notes a weight of check `name` that is without effect on one of `routers`.
pub(super) fn judge<'a>(
    report: &Report<'_>,
    name: &str,
    weight: At<i16>,
    routers: impl Iterator<Item = &'a Found>,
    form: &Form,
) {
    for router in routers {
        let Some(router_name) = router.name.as_ref().map(|name| &name.value) else {
            continue;
        };
        if let Some(why) = useless(router, weight.value, form) {
            report.add(
                weight.at,
                format!("check {name} can never change who is Active for {router_name}: {why}"),
            );
        }
    }
}

/// Why, and how to mend it.
fn useless(router: &Found, weight: i16, form: &Form) -> Option<String> {
    let base = router.priority.value;
    let good = adjusted(base, weight.max(0));
    let bad = adjusted(base, weight.min(0));
    let sign = if weight < 0 { '-' } else { '+' };
    let sum = format!("{base} {sign} {}", weight.unsigned_abs());
    if base == 255 && !form.is_pooled() {
        return Some(
            "an owner's priority is 255 whatever the checks say: leave weight out to make a failure a fault, or lower the priority"
                .to_owned(),
        );
    }
    if good == bad {
        return Some(format!(
            "{sum} is held to {good}, so its priority is {good} when the check fails and when it is good: choose another priority or weight"
        ));
    }
    let (fault, preempting) = match form {
        Form::Pooled(Some(pool)) if pool.id == NodeId::A && !pool.member.active => {
            ("active = false", "active = true")
        }
        Form::Plain | Form::Standalone
            if router
                .preempt
                .as_ref()
                .is_some_and(|preempt| !preempt.value) =>
        {
            ("preempt = false", "preempt = true")
        }
        Form::Pooled(_) | Form::Plain | Form::Standalone => return None,
    };
    Some(format!(
        "{sum} makes its priority {} instead of {}, but with {fault} nobody takes over from an Active router for its lower priority: leave weight out to make a failure a fault (priority 0), or set {preempting}",
        if weight < 0 { bad } else { good },
        if weight < 0 { good } else { bad },
    ))
}
