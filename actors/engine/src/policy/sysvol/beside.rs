//! What a GPO holds beside Registry.pol: no device gets it, and nobody shall have to guess so.
//!
//! Security templates (MS-GPSB), preferences (MS-GPPREF), scripts and software are named with what they set, as far as
//! that can be told from their text.

use serde::Serialize;

use crate::policy::gpo::Half;

/// Items named of one file, and characters of an item's name, at most.
const ITEMS: usize = 1_000;
const CHARACTERS: usize = 256;

/// A file beside Registry.pol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Other {
    /// The half that it is of.
    pub half: Half,
    /// The path below the GPO's folder.
    pub path: String,
    /// The word in reports.
    pub reason: &'static str,
    /// What is set in it, as far as that can be told, and no more than the limit.
    pub items: Vec<String>,
}

impl Other {
    /// What a file is, by its path below its half's folder; `None` where it sets nothing. `read` gives its first octets.
    #[must_use]
    pub fn of(half: Half, path: &str, read: &dyn Fn() -> Vec<u8>) -> Option<Self> {
        let lower = path.to_ascii_lowercase();
        let (reason, items) = if lower.ends_with("comment.cmtx") || lower.ends_with("admfiles.ini") {
            return None;
        } else if lower.ends_with("gpttmpl.inf") {
            ("unsupported: security-template", template_items(&text(&read())))
        } else if lower.starts_with("preferences\\") {
            ("unsupported: preferences", preference_items(&text(&read())))
        } else if lower.starts_with("scripts\\") {
            ("unsupported: scripts", Vec::new())
        } else if lower.starts_with("applications\\") {
            ("unsupported: software-installation", Vec::new())
        } else {
            ("unsupported: file", Vec::new())
        };
        Some(Self { half, path: format!("{}\\{path}", half.folder()), reason, items })
    }
}

/// UTF-16 with its mark, else UTF-8.
fn text(octets: &[u8]) -> String {
    match octets.strip_prefix(b"\xff\xfe") {
        Some(rest) => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// The settings of a GptTmpl.inf: `[Section] Name`.
fn template_items(text: &str) -> Vec<String> {
    let mut section = "";
    let mut items = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = name;
        } else if !matches!(section, "Unicode" | "Version" | "") && !line.is_empty() && !line.starts_with(';')
        {
            let name = line.split(['=', ',']).next().unwrap_or_default().trim();
            items.push(cut(&format!("[{section}] {name}")));
        }
        if items.len() == ITEMS {
            break;
        }
    }
    items
}

/// The names of the items of a preference file: the `name` attributes.
fn preference_items(text: &str) -> Vec<String> {
    let names = text.split(" name=\"").skip(1).filter_map(|rest| rest.split('"').next());
    names.take(ITEMS).map(cut).collect()
}

fn cut(name: &str) -> String {
    name.chars().take(CHARACTERS).collect()
}
