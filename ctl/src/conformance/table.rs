//! The table of cases: one row for each id, in the order of docs/CONFORMANCE.md.
//!
//! Ids are stable: a dropped row keeps its number and says so. `section` names the source: PRO is
//! OMA-TS-DM_Protocol-V1_2_1, REP its RepPro, SEC Security, NOT Notification, BOO Bootstrap, STD StdObj, TND the tree
//! description, TNDS its serialisation; what names no document is a rule of quality that Postern adds.

mod boo;
mod cli;
mod cod;
mod not;
mod sec;
mod srv;

use serde::Serialize;

use super::{client, codec, server, tamper::Tamper, variant::Variants, verdict::Outcome};

/// Who owes a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Obligation {
    /// Every DM server.
    M,
    /// A server that does bootstrap.
    M2,
    /// A server that does notification.
    M3,
    /// A server that does TNDS.
    M4,
    /// A SHOULD or MAY.
    O,
    /// A DM client.
    C,
    /// Quality: the standard does not ask for it, Postern does.
    Q,
}

/// A case on one side: how it runs, in which variants, and the mutant that breaks its rule.
pub struct Case<F> {
    /// What it does.
    pub run: F,
    /// In which variants.
    pub variants: Variants,
    /// What breaks its rule.
    pub mutant: Tamper,
}

/// A case against a server.
pub type ServerCase = Case<fn(&mut server::Bench<'_>) -> Outcome>;

/// A case against a client.
pub type ClientCase = Case<fn(&mut client::Bench<'_>) -> Outcome>;

/// A case on octets.
pub type CodecCase = Case<fn(&mut codec::Bench) -> Outcome>;

/// One row.
pub struct Row {
    /// The stable id.
    pub id: &'static str,
    /// Who owes it.
    pub obligation: Obligation,
    /// The section that it follows; empty where it is a rule of quality.
    pub section: &'static str,
    /// The rule in one sentence.
    pub rule: &'static str,
    /// The case on octets.
    pub codec: Option<CodecCase>,
    /// The case against a server.
    pub server: Option<ServerCase>,
    /// The case against a client.
    pub client: Option<ClientCase>,
    /// A deviation from the standard that the rule states, explained.
    pub deviation: Option<&'static str>,
}

/// Every row, in the order of ids.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [cod::ROWS, srv::ROWS, cli::ROWS, sec::ROWS, not::ROWS, boo::ROWS].into_iter().flatten()
}

/// The row of an id.
#[must_use]
pub fn row(id: &str) -> Option<&'static Row> {
    rows().find(|row| row.id.eq_ignore_ascii_case(id))
}

/// A row without cases.
const fn rule(id: &'static str, obligation: Obligation, section: &'static str, rule: &'static str) -> Row {
    Row { id, obligation, section, rule, codec: None, server: None, client: None, deviation: None }
}

impl Row {
    const fn codec(self, variants: Variants, run: fn(&mut codec::Bench) -> Outcome, mutant: Tamper) -> Self {
        Self { codec: Some(Case { run, variants, mutant }), ..self }
    }

    const fn server(
        self,
        variants: Variants,
        run: fn(&mut server::Bench<'_>) -> Outcome,
        mutant: Tamper,
    ) -> Self {
        Self { server: Some(Case { run, variants, mutant }), ..self }
    }

    const fn client(
        self,
        variants: Variants,
        run: fn(&mut client::Bench<'_>) -> Outcome,
        mutant: Tamper,
    ) -> Self {
        Self { client: Some(Case { run, variants, mutant }), ..self }
    }

    const fn deviates(self, how: &'static str) -> Self {
        Self { deviation: Some(how), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_has_every_id_once_and_in_order() {
        for (group, count) in [("COD", 28), ("SRV", 66), ("CLI", 32), ("SEC", 28), ("NOT", 14), ("BOO", 14)] {
            let got: Vec<_> = rows().map(|row| row.id).filter(|id| id.starts_with(group)).collect();
            let wanted: Vec<_> = (1..=count).map(|number| format!("{group}-{number:02}")).collect();
            assert_eq!(got, wanted);
        }
        assert_eq!(rows().count(), 182);
    }

    #[test]
    fn every_row_has_a_case() {
        for row in rows() {
            assert!(row.codec.is_some() || row.server.is_some() || row.client.is_some(), "{}", row.id);
        }
    }

    #[test]
    fn every_rule_is_a_sentence_of_its_own() {
        let rules: BTreeSet<_> = rows().map(|row| row.rule).collect();
        assert_eq!(rules.len(), 182);
        for row in rows() {
            assert!(row.rule.ends_with('.') && row.rule.len() > 20, "{}: {}", row.id, row.rule);
        }
    }
}
