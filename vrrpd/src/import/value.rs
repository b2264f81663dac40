//! Values as keepalived writes them.

use core::time::Duration;

/// Seconds with up to six decimals; what is finer than a millisecond is dropped.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    let ms = whole
        .checked_mul(1_000)?
        .checked_add(thousandths.parse().ok()?)?;
    Some(Duration::from_millis(ms))
}

/// `on`, `off` and their like; nothing is `on`.
pub(super) fn truth(text: Option<&str>) -> Option<bool> {
    match text {
        None | Some("on" | "true" | "yes") => Some(true),
        Some("off" | "false" | "no") => Some(false),
        Some(_) => None,
    }
}

/// `text` as a word that names something in vrrpd.toml.
pub(super) fn name(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = text
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(64)
        .collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "unnamed" } else { name }.to_owned()
}

/// `wanted`, with a number if it is among `taken`.
pub(super) fn unique<'a>(wanted: &str, taken: impl Iterator<Item = &'a str> + Clone) -> String {
    let numbered = |number: u32| match number {
        1 => wanted.to_owned(),
        // Room for the number in a name of 64.
        number => format!("{}-{number}", wanted.chars().take(56).collect::<String>()),
    };
    (1..)
        .map(numbered)
        .find(|name| !taken.clone().any(|other| other == name))
        .unwrap_or_default()
}

/// `text` in quotes, as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of strings, as TOML has it.
pub(super) fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A command, as TOML has it: alone, or with its arguments.
pub(super) fn command(argv: &[String]) -> String {
    match argv {
        [program] => quoted(program),
        argv => list(argv),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_decimals() {
        let ms = |text| seconds(text).map(|duration| duration.as_millis());
        assert_eq!(ms("1"), Some(1_000));
        assert_eq!(ms("0.92"), Some(920));
        assert_eq!(ms(".5"), Some(500));
        assert_eq!(ms("2.71828"), Some(2_718));
        for wrong in ["", ".", "-1", "1s", "1.5.2", "99999999999999999999"] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_are_made_legal_and_unique() {
        assert_eq!(name("VI_1"), "VI_1");
        assert_eq!(name("-my router/1"), "my-router-1");
        assert_eq!(name("..."), "unnamed");
        assert_eq!(unique("a", ["a", "a-2"].into_iter()), "a-3");
        assert_eq!(
            unique(&"x".repeat(64), ["x".repeat(64).as_str()].into_iter()).len(),
            58
        );
    }

    #[test]
    fn strings_are_tomls() {
        let odd = "a\"b\\c\n\t\u{1}\u{7f}é";
        let text = format!("x = {}", quoted(odd));
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["x"].as_str(), Some(odd));
    }
}
