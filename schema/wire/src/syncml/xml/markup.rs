//! Markup inside Data, as a fragment in one canonical form whatever it came from.
//!
//! Canonical: attributes in double quotes and in the order given, a default namespace only where it changes,
//! `<a/>` for an empty element, no comments, CDATA as escaped text, and no white space between elements. A
//! MgmtTree that names no namespace gets that of TNDS. So a TNDS tree reads the same from XML and from WBXML.

use super::{
    reader,
    text::{self, Escape},
};
use crate::syncml::{EncodeError, Limits, tag::DDF_NAMESPACE};

/// A fragment of our own in its one form; what is not well formed is not written. Any size is let through, but no
/// depth that no reader takes.
///
/// # Errors
/// `Markup`.
pub(in crate::syncml) fn canonical(markup: &str) -> Result<String, EncodeError> {
    let any = usize::MAX;
    let limits = Limits { message_octets: any, text_octets: any, elements: any, ..Limits::default() };
    reader::canonical(markup, &limits).map_err(|error| EncodeError::Markup(error.to_string()))
}

/// Builds a fragment.
#[derive(Debug, Default)]
pub(in crate::syncml) struct Fragment {
    out: String,
    text: String,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    name: String,
    namespace: Option<String>,
    has_children: bool,
}

impl Fragment {
    /// Text at the present place; pieces are joined.
    pub(in crate::syncml) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// An element. `namespace` is the default namespace that it declares, if any; `attributes` have their values
    /// without references.
    pub(in crate::syncml) fn start(
        &mut self,
        name: &str,
        namespace: Option<&str>,
        attributes: &[(&str, String)],
    ) {
        self.flush();
        if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
        }
        let inherited = self.namespace();
        let implied = (inherited.is_none() && name == "MgmtTree").then_some(DDF_NAMESPACE);
        let namespace = namespace.filter(|declared| inherited.is_some() || !declared.is_empty());
        let declared = namespace.or(implied).filter(|declared| Some(*declared) != inherited.or(Some("")));
        let namespace = declared.or(inherited).map(str::to_owned);
        self.out.push('<');
        self.out.push_str(name);
        let declared = declared.map(|declared| ("xmlns", declared));
        for (name, value) in
            declared.into_iter().chain(attributes.iter().map(|(name, value)| (*name, value.as_str())))
        {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            text::escape(value, Escape::Attribute, |piece| self.out.push_str(piece));
            self.out.push('"');
        }
        self.out.push('>');
        self.open.push(Open { name: name.to_owned(), namespace, has_children: false });
    }

    /// The end of the open element.
    pub(in crate::syncml) fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let blank = open.has_children && text::is_space(&self.text);
        if self.text.is_empty() && !open.has_children {
            self.out.truncate(self.out.len() - 1);
            self.out.push_str("/>");
            return;
        }
        if blank {
            self.text.clear();
        }
        self.write_text();
        self.out.push_str("</");
        self.out.push_str(&open.name);
        self.out.push('>');
    }

    /// The default namespace in force; `None` where the fragment has declared none.
    pub(in crate::syncml) fn namespace(&self) -> Option<&str> {
        self.open.last().and_then(|open| open.namespace.as_deref())
    }

    /// How many elements are open.
    pub(in crate::syncml) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Octets so far.
    pub(in crate::syncml) fn len(&self) -> usize {
        self.out.len() + self.text.len()
    }

    /// The fragment.
    pub(in crate::syncml) fn finish(mut self) -> String {
        self.flush();
        self.out
    }

    /// Text before a tag: white space alone says nothing there.
    fn flush(&mut self) {
        if text::is_space(&self.text) {
            self.text.clear();
        }
        self.write_text();
    }

    fn write_text(&mut self) {
        text::escape(&self.text, Escape::Content, |piece| self.out.push_str(piece));
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_has_one_form() {
        let mut fragment = Fragment::default();
        fragment.text(" \n ");
        fragment.start("MgmtTree", None, &[]);
        fragment.text("\n\t");
        fragment.start("Node", Some(DDF_NAMESPACE), &[("a", "x\"<".to_owned())]);
        fragment.start("Value", None, &[]);
        fragment.text(" ");
        fragment.end();
        fragment.start("chr", None, &[]);
        fragment.end();
        fragment.text("a & ");
        fragment.text("b");
        fragment.end();
        fragment.text("\n");
        fragment.end();
        assert_eq!(
            fragment.finish(),
            "<MgmtTree xmlns=\"syncml:dmddf1.2\"><Node a=\"x&quot;&lt;\"><Value> </Value><chr/>a &amp; b</Node></MgmtTree>"
        );
    }
}
