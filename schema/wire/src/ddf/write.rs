//! Writes descriptions in DTD order, whatever the encoding.

use super::{CaseSense, Ddf, DfProperties, Node, Occurrence, Scope, Verb};
use crate::{
    syncml::{
        Data,
        tree::{Sink, TreeTag, WriteTree},
    },
    tnds::write::{format, node_type, optional, rt_properties},
};

impl WriteTree for Ddf {
    fn write(&self, sink: &mut impl Sink) {
        sink.text(TreeTag::VerDtd, &self.ver_dtd);
        optional(sink, TreeTag::Man, self.man.as_deref());
        optional(sink, TreeTag::Mod, self.model.as_deref());
        for given in &self.nodes {
            node(sink, given);
        }
    }
}

fn node(sink: &mut impl Sink, node: &Node) {
    sink.open(TreeTag::Node);
    sink.text(TreeTag::NodeName, &node.name);
    optional(sink, TreeTag::Path, node.path.as_deref());
    if let Some(rt) = &node.rt {
        rt_properties(sink, rt);
    }
    df_properties(sink, &node.df);
    for child in &node.children {
        self::node(sink, child);
    }
    match &node.value {
        Some(Data::Text(text)) if !sink.needs_base64(&Data::from(text.as_str())) => {
            sink.text(TreeTag::Value, text);
        }
        Some(value) => sink.data(TreeTag::Value, value),
        None => {}
    }
    sink.close(TreeTag::Node);
}

fn df_properties(sink: &mut impl Sink, df: &DfProperties) {
    sink.open(TreeTag::DfProperties);
    sink.open(TreeTag::AccessType);
    for verb in df.access.iter() {
        sink.empty(match verb {
            Verb::Add => TreeTag::Add,
            Verb::Copy => TreeTag::Copy,
            Verb::Delete => TreeTag::Delete,
            Verb::Exec => TreeTag::Exec,
            Verb::Get => TreeTag::Get,
            Verb::Replace => TreeTag::Replace,
        });
    }
    sink.close(TreeTag::AccessType);
    optional(sink, TreeTag::DefaultValue, df.default_value.as_deref());
    optional(sink, TreeTag::Description, df.description.as_deref());
    format(sink, TreeTag::DfFormat, df.format);
    if let Some(given) = df.occurrence {
        sink.open(TreeTag::Occurrence);
        match given {
            Occurrence::One => sink.empty(TreeTag::One),
            Occurrence::OneOrMore => sink.empty(TreeTag::OneOrMore),
            Occurrence::OneOrN(most) => sink.text(TreeTag::OneOrN, &most.to_string()),
            Occurrence::ZeroOrMore => sink.empty(TreeTag::ZeroOrMore),
            Occurrence::ZeroOrN(most) => sink.text(TreeTag::ZeroOrN, &most.to_string()),
            Occurrence::ZeroOrOne => sink.empty(TreeTag::ZeroOrOne),
        }
        sink.close(TreeTag::Occurrence);
    }
    let scope = df.scope.map(|scope| match scope {
        Scope::Permanent => TreeTag::Permanent,
        Scope::Dynamic => TreeTag::Dynamic,
    });
    choice(sink, TreeTag::Scope, scope);
    optional(sink, TreeTag::DfTitle, df.title.as_deref());
    node_type(sink, TreeTag::DfType, df.type_.as_ref());
    let case_sense = df.case_sense.map(|case| match case {
        CaseSense::Cs => TreeTag::Cs,
        CaseSense::Cis => TreeTag::Cis,
    });
    choice(sink, TreeTag::CaseSense, case_sense);
    sink.close(TreeTag::DfProperties);
}

fn choice(sink: &mut impl Sink, tag: TreeTag, chosen: Option<TreeTag>) {
    if let Some(chosen) = chosen {
        sink.open(tag);
        sink.empty(chosen);
        sink.close(tag);
    }
}
