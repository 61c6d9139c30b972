//! What one version of a document changes against another.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::{Assignment, Document, Setting};

/// What a document's change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It was not there.
    Add,
    /// It was there and is another now.
    Change,
    /// It was there.
    Remove,
}

impl Kind {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind.
    pub kind: Kind,
    /// `setting camera`, `assignment Field Phones`, `description` …
    pub what: String,
    /// What was there.
    pub before: String,
    /// What is there now.
    pub after: String,
}

/// What is another in `after`, in order: the document itself, its settings, its assignments. Nothing for two equal ones.
#[must_use]
pub fn differences(before: Option<&Document>, after: Option<&Document>) -> Vec<Difference> {
    let mut all = Vec::new();
    let pairs = [before.map(parts).unwrap_or_default(), after.map(parts).unwrap_or_default()];
    let [old, new] = &pairs;
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let difference = |kind, before: &str, after: &str| Difference {
            kind,
            what: name.1.clone(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        match (old.get(name), new.get(name)) {
            (None, Some(after)) => all.push(difference(Kind::Add, "", after)),
            (Some(before), None) => all.push(difference(Kind::Remove, before, "")),
            (Some(before), Some(after)) if before != after => {
                all.push(difference(Kind::Change, before, after))
            }
            _ => {}
        }
    }
    all
}

/// The parts of a document that can differ, with their texts.
fn parts(document: &Document) -> BTreeMap<(u8, String), String> {
    let mut parts = BTreeMap::new();
    if !document.description.is_empty() {
        parts.insert((0, "description".to_owned()), document.description.clone());
    }
    if !document.dialects.is_empty() {
        let dialects: Vec<&str> = document.dialects.iter().map(|dialect| dialect.as_str()).collect();
        parts.insert((0, "dialects".to_owned()), dialects.join(", "));
    }
    for setting in &document.settings {
        parts.insert((1, format!("setting {}", setting.subject.text())), told(setting));
    }
    for assignment in document.assignments() {
        parts.insert((2, format!("assignment {}", assignment.group)), assigned(&assignment));
    }
    parts
}

fn told(setting: &Setting) -> String {
    let format = setting.format.map(|format| format!(" ({format})")).unwrap_or_default();
    let removal = setting.removal.map(|removal| format!(", removal {}", removal.word())).unwrap_or_default();
    format!("{}{format}{removal}", setting.value)
}

fn assigned(assignment: &Assignment) -> String {
    let enforced = if assignment.enforced { ", enforced" } else { "" };
    format!("order {}{enforced}", assignment.order)
}
