//! `$NAME=value`, `$NAME`, `${NAME}`, `~SEQ(...)` and `~LST(...)`.

use std::collections::BTreeMap;

/// Names and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Definitions(BTreeMap<String, String>);

impl Definitions {
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Replaces every name in `text` once; `None` if there is none.
    ///
    /// `$NAME` is one when white space follows, `${NAME}` everywhere; what is
    /// not defined stays.
    pub(super) fn replaced(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        let mut any = false;
        while let Some(dollar) = rest.find('$') {
            let (before, from) = rest.split_at(dollar);
            out.push_str(before);
            match self.reference(from) {
                Some((length, value)) => {
                    out.push_str(&value);
                    rest = &from[length..];
                    any = true;
                }
                None => {
                    out.push('$');
                    rest = &from[1..];
                }
            }
        }
        out.push_str(rest);
        any.then_some(out)
    }

    /// The reference that `text` begins with: its length and its value.
    fn reference(&self, text: &str) -> Option<(usize, String)> {
        if let Some(braced) = text.strip_prefix("${") {
            let end = braced.find('}')?;
            let value = self.value(&braced[..end])?;
            return Some((end + 3, value));
        }
        let name = name_at(&text[1..])?;
        let after = text[1 + name.len()..].chars().next();
        if after.is_some_and(|c| !c.is_whitespace()) {
            return None;
        }
        Some((1 + name.len(), self.value(name)?))
    }

    fn value(&self, name: &str) -> Option<String> {
        match name.split_whitespace().collect::<Vec<_>>()[..] {
            // The least it can be: what is drawn anew at each start cannot be taken.
            ["_RANDOM"] => Some("0".to_owned()),
            ["_RANDOM", least, ..] => Some(least.to_owned()),
            ["_HASH"] => Some("#".to_owned()),
            ["_BANG"] => Some("!".to_owned()),
            [name] => self.0.get(name).cloned(),
            _ => None,
        }
    }
}

/// The name that `text` begins with.
fn name_at(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let name = &text[..end];
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

/// Splits `$NAME=value`.
pub(super) fn definition(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('$')?;
    let name = name_at(text)?;
    let value = text[name.len()..].strip_prefix('=')?;
    Some((name, value.trim()))
}

/// A line that is to be read several times.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated<'a> {
    pub(super) kind: Kind,
    /// What stands between its parentheses, split at the commas.
    pub(super) arguments: Vec<&'a str>,
    /// The rest of the line.
    pub(super) rest: &'a str,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `~SEQ(variable, start, step, end)`
    Decimal,
    /// `~SEQx(variable, start, step, end)`
    Hexadecimal,
    /// `~LST(variable, value, ...)`
    List,
}

/// Splits `~SEQ(...) rest` and `~LST(...) rest`; `None` if it is neither.
pub(super) fn repeated(text: &str) -> Option<Repeated<'_>> {
    let (kind, text) = [
        ("~SEQx(", Kind::Hexadecimal),
        ("~SEQ(", Kind::Decimal),
        ("~LST(", Kind::List),
    ]
    .into_iter()
    .find_map(|(prefix, kind)| Some((kind, text.strip_prefix(prefix)?)))?;
    let (inside, rest) = text.split_once(')')?;
    Some(Repeated {
        kind,
        arguments: split(inside),
        rest: rest.trim(),
    })
}

/// Splits at commas that are not within braces.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}

/// The variables of a `~LST`, or the values of one round: one, or several in braces.
pub(super) fn listed(argument: &str) -> Vec<&str> {
    let inside = argument
        .strip_prefix('{')
        .and_then(|argument| argument.strip_suffix('}'));
    match inside {
        Some(inside) => inside.split(',').map(str::trim).collect(),
        None => vec![argument],
    }
}

/// The numbers of a `~SEQ`: start, step, end; `None` if they make no sense.
pub(super) fn bounds(arguments: &[&str]) -> Option<(i64, i64, i64)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let numbers: Vec<i64> = arguments
        .iter()
        .map(|text| number(text))
        .collect::<Option<_>>()?;
    let towards = |start, end| if start <= end { 1 } else { -1 };
    let (start, step, end) = match numbers[..] {
        [end] => {
            let start = if end > 0 { 1 } else { -1 };
            (start, towards(start, end), end)
        }
        [start, end] => (start, towards(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return None,
    };
    (step != 0).then_some((start, step, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_where_they_end() {
        let mut definitions = Definitions::default();
        definitions.set("BASE", "10.2.${SUB}");
        definitions.set("SUB", "0");
        let replaced = |text| definitions.replaced(text);
        assert_eq!(replaced("${BASE}.100/32").unwrap(), "10.2.${SUB}.100/32");
        assert_eq!(replaced("x $SUB y $SUB").unwrap(), "x 0 y 0");
        assert_eq!(replaced("$SUB.1 ${NONE} $NONE $"), None);
        assert_eq!(replaced("${_HASH}${_BANG}").unwrap(), "#!");
        assert_eq!(replaced("${_RANDOM 5 9}").unwrap(), "5");
        assert_eq!(replaced("${ ${"), None);
    }

    #[test]
    fn definitions_have_no_space_before_the_sign() {
        assert_eq!(definition("$A=b c"), Some(("A", "b c")));
        assert_eq!(definition("$A="), Some(("A", "")));
        for text in ["$A =b", "$1=b", "A=b", "$=b", "$A"] {
            assert_eq!(definition(text), None, "{text}");
        }
    }

    #[test]
    fn sequences_default_to_one_step() {
        assert_eq!(bounds(&["3"]), Some((1, 1, 3)));
        assert_eq!(bounds(&["-3"]), Some((-1, -1, -3)));
        assert_eq!(bounds(&["5", "2"]), Some((5, -1, 2)));
        assert_eq!(bounds(&["0x90", "0x10", "0xc0"]), Some((0x90, 0x10, 0xc0)));
        assert_eq!(bounds(&["1", "0", "2"]), None);
        assert_eq!(bounds(&["a"]), None);
        assert_eq!(bounds(&[]), None);
    }

    #[test]
    fn repeated_lines_are_split() {
        assert_eq!(
            repeated("~LST({A, B}, {1,2},{3,4}) x ${A}"),
            Some(Repeated {
                kind: Kind::List,
                arguments: vec!["{A, B}", "{1,2}", "{3,4}"],
                rest: "x ${A}",
            })
        );
        assert_eq!(repeated("~SEQ(A, 1"), None);
        assert_eq!(listed("{1, 2}"), ["1", "2"]);
        assert_eq!(listed("1"), ["1"]);
    }
}
