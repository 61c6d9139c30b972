//! WMI filters decided on what is known of a device: a subset of WQL (MS-GPOL 2.2.7, 3.2.5.1.7).
//!
//! **The subset.** `SELECT * | names FROM class [WHERE condition]`; a condition is made of comparisons of a
//! property with a literal (`=`, `<>`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE` with `%`, `_`, `[…]`, `[^…]`,
//! `IS NULL`, `IS NOT NULL`) by `AND`, `OR`, `NOT` and parentheses. Words, names and texts are compared without
//! case.
//!
//! Promise: what lies outside the subset, and what asks for a class or property that nothing is known of, is
//! [`Verdict::Unknown`], never a guess. A part that is unknown leaves the whole known where it cannot change it.

pub mod facts;
pub mod parse;

use serde::Serialize;

use facts::{Fact, Facts, Row};
use parse::{Condition, Literal, Operator, Query};

/// What a filter says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every query finds a row.
    True,
    /// A query finds none.
    False,
    /// Nobody can tell.
    Unknown,
}

/// A filter: its queries, all of which have to find a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What people call it (`msWMI-Name`).
    pub name: String,
    /// The text of `msWMI-Parm2`.
    pub text: String,
    /// Its queries; `None` where the text, or one of them, lies outside the subset.
    pub queries: Option<Vec<Query>>,
}

impl Filter {
    /// Reads a filter's text: `<count>;` and for each query `<3>;<namespace length>;<query length>;WQL;<namespace>;<query>;`.
    #[must_use]
    pub fn read(name: &str, text: &str) -> Self {
        let queries =
            texts(text).and_then(|texts| texts.iter().map(|query| parse::query(query).ok()).collect());
        Self { name: name.to_owned(), text: text.to_owned(), queries }
    }

    /// What it says of a device.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts) -> Verdict {
        let Some(queries) = &self.queries else { return Verdict::Unknown };
        let all = queries.iter().map(|query| finds(query, facts)).fold(Some(true), and);
        verdict(all)
    }

    /// The properties that the filter asks for and their values, for a report.
    #[must_use]
    pub fn values_used(&self, facts: &Facts) -> Vec<String> {
        let mut used = Vec::new();
        for query in self.queries.iter().flatten() {
            for property in query.condition.iter().flat_map(Condition::properties) {
                for row in facts.rows(&query.class).into_iter().flatten() {
                    let value = row.get(property).map_or_else(|| "unknown".to_owned(), Fact::to_string);
                    used.push(format!("{}.{property} = {value}", query.class));
                }
            }
        }
        used.dedup();
        used
    }
}

/// The queries' texts; by the lengths that stand before them, which count UTF-16 code units. A single query
/// whose length is wrong is what stands behind its namespace.
fn texts(text: &str) -> Option<Vec<String>> {
    let (count, rest) = text.split_once(';')?;
    let count: usize = count.trim().parse().ok().filter(|count| (1..=64).contains(count))?;
    let units: Vec<u16> = rest.encode_utf16().collect();
    by_length(&units, count).or_else(|| {
        let mut parts = rest.splitn(6, ';').skip(3);
        let (language, namespace, query) = (parts.next()?.trim(), parts.next()?, parts.next()?);
        let taken = count == 1 && language.eq_ignore_ascii_case("WQL") && is_cimv2(namespace);
        taken.then(|| vec![query.trim().trim_end_matches(';').to_owned()])
    })
}

fn by_length(units: &[u16], count: usize) -> Option<Vec<String>> {
    let mut rest = units;
    let mut texts = Vec::new();
    for _ in 0..count {
        let mut lengths = [0; 3];
        for length in &mut lengths {
            let end = rest.iter().position(|unit| *unit == u16::from(b';'))?;
            *length = String::from_utf16(&rest[..end]).ok()?.trim().parse().ok()?;
            rest = &rest[end + 1..];
        }
        let mut parts = Vec::new();
        for length in lengths {
            let part = rest.get(..length)?;
            rest = rest.get(length..)?.strip_prefix(&[u16::from(b';')])?;
            parts.push(String::from_utf16(part).ok()?);
        }
        if !parts[0].eq_ignore_ascii_case("WQL") || !is_cimv2(&parts[1]) {
            return None;
        }
        texts.push(parts.pop()?);
    }
    rest.iter().all(|unit| *unit == u16::from(b' ')).then_some(texts)
}

fn is_cimv2(namespace: &str) -> bool {
    let namespace = namespace.trim().trim_start_matches(['\\', '.']).replace('/', "\\");
    namespace.eq_ignore_ascii_case("root\\cimv2")
}

/// Whether a query finds a row.
fn finds(query: &Query, facts: &Facts) -> Option<bool> {
    let rows = facts.rows(&query.class)?;
    rows.iter()
        .map(|row| query.condition.as_ref().map_or(Some(true), |condition| holds(condition, row)))
        .fold(Some(false), or)
}

fn holds(condition: &Condition, row: &Row) -> Option<bool> {
    match condition {
        Condition::And(parts) => parts.iter().map(|part| holds(part, row)).fold(Some(true), and),
        Condition::Or(parts) => parts.iter().map(|part| holds(part, row)).fold(Some(false), or),
        Condition::Not(part) => holds(part, row).map(|holds| !holds),
        Condition::Compare { property, operator, literal } => compare(row.get(property)?, *operator, literal),
    }
}

fn and(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    and(one.map(|one| !one), other.map(|other| !other)).map(|neither| !neither)
}

/// The property's type decides, as in WMI: a text property is compared as text with a text literal, as a
/// number with a number; a number property always as a number. Where no number can be made, nobody can tell.
fn compare(fact: &Fact, operator: Operator, literal: &Literal) -> Option<bool> {
    if let Literal::Null = literal {
        let null = matches!(fact, Fact::Null);
        return match operator {
            Operator::Equal => Some(null),
            Operator::NotEqual => Some(!null),
            _ => None,
        };
    }
    if let Operator::Like = operator {
        let (Fact::Text(text), Literal::Text(pattern)) = (fact, literal) else { return None };
        return parse::like(text, pattern);
    }
    let order = match (fact, literal) {
        (Fact::Null, _) => return Some(false),
        (Fact::Text(text), Literal::Text(other)) => {
            crate::policy::fold::fold(text).cmp(&crate::policy::fold::fold(other))
        }
        (Fact::Text(text), Literal::Number(number)) => text.trim().parse::<i64>().ok()?.cmp(number),
        (Fact::Number(number), Literal::Text(text)) => number.cmp(&text.trim().parse().ok()?),
        (Fact::Number(number), Literal::Number(other)) => number.cmp(other),
        (Fact::Boolean(one), Literal::Boolean(other)) => one.cmp(other),
        (Fact::Boolean(one), Literal::Number(number)) => i64::from(*one).cmp(number),
        (Fact::Boolean(one), Literal::Text(text)) if text.eq_ignore_ascii_case("true") => one.cmp(&true),
        (Fact::Boolean(one), Literal::Text(text)) if text.eq_ignore_ascii_case("false") => one.cmp(&false),
        _ => return None,
    };
    Some(match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
        Operator::Like => return None,
    })
}

fn verdict(holds: Option<bool>) -> Verdict {
    match holds {
        Some(true) => Verdict::True,
        Some(false) => Verdict::False,
        None => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests;
