//! The properties of nodes (OMA-TS-DM_TND 7.5, 7.7): ACL, Format, Name, Type, and Title and Size beside them.

use crate::{
    codes::Code,
    tree::{
        node::Node,
        path::{Aspect, MAX_SEGMENT, Path},
    },
};

/// A Title is no longer than this, in octets.
pub(super) const TITLE_OCTETS: usize = 255;

/// The properties that Replace may change.
pub(super) enum Writable {
    Acl,
    Name,
    Title,
}

/// The value of property `name` of a node whose own name is `own` (`None` is the root).
pub(super) fn get(node: &Node, own: Option<&str>, name: &str) -> Result<String, Code> {
    Ok(match name {
        "ACL" => node.acl.to_text(),
        "Format" => node.format.as_str().to_owned(),
        "Name" => own.unwrap_or(".").to_owned(),
        "Title" => node.title.clone().unwrap_or_default(),
        "Type" => match &node.media_type {
            Some(text) => text.clone(),
            None if node.is_interior() => String::new(),
            None => "text/plain".to_owned(),
        },
        "Size" if !node.is_interior() => node.value.len().to_string(),
        _ => return Err(Code::UNSUPPORTED),
    })
}

/// 405 for what is read-only, 406 for what is not kept here.
pub(super) fn writable(name: &str) -> Result<Writable, Code> {
    match name {
        "ACL" => Ok(Writable::Acl),
        "Name" => Ok(Writable::Name),
        "Title" => Ok(Writable::Title),
        "Format" | "Type" | "Size" => Err(Code::NOT_ALLOWED),
        _ => Err(Code::UNSUPPORTED),
    }
}

/// A name that one node can have: 414 too long, 415 no name.
pub(super) fn node_name(value: &str) -> Result<&str, Code> {
    if value.len() > MAX_SEGMENT {
        return Err(Code::URI_TOO_LONG);
    }
    match Path::parse(&format!("./{value}")) {
        Ok((path, Aspect::Node)) if path.name() == Some(value) && path.names().len() == 1 => Ok(value),
        _ => Err(Code::BAD_FORMAT),
    }
}
