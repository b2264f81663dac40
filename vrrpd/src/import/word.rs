//! The words of a line, as keepalived splits them.

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word, without its quotes.
    Word(String),
    /// `{`
    Open,
    /// `}`
    Close,
}

/// A line without its comment and white space around it, and whether it is
/// continued on the next one.
///
/// Only `"` hides `#` and `!`, as in keepalived: an apostrophe is one.
pub(super) fn uncommented(line: &str) -> (String, bool) {
    let mut kept = String::new();
    let mut quoted = false;
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => match chars.next() {
                None => return (kept.trim_end().to_owned(), true),
                Some(c @ ('#' | '!')) if !quoted => {
                    kept.push(c);
                    continue;
                }
                Some(next) => {
                    kept.extend([c, next]);
                    continue;
                }
            },
            '#' | '!' if !quoted => break,
            _ => {}
        }
        kept.push(c);
    }
    (kept.trim_end().to_owned(), false)
}

/// Splits a line at white space and braces; quotes hold both together.
pub(super) fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            // Scripts have their backslashes read later, with their arguments.
            ('\\', _) => {
                let word = word.get_or_insert_default();
                match chars.next() {
                    Some(next) if quote == Some(next) => word.push(next),
                    Some(next) => word.extend([c, next]),
                    None => word.push(c),
                }
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // A name that nobody defined stays as it is written.
            ('$', None) if chars.peek() == Some(&'{') => {
                let word = word.get_or_insert_default();
                word.push(c);
                for c in chars.by_ref() {
                    word.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            ('{', None) => {
                pieces.extend(word.take().map(Piece::Word));
                pieces.push(Piece::Open);
            }
            ('}', None) => {
                pieces.extend(word.take().map(Piece::Word));
                pieces.push(Piece::Close);
            }
            (c, None) if c.is_whitespace() => pieces.extend(word.take().map(Piece::Word)),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    pieces.extend(word.map(Piece::Word));
    pieces
}

/// The program and the arguments of a script, which may have quotes and
/// escaped characters as the shell has them.
pub(super) fn arguments(script: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => {
                if let Some(c) = escaped(&mut chars) {
                    word.get_or_insert_default().push(c);
                }
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What a backslash and the characters after it mean. No argument holds a zero.
fn escaped(chars: &mut core::iter::Peekable<core::str::Chars<'_>>) -> Option<char> {
    let code = match chars.next()? {
        'a' => 7,
        'b' => 8,
        'E' => 27,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        'c' => u32::from(chars.next()?) & 31,
        'x' => number(chars, 16, usize::MAX, 0),
        c @ '0'..='7' => number(chars, 8, 2, c.to_digit(8).unwrap_or(0)),
        c => return Some(c),
    };
    char::from_u32(code & 0xff).filter(|&c| c != '\0')
}

fn number(
    chars: &mut core::iter::Peekable<core::str::Chars<'_>>,
    radix: u32,
    most: usize,
    first: u32,
) -> u32 {
    let mut number = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else {
            break;
        };
        chars.next();
        number = number.wrapping_mul(radix).wrapping_add(digit);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let word = |piece| match piece {
            Piece::Word(word) => word,
            Piece::Open => "{".to_owned(),
            Piece::Close => "}".to_owned(),
        };
        pieces(line).into_iter().map(word).collect()
    }

    #[test]
    fn comments_begin_anywhere_but_in_double_quotes() {
        for (line, kept) in [
            ("  priority 100  # the higher", "priority 100"),
            ("! don't", ""),
            ("script \"a # b\" ! c", "script \"a # b\""),
            ("auth_pass a\\#b#c", "auth_pass a#b"),
            ("label 'it # is'", "label 'it"),
        ] {
            assert_eq!(uncommented(line), (kept.to_owned(), false), "{line}");
        }
        assert_eq!(uncommented("$A= \\"), ("$A=".to_owned(), true));
        assert_eq!(
            uncommented("$A= \\ # c"),
            ("$A= \\ ".trim_end().to_owned(), false)
        );
    }

    #[test]
    fn words_are_split_as_the_manual_says() {
        assert_eq!(words("abcd\" efg h jkl \"mnop"), ["abcd efg h jkl mnop"]);
        assert_eq!(
            words("abcd \"efg h jkl\" mnop"),
            ["abcd", "efg h jkl", "mnop"]
        );
        assert_eq!(
            words("group{VI_1 VI_2}"),
            ["group", "{", "VI_1", "VI_2", "}"]
        );
        assert_eq!(words("script \"x '{ }'\""), ["script", "x '{ }'"]);
        assert_eq!(words("priority ${P}1 {"), ["priority", "${P}1", "{"]);
        assert_eq!(words("notify \"\""), ["notify", ""]);
    }

    #[test]
    fn arguments_have_quotes_and_escapes() {
        assert_eq!(
            arguments("/bin/x  'one arg' \"two\\x41\" a\\ b \\101\\t\\cA"),
            ["/bin/x", "one arg", "twoA", "a b", "A\t\u{1}"]
        );
        assert_eq!(arguments("a\\0b \\"), ["ab"]);
        assert_eq!(arguments("\\xffffffffffff"), ["\u{ff}"]);
    }
}
