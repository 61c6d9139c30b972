//! What settings come to in nodes: for each node one value or its deletion, for each setting its nodes or the
//! reason why it has none.

mod policy_node;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Setting, Unmapped,
    table::{How, Row, Table, knows},
};
use crate::{
    operations::raw,
    policy::{
        desired::Removal,
        registry_pol::value::{self, Value, kind_name, typed},
    },
};

/// What separates the strings of a list in the Policy CSP.
const SEPARATOR: char = '\u{f000}';
/// Characters of a node's name that a list entry gives, at most.
const NODE_NAME: usize = 64;

/// A plan for one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The nodes, by address.
    pub nodes: Vec<Node>,
    /// For each setting, in their order, the places of its nodes, or why it has none.
    pub fates: Vec<Result<Vec<usize>, Unmapped>>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its address.
    pub uri: String,
    /// Its format.
    pub format: String,
    /// Its value; `None` deletes it.
    pub data: Option<String>,
    /// The places of the settings that it comes from.
    #[serde(skip)]
    pub settings: Vec<usize>,
    /// What becomes of it when nobody wants it any longer; nothing is the dialect's own rule.
    #[serde(skip)]
    pub removal: Option<Removal>,
}

/// A node that could take settings, and how well it fits: less is better.
struct Candidate {
    rank: u8,
    node: Node,
}

impl Candidate {
    /// Itself, where a message can carry its value.
    fn carried(self) -> Result<Self, Unmapped> {
        match self.node.data.as_deref().and_then(raw::uncarried) {
            None => Ok(self),
            Some(bad) => {
                let wanted = format!("text that XML can carry, without U+{:04X}", u32::from(bad));
                Err(Unmapped::ValueNotAllowed(wanted))
            }
        }
    }
}

impl Table {
    /// Plans settings for a device of a version, where it is known.
    #[must_use]
    pub fn plan(&self, settings: &[Setting<'_>], version: Option<&str>) -> Plan {
        let mut by_uri: BTreeMap<String, Vec<(&Row, usize)>> = BTreeMap::new();
        let mut whys: Vec<BTreeSet<Unmapped>> = vec![BTreeSet::new(); settings.len()];
        for (place, setting) in settings.iter().enumerate() {
            for row in self.rows_of(setting.half, setting.key, setting.value) {
                if let Err(why) = fits(row, setting, version) {
                    whys[place].insert(why);
                    continue;
                }
                by_uri
                    .entry(row.uri.replace("{name}", &node_name(setting.value)))
                    .or_default()
                    .push((row, place));
            }
        }
        let mut candidates = Vec::new();
        for (uri, found) in by_uri {
            let is_policy = found.iter().any(|(row, _)| row.how == How::Admx);
            let made = if is_policy {
                let rows: Vec<&Row> =
                    self.places_of_uri(&uri).iter().map(|place| &self.rows[*place]).collect();
                policy_node::candidate(&uri, &rows, &found, settings)
            } else {
                single(&uri, &found, settings)
            };
            match made.and_then(Candidate::carried) {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => found.iter().for_each(|(_, place)| {
                    whys[*place].insert(why.clone());
                }),
            }
        }
        candidates.sort_by(|one, other| (one.rank, &one.node.uri).cmp(&(other.rank, &other.node.uri)));
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        let mut nodes: Vec<Node> = Vec::new();
        for Candidate { node, .. } in candidates {
            // A node all of whose settings stand elsewhere already would say the same twice.
            if node.settings.iter().any(|place| !taken.contains(place)) {
                taken.extend(&node.settings);
                nodes.push(node);
            }
        }
        nodes.sort_by(|one, other| one.uri.cmp(&other.uri));
        let mut of_setting: Vec<Vec<usize>> = vec![Vec::new(); settings.len()];
        for (at, node) in nodes.iter().enumerate() {
            for place in &node.settings {
                // A node may name a setting twice, one after the other.
                if of_setting[*place].last() != Some(&at) {
                    of_setting[*place].push(at);
                }
            }
        }
        let fates = whys.into_iter().zip(of_setting).map(|(whys, own)| {
            // The reason that says most is the last in their order.
            if own.is_empty() {
                Err(whys.into_iter().next_back().unwrap_or(Unmapped::NoMapping))
            } else {
                Ok(own)
            }
        });
        let fates = fates.collect();
        Plan { nodes, fates }
    }
}

/// Whether a row can take a setting at all.
fn fits(row: &Row, setting: &Setting<'_>, version: Option<&str>) -> Result<(), Unmapped> {
    if version.is_some_and(|version| !knows(&row.from, version)) {
        return Err(Unmapped::NotYet(row.from.clone()));
    }
    let Some(data) = setting.data else { return Ok(()) };
    let texts = [value::SZ, value::EXPAND_SZ];
    let same = row.kind == data.kind
        || texts.contains(&row.kind) && texts.contains(&data.kind)
        // `storeAsText`: a number kept as text.
        || row.kind == value::DWORD && data.kind == value::SZ && row.element_kind == "decimal";
    if same && typed(data.kind, &data.octets).is_ok() {
        Ok(())
    } else {
        Err(Unmapped::WrongType(kind_name(row.kind)))
    }
}

/// A node that takes a value itself.
fn single(uri: &str, found: &[(&Row, usize)], settings: &[Setting<'_>]) -> Result<Candidate, Unmapped> {
    let row = found[0].0;
    let places: Vec<usize> = found.iter().map(|(_, place)| *place).collect();
    let data = if row.value == "*" && !row.uri.contains("{name}") {
        let pairs = places.iter().filter_map(|place| {
            let setting = &settings[*place];
            Some((setting.value, text_of(setting)?))
        });
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}{SEPARATOR}{value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join(&SEPARATOR.to_string()))
    } else {
        match text_of(&settings[places[0]]) {
            None => None,
            Some(text) => Some(converted(row, &text)?),
        }
    };
    let rank = if row.how == How::Native { 1 } else { 2 };
    Ok(Candidate {
        rank,
        node: Node {
            uri: uri.to_owned(),
            format: row.format.clone(),
            data,
            settings: places,
            removal: row.removal,
        },
    })
}

/// The value as a node has it, where the node takes it.
fn converted(row: &Row, text: &str) -> Result<String, Unmapped> {
    let not_allowed = || Unmapped::ValueNotAllowed(row.allowed.clone());
    if !allows(&row.allowed, text) {
        return Err(not_allowed());
    }
    if let Some(options) = pair(&row.reg_map, "opts").filter(|_| row.how == How::Native)
        && !options.split('|').any(|option| option == text)
    {
        return Err(Unmapped::ValueNotAllowed(options.to_owned()));
    }
    if row.how != How::Plain || row.reg_map.is_empty() {
        return Ok(text.to_owned());
    }
    pair(&row.reg_map, text).map(str::to_owned).ok_or_else(not_allowed)
}

impl Row {
    /// Whether its node takes this text; `Err` says what it takes.
    pub fn takes(&self, text: &str) -> Result<(), String> {
        let policy = || text.starts_with("<enabled") || text.starts_with("<disabled");
        match self.how {
            How::Admx if policy() => Ok(()),
            How::Admx => Err("<enabled/> with its data, or <disabled/>".to_owned()),
            How::Plain if !self.reg_map.is_empty() => {
                let values: Vec<&str> = self
                    .reg_map
                    .split(';')
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(_, value)| value)
                    .collect();
                if values.contains(&text) { Ok(()) } else { Err(values.join(", ")) }
            }
            _ if allows(&self.allowed, text) => Ok(()),
            _ => Err(self.allowed.clone()),
        }
    }
}

/// `[a-b]`, `a|b|c`; nothing, or an expression, allows anything.
fn allows(allowed: &str, text: &str) -> bool {
    if let Some((least, most)) = allowed
        .strip_prefix('[')
        .and_then(|range| range.strip_suffix(']'))
        .and_then(|range| range.split_once('-'))
        .and_then(|(least, most)| Some((least.parse::<u64>().ok()?, most.parse::<u64>().ok()?)))
    {
        return text.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number));
    }
    let words = |c: char| c.is_ascii_alphanumeric() || c == '|';
    if allowed.is_empty() || !allowed.contains('|') || !allowed.chars().all(words) {
        return true;
    }
    allowed.split('|').any(|one| one == text)
}

/// The value of a name in `a=1;b=2`.
fn pair<'m>(map: &'m str, name: &str) -> Option<&'m str> {
    map.split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

/// The setting's value as text; nothing of one that is deleted.
fn text_of(setting: &Setting<'_>) -> Option<String> {
    let data = setting.data?;
    match typed(data.kind, &data.octets).ok()? {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        Value::List(texts) => Some(texts.join(&SEPARATOR.to_string())),
        Value::Octets(octets) => {
            use base64::{Engine as _, prelude::BASE64_STANDARD};
            Some(BASE64_STANDARD.encode(octets))
        }
    }
}

/// A name of a list's entry as a node's name: what a URI does not take is written `%XX`.
fn node_name(name: &str) -> String {
    let mut node = String::new();
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.".contains(&octet) {
            node.push(char::from(octet));
        } else {
            node.push_str(&format!("%{octet:02X}"));
        }
        if node.len() >= NODE_NAME {
            break;
        }
    }
    node
}
