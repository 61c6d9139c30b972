//! Any text: an operator's table is read or refused, and what is read plans any setting.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::{
    gpo::Half,
    mapping::{Dialect, Setting, operator, table::Table},
    rsop::settings::Data,
};

const HEAD: &str =
    "half\tkey\tvalue\ttype\turi\tformat\thow\tallowed\telement_kind\telement\treg_map\tfrom\n";

fuzz_target!(|text: &str| {
    for text in [text.to_owned(), format!("{HEAD}{text}")] {
        let _ = operator::read("fuzz", text.as_bytes());
        let Ok(table) = Table::read("fuzz", Dialect::Classic, &text) else { continue };
        let data =
            [Data { kind: 4, octets: vec![1, 0, 0, 0] }, Data { kind: 1, octets: b"a\0\0\0".to_vec() }];
        let settings: Vec<Setting> = data
            .iter()
            .map(Some)
            .chain([None])
            .map(|data| Setting { half: Half::Computer, key: "K", value: "V", data })
            .collect();
        let _ = table.plan(&settings, None);
    }
});
