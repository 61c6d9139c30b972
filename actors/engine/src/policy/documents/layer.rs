//! Documents as the fold with the directory takes them ([`crate::policy::desired`]).

use super::resolve::Layered;
use crate::policy::{
    desired::{
        Removal,
        layer::{Layer, LayerSetting},
    },
    mapping::{Dialect, table::Table},
};

/// What the documents that count for a device say of its nodes. `tables` put settings into nodes, the first that has one counts;
/// what becomes of a node later is the dialect's rule where a document does not say.
#[must_use]
pub fn layers(layered: &[Layered], tables: &[&Table], version: Option<&str>) -> Vec<Layer> {
    let rule = Removal::of(tables.first().map_or(Dialect::Classic, |table| table.dialect));
    layered
        .iter()
        .map(|layer| Layer {
            document: layer.document.name.clone(),
            version: i64::try_from(layer.version).unwrap_or(i64::MAX),
            group: layer.group.name.clone(),
            depth: layer.group.depth,
            order: i64::from(layer.order),
            enforced: layer.enforced,
            settings: layer
                .document
                .claims_by(tables, version)
                .nodes
                .into_iter()
                .map(|claim| LayerSetting {
                    uri: claim.uri,
                    format: claim.format,
                    data: claim.data,
                    removal: claim.removal.unwrap_or(rule),
                })
                .collect(),
        })
        .collect()
}
