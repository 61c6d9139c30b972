//! What the person at the device answered to a display alert (OMA-TS-DM_Protocol 1.2.1, 10).

use postern_wire::syncml::{Data, Item};

use crate::effect::ResultItem;

/// Where an answer stands among a command's results: it has no node.
pub const ANSWER: &str = "answer";

/// The answer in a Status of code 200: the text of 1102, the numbers of 1103 and 1104, each a result of format `int`.
/// Numbers may come in one Item with `-` between them, or in one each.
#[must_use]
pub fn answers(code: u32, items: &[Item]) -> Vec<ResultItem> {
    let texts = items.iter().filter_map(|item| match &item.data {
        Some(Data::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    let result = |format: &str, data: &str| ResultItem {
        uri: ANSWER.to_owned(),
        format: format.to_owned(),
        type_: "text/plain".to_owned(),
        data: data.into(),
    };
    match code {
        1103 | 1104 => texts
            .flat_map(|text| text.split(['-', ',', ' ']))
            .map(str::trim)
            .filter(|number| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()))
            .map(|number| result("int", number))
            .collect(),
        1102 => texts.map(|text| result("chr", text)).collect(),
        _ => Vec::new(),
    }
}
