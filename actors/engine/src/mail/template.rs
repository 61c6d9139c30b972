//! The language of letter templates: a part of Mustache, small enough to be read in a minute.
//!
//! | tag | meaning |
//! |---|---|
//! | `{{name}}` | the value, escaped for the letter's sink; there is no way to leave that out |
//! | `{{#name}} … {{/name}}` | once for each item of a list; once when a value is there and not false |
//! | `{{^name}} … {{/name}}` | when the list is empty or the value is not there |
//! | `{{! … }}` | nothing |
//!
//! A line that holds nothing but a section's tag or a comment vanishes. Within a list's item its own names come first.
//! A template has limits, and so has what it makes.

use std::collections::BTreeMap;

use super::sink;

/// Octets of a template at most.
const LONGEST: usize = 64 * 1024;
/// Sections within sections at most.
const DEEPEST: usize = 8;
/// Octets of what a template makes, at most.
const MOST: usize = 256 * 1024;

/// What stands behind the names.
pub type Values = BTreeMap<String, Value>;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, as hostile as any.
    Text(String),
    /// Our own text, such as an address of the configuration: only markup is escaped.
    Ours(String),
    /// Yes or no.
    Truth(bool),
    /// Items with names of their own.
    List(Vec<Values>),
}

/// Where the result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The text part of a mail.
    Text,
    /// The HTML part of a mail.
    Html,
    /// A header.
    Header,
}

/// Why a template is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// More than 64 KiB.
    #[error("a template is at most {LONGEST} octets long")]
    TooLong,
    /// A tag without its end.
    #[error("line {0}: a tag does not end with }}}}")]
    Unended(usize),
    /// Not a name.
    #[error("line {0}: {1:?} is no tag; names are lower-case letters and _")]
    BadTag(usize, String),
    /// A section without its end, or an end without its section.
    #[error("line {0}: the section {1} is not closed where it should be")]
    Unclosed(usize, String),
    /// Too many sections within sections.
    #[error("line {0}: sections are at most {DEEPEST} deep")]
    TooDeep(usize),
    /// It makes more than 256 KiB.
    #[error("the template makes more than {MOST} octets")]
    TooMuch,
}

/// A template that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Words(String),
    Name(String),
    Section { name: String, absent: bool, inner: Vec<Node> },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`BadTemplate`], with the line.
    pub fn read(text: &str) -> Result<Self, BadTemplate> {
        if text.len() > LONGEST {
            return Err(BadTemplate::TooLong);
        }
        let mut open: Vec<(String, bool, Vec<Node>)> = Vec::new();
        let mut nodes = Vec::new();
        let (mut rest, mut line, mut fresh) = (text, 1, true);
        while let Some(start) = rest.find("{{") {
            let before = &rest[..start];
            let inner = &rest[start + 2..];
            line += before.matches('\n').count();
            let end = inner.find("}}").ok_or(BadTemplate::Unended(line))?;
            let (tag, mut after) = (inner[..end].trim(), &inner[end + 2..]);
            let begun = line;
            let bad = || BadTemplate::BadTag(begun, tag.to_owned());
            let mut before = before;
            let whole = tag.starts_with(['#', '^', '/', '!']).then(|| alone(before, after, fresh)).flatten();
            fresh = whole.is_some();
            (before, after) = whole.unwrap_or((before, after));
            if !before.is_empty() {
                nodes.push(Node::Words(before.to_owned()));
            }
            let lines = rest[start..].len() - after.len();
            line += rest[start..start + lines].matches('\n').count();
            match tag.split_at_checked(1) {
                Some(("!", _)) => {}
                Some((mark @ ("#" | "^"), name)) => {
                    let name = name.trim();
                    if !is_name(name) {
                        return Err(bad());
                    }
                    if open.len() == DEEPEST {
                        return Err(BadTemplate::TooDeep(line));
                    }
                    open.push((name.to_owned(), mark == "^", std::mem::take(&mut nodes)));
                }
                Some(("/", name)) => {
                    let unclosed = || BadTemplate::Unclosed(line, name.trim().to_owned());
                    let (opened, absent, outer) = open.pop().ok_or_else(unclosed)?;
                    if opened != name.trim() {
                        return Err(unclosed());
                    }
                    let inner = std::mem::replace(&mut nodes, outer);
                    nodes.push(Node::Section { name: opened, absent, inner });
                }
                _ if is_name(tag) => nodes.push(Node::Name(tag.to_owned())),
                _ => return Err(bad()),
            }
            rest = after;
        }
        if let Some((name, ..)) = open.pop() {
            return Err(BadTemplate::Unclosed(line, name));
        }
        if !rest.is_empty() {
            nodes.push(Node::Words(rest.to_owned()));
        }
        Ok(Self(nodes))
    }

    /// What the template makes of these values. A name that is not there is nothing.
    ///
    /// # Errors
    /// [`BadTemplate::TooMuch`].
    pub fn render(&self, values: &Values, sink: Sink) -> Result<String, BadTemplate> {
        let mut out = String::new();
        write(&self.0, &mut vec![values], sink, &mut out)?;
        Ok(out)
    }
}

/// What is left before and after a section's tag that stands alone on its line, which goes with it. `fresh` says that a
/// line begins where `before` does.
fn alone<'a>(before: &'a str, after: &'a str, fresh: bool) -> Option<(&'a str, &'a str)> {
    let head = before.trim_end_matches([' ', '\t']);
    let tail = after.trim_start_matches([' ', '\t']);
    let begins = head.ends_with('\n') || (head.is_empty() && fresh);
    let next = tail.strip_prefix("\r\n").or_else(|| tail.strip_prefix('\n'))?;
    begins.then_some((head, next))
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn write<'a>(
    nodes: &'a [Node],
    scopes: &mut Vec<&'a Values>,
    sink: Sink,
    out: &mut String,
) -> Result<(), BadTemplate> {
    for node in nodes {
        match node {
            Node::Words(words) => out.push_str(words),
            Node::Name(name) => match look(scopes, name) {
                Some(Value::Text(text)) => out.push_str(&match sink {
                    Sink::Text => sink::line(text),
                    Sink::Html => sink::html(text),
                    Sink::Header => sink::header(text),
                }),
                Some(Value::Ours(text)) => match sink {
                    Sink::Html => out.push_str(&sink::markup(text)),
                    Sink::Text | Sink::Header => out.push_str(text),
                },
                Some(Value::Truth(truth)) => out.push_str(if *truth { "yes" } else { "no" }),
                Some(Value::List(_)) | None => {}
            },
            Node::Section { name, absent, inner } => match (look(scopes, name), *absent) {
                (Some(Value::List(items)), false) => {
                    for item in items {
                        scopes.push(item);
                        let done = write(inner, scopes, sink, out);
                        scopes.pop();
                        done?;
                    }
                }
                (found, absent) => {
                    if there(found) != absent {
                        write(inner, scopes, sink, out)?;
                    }
                }
            },
        }
        if out.len() > MOST {
            return Err(BadTemplate::TooMuch);
        }
    }
    Ok(())
}

fn look<'a>(scopes: &[&'a Values], name: &str) -> Option<&'a Value> {
    scopes.iter().rev().find_map(|values| values.get(name))
}

fn there(found: Option<&Value>) -> bool {
    match found {
        None => false,
        Some(Value::Text(text) | Value::Ours(text)) => !text.is_empty(),
        Some(Value::Truth(truth)) => *truth,
        Some(Value::List(items)) => !items.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(of: &[(&str, Value)]) -> Values {
        of.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn render(template: &str, of: &[(&str, Value)], sink: Sink) -> String {
        Template::read(template).unwrap().render(&values(of), sink).unwrap()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn names_and_sections_are_filled_in() {
        let facts =
            Value::List(vec![values(&[("label", text("Device"))]), values(&[("label", text("Owner"))])]);
        let template = "{{! a comment }}\nHello {{who}}.\n{{#facts}}\n- {{label}} of {{who}}\n{{/facts}}\n{{^link}}\nNo link.\n{{/link}}\nEnd\n";
        let made = render(template, &[("who", text("Ada")), ("facts", facts)], Sink::Text);
        assert_eq!(made, "Hello Ada.\n- Device of Ada\n- Owner of Ada\nNo link.\nEnd\n");
    }

    #[test]
    fn a_value_is_escaped_for_its_sink_and_never_read_as_a_template() {
        let hostile = [("name", text("<b>{{who}}\r\nBcc: x"))];
        assert_eq!(render("{{name}}", &hostile, Sink::Html), "&lt;b&gt;{{who}} Bcc: x");
        assert_eq!(render("{{name}}", &hostile, Sink::Header), "<b>{{who}} Bcc: x");
        let ours = [("link", Value::Ours("https://x/?a&b".to_owned()))];
        assert_eq!(render("{{link}}", &ours, Sink::Html), "https://x/?a&amp;b");
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_line() {
        use BadTemplate as Bad;
        for (template, bad) in [
            ("a\n{{b", Bad::Unended(2)),
            ("{{{raw}}}", Bad::BadTag(1, "{raw".to_owned())),
            ("{{&raw}}", Bad::BadTag(1, "&raw".to_owned())),
            ("{{a|safe}}", Bad::BadTag(1, "a|safe".to_owned())),
            ("\n{{#a}}", Bad::Unclosed(2, "a".to_owned())),
            ("{{#a}}{{/b}}", Bad::Unclosed(1, "b".to_owned())),
            ("{{/a}}", Bad::Unclosed(1, "a".to_owned())),
        ] {
            assert_eq!(Template::read(template), Err(bad), "{template:?}");
        }
        assert_eq!(Template::read(&"{{#a}}".repeat(9)), Err(Bad::TooDeep(1)));
        assert_eq!(Template::read(&"x".repeat(LONGEST + 1)), Err(Bad::TooLong));
    }

    #[test]
    fn what_a_template_makes_has_a_limit() {
        let many = Value::List(vec![Values::new(); 5_000]);
        let template = Template::read(&format!("{{{{#l}}}}{}{{{{/l}}}}", "x".repeat(100))).unwrap();
        assert_eq!(template.render(&values(&[("l", many)]), Sink::Text), Err(BadTemplate::TooMuch));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(template in ".{0,200}") {
            if let Ok(template) = Template::read(&template) {
                let _ = template.render(&Values::new(), Sink::Html);
            }
        }

        #[test]
        fn no_value_brings_markup_into_html(value in ".{0,200}") {
            let made = render("{{v}}", &[("v", text(&value))], Sink::Html);
            prop_assert!(!made.contains(['<', '>', '"', '\'']));
        }
    }
}
