//! Addresses in the management tree (OMA-TS-DM_TND 1.2.1, section 6; `?list=` section 8, `?prop=` section 7).
//!
//! Promise: a [`TreeUri`] is relative to the root, within limits, without `..`, empty or doubled segments; its
//! text is kept as given apart from the leading `./`, which is always there. Case is preserved: whether it
//! matters is the device's choice.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::Error as _};

/// What a URI may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriLimits {
    /// Segments below the root. Default 64.
    pub depth: usize,
    /// Octets of all, the query included. Default 2,048.
    pub total: usize,
    /// Octets of one segment. Default 512 (Windows puts names of that size into URIs).
    pub segment: usize,
}

impl Default for UriLimits {
    fn default() -> Self {
        Self { depth: 64, total: 2_048, segment: 512 }
    }
}

/// The address of a node, of one of its properties or of a listing below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeUri {
    /// `.` or `./a/b`, then the query with its `?`.
    text: String,
    /// Where the path ends.
    path_end: usize,
}

/// What follows the `?` of a tree URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query<'a> {
    /// `?prop=NAME`: a property of the node (ACL, Format, Name, Size, Title, TStamp, Type, VerNo).
    Prop(&'a str),
    /// `?list=WHAT`: Struct, StructData or TNDS with its additions.
    List(&'a str),
}

/// Why a text is not an address in the management tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Longer or deeper than the limits.
    #[error("the URI has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A leading or trailing `/`, or two in a row.
    #[error("the URI has an empty segment")]
    EmptySegment,
    /// `.` elsewhere than at the start, or `..`.
    #[error("the URI has a relative segment")]
    RelativeSegment,
    /// White space, a control character, or a `?` or `#` that starts no known query.
    #[error("the URI holds {0:?}")]
    Character(char),
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the URI holds a broken escape")]
    Escape,
    /// A query that is neither `prop=` nor `list=` with a value.
    #[error("the URI's query is neither ?prop= nor ?list=")]
    Query,
}

impl TreeUri {
    /// Reads an address with the default limits. `.`, `./A`, `A` and the empty text (the root) are accepted.
    ///
    /// # Errors
    /// [`UriError`]; a device is answered 414 for a limit and 404 otherwise.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Self::parse_within(text, &UriLimits::default())
    }

    /// Reads an address within the given limits.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_within(text: &str, limits: &UriLimits) -> Result<Self, UriError> {
        let text = text.trim();
        if text.len() > limits.total {
            return Err(UriError::Limit { what: "octets", limit: limits.total });
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let relative = match path {
            "" | "." | "./" => "",
            _ => path.strip_prefix("./").unwrap_or(path),
        };
        check_segments(relative, limits)?;
        let mut normal = String::with_capacity(text.len() + 2);
        normal.push('.');
        if !relative.is_empty() {
            normal.push('/');
            normal.push_str(relative);
        }
        let path_end = normal.len();
        if let Some(query) = query {
            check_query(query)?;
            normal.push('?');
            normal.push_str(query);
        }
        Ok(Self { text: normal, path_end })
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path without the query: `.` or `./a/b`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[..self.path_end]
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.path_end == 1
    }

    /// The node names from the root down.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path().get(2..).unwrap_or_default().split_terminator('/')
    }

    /// The last node name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path().rsplit_once('/').map(|(_, name)| name)
    }

    /// What is asked of the node, when not its value.
    #[must_use]
    pub fn query(&self) -> Option<Query<'_>> {
        let query = self.text[self.path_end..].strip_prefix('?')?;
        match query.split_once('=') {
            Some(("prop", name)) => Some(Query::Prop(name)),
            Some(("list", what)) => Some(Query::List(what)),
            _ => None,
        }
    }

    /// The node above, without a query; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (above, _) = self.path().rsplit_once('/')?;
        Some(Self { text: above.to_owned(), path_end: above.len() })
    }

    /// The node itself, without a query.
    #[must_use]
    pub fn node(&self) -> Self {
        Self { text: self.path().to_owned(), path_end: self.path_end }
    }

    /// The child of that name.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn join(&self, name: &str) -> Result<Self, UriError> {
        Self::parse(&format!("{}/{name}", self.path()))
    }

    /// Whether `other` is this node or lies below it; case counts and queries do not.
    #[must_use]
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        is_prefix(self.path(), other.path(), |left, right| left == right)
    }

    /// As [`Self::is_prefix_of`], with ASCII case ignored: for rules that must hold on devices of either kind.
    #[must_use]
    pub fn is_prefix_of_ignoring_case(&self, other: &Self) -> bool {
        is_prefix(self.path(), other.path(), str::eq_ignore_ascii_case)
    }
}

fn is_prefix(prefix: &str, path: &str, same: impl Fn(&str, &str) -> bool) -> bool {
    let mut segments = path.split('/');
    prefix.split('/').all(|wanted| segments.next().is_some_and(|segment| same(wanted, segment)))
}

fn check_segments(relative: &str, limits: &UriLimits) -> Result<(), UriError> {
    if relative.is_empty() {
        return Ok(());
    }
    for (at, segment) in relative.split('/').enumerate() {
        if at >= limits.depth {
            return Err(UriError::Limit { what: "segments", limit: limits.depth });
        }
        if segment.len() > limits.segment {
            return Err(UriError::Limit { what: "octets in a segment", limit: limits.segment });
        }
        match segment {
            "" => return Err(UriError::EmptySegment),
            "." | ".." => return Err(UriError::RelativeSegment),
            _ => check_characters(segment)?,
        }
    }
    Ok(())
}

/// Blanks inside a name are let through: certificate stores and application names on real devices have them.
fn check_characters(segment: &str) -> Result<(), UriError> {
    if let Some(bad) = segment.chars().find(|c| c.is_control() || *c == '#') {
        return Err(UriError::Character(bad));
    }
    let mut escapes = segment.split('%');
    escapes.next();
    for after in escapes {
        if after.len() < 2 || !after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit) {
            return Err(UriError::Escape);
        }
    }
    Ok(())
}

fn check_query(query: &str) -> Result<(), UriError> {
    if let Some(bad) =
        query.chars().find(|c| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '/'))
    {
        return Err(UriError::Character(bad));
    }
    match query.split_once('=') {
        Some(("prop" | "list", value)) if !value.is_empty() => Ok(()),
        _ => Err(UriError::Query),
    }
}

impl fmt::Display for TreeUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TreeUri {
    type Err = UriError;
    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl AsRef<str> for TreeUri {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Serialize for TreeUri {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for TreeUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_one_node_become_one() {
        for (text, normal) in [
            (".", "."),
            ("", "."),
            ("./", "."),
            ("./A/B", "./A/B"),
            ("A/B", "./A/B"),
            ("./A?prop=ACL", "./A?prop=ACL"),
            (".?list=Struct", ".?list=Struct"),
            ("./Vendor/MSFT/My%20App/a b", "./Vendor/MSFT/My%20App/a b"),
        ] {
            assert_eq!(TreeUri::parse(text).unwrap().as_str(), normal, "{text}");
        }
    }

    #[test]
    fn what_leaves_the_tree_or_is_no_path_is_refused() {
        for (text, error) in [
            ("/A", UriError::EmptySegment),
            ("./A/", UriError::EmptySegment),
            ("./A//B", UriError::EmptySegment),
            ("../A", UriError::RelativeSegment),
            ("./A/../B", UriError::RelativeSegment),
            ("./A/./B", UriError::RelativeSegment),
            ("./A%2", UriError::Escape),
            ("./A%zz", UriError::Escape),
            ("./A#b", UriError::Character('#')),
            ("./A\u{0}", UriError::Character('\u{0}')),
            ("./A?", UriError::Query),
            ("./A?x=y", UriError::Query),
            ("./A?prop=", UriError::Query),
            ("./A?prop=ACL/B", UriError::Character('/')),
        ] {
            assert_eq!(TreeUri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn depth_length_and_segment_have_limits() {
        let limits = UriLimits { depth: 2, total: 12, segment: 4 };
        assert!(TreeUri::parse_within("./abcd/efgh", &limits).is_ok());
        for text in ["./a/b/c", "./abcde", "./abcd/efgh/", "./a?list=Struct"] {
            assert!(matches!(TreeUri::parse_within(text, &limits), Err(UriError::Limit { .. })), "{text}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let (a, ab, abc) = (uri("./A"), uri("./A/B?prop=ACL"), uri("./AB"));
        assert!(uri(".").is_prefix_of(&a) && a.is_prefix_of(&ab) && a.is_prefix_of(&a));
        assert!(!a.is_prefix_of(&abc) && !ab.is_prefix_of(&a));
        assert!(!uri("./a").is_prefix_of(&ab) && uri("./a").is_prefix_of_ignoring_case(&ab));
    }

    #[test]
    fn a_uri_gives_its_parts() {
        let node = uri("./DevInfo/Ext?prop=Name");
        assert_eq!(node.segments().collect::<Vec<_>>(), ["DevInfo", "Ext"]);
        assert_eq!((node.name(), node.query()), (Some("Ext"), Some(Query::Prop("Name"))));
        assert_eq!(node.parent(), Some(uri("./DevInfo")));
        assert_eq!(node.join("x"), Ok(uri("./DevInfo/Ext/x")));
        assert_eq!(uri("./a?list=TNDS+Value").query(), Some(Query::List("TNDS+Value")));
        assert_eq!((uri(".").parent(), uri(".").name(), uri(".").segments().count()), (None, None, 0));
    }

    fn uri(text: &str) -> TreeUri {
        TreeUri::parse(text).unwrap()
    }
}
