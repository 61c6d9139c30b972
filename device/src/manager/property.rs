//! The properties of nodes (OMA-TS-DM_TND 7.5, 7.7): ACL, Format, Name, Type, Title and Size, and TStamp and VerNo
//! of nodes that a server has changed.

use postern_wire::terms::UtcMillis;

use crate::{
    codes::Code,
    tree::{
        node::Node,
        path::{Aspect, MAX_SEGMENT, Path},
    },
};

/// A Title is no longer than this, in octets.
pub(super) const TITLE_OCTETS: usize = 255;

/// The properties that Replace may change.
pub(super) enum Writable {
    Acl,
    Name,
    Title,
}

/// The value of property `name` of a node whose own name is `own` (`None` is the root).
pub(super) fn get(node: &Node, own: Option<&str>, name: &str) -> Result<String, Code> {
    Ok(match name {
        "ACL" => node.acl.to_text(),
        "Format" => node.format.as_str().to_owned(),
        "Name" => own.unwrap_or(".").to_owned(),
        "Title" => node.title.clone().unwrap_or_default(),
        "Type" => match &node.media_type {
            Some(text) => text.clone(),
            None if node.is_interior() => String::new(),
            None => "text/plain".to_owned(),
        },
        "TStamp" => basic_utc(node.stamped.ok_or(Code::UNSUPPORTED)?),
        "VerNo" if node.stamped.is_some() => node.version.to_string(),
        "Size" if !node.is_interior() => node.value.len().to_string(),
        _ => return Err(Code::UNSUPPORTED),
    })
}

/// 405 for what is read-only, 406 for what is not kept here.
pub(super) fn writable(name: &str) -> Result<Writable, Code> {
    match name {
        "ACL" => Ok(Writable::Acl),
        "Name" => Ok(Writable::Name),
        "Title" => Ok(Writable::Title),
        "Format" | "Type" | "Size" | "TStamp" | "VerNo" => Err(Code::NOT_ALLOWED),
        _ => Err(Code::UNSUPPORTED),
    }
}

/// A name that one node can have: 414 too long, 415 no name.
pub(super) fn node_name(value: &str) -> Result<&str, Code> {
    if value.len() > MAX_SEGMENT {
        return Err(Code::URI_TOO_LONG);
    }
    match Path::parse(&format!("./{value}")) {
        Ok((path, Aspect::Node)) if path.name() == Some(value) && path.names().len() == 1 => Ok(value),
        _ => Err(Code::BAD_FORMAT),
    }
}

/// ISO 8601 basic, UTC: `20010711T163817Z`.
fn basic_utc(time: UtcMillis) -> String {
    let seconds = time.0.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // the civil date of a count of days: years begin in March, eras have 400 years
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    let year = year + year_of_era + era * 400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_the_basic_form_of_iso_8601() {
        for (ms, text) in [
            (0, "19700101T000000Z"),
            (994_869_497_000, "20010711T163817Z"),
            (1_709_210_096_999, "20240229T123456Z"),
            (1_735_689_599_000, "20241231T235959Z"),
            (-1, "19691231T235959Z"),
        ] {
            assert_eq!(basic_utc(UtcMillis(ms)), text);
        }
    }
}
