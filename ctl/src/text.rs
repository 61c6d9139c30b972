//! Text from devices, directories and files, made safe for a terminal.
//!
//! Promise: what comes out has no control character, no line break, and nothing that turns the direction of
//! writing or hides (Unicode TR 36, 2.10 and TR 9): such a character is shown as `\n`, `\t` or `\u{…}`.

use std::{borrow::Cow, fmt::Write as _};

/// Text for one line of a terminal.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_hostile(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Serialised JSON, with every hostile character inside its strings as a `\uXXXX` escape: still the same JSON
/// value. The line breaks of pretty printing stay.
#[must_use]
pub fn json(serialised: &str) -> String {
    let mut safe = String::with_capacity(serialised.len());
    for c in serialised.chars() {
        if c != '\n' && is_hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Characters that act on a terminal or deceive its reader instead of being read.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' // soft hyphen
            | '\u{061c}' | '\u{200b}'..='\u{200f}' // marks of direction, zero width
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}' // isolates, invisible operators, deprecated format characters
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // byte order mark, interlinear annotation
            | '\u{e0000}'..='\u{e007f}' // tags
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_acts_on_a_terminal_is_shown_and_not_obeyed() {
        for (text, shown) in [
            ("Anna's phone", "Anna's phone"),
            ("Jürgens 電話", "Jürgens 電話"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(terminal(text), shown);
        }
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({"name": "a\u{202e}b\u{9b}\n\u{e0041}c", "n": [1, 2]});

        let safe = json(&serde_json::to_string_pretty(&value).unwrap());

        assert!(!safe.chars().any(|c| c != '\n' && is_hostile(c)), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
