//! A document as YAML, for people and for Git: it reads back as the same document.

use std::fmt::Write as _;

use super::model::{Document, ORDER, Scalar, Subject, Value};

impl Document {
    /// The document as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = format!("postern: {}\nname: {}\n", Self::FORM, quoted(&self.name));
        if !self.description.is_empty() {
            let _ = writeln!(out, "description: {}", quoted(&self.description));
        }
        if !self.dialects.is_empty() {
            let dialects: Vec<&str> = self.dialects.iter().map(|dialect| dialect.as_str()).collect();
            let _ = writeln!(out, "dialects: [{}]", dialects.join(", "));
        }
        if self.order != ORDER {
            let _ = writeln!(out, "order: {}", self.order);
        }
        if self.enforced {
            out.push_str("enforced: true\n");
        }
        if !self.assign.is_empty() {
            out.push_str("assign:\n");
        }
        for assign in &self.assign {
            let _ = writeln!(out, "  - group: {}", quoted(&assign.group));
            if let Some(order) = assign.order {
                let _ = writeln!(out, "    order: {order}");
            }
            if let Some(enforced) = assign.enforced {
                let _ = writeln!(out, "    enforced: {enforced}");
            }
        }
        out.push_str(if self.settings.is_empty() { "settings: []\n" } else { "settings:\n" });
        for setting in &self.settings {
            let _ = match &setting.subject {
                Subject::Uri(uri) => writeln!(out, "  - uri: {}", quoted(uri)),
                Subject::Setting(id) => writeln!(out, "  - setting: {}", quoted(id)),
            };
            if let Some(format) = setting.format {
                let _ = writeln!(out, "    format: {format}");
            }
            match &setting.value {
                Value::Absent(_) => out.push_str("    absent: true\n"),
                Value::Value(Scalar::Text(text)) => {
                    let _ = writeln!(out, "    value: {}", quoted(text));
                }
                Value::Value(scalar) => {
                    let _ = writeln!(out, "    value: {scalar}");
                }
                Value::Entries(entries) if entries.is_empty() => out.push_str("    value: []\n"),
                Value::Entries(entries) => {
                    out.push_str("    value:\n");
                    for (name, text) in entries {
                        let _ = writeln!(out, "      {}: {}", quoted(name), quoted(text));
                    }
                }
            }
            if let Some(removal) = setting.removal {
                let _ = writeln!(out, "    removal: {}", removal.word());
            }
        }
        out
    }
}

/// As it is where that is plainly a text, else between double quotes with escapes that YAML and JSON share.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
        && text.len() > 1
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./ ".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
