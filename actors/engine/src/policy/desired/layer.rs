//! What the documents of a device's groups say, as the fold takes it.

use super::Removal;

/// A document as it is assigned to one of a device's groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The document's name.
    pub document: String,
    /// Its version.
    pub version: i64,
    /// The group's name.
    pub group: String,
    /// How far inside the group is, from 0: what is further inside wins.
    pub depth: usize,
    /// Its place among the documents of the group: 1 wins.
    pub order: i64,
    /// Nothing nearer to the device beats it.
    pub enforced: bool,
    /// What it says, for this device's dialect.
    pub settings: Vec<LayerSetting>,
}

/// What a document says of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSetting {
    /// The node.
    pub uri: String,
    /// Its format.
    pub format: String,
    /// Its value; none where it is not to be there.
    pub data: Option<String>,
    /// What becomes of it when nobody wants it any longer.
    pub removal: Removal,
}
