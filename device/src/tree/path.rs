//! Addresses in the management tree (OMA-TS-DM_TND 6): a path and, behind `?`, a property or a listing.

use std::fmt;

use postern_wire::uri::{Query, TreeUri, UriError, UriLimits};

use crate::codes::Code;

/// The bounds of ./DevDetail/URI.
pub const MAX_DEPTH: usize = 20;
/// Octets of one node name.
pub const MAX_SEGMENT: usize = 256;
/// Octets of a whole URI.
pub const MAX_TOTAL: usize = 1024;

/// A node's place: its names from the root down; the root has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<String>);

/// What of a node a command speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The node itself.
    Node,
    /// `?prop=`: the property's name as sent.
    Property(String),
    /// `?list=`: the listing's name as sent.
    Listing(String),
}

impl Path {
    /// The root, `.`.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads a LocURI. `.`, `./A/B` and `A/B` are the forms; names keep their case and escapes.
    pub fn parse(uri: &str) -> Result<(Self, Aspect), Code> {
        let limits = UriLimits { depth: MAX_DEPTH, total: MAX_TOTAL, segment: MAX_SEGMENT };
        let uri = TreeUri::parse_within(uri, &limits).map_err(|error| match error {
            UriError::Limit { .. } => Code::URI_TOO_LONG,
            UriError::Query => Code::UNSUPPORTED,
            _ => Code::NOT_FOUND,
        })?;
        let aspect = match uri.query() {
            None => Aspect::Node,
            Some(Query::Prop(name)) => Aspect::Property(name.to_owned()),
            Some(Query::List(what)) => Aspect::Listing(what.to_owned()),
        };
        // white space around a URI is dropped: a name that begins or ends with it would have two addresses
        if uri.segments().any(|name| name.trim() != name) {
            return Err(Code::NOT_FOUND);
        }
        Ok((Self(uri.segments().map(ToOwned::to_owned).collect()), aspect))
    }

    /// The names from the root down.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// The parent; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, up) = self.0.split_last()?;
        Some(Self(up.to_vec()))
    }

    /// The child `name` of this node.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }

    /// Whether this is `other` or stands above it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// `.` or `./A/B`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".")?;
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_uri_name_the_same_node() {
        for uri in ["./DevInfo/Man", "DevInfo/Man"] {
            let (path, aspect) = Path::parse(uri).unwrap();
            assert_eq!((path.to_string().as_str(), aspect), ("./DevInfo/Man", Aspect::Node));
        }
        assert_eq!(Path::parse(".").unwrap().0, Path::root());
        assert_eq!(Path::parse("./A?prop=ACL").unwrap().1, Aspect::Property("ACL".into()));
        assert_eq!(Path::parse(".?list=Struct").unwrap().1, Aspect::Listing("Struct".into()));
    }

    #[test]
    fn what_is_no_uri_is_refused_and_what_is_too_long_is_414() {
        for (uri, code) in [
            ("/A", Code::NOT_FOUND),
            ("./A/", Code::NOT_FOUND),
            ("./A//B", Code::NOT_FOUND),
            ("./A/../B", Code::NOT_FOUND),
            ("./A\u{7}", Code::NOT_FOUND),
            ("./A /B", Code::NOT_FOUND),
            ("./\u{a0}A/B", Code::NOT_FOUND),
            ("./A?mode=x", Code::UNSUPPORTED),
        ] {
            assert_eq!(Path::parse(uri), Err(code), "{uri:?}");
        }
        for uri in ["a".repeat(MAX_SEGMENT + 1), "a/".repeat(MAX_DEPTH) + "a", "a/".repeat(MAX_TOTAL)] {
            assert_eq!(Path::parse(&uri), Err(Code::URI_TOO_LONG));
        }
    }
}
