//! The nodes of the object: what a server writes, what the provider keeps beside it.

use super::{
    Code, Format, Node, PACKAGES, Path, State, Verb,
    machine::{ACTIVE, DELIVERED, IDLE, INACTIVE, INSTALLED, Operation, Place},
    path,
};

/// What a server may write into an entry of Download.
const WRITTEN: [&str; 7] = ["PkgID", "Name", "PkgURL", "InstallParams", "Description", "EnvType", "PkgType"];
/// And below its Ext.
const EXTENDED: [&str; 2] = ["Digest", "Version"];
/// A package's name, in octets: it names files too.
const NAME_OCTETS: usize = 64;

/// The node of one entry.
pub(super) fn entry(place: Place, name: &str) -> Path {
    folder(place).child(name)
}

fn folder(place: Place) -> Path {
    place.names().iter().fold(path(&["SCOMO"]), |path, name| path.child(name))
}

/// The leaf of an entry that identifies it.
pub(super) const fn identifier(place: Place) -> &'static str {
    match place {
        Place::Download | Place::Delivered => "PkgID",
        Place::Deployed => "ID",
    }
}

/// Which entry and which of its operations a node is.
pub(super) fn operation(node: &Path) -> Option<(Place, String, Operation)> {
    Place::ALL.into_iter().find_map(|place| {
        let above = folder(place);
        let rest = above.covers(node).then(|| &node.names()[above.names().len()..])?;
        let [name, operations, operation] = rest else { return None };
        let operation = place.operations().iter().find(|known| known.name() == operation)?;
        (operations == "Operations").then(|| (place, name.clone(), *operation))
    })
}

/// The entry's name and the rest of the path, of a node in Download.
pub(super) fn in_download(node: &Path) -> Option<(&str, &[String])> {
    let above = folder(Place::Download);
    let rest = above.covers(node).then(|| &node.names()[above.names().len()..])?;
    rest.split_first().map(|(name, rest)| (name.as_str(), rest))
}

/// Whether a name can name a file as well.
pub(super) fn is_plain(name: &str) -> bool {
    let clean = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.len() <= NAME_OCTETS && !name.starts_with('.') && name.chars().all(clean)
}

/// Whether a server may write this leaf of an entry of Download.
pub(super) fn is_downloads_leaf(rest: &[String]) -> bool {
    match rest {
        [leaf] => WRITTEN.contains(&leaf.as_str()),
        [ext, leaf] => ext == "Ext" && EXTENDED.contains(&leaf.as_str()),
        _ => false,
    }
}

/// Puts what belongs to it beside a new entry of Download.
pub(super) fn complete_download(state: &mut State, name: &str) -> Result<(), Code> {
    let count = state.tree.get(&folder(Place::Download)).map_or(0, |node| node.child_names().count());
    if count > PACKAGES {
        return Err(Code::DEVICE_FULL);
    }
    let entry = entry(Place::Download, name);
    state.tree.insert(&entry.child("Ext"), Node::interior().limited(&[Verb::Add, Verb::Get]))?;
    number(state, &entry.child("Status"), IDLE)?;
    operations(state, Place::Download, &entry)
}

/// The entry of a package that was fetched.
pub(super) fn delivered(state: &mut State, name: &str) -> Result<(), Code> {
    let from = entry(Place::Download, name);
    let to = fresh(state, Place::Delivered, name)?;
    for leaf in ["PkgID", "Name", "Description", "InstallParams", "EnvType", "PkgType"] {
        fact(state, &to.child(leaf), text(state, &from.child(leaf)))?;
    }
    state.tree.insert(&to.child("Ext"), Node::interior().limited(&[Verb::Get]))?;
    let version = text(state, &from.child("Ext").child("Version"));
    fact(state, &to.child("Ext").child("Version"), version)?;
    number(state, &to.child("State"), DELIVERED)?;
    number(state, &to.child("Status"), IDLE)?;
    operations(state, Place::Delivered, &to)
}

/// The entry of a component that was installed.
pub(super) fn deployed(state: &mut State, name: &str, active: bool) -> Result<(), Code> {
    let from = entry(Place::Delivered, name);
    let to = fresh(state, Place::Deployed, name)?;
    let version = text(state, &from.child("Ext").child("Version"));
    for (leaf, value) in [
        ("ID", text(state, &from.child("PkgID"))),
        ("PkgIDRef", text(state, &from.child("PkgID"))),
        ("Name", text(state, &from.child("Name"))),
        ("Version", version),
        ("Description", text(state, &from.child("Description"))),
        ("EnvType", text(state, &from.child("EnvType"))),
    ] {
        fact(state, &to.child(leaf), value)?;
    }
    number(state, &to.child("State"), if active { ACTIVE } else { INACTIVE })?;
    number(state, &to.child("Status"), IDLE)?;
    operations(state, Place::Deployed, &to)?;
    set(state, &from.child("State"), INSTALLED);
    Ok(())
}

/// Takes an entry away.
pub(super) fn gone(state: &mut State, place: Place, name: &str) {
    let _was_gone = state.tree.remove(&entry(place, name));
}

/// The text of a leaf; empty when there is none.
pub(super) fn text(state: &State, leaf: &Path) -> String {
    state.tree.get(leaf).and_then(Node::text).unwrap_or_default().to_owned()
}

/// Gives a number to a leaf, if it is there.
pub(super) fn set(state: &mut State, leaf: &Path, number: u32) {
    // a number in place of one of as many digits always fits
    let _absent = state.tree.update(leaf, |node| node.value = number.to_string().into_bytes());
}

/// An entry without anything in it, in place of the one that was there.
fn fresh(state: &mut State, place: Place, name: &str) -> Result<Path, Code> {
    gone(state, place, name);
    let count = state.tree.get(&folder(place)).map_or(0, |node| node.child_names().count());
    if count >= PACKAGES {
        return Err(Code::DEVICE_FULL);
    }
    let entry = entry(place, name);
    state.tree.insert(&entry, Node::interior().limited(&[Verb::Get]))?;
    Ok(entry)
}

fn fact(state: &mut State, leaf: &Path, value: String) -> Result<(), Code> {
    state.tree.insert(leaf, Node::leaf(Format::Chr, value).limited(&[Verb::Get]))
}

fn number(state: &mut State, leaf: &Path, value: u32) -> Result<(), Code> {
    state.tree.insert(leaf, Node::leaf(Format::Int, value.to_string()).limited(&[Verb::Get]))
}

fn operations(state: &mut State, place: Place, entry: &Path) -> Result<(), Code> {
    let above = entry.child("Operations");
    state.tree.insert(&above, Node::interior().limited(&[Verb::Get]))?;
    for operation in place.operations() {
        let node = Node::leaf(Format::Null, "").limited(&[Verb::Exec]);
        state.tree.insert(&above.child(operation.name()), node)?;
    }
    Ok(())
}
