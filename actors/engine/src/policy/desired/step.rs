//! What is done on a device, and the commands that say it.

use postern_wire::{auth, syncml::Data, terms::Verb, uri::TreeUri};

use crate::{
    destructive,
    operations::raw,
    queue::{Body, BodyItem},
};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is read: what stands there before the first change, or whether it still is what it was.
    Get {
        /// The node.
        uri: String,
    },
    /// An interior node is made. What the device answers does not matter: the leaf below it tells.
    Interior {
        /// The node.
        uri: String,
    },
    /// A node is made.
    Add {
        /// The node.
        uri: String,
        /// Its format.
        format: String,
        /// Its value.
        data: String,
        /// The value is octets, here as base64.
        binary: bool,
    },
    /// A node gets another value.
    Replace {
        /// The node.
        uri: String,
        /// Its format.
        format: String,
        /// Its value.
        data: String,
        /// The value is octets, here as base64.
        binary: bool,
    },
    /// A node is deleted.
    Delete {
        /// The node.
        uri: String,
    },
}

/// Items of one command, and octets of their values.
const TOGETHER: usize = 16;
const OCTETS: usize = 900;

impl Step {
    /// The node.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Get { uri }
            | Self::Interior { uri }
            | Self::Add { uri, .. }
            | Self::Replace { uri, .. }
            | Self::Delete { uri } => uri,
        }
    }

    /// The verb that says it.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Get { .. } => Verb::Get,
            Self::Interior { .. } | Self::Add { .. } => Verb::Add,
            Self::Replace { .. } => Verb::Replace,
            Self::Delete { .. } => Verb::Delete,
        }
    }

    /// Why its value cannot be sent, whatever its node, if so.
    #[must_use]
    pub fn misfit(&self) -> Option<String> {
        let item = self.item();
        item.format.and_then(|format| raw::refusal_of_value(&format, item.data.as_ref()))
    }

    /// Why it cannot be sent at all, if so: the rules for what a person types hold for every step.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        raw::refusal(self.verb(), &self.item()).map(|refused| refused.to_string())
    }

    fn item(&self) -> BodyItem {
        let node = BodyItem::node(self.uri());
        match self {
            Self::Get { .. } | Self::Delete { .. } => node,
            Self::Interior { .. } => BodyItem { format: Some("node".to_owned()), ..node },
            Self::Add { format, data, binary, .. } | Self::Replace { format, data, binary, .. } => {
                let octets = binary.then(|| auth::decode_base64(data)).flatten();
                let data = octets.map_or_else(|| Data::Text(data.clone()), Data::Binary);
                BodyItem { format: Some(format.clone()), data: Some(data), ..node }
            }
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::Add { data, .. } | Self::Replace { data, .. } => data.len(),
            Self::Get { .. } | Self::Interior { .. } | Self::Delete { .. } => 0,
        }
    }
}

/// The commands for steps, in their order: neighbours of one verb share a command, unless each is to go `alone`. An Add
/// always stands for itself, because its fate may have to be probed.
#[must_use]
pub fn commands(steps: &[Step], alone: bool) -> Vec<Body> {
    let mut out: Vec<(Verb, Vec<BodyItem>, usize)> = Vec::new();
    for step in steps {
        let (verb, octets) = (step.verb(), step.octets());
        match out.last_mut() {
            Some((last, items, sum))
                if *last == verb
                    && verb != Verb::Add
                    && !alone
                    && items.len() < TOGETHER
                    && *sum + octets <= OCTETS =>
            {
                items.push(step.item());
                *sum += octets;
            }
            _ => out.push((verb, vec![step.item()], octets)),
        }
    }
    out.into_iter().map(|(verb, items, _)| Body::plain(verb, items)).collect()
}

/// The interior nodes above a node, the outermost first, without the root and without what is protected.
#[must_use]
pub fn above(uri: &str) -> Vec<String> {
    let Ok(uri) = TreeUri::parse(uri) else { return Vec::new() };
    let mut above: Vec<TreeUri> =
        std::iter::successors(uri.parent(), TreeUri::parent).filter(|node| !node.is_root()).collect();
    above.reverse();
    above.retain(|node| destructive::protected(Verb::Add, node, false).is_none());
    above.iter().map(ToString::to_string).collect()
}
