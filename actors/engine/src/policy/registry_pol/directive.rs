//! What a record asks for: a value, or one of the directives in its name (MS-GPREG 3.2.5.1.2).

use super::{Record, value};
use crate::policy::fold::strip_prefix;

/// What a record asks for. Names stand as they are written; they are compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Make the key and nothing in it: type 0, no name, no data.
    CreateKey,
    /// Set a value; an empty name is the key's default value.
    Set {
        /// The value's name.
        name: String,
    },
    /// `**soft.`: set a value where there is none.
    Soft {
        /// The value's name.
        name: String,
    },
    /// `**del.`: delete one value.
    DeleteValue {
        /// The value's name.
        name: String,
    },
    /// `**delvals.`: delete all values of the key.
    DeleteAllValues,
    /// `**DeleteValues`: delete the values that the data names, between semicolons.
    DeleteValues {
        /// The values' names.
        names: Vec<String>,
    },
    /// `**DeleteKeys`: delete the subkeys that the data names, and all below.
    DeleteKeys {
        /// The subkeys' names.
        names: Vec<String>,
    },
    /// `**SecureKey`: 1 has the key locked, anything else has it reset. Means nothing to a managed device.
    SecureKey {
        /// Whether it is to be locked.
        locked: bool,
    },
    /// A name that begins with `**` and is no directive, or one whose data cannot be read.
    Unknown,
}

impl Record {
    /// What the record asks for.
    #[must_use]
    pub fn directive(&self) -> Directive {
        let name = self.value.as_str();
        if !name.starts_with("**") {
            let nothing = name.is_empty() && self.kind == value::NONE && self.data.is_empty();
            return if nothing { Directive::CreateKey } else { Directive::Set { name: name.to_owned() } };
        }
        if let Some(name) = strip_prefix(name, "**del.") {
            return Directive::DeleteValue { name: name.to_owned() };
        }
        if let Some(name) = strip_prefix(name, "**soft.") {
            return Directive::Soft { name: name.to_owned() };
        }
        if strip_prefix(name, "**delvals").is_some_and(|rest| matches!(rest, "" | ".")) {
            return Directive::DeleteAllValues;
        }
        if strip_prefix(name, "**deletevalues").is_some_and(|rest| matches!(rest, "" | ".")) {
            return self.names().map_or(Directive::Unknown, |names| Directive::DeleteValues { names });
        }
        if strip_prefix(name, "**deletekeys").is_some_and(|rest| matches!(rest, "" | ".")) {
            return self.names().map_or(Directive::Unknown, |names| Directive::DeleteKeys { names });
        }
        // Older texts put the number into the name.
        match strip_prefix(name, "**securekey") {
            Some("=1") => Directive::SecureKey { locked: true },
            Some(rest) if rest.starts_with('=') => Directive::SecureKey { locked: false },
            Some("" | ".") => Directive::SecureKey { locked: self.typed() == Ok(value::Value::Number(1)) },
            _ => Directive::Unknown,
        }
    }

    fn names(&self) -> Option<Vec<String>> {
        let value::Value::Text(text) = self.typed().ok()? else { return None };
        Some(text.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}
