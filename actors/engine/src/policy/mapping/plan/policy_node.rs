//! Nodes that take a policy of an administrative template: `<enabled/>` with the values of its elements, or
//! `<disabled/>`, found backwards from what the template would have written into the registry.

use super::{Candidate, Node, SEPARATOR, pair, text_of};
use crate::policy::{
    mapping::{Setting, Unmapped, table::Row},
    registry_pol::value::{self, Value, typed},
};

/// What one setting says of its policy.
enum Says {
    Enabled,
    Disabled,
    /// The value of an element.
    Element(String),
    /// An element's value is deleted.
    NoElement,
    /// An item of the list that is written when the policy is enabled, or disabled; or of neither.
    Item {
        enabled: bool,
        disabled: bool,
    },
}

/// What the settings that were found come to.
pub(super) fn candidate(
    uri: &str,
    rows: &[&Row],
    found: &[(&Row, usize)],
    settings: &[Setting<'_>],
) -> Result<Candidate, Unmapped> {
    let incomplete = || Unmapped::Incomplete(uri.rsplit('/').next().unwrap_or(uri).to_owned());
    let mut used = Vec::new();
    let (mut enabled, mut disabled) = (false, false);
    let (mut elements, mut deleted) = (Vec::new(), 0);
    let (mut items_on, mut items_off) = (0, 0);
    let mut list = Vec::new();
    let mut whys = Vec::new();
    for (row, place) in found {
        let setting = &settings[*place];
        if row.element_kind == "list" {
            if let Some(text) = text_of(setting) {
                list.push((row.element.clone(), setting.value, text));
            }
            used.push(*place);
            continue;
        }
        let says = match says(row, setting) {
            Ok(says) => says,
            Err(why) => {
                whys.push(why);
                continue;
            }
        };
        match says {
            Says::Enabled => enabled = true,
            Says::Disabled => disabled = true,
            Says::Element(text) => elements.push((row.element.clone(), text)),
            Says::NoElement => deleted += 1,
            Says::Item { enabled, disabled } => {
                items_on += usize::from(enabled);
                items_off += usize::from(disabled);
                if !enabled && !disabled {
                    continue;
                }
            }
        }
        used.push(*place);
    }
    let count = |kind: &str| rows.iter().filter(|row| row.element_kind == kind).count();
    let (all_on, all_off) = (count("enabled-list"), count("disabled-list"));
    let template_on = all_on > 0 && items_on == all_on;
    let template_off = all_off > 0 && items_off == all_off;
    let element_rows = rows.iter().filter(|row| is_element(&row.element_kind)).count();
    let has_values = !elements.is_empty() || !list.is_empty();
    let on = !disabled && (enabled || has_values || template_on);
    let off = !on && (disabled || template_off || element_rows > 0 && deleted == element_rows);
    if !on && !off {
        return Err(whys.into_iter().next().unwrap_or_else(incomplete));
    }
    let data = if on { enabled_text(&elements, &list) } else { "<disabled/>".to_owned() };
    let rank = if (template_on && on && all_on > 1) || (template_off && off && all_off > 1) { 0 } else { 3 };
    used.sort_unstable();
    used.dedup();
    let removal = rows.iter().find_map(|row| row.removal);
    let node =
        Node { uri: uri.to_owned(), format: "chr".to_owned(), data: Some(data), settings: used, removal };
    Ok(Candidate { rank, node })
}

fn is_element(kind: &str) -> bool {
    matches!(kind, "decimal" | "longDecimal" | "text" | "multiText" | "boolean" | "enum" | "list")
}

fn says(row: &Row, setting: &Setting<'_>) -> Result<Says, Unmapped> {
    let not_allowed = || Unmapped::ValueNotAllowed(row.reg_map.clone());
    match row.element_kind.as_str() {
        "state" => {
            let on = pair(&row.reg_map, "enabled").unwrap_or("dword:1");
            let off = pair(&row.reg_map, "disabled").unwrap_or("delete");
            match (is(setting, on), is(setting, off)) {
                (true, _) => Ok(Says::Enabled),
                (_, true) => Ok(Says::Disabled),
                // Deleting what the policy would set is how it is not enabled.
                _ if setting.data.is_none() => Ok(Says::Disabled),
                _ => Err(not_allowed()),
            }
        }
        "enabled-list" => Ok(Says::Item { enabled: is(setting, &row.reg_map), disabled: false }),
        "disabled-list" => Ok(Says::Item { enabled: false, disabled: is(setting, &row.reg_map) }),
        "boolean" => {
            let yes = pair(&row.reg_map, "true").unwrap_or("dword:1");
            let no = pair(&row.reg_map, "false").unwrap_or("delete");
            match (is(setting, yes), is(setting, no), setting.data) {
                (true, ..) => Ok(Says::Element("true".to_owned())),
                (_, true, Some(_)) => Ok(Says::Element("false".to_owned())),
                (_, _, None) => Ok(Says::NoElement),
                _ => Err(not_allowed()),
            }
        }
        kind => {
            let Some(text) = text_of(setting) else { return Ok(Says::NoElement) };
            let options = pair(&row.reg_map, "opts").filter(|_| kind == "enum");
            if options.is_some_and(|options| !options.split('|').any(|option| option == text)) {
                return Err(not_allowed());
            }
            if kind == "decimal" {
                let limit = |name| pair(&row.reg_map, name).and_then(|limit| limit.parse::<u64>().ok());
                let number: u64 = text.parse().map_err(|_| not_allowed())?;
                if limit("minValue").is_some_and(|least| number < least)
                    || limit("maxValue").is_some_and(|most| number > most)
                {
                    return Err(not_allowed());
                }
            }
            Ok(Says::Element(text))
        }
    }
}

/// Whether a setting is what a template's `dword:1`, `sz:x` or `delete` says.
fn is(setting: &Setting<'_>, spec: &str) -> bool {
    let Some(data) = setting.data else { return spec == "delete" };
    match (spec.split_once(':'), typed(data.kind, &data.octets)) {
        (Some(("dword", number)), Ok(Value::Number(own))) => {
            data.kind == value::DWORD && number.parse() == Ok(own)
        }
        (Some(("sz", text)), Ok(Value::Text(own))) => own == text,
        _ => false,
    }
}

fn enabled_text(elements: &[(String, String)], list: &[(String, &str, String)]) -> String {
    let mut text = "<enabled/>".to_owned();
    for (id, value) in elements {
        text.push_str(&format!("<data id=\"{}\" value=\"{}\"/>", escaped(id), escaped(value)));
    }
    let mut at = 0;
    while let Some((id, ..)) = list.get(at) {
        let own = list[at..].iter().take_while(|(other, ..)| other == id);
        let pairs: Vec<String> = own.map(|(_, name, value)| format!("{name}{SEPARATOR}{value}")).collect();
        at += pairs.len();
        let value = pairs.join(&SEPARATOR.to_string());
        text.push_str(&format!("<data id=\"{}\" value=\"{}\"/>", escaped(id), escaped(&value)));
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // What XML 1.0 cannot hold at all.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
