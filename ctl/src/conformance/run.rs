//! Runs cases one after the other, in the order of the table.

use std::collections::BTreeMap;

use super::{
    client, codec,
    report::{Line, Report, Run, Side},
    server,
    table::{Case, Row, rows},
    tamper::Tamper,
    variant::Variant,
    verdict::{Outcome, Verdict},
};

/// Which cases to run, and how to judge them.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Ids or beginnings of ids; empty: all.
    pub only: Vec<String>,
    /// With the mutant of each case between it and its peer.
    pub mutate: bool,
    /// Why a case may fail, by id.
    pub explanations: BTreeMap<String, String>,
}

impl Choice {
    /// Whether a row is chosen.
    #[must_use]
    pub fn takes(&self, row: &Row) -> bool {
        let begins = |start: &String| row.id.starts_with(&start.to_ascii_uppercase());
        self.only.is_empty() || self.only.iter().any(begins)
    }

    /// Runs one case in each of its variants.
    pub fn line<F>(
        &self,
        row: &Row,
        case: &Case<F>,
        mut run: impl FnMut(&F, Variant, Option<Tamper>) -> Outcome,
    ) -> Line {
        let tamper = self.mutate.then_some(case.mutant);
        let runs = case.variants.each().into_iter().map(|variant| {
            let verdict = Verdict::from(run(&case.run, variant, tamper));
            Run { variant: variant.to_string(), verdict }
        });
        Line::new(row, runs.collect(), self.explanations.get(row.id).cloned())
    }
}

/// Runs the cases on octets.
#[must_use]
pub fn codec(choice: &Choice) -> Report {
    let chosen = rows().filter(|row| choice.takes(row));
    let cases = chosen.filter_map(|row| {
        let case = row.codec.as_ref()?;
        Some(choice.line(row, case, |run, variant, tamper| run(&mut codec::Bench::new(variant, tamper))))
    });
    Report::new(Side::Codec, "postern-wire".to_owned(), cases.collect())
}

/// Runs the cases against a server. `progress` is told each line when its case has ended.
pub fn server(
    choice: &Choice,
    peer: String,
    target: &mut server::Target,
    progress: &mut dyn FnMut(&Line),
) -> Report {
    let mut cases = Vec::new();
    for row in rows().filter(|row| choice.takes(row)) {
        let Some(case) = &row.server else { continue };
        let line = choice
            .line(row, case, |run, variant, tamper| run(&mut server::Bench::new(variant, target, tamper)));
        progress(&line);
        cases.push(line);
    }
    Report::new(Side::Server, peer, cases)
}

/// Runs the cases against a client. `progress` is told each line when its case has ended.
pub fn client(
    choice: &Choice,
    peer: String,
    target: &mut client::Target,
    progress: &mut dyn FnMut(&Line),
) -> Report {
    let mut cases = Vec::new();
    for row in rows().filter(|row| choice.takes(row)) {
        let Some(case) = &row.client else { continue };
        let line = choice
            .line(row, case, |run, variant, tamper| run(&mut client::Bench::new(variant, target, tamper)));
        progress(&line);
        cases.push(line);
    }
    Report::new(Side::Client, peer, cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_case_passes_and_fails_with_its_mutant() {
        let faithful = codec(&Choice::default());
        let mutated = codec(&Choice { mutate: true, ..Choice::default() });
        for (line, mutant) in faithful.cases.iter().zip(&mutated.cases) {
            assert_eq!(line.verdict, Verdict::Pass, "{}", line.id);
            assert!(matches!(mutant.verdict, Verdict::Fail(_)), "{} passes with its mutant", line.id);
        }
    }
}
