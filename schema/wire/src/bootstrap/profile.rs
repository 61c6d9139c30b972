//! The DM profile of bootstrap: a DM message in WBXML that adds a DMAcc object to `./Inbox` as a TNDS tree
//! (OMA-TS-DM_Bootstrap 1.2.1, 5.4; the object is that of OMA-TS-DM_StdObj 1.2.1, 5.3.3).
//!
//! The message belongs to no session: the device answers nothing, and its first session says that it worked (BOO-10).
//! Promise: a message is written octet for octet as the vector has it, so that its MAC is the vector's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use super::cp::{Account, Address, Credential, Level};
use crate::{
    syncml::{
        Command, Data, DecodeError, EncodeError, Encoding, Item, Limits, Location, Message, Meta, Request,
        Style, SyncHdr, Version, decode, encode,
    },
    tnds::{self, Format, MgmtTree, Node, NodeType},
};

/// Where the tree is put: the device finds the right place by the objects' identifiers.
pub const INBOX: &str = "./Inbox";
/// The identifier of the DMAcc object.
pub const DMACC: &str = "urn:oma:mo:oma-dm-dmacc:1.0";
const APP_ID: &str = "w7";

/// The DMAcc object of an account, as node `name`. Its ACL gives the server Get, Replace and Delete.
///
/// # Errors
/// [`BadProfile::Nonce`] for AAUTHDATA that is not base64.
pub fn tree(account: &Account, name: &str) -> Result<MgmtTree, BadProfile> {
    let mut nodes = vec![text("AppID", APP_ID), text("ServerID", &account.server_id)];
    nodes.extend(account.name.as_deref().map(|name| text("Name", name)));
    match &account.access_points[..] {
        [] => {}
        [one] => nodes.push(text("PrefConRef", one)),
        several => {
            let references = several.iter().map(|uri| vec![text("ConRef", uri)]);
            nodes.push(numbered("ToConRef", references));
        }
    }
    nodes.push(numbered("AppAddr", account.addresses.iter().map(address)));
    nodes.extend(account.preferred.as_deref().map(|kind| text("AAuthPref", kind)));
    let credentials: Vec<_> = account.credentials.iter().map(credential).collect::<Result<_, _>>()?;
    if !credentials.is_empty() {
        nodes.push(numbered("AppAuth", credentials.into_iter()));
    }
    let mut object = Node::interior(name, nodes);
    let id = &account.server_id;
    object.properties.acl = Some(format!("Get={id}&Replace={id}&Delete={id}"));
    object.properties.type_ = Some(NodeType::DdfName(DMACC.to_owned()));
    Ok(MgmtTree::new(vec![object]))
}

/// The message that gives a tree to a device.
///
/// # Errors
/// [`BadProfile::Encode`].
pub fn message(device_id: &str, server_id: &str, tree: &MgmtTree) -> Result<Vec<u8>, BadProfile> {
    let meta =
        Meta { format: Some("bin".to_owned()), type_: Some(tnds::WBXML_TYPE.to_owned()), ..Meta::default() };
    let item = Item {
        target: Some(Location::uri(INBOX)),
        meta,
        data: Some(Data::Binary(tnds::write(tree, Encoding::Wbxml)?)),
        ..Item::default()
    };
    let message = Message {
        version: Version::V1_2,
        header: SyncHdr {
            ver_dtd: Version::V1_2.ver_dtd().to_owned(),
            ver_proto: Version::V1_2.ver_proto().to_owned(),
            session_id: "0".to_owned(),
            msg_id: 0,
            target: Location::uri(device_id),
            source: Location::uri(server_id),
            ..SyncHdr::default()
        },
        body: vec![Command::Add(Request { cmd_id: 1, items: vec![item], ..Request::default() })],
        is_final: true,
    };
    Ok(encode(&message, &Style::wbxml(Version::V1_2))?)
}

/// The trees that a bootstrap message adds to the Inbox.
///
/// # Errors
/// [`BadProfile`].
pub fn read(document: &[u8], encoding: Encoding) -> Result<Vec<MgmtTree>, BadProfile> {
    let decoded = decode(document, encoding, &Limits::default())?;
    let mut trees = Vec::new();
    for command in &decoded.message.body {
        let Command::Add(add) = command else { return Err(BadProfile::Command) };
        for item in &add.items {
            let target = item.target.as_ref().map_or("", |target| target.uri.as_str());
            let target = target.strip_prefix("./").unwrap_or(target);
            if target != "Inbox" && !target.starts_with("Inbox/") {
                return Err(BadProfile::Target);
            }
            let data = item.data.as_ref().ok_or(BadProfile::Missing("Data"))?;
            let media = item.meta.type_.as_deref().or(add.meta.type_.as_deref());
            trees.push(tnds::of_data(data, media, &tnds::Limits::default())?);
        }
    }
    if trees.is_empty() { Err(BadProfile::Missing("a tree for ./Inbox")) } else { Ok(trees) }
}

/// The accounts among the nodes at a tree's top.
///
/// # Errors
/// [`BadProfile::Missing`], [`BadProfile::Level`], [`BadProfile::Port`]: an account that no device could use.
pub fn accounts(tree: &MgmtTree) -> Result<Vec<Account>, BadProfile> {
    let is_account = |node: &&Node| node.properties.type_.as_ref().is_some_and(|kind| kind.as_str() == DMACC);
    tree.nodes.iter().filter(is_account).map(account).collect()
}

fn account(object: &Node) -> Result<Account, BadProfile> {
    let server_id = value(object, "ServerID").filter(|id| !id.is_empty());
    let mut access_points: Vec<_> = value(object, "PrefConRef").into_iter().collect();
    access_points.extend(below(object, "ToConRef").filter_map(|node| value(node, "ConRef")));
    Ok(Account {
        server_id: server_id.ok_or(BadProfile::Missing("ServerID"))?,
        name: value(object, "Name"),
        access_points,
        addresses: below(object, "AppAddr").map(read_address).collect::<Result<_, _>>()?,
        preferred: value(object, "AAuthPref"),
        credentials: below(object, "AppAuth").map(read_credential).collect::<Result<_, _>>()?,
        ..Account::default()
    })
}

fn read_address(node: &Node) -> Result<Address, BadProfile> {
    let port = |node: &Node| {
        value(node, "PortNbr").and_then(|number| number.trim().parse().ok()).ok_or(BadProfile::Port)
    };
    Ok(Address {
        address: value(node, "Addr").ok_or(BadProfile::Missing("Addr"))?,
        kind: value(node, "AddrType"),
        ports: below(node, "Port").map(port).collect::<Result<_, _>>()?,
    })
}

fn read_credential(node: &Node) -> Result<Credential, BadProfile> {
    let level = value(node, "AAuthLevel").ok_or(BadProfile::Missing("AAuthLevel"))?;
    let known = Level::ALL.into_iter().find(|known| known.in_dmacc() == level.trim());
    let data = child(node, "AAuthData").and_then(Node::octets);
    Ok(Credential {
        level: known.ok_or(BadProfile::Level)?,
        kind: value(node, "AAuthType"),
        name: value(node, "AAuthName"),
        secret: value(node, "AAuthSecret").map(SecretString::from),
        data: data.map(|octets| SecretString::from(STANDARD.encode(octets))),
    })
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    node.children.iter().find(|child| child.name == name)
}

/// The nodes below the interior node `name`.
fn below<'n>(node: &'n Node, name: &str) -> impl Iterator<Item = &'n Node> {
    child(node, name).into_iter().flat_map(|child| &child.children)
}

fn value(node: &Node, name: &str) -> Option<String> {
    child(node, name)?.value.as_ref()?.as_text().map(str::to_owned)
}

fn text(name: &str, value: &str) -> Node {
    Node::leaf(name, Format::Chr, value)
}

/// An interior node with nodes named 1, 2 … below.
fn numbered(name: &str, contents: impl Iterator<Item = Vec<Node>>) -> Node {
    let nodes =
        (1..).zip(contents).map(|(number, nodes): (u32, _)| Node::interior(number.to_string(), nodes));
    Node::interior(name, nodes.collect())
}

fn address(address: &Address) -> Vec<Node> {
    let mut nodes = vec![text("Addr", &address.address)];
    nodes.extend(address.kind.as_deref().map(|kind| text("AddrType", kind)));
    if !address.ports.is_empty() {
        let ports = address.ports.iter().map(|port| vec![text("PortNbr", &port.to_string())]);
        nodes.push(numbered("Port", ports));
    }
    nodes
}

fn credential(credential: &Credential) -> Result<Vec<Node>, BadProfile> {
    let mut nodes = vec![text("AAuthLevel", credential.level.in_dmacc())];
    nodes.extend(credential.kind.as_deref().map(|kind| text("AAuthType", kind)));
    nodes.extend(credential.name.as_deref().map(|name| text("AAuthName", name)));
    nodes.extend(credential.secret.as_ref().map(|secret| text("AAuthSecret", secret.expose_secret())));
    if let Some(data) = &credential.data {
        let data = data.expose_secret();
        crate::auth::decode_base64(data).ok_or(BadProfile::Nonce)?;
        let mut node = Node::leaf("AAuthData", Format::B64, data);
        node.properties.type_ = Some(NodeType::Mime("application/octet-stream".to_owned()));
        nodes.push(node);
    }
    Ok(nodes)
}

/// A DM-profile bootstrap that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// The message or a tree in it cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The message or the tree cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Another command than Add.
    #[error("the bootstrap holds another command than Add")]
    Command,
    /// Another place than the Inbox.
    #[error("the bootstrap adds to another place than ./Inbox")]
    Target,
    /// Something that has to be there is not.
    #[error("the bootstrap lacks {0}")]
    Missing(&'static str),
    /// AAuthLevel is unknown.
    #[error("the account's AAuthLevel is neither CLCRED nor SRVCRED nor OBEX")]
    Level,
    /// PortNbr is no port.
    #[error("the account's PortNbr is not a port number")]
    Port,
    /// The first nonce is not base64.
    #[error("the account's first nonce is not base64")]
    Nonce,
}
