//! The JSON Schema of a document, made of the same tables as the reader. Published as deploy/policy/policy-document.schema.json;
//! a test holds the file to this.

use postern_wire::{terms::Dialect, tnds::Format};
use serde_json::{Value, json};

use super::{
    claims::authored,
    model::{Document, MAX_ORDER, REMOVALS},
    read::{DESCRIPTION, ENTRIES, ENTRY, GROUP, GROUPS, NAME, SETTINGS, VALUE},
};
use crate::policy::desired::Removal;

/// The schema (JSON Schema 2020-12).
#[must_use]
pub fn schema() -> Value {
    let dialects: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.as_str()).collect();
    let order = json!({ "type": "integer", "minimum": 1, "maximum": MAX_ORDER, "description": "Place among the documents of groups of one depth; 1 wins." });
    let group =
        json!({ "type": "string", "minLength": 1, "maxLength": GROUP, "description": "A group's name." });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:postern:schema:policy-document:1",
        "title": "Postern policy document",
        "description": "What devices of some groups have to be set to. docs/POLICY.md, \"Policy documents\".",
        "type": "object",
        "additionalProperties": false,
        "required": ["postern", "name", "settings"],
        "properties": {
            "postern": { "const": Document::FORM },
            "name": { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": NAME, "description": "Unique; what the document is applied again by." },
            "description": { "type": "string", "minLength": 1, "maxLength": DESCRIPTION },
            "dialects": { "type": "array", "items": { "enum": dialects }, "minItems": 1, "uniqueItems": true, "description": "Which devices it speaks to; all without it." },
            "order": order.clone(),
            "enforced": { "type": "boolean", "description": "Deeper groups do not override it." },
            "assign": {
                "type": "array",
                "maxItems": GROUPS,
                "items": { "anyOf": [
                    group.clone(),
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["group"],
                        "properties": { "group": group, "order": order, "enforced": { "type": "boolean" } },
                    },
                ] },
            },
            "settings": { "type": "array", "maxItems": SETTINGS, "items": setting() },
        },
    })
}

fn setting() -> Value {
    let formats: Vec<&str> =
        Format::ALL.iter().map(|format| format.as_str()).filter(|format| *format != "node").collect();
    let text = json!({ "type": "string", "maxLength": VALUE });
    let ids: Vec<&str> = authored().iter().map(|authored| authored.id.as_str()).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "uri": { "type": "string", "pattern": "^\\./[^?#\\s]+$", "description": "The whole address of a node." },
            "setting": { "enum": ids, "description": "A setting by its name; the device's table says which node that is." },
            "format": { "enum": formats, "description": "The node's format; without it the table's, else what the value looks like." },
            "value": { "anyOf": [
                { "type": ["boolean", "integer"] },
                text.clone(),
                { "type": "array", "maxItems": ENTRIES, "items": text.clone() },
                { "type": "object", "maxProperties": ENTRIES, "propertyNames": { "minLength": 1, "maxLength": ENTRY }, "additionalProperties": text },
            ] },
            "absent": { "const": true, "description": "The node is not to be there." },
            "removal": { "enum": REMOVALS.map(Removal::word), "description": "What becomes of it when nothing sets it any more." },
        },
        "oneOf": [{ "required": ["uri"] }, { "required": ["setting"], "not": { "required": ["format"] } }],
        "allOf": [{ "oneOf": [{ "required": ["value"] }, { "required": ["absent"] }] }],
    })
}
