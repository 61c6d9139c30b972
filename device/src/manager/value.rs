//! Between nodes and Items: Meta Format and Type, and how octets travel (OMA-TS-DM_TND 1.2.1, 7.7.2 and 7.7.4).

use postern_wire::{
    auth::{decode_base64, encode_base64},
    syncml::{Data, Encoding, Item, Location, Meta},
};

use crate::{
    codes::Code,
    tree::node::{Format, Node},
};

/// What an Item carries for a node, read but not yet checked against a format.
pub(crate) struct Carried {
    /// Format, when one was given.
    pub(crate) format: Option<Format>,
    /// Type, when one was given.
    pub(crate) media_type: Option<String>,
    /// Data in raw octets; `None` is no Data element.
    pub(crate) value: Option<Vec<u8>>,
}

impl Carried {
    /// Reads Meta and Data. 415: unknown Format or broken base64.
    pub(crate) fn of(meta: &Meta, data: Option<&Data>) -> Result<Self, Code> {
        let format = meta.format.as_deref().map(Format::parse).transpose()?;
        let base64 = meta.format.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case("b64"));
        let value = match data {
            Some(Data::Text(text)) if base64 => Some(decode_base64(text).ok_or(Code::BAD_FORMAT)?),
            Some(data) => Some(octets(data)),
            None => None,
        };
        Ok(Self { format, media_type: meta.type_.clone(), value })
    }
}

/// Data as it came, in octets.
pub(super) fn octets(data: &Data) -> Vec<u8> {
    match data {
        Data::Text(text) | Data::Markup(text) => text.clone().into_bytes(),
        Data::Binary(octets) => octets.clone(),
    }
}

/// The Results Item of a node: a leaf's value, an interior node's child names joined by `/`.
pub(super) fn item(uri: &str, node: &Node, encoding: Encoding, with_data: bool) -> Item {
    let mut meta = Meta {
        format: Some(node.format.as_str().to_owned()),
        type_: node.media_type.clone(),
        ..Meta::default()
    };
    let data = match node.format {
        _ if !with_data => None,
        Format::Null => None,
        Format::Node => Some(Data::Text(node.child_names().collect::<Vec<_>>().join("/"))),
        Format::Bin if encoding == Encoding::Xml => {
            meta.format = Some("b64".to_owned());
            Some(Data::Text(encode_base64(&node.value)))
        }
        Format::Bin => Some(Data::Binary(node.value.clone())),
        _ => Some(match node.text() {
            Some(text) => Data::Text(text.to_owned()),
            None => Data::Binary(node.value.clone()),
        }),
    };
    Item { source: Some(Location::uri(uri)), meta, data, ..Item::default() }
}

/// The Results Item of a listing: Format and Type only where they are not the default (TND 8).
pub(super) fn listed(uri: &str, node: &Node, encoding: Encoding, with_data: bool) -> Item {
    let mut item = item(uri, node, encoding, with_data);
    item.meta.format = item.meta.format.filter(|format| format != "chr");
    item.meta.type_ = item.meta.type_.filter(|text| text != "text/plain");
    item
}
