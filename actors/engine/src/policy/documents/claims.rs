//! What a document wants of the nodes of a device.

use std::{collections::BTreeMap, sync::LazyLock};

use postern_wire::tnds::Format;

use super::model::{Document, Scalar, Setting, Subject, Value};
use crate::policy::{
    desired::Removal,
    mapping::{
        self, Unmapped,
        classic::{self, Authored, Kind},
        table::Table,
    },
    registry_pol::value,
    rsop::settings::Data,
};

/// What a document wants of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The node.
    pub uri: String,
    /// Its format.
    pub format: String,
    /// Its value; `None` for one that is not to be there.
    pub data: Option<String>,
    /// What becomes of it later.
    pub removal: Option<Removal>,
    /// The place of the setting in the document.
    pub setting: usize,
}

/// What a document wants of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The nodes, by address, each once.
    pub nodes: Vec<Claim>,
    /// The places of settings that no node of this device takes, and why.
    pub unmapped: Vec<(usize, Unmapped)>,
}

impl Document {
    /// What it wants of a device of this table and version. Where a setting and an address in the document come to the
    /// same node, the address counts.
    #[must_use]
    pub fn claims(&self, table: &Table, version: Option<&str>) -> Claims {
        self.claims_by(&[table], version)
    }

    /// The same of several tables: the first that has a node for a setting takes it, so an operator's stand first.
    #[must_use]
    pub fn claims_by(&self, tables: &[&Table], version: Option<&str>) -> Claims {
        let mut nodes: BTreeMap<String, Claim> = BTreeMap::new();
        let named = Named::of(&self.settings);
        let mut left: Vec<(&Entry, Unmapped)> =
            named.entries.iter().map(|entry| (entry, Unmapped::NoMapping)).collect();
        for table in tables {
            let settings: Vec<_> =
                left.iter().map(|(entry, _)| named_setting(named.authored, entry)).collect();
            let plan = table.plan(&settings, version);
            let mut unmapped = Vec::new();
            for (fate, (entry, _)) in plan.fates.into_iter().zip(left) {
                let places = match fate {
                    Ok(places) => places,
                    Err(why) => {
                        unmapped.push((entry, why));
                        continue;
                    }
                };
                for node in places.into_iter().map(|place| &plan.nodes[place]) {
                    nodes.entry(node.uri.clone()).or_insert_with(|| Claim {
                        uri: node.uri.clone(),
                        format: node.format.clone(),
                        data: node.data.clone(),
                        removal: self.settings[entry.setting].removal.or(node.removal),
                        setting: entry.setting,
                    });
                }
            }
            left = unmapped;
        }
        let mut unmapped: Vec<(usize, Unmapped)> =
            left.into_iter().map(|(entry, why)| (entry.setting, why)).collect();
        unmapped.extend(named.unknown.iter().map(|place| (*place, Unmapped::NoMapping)));
        unmapped.sort();
        unmapped.dedup();
        for (place, setting) in self.settings.iter().enumerate() {
            let Subject::Uri(uri) = &setting.subject else { continue };
            let claim = Claim {
                uri: uri.clone(),
                format: format_of(setting, tables),
                data: data_of(&setting.value),
                removal: setting.removal,
                setting: place,
            };
            nodes.insert(uri.clone(), claim);
        }
        Claims { nodes: nodes.into_values().collect(), unmapped }
    }
}

/// The format that a node is given: what the document says, what the table says, what the value looks like.
pub(super) fn format_of(setting: &Setting, tables: &[&Table]) -> String {
    let rows = || tables.iter().flat_map(|table| table.rows_at(setting.subject.text()));
    let of_table = || rows().next().map(|row| row.format.clone());
    let of_value = || match &setting.value {
        Value::Value(Scalar::Bool(_)) => Format::Bool,
        Value::Value(Scalar::Number(_)) => Format::Int,
        _ => Format::Chr,
    };
    match setting.format {
        Some(format) => format.as_str().to_owned(),
        None => of_table().unwrap_or_else(|| of_value().as_str().to_owned()),
    }
}

/// The value as a node has it.
pub(super) fn data_of(value: &Value) -> Option<String> {
    match value {
        Value::Value(value) => Some(value.to_string()),
        Value::Absent(_) | Value::Entries(_) => None,
    }
}

/// The settings that are given by name, as registry values: tables map those.
struct Named {
    authored: &'static [Authored],
    entries: Vec<Entry>,
    unknown: Vec<usize>,
}

struct Entry {
    setting: usize,
    authored: usize,
    value: String,
    data: Option<Data>,
}

impl Named {
    fn of(settings: &[Setting]) -> Self {
        let mut named = Self { authored: authored(), entries: Vec::new(), unknown: Vec::new() };
        for (place, setting) in settings.iter().enumerate() {
            let Subject::Setting(id) = &setting.subject else { continue };
            let found = named.authored.iter().position(|authored| authored.id == *id);
            let made = found.and_then(|at| Some((at, registry(&named.authored[at], &setting.value).ok()?)));
            let Some((at, values)) = made else {
                named.unknown.push(place);
                continue;
            };
            named.entries.extend(values.into_iter().map(|(value, data)| Entry {
                setting: place,
                authored: at,
                value,
                data,
            }));
        }
        named
    }
}

fn named_setting<'s>(authored: &'s [Authored], entry: &'s Entry) -> mapping::Setting<'s> {
    let own = &authored[entry.authored];
    mapping::Setting { half: own.half, key: &own.key, value: &entry.value, data: entry.data.as_ref() }
}

/// The settings that can be given by name.
pub(super) fn authored() -> &'static [Authored] {
    static AUTHORED: LazyLock<Vec<Authored>> =
        LazyLock::new(|| classic::settings().expect("the file is ours, and a test reads it"));
    &AUTHORED
}

/// A setting's values in the registry: name and data, none of one that is not to be there. `Err` says what is wanted.
pub(super) fn registry(authored: &Authored, value: &Value) -> Result<Vec<(String, Option<Data>)>, String> {
    let one = |data| Ok(vec![(authored.value.clone(), data)]);
    let number = |number: u32| one(Some(Data { kind: value::DWORD, octets: number.to_le_bytes().to_vec() }));
    match (&authored.kind, value) {
        (Kind::List, Value::Absent(_)) => Err("a list (an empty one has no entries)".to_owned()),
        (_, Value::Absent(_)) => one(None),
        (Kind::Switch, Value::Value(Scalar::Bool(on))) => number(u32::from(*on)),
        (Kind::Switch, _) => Err("true or false".to_owned()),
        (Kind::Number(least, most), Value::Value(Scalar::Number(given)))
            if in_range(*given, *least, *most).is_some() =>
        {
            number(in_range(*given, *least, *most).unwrap_or(*least))
        }
        (Kind::Number(least, most), _) => Err(format!("a whole number of {least} to {most}")),
        (Kind::Choice(choices), Value::Value(given)) => {
            let is = |(number, name): &&(u32, String)| match given {
                Scalar::Number(given) => i64::from(*number) == *given,
                Scalar::Text(given) => name == given,
                Scalar::Bool(_) => false,
            };
            let found = choices.iter().find(is);
            found.map_or_else(|| Err(one_of(choices)), |(chosen, _)| number(*chosen))
        }
        (Kind::Choice(choices), _) => Err(one_of(choices)),
        (Kind::Text(most), Value::Value(Scalar::Text(text))) if text.chars().count() <= *most as usize => {
            one(Some(text_data(text)))
        }
        (Kind::Text(most), _) => Err(format!("a text of at most {most} characters")),
        (Kind::List, Value::Entries(entries)) => {
            Ok(entries.iter().map(|(name, text)| (name.clone(), Some(text_data(text)))).collect())
        }
        (Kind::List, _) => Err("a list of texts, or a map of them".to_owned()),
    }
}

fn in_range(given: i64, least: u32, most: u32) -> Option<u32> {
    u32::try_from(given).ok().filter(|given| (least..=most).contains(given))
}

fn one_of(choices: &[(u32, String)]) -> String {
    let choices: Vec<String> = choices.iter().map(|(number, name)| format!("{number} ({name})")).collect();
    format!("one of {}", choices.join(", "))
}

fn text_data(text: &str) -> Data {
    let units = text.encode_utf16().chain([0]);
    Data { kind: value::SZ, octets: units.flat_map(u16::to_le_bytes).collect() }
}
