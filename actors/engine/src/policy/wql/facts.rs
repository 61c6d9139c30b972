//! What is known of a device, as the classes of WMI that filters ask for.

use std::{collections::BTreeMap, fmt};

use crate::policy::fold::fold;

/// Classes of a device at most, rows of a class, properties of a row.
const MOST: usize = 1024;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Boolean(bool),
    /// Known to have no value.
    Null,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(yes) => write!(f, "{yes}"),
            Self::Null => f.write_str("NULL"),
        }
    }
}

/// One instance of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(BTreeMap<String, Fact>);

impl Row {
    /// A property, without case.
    #[must_use]
    pub fn get(&self, property: &str) -> Option<&Fact> {
        self.0.get(&fold(property))
    }
}

/// The classes that something is known of, each with its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Vec<Row>>);

/// A document that holds no facts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Not a map of classes.
    #[error("facts are a map of classes, of `Class.Property`, or of the nodes of a device's tree")]
    Shape,
    /// A value that is neither text, number, boolean nor null.
    #[error("{0} is neither text, whole number, boolean nor null")]
    Value(String),
    /// More than anybody needs.
    #[error("too many facts")]
    TooMany,
}

/// Where the property of a class comes from in a device's tree.
const FROM_TREE: &[(&str, &str, &str)] = &[
    ("./DevInfo/Man", "Win32_ComputerSystem", "Manufacturer"),
    ("./DevInfo/Mod", "Win32_ComputerSystem", "Model"),
    ("./DevDetail/SwV", "Win32_OperatingSystem", "Version"),
    ("./Vendor/Linux/OS/PrettyName", "Win32_OperatingSystem", "Caption"),
    ("./Vendor/Linux/OS/VersionId", "Win32_OperatingSystem", "Version"),
    ("./Vendor/Linux/Kernel/Release", "Win32_OperatingSystem", "BuildNumber"),
    ("./Vendor/Linux/Hostname", "Win32_ComputerSystem", "Name"),
];

impl Facts {
    /// The instances of a class; `None` where nothing is known of it.
    #[must_use]
    pub fn rows(&self, class: &str) -> Option<&[Row]> {
        self.0.get(&fold(class)).map(Vec::as_slice)
    }

    /// Sets a property of the first instance of a class.
    pub fn set(&mut self, class: &str, property: &str, fact: Fact) {
        let rows = self.0.entry(fold(class)).or_default();
        if rows.is_empty() {
            rows.push(Row::default());
        }
        rows[0].0.insert(fold(property), fact);
    }

    /// What a device's facts say, by the addresses of its tree. Beside the classes of WMI each leaf of DevInfo,
    /// DevDetail and `./Vendor/Linux` is a property of a class `Postern_DevInfo` and so on, under its own name.
    #[must_use]
    pub fn of_tree<'f>(facts: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let mut of = Self::default();
        for (uri, value) in facts {
            of.set_from_tree(uri, Fact::Text(value.to_owned()));
        }
        of
    }

    fn set_from_tree(&mut self, uri: &str, fact: Fact) {
        for (_, class, property) in FROM_TREE.iter().filter(|(from, ..)| *from == uri) {
            self.set(class, property, fact.clone());
        }
        let path = uri.strip_prefix("./").unwrap_or(uri);
        let path = path.strip_prefix("Vendor/").unwrap_or(path);
        if let Some((object, leaf)) = path.split_once('/')
            && matches!(object, "DevInfo" | "DevDetail" | "Linux")
        {
            self.set(&format!("Postern_{object}"), &leaf.replace('/', "_"), fact);
        }
    }

    /// Reads facts from a JSON document: a class with an object, or with a list of objects for several
    /// instances; `Class.Property`; or an address of the device's tree.
    pub fn from_json(document: &serde_json::Value) -> Result<Self, FactsError> {
        let map = document.as_object().ok_or(FactsError::Shape)?;
        if map.len() > MOST {
            return Err(FactsError::TooMany);
        }
        let mut facts = Self::default();
        for (name, value) in map {
            if name.starts_with("./") {
                facts.set_from_tree(name, fact(name, value)?);
            } else if let Some((class, property)) = name.split_once('.') {
                facts.set(class, property, fact(name, value)?);
            } else {
                let rows = match value {
                    serde_json::Value::Array(rows) => rows.iter().map(row).collect::<Result<Vec<_>, _>>()?,
                    one => vec![row(one)?],
                };
                if rows.len() > MOST {
                    return Err(FactsError::TooMany);
                }
                facts.0.entry(fold(name)).or_default().extend(rows);
            }
        }
        Ok(facts)
    }
}

fn row(value: &serde_json::Value) -> Result<Row, FactsError> {
    let properties = value.as_object().ok_or(FactsError::Shape)?;
    if properties.len() > MOST {
        return Err(FactsError::TooMany);
    }
    let pairs = properties.iter().map(|(name, value)| Ok((fold(name), fact(name, value)?)));
    Ok(Row(pairs.collect::<Result<_, FactsError>>()?))
}

fn fact(name: &str, value: &serde_json::Value) -> Result<Fact, FactsError> {
    match value {
        serde_json::Value::String(text) => Ok(Fact::Text(text.clone())),
        serde_json::Value::Bool(yes) => Ok(Fact::Boolean(*yes)),
        serde_json::Value::Null => Ok(Fact::Null),
        serde_json::Value::Number(number) => {
            number.as_i64().map(Fact::Number).ok_or_else(|| FactsError::Value(name.to_owned()))
        }
        _ => Err(FactsError::Value(name.to_owned())),
    }
}
