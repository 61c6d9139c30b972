//! Settings: intervals and limits, by the names, ranges and defaults of the original where it had them.
//!
//! Promise: [`TABLE`] is the one table of settings; what is not in it cannot be set, and a value that does not fit
//! its row is refused. [`effective`] says which of the values that are set holds for a device, and why: the device's
//! own before its groups', those before the global one, that before the configuration file, that before the default.
//! Of several groups the most deeply nested one holds (the original's rule for approvals); of several as deep, the
//! smaller value, so that a device is rather seen too often than too seldom.

mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use table::TABLE;

/// For whom a setting can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// For everything.
    Global,
    /// For a group's members.
    Group,
    /// For one device.
    Device,
}

impl Scope {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Group => "group",
            Self::Device => "device",
        }
    }
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A span of time, `90s`, `15m`, `8h`, `7d` or several of these in a row; resolved to the second.
    Duration,
    /// Whole days, `7d`.
    Days,
    /// A percentage, `10%`.
    Percent,
    /// `on` or `off`.
    Switch,
    /// A whole number.
    Count,
    /// A name of 1 to 64 letters, digits, spaces, `-`, `_` and `.`, or `none`. As a number: 0 is none, 1 is a name.
    Name,
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The original had it: name, range and default are its own unless the text says otherwise.
    Original,
    /// It is Postern's.
    Postern,
}

/// One row of the table. Values are in seconds, days, percent, numbers, or 0 and 1.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name.
    pub name: &'static str,
    /// What its value is.
    pub unit: Unit,
    /// The smallest value.
    pub least: i64,
    /// The largest value.
    pub most: i64,
    /// The value that holds when nobody set one.
    pub default: i64,
    /// For whom it can be set, beside everything.
    pub scopes: &'static [Scope],
    /// Where it comes from.
    pub source: Source,
    /// The key of the configuration file that takes the default's place, if there is one.
    pub configuration: Option<&'static str>,
    /// Whether this release acts on it; one that waits for its feature cannot be set.
    pub acts: bool,
    /// What it does.
    pub doc: &'static str,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Characters of a name at most.
const NAME: usize = 64;

/// The row of this name, in any case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// A value does not fit its setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// It is not written as the unit demands.
    #[error("{0:?} is no value of this setting: write {1}")]
    Form(String, &'static str),
    /// It is outside the range.
    #[error("{0} is outside the range, {1}")]
    Range(String, String),
}

impl Row {
    /// `text` as it is kept: parsed and written again, of a name itself.
    ///
    /// # Errors
    /// [`BadValue`].
    pub fn kept(&self, text: &str) -> Result<String, BadValue> {
        let value = self.parse(text)?;
        Ok(if self.unit == Unit::Name && value != 0 { text.trim().to_owned() } else { self.write(value) })
    }

    /// The value that `text` writes.
    ///
    /// # Errors
    /// [`BadValue`].
    pub fn parse(&self, text: &str) -> Result<i64, BadValue> {
        let text = text.trim();
        let bad = |how| BadValue::Form(text.to_owned(), how);
        let value = match self.unit {
            Unit::Duration => {
                seconds(text).ok_or_else(|| bad("a span of time such as 90s, 15m, 8h, 1d12h"))?
            }
            Unit::Days => {
                let seconds = seconds(text).ok_or_else(|| bad("whole days such as 7d"))?;
                if seconds % DAY != 0 {
                    return Err(bad("whole days such as 7d"));
                }
                seconds / DAY
            }
            Unit::Percent => text
                .strip_suffix('%')
                .unwrap_or(text)
                .parse()
                .ok()
                .filter(|value: &i64| *value >= 0)
                .ok_or_else(|| bad("a percentage such as 10%"))?,
            Unit::Count => text
                .parse()
                .ok()
                .filter(|value: &i64| *value >= 0)
                .ok_or_else(|| bad("a whole number such as 10"))?,
            Unit::Switch => match text.to_ascii_lowercase().as_str() {
                "on" | "true" => 1,
                "off" | "false" => 0,
                _ => return Err(bad("on or off")),
            },
            Unit::Name if text.eq_ignore_ascii_case("none") => 0,
            Unit::Name => {
                let count = text.chars().count();
                let fits = |c: char| c.is_alphanumeric() || " -_.".contains(c);
                if !(1..=NAME).contains(&count) || !text.chars().all(fits) {
                    return Err(bad("a name of 1 to 64 letters, digits, spaces, - _ and ., or none"));
                }
                1
            }
        };
        if (self.least..=self.most).contains(&value) {
            Ok(value)
        } else {
            Err(BadValue::Range(self.write(value), self.range()))
        }
    }

    /// A value as this setting writes it; what is parsed and written again is the same.
    #[must_use]
    pub fn write(&self, value: i64) -> String {
        match self.unit {
            Unit::Duration => span(value),
            Unit::Days => format!("{value}d"),
            Unit::Percent => format!("{value}%"),
            Unit::Count => value.to_string(),
            Unit::Switch => if value == 0 { "off" } else { "on" }.to_owned(),
            Unit::Name => if value == 0 { "none" } else { "a name" }.to_owned(),
        }
    }

    /// The range as people read it.
    #[must_use]
    pub fn range(&self) -> String {
        match self.unit {
            Unit::Switch => "on or off".to_owned(),
            Unit::Name => "a name, or none".to_owned(),
            _ => format!("{} to {}", self.write(self.least), self.write(self.most)),
        }
    }
}

/// `1d12h` and the like, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut digits = String::new();
    let mut parts = 0;
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            _ => return None,
        };
        let number: i64 = digits.parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        digits.clear();
        parts += 1;
    }
    (digits.is_empty() && parts > 0).then_some(total)
}

fn span(seconds: i64) -> String {
    let parts = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm'), (1, 's')];
    let mut left = seconds;
    let mut text = String::new();
    for (unit, letter) in parts {
        if left >= unit {
            text.push_str(&format!("{}{letter}", left / unit));
            left %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// One value that somebody set, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// For whom.
    pub scope: Scope,
    /// The group, for the group scope.
    pub group: Option<(Uuid, String)>,
    /// How deep the group is nested.
    pub depth: usize,
    /// The value.
    pub value: i64,
    /// The value of a name; empty of anything else.
    pub text: String,
    /// Who set it.
    pub by: String,
}

/// Which of the values holds; `None` when nobody set one.
#[must_use]
pub fn effective(set: &[Set]) -> Option<&Set> {
    let rank = |scope| match scope {
        Scope::Device => 0,
        Scope::Group => 1,
        Scope::Global => 2,
    };
    set.iter().min_by(|one, other| {
        (rank(one.scope).cmp(&rank(other.scope)))
            .then(other.depth.cmp(&one.depth))
            .then(one.value.cmp(&other.value))
            .then_with(|| one.text.cmp(&other.text))
            .then_with(|| {
                one.group.as_ref().map(|group| &group.1).cmp(&other.group.as_ref().map(|group| &group.1))
            })
    })
}

/// A setting with the value that holds and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    /// The name.
    pub name: String,
    /// The value that holds here.
    pub value: String,
    /// Where it comes from: `device`, `group`, `global`, `configuration` or `default`.
    pub from: String,
    /// Why, in one sentence.
    pub because: String,
    /// What is set at exactly this scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// What its value is.
    pub unit: Unit,
    /// The range.
    pub range: String,
    /// The default.
    pub default: String,
    /// For whom it can be set.
    pub scopes: Vec<Scope>,
    /// Where it comes from.
    pub source: Source,
    /// Whether this release acts on it.
    pub acts: bool,
    /// What it does.
    pub doc: String,
}

/// The settings of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Which scope.
    pub scope: Scope,
    /// The group's or the device's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Every setting, in the table's order.
    pub settings: Vec<Setting>,
    /// Changes with every update of what is set at this scope; the ETag.
    pub revision: u64,
}

/// Set or clear settings at one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSettings {
    /// Name to value; `null` takes away what is set at this scope.
    pub values: BTreeMap<String, Option<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_ranges_are_kept_to_the_second() {
        for (name, good, bad) in [
            ("ConnectInterval", &["1m", "365d", "8h", "60s"][..], &["59s", "366d", "365d1s", "0s", "8"][..]),
            ("OMASessionTimeout", &["10s", "20m"], &["9s", "20m1s"]),
            ("HistoryDuration", &["0d", "7d", "30d", "24h"], &["31d", "12h"]),
            ("PolicyRefreshInterval", &["60m", "7d"], &["59m", "7d1s"]),
            ("ConnectJitter", &["0%", "50", "10%"], &["51%", "-1%", "ten"]),
            ("ReadConfiguration", &["on", "off", "true"], &["1", "maybe"]),
            (
                "PolicySite",
                &["Berlin", "Default-First-Site-Name", "none", "Köln 2"],
                &["", "a,b", "a/b", "a\nb"],
            ),
        ] {
            let row = find(name).unwrap();
            for text in good {
                assert!(row.parse(text).is_ok(), "{name} {text}");
            }
            for text in bad {
                assert!(row.parse(text).is_err(), "{name} {text}");
            }
        }
        let overflow = "9".repeat(40) + "d";
        assert!(find("ConnectInterval").unwrap().parse(&overflow).is_err());
    }

    #[test]
    fn the_originals_defaults_are_the_tables() {
        for (name, default) in [
            ("ConnectInterval", "8h"),
            ("OMASessionTimeout", "8m"),
            ("HistoryDuration", "7d"),
            ("PolicyRefreshInterval", "8h"),
        ] {
            let row = find(name).unwrap();
            assert_eq!((row.write(row.default).as_str(), row.source), (default, Source::Original));
        }
    }

    #[test]
    fn a_value_that_is_written_and_read_again_is_the_same_and_every_default_is_in_its_range() {
        for row in TABLE {
            for value in [row.least, row.default, row.most] {
                assert_eq!(row.parse(&row.write(value)), Ok(value), "{}", row.name);
            }
            assert!(row.scopes.contains(&Scope::Global));
        }
        let site = find("PolicySite").unwrap();
        assert_eq!(
            (site.kept(" Berlin "), site.kept("NONE")),
            (Ok("Berlin".to_owned()), Ok("none".to_owned())),
            "a name is kept as it is"
        );
        let row = find("connectinterval").unwrap();
        assert_eq!(row.write(row.parse("36h30m").unwrap()), "1d12h30m");
    }

    #[test]
    fn the_document_has_every_row_of_the_table_as_it_is() {
        let text = include_str!("../../../docs/CONFIGURATION.md");
        for row in TABLE {
            let scopes: Vec<_> = row.scopes.iter().map(|scope| scope.as_str()).collect();
            let source = if row.source == Source::Original { "original" } else { "Postern" };
            let line = format!(
                "| `{}` | {} | {} | {} | {source} | {} | {} |\n",
                row.name,
                row.range(),
                row.write(row.default),
                scopes.join(", "),
                if row.acts { "yes" } else { "no" },
                row.doc
            );
            assert!(text.contains(&line), "docs/CONFIGURATION.md lacks:\n{line}");
        }
    }

    fn set(scope: Scope, group: &str, depth: usize, value: i64) -> Set {
        let group = (scope == Scope::Group).then(|| (Uuid::nil(), group.to_owned()));
        Set { scope, group, depth, value, text: String::new(), by: "a".into() }
    }

    #[test]
    fn the_device_is_before_its_groups_the_deepest_group_before_others_and_of_equals_the_smaller_value() {
        let global = set(Scope::Global, "", 0, 1);
        let (outer, inner) = (set(Scope::Group, "outer", 0, 2), set(Scope::Group, "inner", 2, 90));
        let (large, small) = (set(Scope::Group, "a", 2, 91), set(Scope::Group, "z", 2, 80));
        let device = set(Scope::Device, "", 0, 500);
        let cases: [(&[&Set], Option<&Set>); 6] = [
            (&[], None),
            (&[&global], Some(&global)),
            (&[&global, &outer], Some(&outer)),
            (&[&outer, &global, &inner], Some(&inner)),
            (&[&large, &inner, &small, &outer], Some(&small)),
            (&[&small, &device, &global], Some(&device)),
        ];
        for (given, expected) in cases {
            let given: Vec<_> = given.iter().map(|set| (*set).clone()).collect();
            assert_eq!(effective(&given), expected, "{given:?}");
        }
    }
}
