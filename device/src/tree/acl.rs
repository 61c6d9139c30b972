//! Access control lists (OMA-TS-DM_TND 7.7.1): `Get=*&Replace=srv1+srv2`.
//!
//! Promise: a list with any entry is complete; an empty one inherits the nearest ancestor's whole list.

use std::collections::{BTreeMap, BTreeSet};

use postern_wire::terms::Verb;

use crate::codes::Code;

/// The verbs that a list may name, in the order they are written. Copy is not among them.
const VERBS: [(Verb, &str); 5] = [
    (Verb::Add, "Add"),
    (Verb::Delete, "Delete"),
    (Verb::Exec, "Exec"),
    (Verb::Get, "Get"),
    (Verb::Replace, "Replace"),
];

/// Servers that may give one command.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Servers {
    /// `*`: every authenticated server; overrides listed ones.
    Any,
    /// Those of these identifiers.
    These(BTreeSet<String>),
}

/// One node's own list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(BTreeMap<Verb, Servers>);

impl Acl {
    /// The list of a root that nobody has set: `Add=*&Get=*`.
    #[must_use]
    pub fn of_root() -> Self {
        Self::default().granting_any(&[Verb::Add, Verb::Get])
    }

    /// This list with the given commands open to every server.
    #[must_use]
    pub fn granting_any(mut self, verbs: &[Verb]) -> Self {
        self.0.extend(verbs.iter().map(|verb| (*verb, Servers::Any)));
        self
    }

    /// This list with the given commands open to `server` too.
    #[must_use]
    pub fn granting(mut self, server: &str, verbs: &[Verb]) -> Self {
        for verb in verbs {
            match self.0.entry(*verb).or_insert_with(|| Servers::These(BTreeSet::new())) {
                Servers::Any => {}
                Servers::These(ids) => _ = ids.insert(server.to_owned()),
            }
        }
        self
    }

    /// Whether the list has no entry and its node inherits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this list, taken as a node's effective one, lets `server` give `verb`.
    #[must_use]
    pub fn allows(&self, verb: Verb, server: &str) -> bool {
        match self.0.get(&verb) {
            None => false,
            Some(Servers::Any) => true,
            Some(Servers::These(ids)) => ids.contains(server),
        }
    }

    /// Reads the property's text. An entry without identifiers is no entry. 415 for what is none.
    pub fn parse(text: &str) -> Result<Self, Code> {
        let mut acl = Self::default();
        for entry in text.split('&').filter(|entry| !entry.is_empty()) {
            let (name, ids) = entry.split_once('=').ok_or(Code::BAD_FORMAT)?;
            let (verb, _) = VERBS.iter().find(|(_, known)| *known == name).ok_or(Code::BAD_FORMAT)?;
            let mut servers = BTreeSet::new();
            let mut any = false;
            for id in ids.split('+').filter(|id| !id.is_empty()) {
                if id == "*" {
                    any = true;
                } else if id.chars().all(|c| c.is_ascii_graphic() && !"=&*".contains(c)) {
                    servers.insert(id.to_owned());
                } else {
                    return Err(Code::BAD_FORMAT);
                }
            }
            let servers = match (any, servers.is_empty()) {
                (true, _) => Servers::Any,
                (false, true) => continue,
                (false, false) => Servers::These(servers),
            };
            if acl.0.insert(*verb, servers).is_some() {
                return Err(Code::BAD_FORMAT);
            }
        }
        Ok(acl)
    }

    /// The property's text; empty for an empty list.
    #[must_use]
    pub fn to_text(&self) -> String {
        let entries = VERBS.iter().filter_map(|(verb, name)| {
            Some(match self.0.get(verb)? {
                Servers::Any => format!("{name}=*"),
                Servers::These(ids) => {
                    format!("{name}={}", ids.iter().map(String::as_str).collect::<Vec<_>>().join("+"))
                }
            })
        });
        entries.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_in_one_spelling() {
        for (text, written) in [
            ("", ""),
            ("Get=*&Add=*", "Add=*&Get=*"),
            ("Replace=b+a", "Replace=a+b"),
            ("Get=a+*", "Get=*"),
            ("Get=&Delete=a", "Delete=a"),
        ] {
            assert_eq!(Acl::parse(text).unwrap().to_text(), written);
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["Copy=*", "Get", "get=*", "Get=a b", "Get=a*", "Get=a&Get=b", "Get=\u{e9}"] {
            assert_eq!(Acl::parse(text), Err(Code::BAD_FORMAT), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same_list(text in "((Add|Delete|Exec|Get|Replace)=[a-c*]([+][a-c])?&){0,3}") {
            if let Ok(acl) = Acl::parse(&text) {
                proptest::prop_assert_eq!(Acl::parse(&acl.to_text()), Ok(acl));
            }
        }
    }
}
