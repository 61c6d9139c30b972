//! The tree as it rests on disk: a flat list, parents first. Permanent nodes are planted anew at each start;
//! of them only what a server may have changed is kept.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postern_wire::terms::UtcMillis;
use postern_wire::terms::Verb;
use serde::{Deserialize, Serialize};

use super::{
    Tree,
    acl::Acl,
    node::{Access, Format, Node},
    path::Path,
};
use crate::codes::Code;

/// One saved node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedNode {
    uri: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    permanent: bool,
    format: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    acl: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamped: Option<UtcMillis>,
    #[serde(default, skip_serializing_if = "is_zero")]
    version: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// AccessType, where a provider made it other than a server's own node has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<u8>,
}

/// A saved tree that cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved node {uri:?} does not fit the tree (code {code})")]
pub struct SavedTreeError {
    /// The node.
    pub uri: String,
    /// What the tree said to it.
    pub code: Code,
}

impl Tree {
    /// Everything that planting would not bring back.
    #[must_use]
    pub fn save(&self) -> Vec<SavedNode> {
        let mut saved = Vec::new();
        self.walk(&Path::root(), &mut |path, node| {
            let untouched = node.title.is_none() && node.stamped.is_none();
            let plain = node.acl.is_empty() && untouched && !node.access.allows(Verb::Replace);
            if !(node.permanent && plain && path != &Path::root()) {
                saved.push(SavedNode::of(path, node));
            }
        });
        saved
    }

    /// Puts saved nodes back into a tree that is freshly planted. A permanent node takes its ACL and title
    /// back, and its value when servers may replace it; one that is planted no more is left out.
    pub fn restore(&mut self, saved: &[SavedNode]) -> Result<(), SavedTreeError> {
        for node in saved {
            node.put_into(self).map_err(|code| SavedTreeError { uri: node.uri.clone(), code })?;
        }
        Ok(())
    }
}

impl SavedNode {
    fn of(path: &Path, node: &Node) -> Self {
        let text = node.text().filter(|_| node.format != Format::Bin).map(ToOwned::to_owned);
        let base64 = text.is_none().then(|| BASE64.encode(&node.value));
        let usual = if node.is_interior() { Node::interior() } else { Node::leaf(node.format, "") };
        let access = (!node.permanent && node.access != usual.access).then(|| node.access.bits());
        Self {
            access,
            uri: path.to_string(),
            permanent: node.permanent,
            format: node.format.as_str().to_owned(),
            media_type: node.media_type.clone(),
            title: node.title.clone(),
            acl: node.acl.to_text(),
            stamped: node.stamped,
            version: node.version,
            text: text.filter(|text| !text.is_empty()),
            base64,
        }
    }

    fn put_into(&self, tree: &mut Tree) -> Result<(), Code> {
        let (path, _) = Path::parse(&self.uri)?;
        let format = Format::parse(&self.format)?;
        let acl = Acl::parse(&self.acl)?;
        let value = match &self.base64 {
            Some(base64) => BASE64.decode(base64).map_err(|_| Code::BAD_FORMAT)?,
            None => self.text.clone().unwrap_or_default().into_bytes(),
        };
        format.check(&value)?;
        let acl_is_fixed = tree.acl_is_fixed(&path);
        if tree.get(&path).is_some() {
            return tree.update(&path, |node| {
                node.title = self.title.clone();
                (node.stamped, node.version) = (self.stamped, self.version);
                if !acl_is_fixed {
                    node.acl = acl;
                }
                if node.access.allows(Verb::Replace) && node.format == format {
                    node.value = value;
                }
            });
        }
        if self.permanent {
            return Ok(()); // no provider plants it any more
        }
        let fresh = if format == Format::Node { Node::interior() } else { Node::leaf(format, value) };
        let access = self.access.map_or(fresh.access, Access::from_bits);
        let node = Node {
            media_type: self.media_type.clone(),
            title: self.title.clone(),
            acl,
            access,
            stamped: self.stamped,
            version: self.version,
            ..fresh
        };
        tree.insert(&path, node)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(version: &u16) -> bool {
    *version == 0
}
