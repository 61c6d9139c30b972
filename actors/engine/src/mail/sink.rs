//! How a text from outside is made harmless for where it goes.
//!
//! Promise: whatever the text, plain text gets one line without control or direction characters, HTML gets no markup,
//! and a header gets one line. A mail program makes nothing of it that can be clicked: `://`, `www.` and `mailto:` are
//! broken up.

use std::fmt::Write as _;

/// Characters of one text that are shown.
const LONGEST: usize = 500;
/// Characters of a header that are shown.
const HEADER: usize = 180;

/// One harmless line.
#[must_use]
pub fn line(text: &str) -> String {
    plain(text, LONGEST)
}

/// One harmless line for a header.
#[must_use]
pub fn header(text: &str) -> String {
    plain(text, HEADER)
}

/// One harmless line, as HTML text or a quoted attribute.
#[must_use]
pub fn html(text: &str) -> String {
    markup(&line(text))
}

/// Our own text as HTML: nothing is broken up, markup is.
#[must_use]
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The value of an RFC 5424 structured-data parameter (6.3.3): `"`, `\` and `]` are escaped, and no control remains.
#[must_use]
pub fn syslog_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in cut(text, LONGEST).chars() {
        match c {
            '"' | '\\' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c if disguises(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// A text in which control characters are shown as their code, for one line of a log.
#[must_use]
pub fn log_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in cut(text, LONGEST).chars() {
        if disguises(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn plain(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut blank = false;
    for c in cut(text, most).chars() {
        match c {
            c if c.is_whitespace() => blank = !out.is_empty(),
            c => {
                if std::mem::take(&mut blank) {
                    out.push(' ');
                }
                out.push(if disguises(c) { '\u{FFFD}' } else { c });
            }
        }
    }
    unlinked(&out)
}

/// Nothing that a mail program makes a link of by itself.
fn unlinked(text: &str) -> String {
    let mut out = text.replace("://", "[:]//");
    for (word, broken) in [("www.", "www[.]"), ("mailto:", "mailto[:]")] {
        while let Some(at) = out.to_ascii_lowercase().find(word) {
            out.replace_range(at..at + word.len(), broken);
        }
    }
    out
}

fn cut(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// Control characters, and those that turn the direction of what follows, join or hide.
fn disguises(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\r\nBcc: x@y\u{202E}<script src='https://evil.example/'>&\"]\\\u{7}WWW.evil.example";

    #[test]
    fn a_text_stays_one_line_without_controls_or_links() {
        for shown in [line(HOSTILE), header(HOSTILE)] {
            assert!(!shown.chars().any(disguises), "{shown:?}");
            assert!(!shown.contains("://") && !shown.to_ascii_lowercase().contains("www."), "{shown:?}");
        }
        assert_eq!(line("  a \n\n b  "), "a b");
        assert_eq!(line("mailto:x"), "mailto[:]x");
    }

    #[test]
    fn html_holds_no_markup() {
        let shown = html(HOSTILE);
        assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
        assert!(shown.contains("&lt;script"), "{shown}");
        assert_eq!(html("a & b"), "a &amp; b");
    }

    #[test]
    fn a_structured_value_is_escaped_as_rfc_5424_6_3_3_says() {
        assert_eq!(syslog_value(r#"a"b\c]d"#), r#"a\"b\\c\]d"#);
        assert!(!syslog_value(HOSTILE).chars().any(disguises));
        assert_eq!(log_line("a\nb"), "a\\u{a}b");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(line(&"x".repeat(9_999)).chars().count(), LONGEST + 1);
        assert!(header(&"x".repeat(9_999)).chars().count() <= HEADER + 1);
    }
}
