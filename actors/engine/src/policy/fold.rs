//! Text without case, as a directory and a registry compare names: a simple fold, character for character.
//!
//! Promise: a character outside ASCII never becomes one of ASCII (a Turkish ı is no I, a long ſ is no S), as in Windows' own table: no name
//! of other letters passes for one of ASCII.

/// The text in upper case, character for character: what has no single upper-case character stays as it is.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().map(upper).collect()
}

/// Whether two texts are one without case.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.chars().map(upper).eq(other.chars().map(upper))
}

/// What stands behind a prefix that is given without case.
#[must_use]
pub fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) if c.is_ascii() || !one.is_ascii() => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_never_cut_inside_a_character() {
        assert!(same("Straße", "sTRAßE") && same("ΣΑΣ", "σας") && !same("a", "b"));
        assert!(same("éclair", "ÉCLAIR") && same("ïОж", "ÏоЖ"));
        for (one, other) in [("ı", "I"), ("ſ", "S"), ("\u{212a}", "k"), ("ß", "SS"), ("é", "e")] {
            assert!(!same(one, other), "{one} {other}");
        }
        assert_eq!(strip_prefix("**DEL.x", "**del."), Some("x"));
        assert_eq!(strip_prefix("abcd€x", "abcdef"), None);
    }
}
