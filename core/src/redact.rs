//! Text for who helps from outside: names, addresses and ids replaced, the same one by the same word within one bundle.
//!
//! The words are HMACs under a key that is made for one bundle and forgotten: nobody can try names against them.

use std::{collections::HashSet, net::IpAddr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

/// JSON members whose text is replaced whole.
const NAMED: [&str; 11] = [
    "device",
    "device_id",
    "name_of_device",
    "enrolment",
    "owner",
    "actor",
    "admin",
    "source",
    "user",
    "hardware_id",
    "object",
];
/// Members that name parts of the system, which stay.
const PARTS: [&str; 3] = ["kind", "role", "part"];

/// Replaces what names somebody.
pub struct Redactor {
    key: [u8; 32],
    known: HashSet<String>,
}

impl Redactor {
    /// `key` is random and for one bundle; `known` are names, owners and DevIds to be found wherever they stand.
    #[must_use]
    pub fn new(key: [u8; 32], known: impl IntoIterator<Item = String>) -> Self {
        let known = known.into_iter().filter(|name| name.chars().count() > 2);
        Self { key, known: known.map(|name| name.to_lowercase()).collect() }
    }

    /// A line of text.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if self.knows(text) {
            return self.word("name", text);
        }
        let is_part = |c: char| c.is_alphanumeric() || "-_.:@+".contains(c);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if end == 0 {
                let mut chars = rest.chars();
                out.extend(chars.next());
                rest = chars.as_str();
                continue;
            }
            let (token, after) = rest.split_at(end);
            out.push_str(&self.token(token));
            rest = after;
        }
        out
    }

    /// A JSON document: texts by [`Redactor::text`], those that name somebody whole.
    #[must_use]
    pub fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::String(text) if NAMED.contains(&name.as_str()) && !text.is_empty() => {
                            Value::String(self.whole(text))
                        }
                        // Of an alarm or a check: `hardware:…`, or the name of a file or a key.
                        Value::String(text) if name == "subject" && text.contains(':') => {
                            Value::String(self.whole(text))
                        }
                        Value::String(_) if PARTS.contains(&name.as_str()) => value.clone(),
                        other => self.json(other),
                    };
                    (name.clone(), value)
                })
                .collect(),
            other => other.clone(),
        }
    }

    /// A value that names somebody; what stands before its first colon tells the kind and stays.
    fn whole(&self, text: &str) -> String {
        match text.split_once(':') {
            Some((kind @ ("device" | "admin" | "token" | "group" | "enrolment" | "hardware"), name)) => {
                format!("{kind}:{}", self.word("name", name))
            }
            Some(("gateway" | "service" | "certificate", _)) => text.to_owned(),
            _ => self.word("name", text),
        }
    }

    fn token(&self, token: &str) -> String {
        let trimmed = token.trim_end_matches(['.', ':', '-']);
        let tail = &token[trimmed.len()..];
        let said = if self.knows(trimmed) {
            self.word("name", trimmed)
        } else if trimmed.len() >= 32 && Uuid::try_parse(trimmed).is_ok() {
            self.word("id", trimmed)
        } else if trimmed.contains('@') {
            self.word("mail", trimmed)
        } else if let Some(address) = address(trimmed) {
            if address.is_loopback() || address.is_unspecified() {
                trimmed.to_owned()
            } else {
                self.word("address", &address.to_string())
            }
        } else if let Some((kind, name)) = trimmed.split_once(':')
            && (self.knows(name) || Uuid::try_parse(name).is_ok())
        {
            format!("{kind}:{}", self.word("id", name))
        } else if trimmed.len() >= 14 && trimmed.bytes().all(|b| b.is_ascii_digit()) {
            // An IMEI, a telephone number, a serial number.
            self.word("number", trimmed)
        } else {
            trimmed.to_owned()
        };
        format!("{said}{tail}")
    }

    fn knows(&self, text: &str) -> bool {
        self.known.contains(&text.to_lowercase())
    }

    fn word(&self, kind: &str, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("an HMAC takes a key of any length");
        mac.update(text.to_lowercase().as_bytes());
        format!("{kind}-{}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..5]))
    }
}

/// An IP address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse().ok();
    parsed.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(
            [7; 32],
            ["IMEI:490154203237518".to_owned(), "Front desk".to_owned(), "anna".to_owned()],
        )
    }

    #[test]
    fn what_names_somebody_is_replaced_by_the_same_word_everywhere() {
        let redactor = redactor();
        let line =
            "device 0199f7a0-0000-7000-8000-000000000001 of anna (anna@example.org) from 203.0.113.7:443.";
        let said = redactor.text(line);
        for secret in ["0199f7a0", "anna", "example.org", "203.0.113.7"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
        assert!(said.starts_with("device id-") && said.contains("name-") && said.ends_with('.'), "{said}");
        assert_eq!(redactor.text("anna"), redactor.text("Anna"));
        assert_ne!(Redactor::new([8; 32], ["anna".to_owned()]).text("anna"), redactor.text("anna"));
    }

    #[test]
    fn what_names_parts_of_the_system_stays() {
        let redactor = redactor();
        for kept in
            ["gateway edge at 127.0.0.1:8844 is unreachable", "2026-11-22T03:00:00Z", "postern_core::links"]
        {
            assert_eq!(redactor.text(kept), kept);
        }
    }

    #[test]
    fn members_that_name_somebody_are_replaced_whole() {
        let said = redactor().json(&json!({"owner": "Berta B", "actor": "admin:berta", "kind": "core",
            "object": "gateway:edge", "text": "Front desk", "n": 1}));
        let text = said.to_string();
        assert!(!text.contains("erta") && !text.contains("Front"), "{text}");
        assert!(text.contains("admin:name-") && text.contains("gateway:edge"), "{text}");
        assert!(text.contains("\"kind\":\"core\"") && text.contains("\"n\":1"), "{text}");
    }
}
