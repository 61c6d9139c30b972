//! An operator's own templates of mails: files in a folder, read when a letter is made, so that a change is in force at
//! once and a preview shows it.
//!
//! For an event of kind `wipe-requested`, text comes from `wipe-requested.txt`, else from `mail.txt`, else it is built in;
//! HTML likewise from `.html`. A file that is too long or no UTF-8 is left out with a warning.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use postern_actors::{LetterTemplates, mail::letter::Templates};
use postern_wire::terms::EventKind;

/// Octets of a template at most; the engine's own bound.
const LONGEST: u64 = 64 * 1024;

/// A folder of templates.
#[derive(Debug)]
pub struct TemplateFolder {
    folder: PathBuf,
}

impl TemplateFolder {
    /// The templates in this folder. It need not be there.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn read(&self, kind: EventKind, ending: &str) -> Option<String> {
        [kind.as_str(), "mail"].into_iter().find_map(|name| {
            let path = self.folder.join(format!("{name}.{ending}"));
            let mut text = String::new();
            let read = File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
            match read {
                Ok(_) => Some(text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a mail template cannot be read; the next one takes its place");
                    None
                }
            }
        })
    }
}

impl LetterTemplates for TemplateFolder {
    fn of(&self, kind: EventKind) -> Templates {
        Templates { text: self.read(kind, "txt"), html: self.read(kind, "html") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_own_file_comes_before_that_of_all_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
        let templates = TemplateFolder::at(folder.path());
        assert_eq!(templates.of(EventKind::Frozen), Templates::default());
        put("mail.txt", b"all");
        put("frozen.txt", b"one");
        put("frozen.html", b"\xff");
        put("mail.html", b"html");
        let of = |kind| templates.of(kind);
        assert_eq!(of(EventKind::Frozen).text.as_deref(), Some("one"));
        assert_eq!(of(EventKind::Frozen).html.as_deref(), Some("html"), "what is no text is left out");
        assert_eq!(of(EventKind::Thawed).text.as_deref(), Some("all"));
    }
}
