//! Any text: a table of settings is read or refused, and the template made of it holds as many policies as it has settings, whatever they
//! are called.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::mapping::{admx, classic};

const HEAD: &str = "id\thalf\tarea\tkind\tlimits\tkey\tvalue\ttitle\texplain\n";

fuzz_target!(|text: &str| {
    for text in [text.to_owned(), format!("{HEAD}{text}"), row(text)] {
        let Ok(settings) = classic::read_settings(&text) else { continue };
        let (template, texts) = (admx::admx(&settings), admx::adml(&settings));
        assert_eq!(template.matches("<policy ").count(), settings.len());
        assert_eq!(template.matches("</policy>").count(), settings.len());
        assert_eq!(texts.matches("<string id=").count(), texts.matches("</string>").count());
    }
});

/// A setting that is right but for what it is called.
fn row(text: &str) -> String {
    let cell: String = text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    format!("{HEAD}x\tcomputer\tArea\tswitch\t\tKey\\{cell}\t{cell}\t{cell}\t{cell}\n")
}
