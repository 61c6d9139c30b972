//! A gateway's settings: defaults, what is set for all gateways, what is set for one. The later wins, key by key.
//!
//! A key of a table inside the document is a key of its own: `address.burst` can be set for one gateway while
//! `address.per_minute` is set for all.

use serde_json::{Map, Value};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// Nobody set it.
    Default,
    /// It is set for all gateways.
    All,
    /// It is set for this gateway.
    Gateway,
}

impl From {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::All => "all",
            Self::Gateway => "gateway",
        }
    }
}

/// One key with its value and where that comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key, tables before a dot.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Whose value it is.
    pub from: From,
}

/// The whole document: `defaults` with `all` and then `own` laid over it.
#[must_use]
pub fn merged(defaults: &Value, all: &Value, own: &Value) -> Value {
    let mut document = defaults.clone();
    lay_over(&mut document, all);
    lay_over(&mut document, own);
    document
}

/// Every key of the merged document with its origin, in the order of the keys.
#[must_use]
pub fn explained(defaults: &Value, all: &Value, own: &Value) -> Vec<Setting> {
    let document = merged(defaults, all, own);
    let mut settings = Vec::new();
    leaves("", &document, &mut |key, value| {
        let from = if find(own, key).is_some() {
            From::Gateway
        } else if find(all, key).is_some() {
            From::All
        } else {
            From::Default
        };
        settings.push(Setting { key: key.to_owned(), value: value.clone(), from });
    });
    settings
}

/// What has to be set for one gateway so that it has `document`, given the rest: only what differs.
#[must_use]
pub fn difference(document: &Value, defaults: &Value, all: &Value) -> Value {
    let rest = merged(defaults, all, &Value::Null);
    let mut own = Value::Object(Map::new());
    leaves("", document, &mut |key, value| {
        if find(&rest, key) != Some(value) {
            set(&mut own, key, value.clone());
        }
    });
    own
}

/// The keys whose values differ between two documents: key, before, after.
#[must_use]
pub fn changes(before: &Value, after: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
    let mut keys: Vec<String> = Vec::new();
    for document in [before, after] {
        leaves("", document, &mut |key, _| keys.push(key.to_owned()));
    }
    keys.sort();
    keys.dedup();
    let pair = |key: String| {
        let (old, new) = (find(before, &key).cloned(), find(after, &key).cloned());
        (old != new).then_some((key, old, new))
    };
    keys.into_iter().filter_map(pair).collect()
}

/// The value of a dotted key.
#[must_use]
pub fn find<'v>(document: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.').try_fold(document, |value, part| value.as_object()?.get(part))
}

/// Sets a dotted key.
pub fn set(document: &mut Value, key: &str, value: Value) {
    let mut at = document;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(table) = at.as_object_mut() else { return };
        if parts.peek().is_none() {
            table.insert(part.to_owned(), value);
            return;
        }
        at = table.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
}

/// Takes a dotted key away, and tables that it leaves empty. Whether it was there.
pub fn clear(document: &mut Value, key: &str) -> bool {
    let Some(table) = document.as_object_mut() else { return false };
    match key.split_once('.') {
        None => table.remove(key).is_some(),
        Some((head, rest)) => {
            let cleared = table.get_mut(head).is_some_and(|inner| clear(inner, rest));
            if cleared && table.get(head).and_then(Value::as_object).is_some_and(Map::is_empty) {
                table.remove(head);
            }
            cleared
        }
    }
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(there) if there.is_object() && value.is_object() => lay_over(there, value),
                    _ => drop(under.insert(key.clone(), value.clone())),
                }
            }
        }
        (_, Value::Null) => {}
        (under, over) => *under = over.clone(),
    }
}

fn leaves(path: &str, value: &Value, take: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, value, take);
            }
        }
        value if path.is_empty() => debug_assert!(value.is_null(), "a document is a table"),
        value => take(path, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_later_layer_wins_key_by_key_and_each_value_says_where_it_is_from() {
        let defaults = json!({"a": 1, "t": {"x": 1, "y": 1}, "list": []});
        let (all, own) = (json!({"t": {"x": 2}, "list": ["b"]}), json!({"t": {"y": 3}}));
        assert_eq!(merged(&defaults, &all, &own), json!({"a": 1, "t": {"x": 2, "y": 3}, "list": ["b"]}));
        let from: Vec<_> = explained(&defaults, &all, &own)
            .into_iter()
            .map(|setting| (setting.key, setting.from.as_str()))
            .collect();
        let expected = [("a", "default"), ("list", "all"), ("t.x", "all"), ("t.y", "gateway")];
        assert_eq!(from, expected.map(|(key, from)| (key.to_owned(), from)));
    }

    #[test]
    fn the_difference_laid_over_the_rest_is_the_document_again() {
        let (defaults, all) = (json!({"a": 1, "b": 2, "t": {"x": 1, "y": 1}}), json!({"b": 3}));
        let document = json!({"a": 1, "b": 2, "t": {"x": 1, "y": 9}});
        let own = difference(&document, &defaults, &all);
        assert_eq!(own, json!({"b": 2, "t": {"y": 9}}));
        assert_eq!(merged(&defaults, &all, &own), document);
    }

    #[test]
    fn a_key_is_set_and_cleared_and_an_empty_table_goes() {
        let mut own = json!({});
        set(&mut own, "t.x", json!(5));
        set(&mut own, "a", json!(1));
        assert_eq!(own, json!({"a": 1, "t": {"x": 5}}));
        assert!(clear(&mut own, "t.x") && !clear(&mut own, "t.x"));
        assert_eq!(own, json!({"a": 1}));
    }

    #[test]
    fn changes_name_what_differs_and_nothing_else() {
        let told = changes(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3, "c": true}));
        assert_eq!(
            told,
            [("b".to_owned(), Some(json!(2)), Some(json!(3))), ("c".to_owned(), None, Some(json!(true)))]
        );
    }
}
