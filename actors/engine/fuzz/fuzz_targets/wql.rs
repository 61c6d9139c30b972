//! Any text: a WMI filter is decided or unknown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::wql::{Filter, facts::Facts};

fuzz_target!(|text: &str| {
    let known = [("./DevInfo/Man", "Man"), ("./DevDetail/SwV", "10.0.1")];
    let facts = Facts::of_tree(known);
    for text in [text.to_owned(), format!("1;3;10;0;WQL;root\\CIMv2;{text};")] {
        let filter = Filter::read("f", &text);
        let _ = (filter.evaluate(&facts), filter.values_used(&facts));
    }
});
