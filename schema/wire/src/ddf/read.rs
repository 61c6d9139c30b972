//! Builds descriptions from elements, whatever the encoding.

use super::{AccessTypes, CaseSense, Ddf, DfProperties, Limits, Node, Occurrence, Scope, Verb};
use crate::{
    syncml::{
        DecodeErrorKind,
        tree::{Elements, TreeTag},
    },
    tnds::read::{
        self, Result, bad_word, bound, format, node_name, node_type, path, property, put, repeated, unknown,
        word,
    },
};

/// The content of the open MgmtTree.
pub(super) fn ddf(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<Ddf> {
    let mut ddf = Ddf { ver_dtd: "1.2".to_owned(), man: None, model: None, nodes: Vec::new() };
    let mut count = 0;
    while let Some(tag) = source.child()? {
        match tag {
            TreeTag::VerDtd => ddf.ver_dtd = read::ver_dtd(source)?,
            TreeTag::Man => ddf.man = Some(property(source, "Man", limits)?),
            TreeTag::Mod => ddf.model = Some(property(source, "Mod", limits)?),
            TreeTag::Node => {
                let node = node(source, limits, 1, &mut count)?;
                ddf.nodes.push(node);
            }
            _ => unknown(source)?,
        }
    }
    if ddf.nodes.is_empty() {
        return Err(source.error(DecodeErrorKind::Missing("Node")));
    }
    Ok(ddf)
}

fn node(source: &mut Elements<'_, '_>, limits: &Limits, depth: usize, count: &mut usize) -> Result<Node> {
    *count += 1;
    bound(source, "nodes", *count, limits.nodes)?;
    bound(source, "levels of nodes", depth, limits.depth)?;
    let (mut name, mut df) = (None, None);
    let (mut path, mut rt, mut value, mut children) = (None, None, None, Vec::new());
    while let Some(tag) = source.child()? {
        match tag {
            TreeTag::NodeName if name.is_some() => return Err(repeated(source, "NodeName")),
            TreeTag::DfProperties if df.is_some() => return Err(repeated(source, "DFProperties")),
            TreeTag::NodeName => name = Some(node_name(source, limits)?),
            TreeTag::Path => path = Some(self::path(source, limits)?),
            TreeTag::RtProperties => rt = Some(read::rt_properties(source, limits)?),
            TreeTag::DfProperties => df = Some(df_properties(source, limits)?),
            TreeTag::Value => value = Some(read::value(source, limits)?),
            TreeTag::Node => {
                let child = self::node(source, limits, depth + 1, count)?;
                children.push(child);
            }
            _ => unknown(source)?,
        }
    }
    let missing = |element| source.error(DecodeErrorKind::Missing(element));
    let name = name.ok_or_else(|| missing("NodeName"))?;
    let df = df.ok_or_else(|| missing("DFProperties"))?;
    Ok(Node { name, path, rt, df, value, children })
}

fn df_properties(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<DfProperties> {
    let mut df = DfProperties::default();
    while let Some(tag) = source.child()? {
        match tag {
            TreeTag::AccessType => df.access = access(source)?,
            TreeTag::DefaultValue => text(source, &mut df.default_value, "DefaultValue", limits)?,
            TreeTag::Description => text(source, &mut df.description, "Description", limits)?,
            TreeTag::DfTitle => text(source, &mut df.title, "DFTitle", limits)?,
            TreeTag::DfFormat => {
                let given = format(source)?;
                put(source, &mut df.format, given);
            }
            TreeTag::DfType => {
                let given = node_type(source, limits)?;
                put(source, &mut df.type_, given);
            }
            TreeTag::Occurrence => {
                let given = occurrence(source)?;
                put(source, &mut df.occurrence, given);
            }
            TreeTag::Scope => {
                let given = choice(source, |tag| match tag {
                    TreeTag::Permanent => Some(Scope::Permanent),
                    TreeTag::Dynamic => Some(Scope::Dynamic),
                    _ => None,
                })?;
                put(source, &mut df.scope, given);
            }
            TreeTag::CaseSense => {
                let given = choice(source, |tag| match tag {
                    TreeTag::Cs => Some(CaseSense::Cs),
                    TreeTag::Cis => Some(CaseSense::Cis),
                    _ => None,
                })?;
                put(source, &mut df.case_sense, given);
            }
            _ => unknown(source)?,
        }
    }
    Ok(df)
}

fn access(source: &mut Elements<'_, '_>) -> Result<AccessTypes> {
    let mut access = AccessTypes::default();
    while let Some(tag) = source.child()? {
        let verb = match tag {
            TreeTag::Add => Verb::Add,
            TreeTag::Copy => Verb::Copy,
            TreeTag::Delete => Verb::Delete,
            TreeTag::Exec => Verb::Exec,
            TreeTag::Get => Verb::Get,
            TreeTag::Replace => Verb::Replace,
            _ => {
                unknown(source)?;
                continue;
            }
        };
        source.skip()?;
        access = access.with(verb);
    }
    Ok(access)
}

fn occurrence(source: &mut Elements<'_, '_>) -> Result<Option<Occurrence>> {
    let mut found = None;
    while let Some(tag) = source.child()? {
        let given = match tag {
            TreeTag::OneOrN => Occurrence::OneOrN(most(source, "OneOrN")?),
            TreeTag::ZeroOrN => Occurrence::ZeroOrN(most(source, "ZeroOrN")?),
            TreeTag::One | TreeTag::OneOrMore | TreeTag::ZeroOrMore | TreeTag::ZeroOrOne => {
                source.skip()?;
                match tag {
                    TreeTag::One => Occurrence::One,
                    TreeTag::OneOrMore => Occurrence::OneOrMore,
                    TreeTag::ZeroOrMore => Occurrence::ZeroOrMore,
                    _ => Occurrence::ZeroOrOne,
                }
            }
            _ => {
                unknown(source)?;
                continue;
            }
        };
        put(source, &mut found, Some(given));
    }
    Ok(found)
}

fn most(source: &mut Elements<'_, '_>, element: &'static str) -> Result<u32> {
    let text = word(source)?;
    text.parse().map_err(|_| bad_word(source, element, &text))
}

/// One of several empty elements.
fn choice<T>(source: &mut Elements<'_, '_>, of: impl Fn(TreeTag) -> Option<T>) -> Result<Option<T>> {
    let mut found = None;
    while let Some(tag) = source.child()? {
        match of(tag) {
            Some(given) => {
                source.skip()?;
                put(source, &mut found, Some(given));
            }
            None => unknown(source)?,
        }
    }
    Ok(found)
}

fn text(
    source: &mut Elements<'_, '_>,
    slot: &mut Option<String>,
    element: &'static str,
    limits: &Limits,
) -> Result<()> {
    let given = property(source, element, limits)?;
    put(source, slot, Some(given));
    Ok(())
}
