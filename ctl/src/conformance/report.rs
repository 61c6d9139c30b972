//! What a run came to: rows for a table, JSON, or Markdown.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{
    table::{Obligation, Row},
    verdict::Verdict,
};

/// Which kind of case ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// On octets.
    Codec,
    /// Against a server.
    Server,
    /// Against a client.
    Client,
}

/// One case in one variant.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Encoding and version.
    pub variant: String,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// One row of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The case.
    pub id: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// The section.
    pub section: &'static str,
    /// Who owes it.
    pub obligation: Obligation,
    /// The worst of its runs: fail, then pass, then not applicable.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Each variant.
    pub runs: Vec<Run>,
    /// Why a failure is expected, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<String>,
    /// A deviation from the standard that the rule states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<&'static str>,
}

/// A run of one side.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which kind of cases.
    pub side: Side,
    /// Against whom.
    pub peer: String,
    /// How many passed.
    pub passed: usize,
    /// How many failed, the explained ones among them.
    pub failed: usize,
    /// How many of the failed are explained.
    pub explained: usize,
    /// How many do not apply.
    pub not_applicable: usize,
    /// The rows.
    pub cases: Vec<Line>,
}

impl Line {
    /// A row with what its runs came to.
    #[must_use]
    pub fn new(row: &Row, runs: Vec<Run>, explained: Option<String>) -> Self {
        let of = |wanted: fn(&Verdict) -> bool| runs.iter().find(|run| wanted(&run.verdict));
        let fails = of(|verdict| matches!(verdict, Verdict::Fail(_)));
        let passes = of(|verdict| *verdict == Verdict::Pass);
        let verdict = match (fails, passes, runs.first()) {
            (Some(run), ..) => match &run.verdict {
                Verdict::Fail(what) => Verdict::Fail(format!("{}: {what}", run.variant)),
                other => other.clone(),
            },
            (None, Some(run), _) | (None, None, Some(run)) => run.verdict.clone(),
            (None, None, None) => Verdict::NotApplicable("it has no case on this side".to_owned()),
        };
        let explained = explained.filter(|_| matches!(verdict, Verdict::Fail(_)));
        Self {
            id: row.id,
            rule: row.rule,
            section: row.section,
            obligation: row.obligation,
            verdict,
            runs,
            explained,
            deviation: row.deviation,
        }
    }

    /// A case that failed, and nobody said why it may.
    #[must_use]
    pub const fn is_unexplained(&self) -> bool {
        matches!(self.verdict, Verdict::Fail(_)) && self.explained.is_none()
    }

    /// What was seen, or why it does not apply, or why it may fail.
    #[must_use]
    pub fn reason(&self) -> String {
        match (&self.verdict, &self.explained) {
            (Verdict::Fail(what), Some(why)) => format!("explained: {why} ({what})"),
            (Verdict::Fail(what) | Verdict::NotApplicable(what), _) => what.clone(),
            (Verdict::Pass, _) => self.deviation.map_or_else(String::new, |how| format!("deviation: {how}")),
        }
    }
}

impl Report {
    /// Counts the rows.
    #[must_use]
    pub fn new(side: Side, peer: String, cases: Vec<Line>) -> Self {
        let count = |wanted: fn(&Line) -> bool| cases.iter().filter(|line| wanted(line)).count();
        let (passed, failed, not_applicable) = (
            count(|line| line.verdict == Verdict::Pass),
            count(|line| matches!(line.verdict, Verdict::Fail(_))),
            count(|line| matches!(line.verdict, Verdict::NotApplicable(_))),
        );
        let explained = count(|line| line.explained.is_some());
        Self { side, peer, passed, failed, explained, not_applicable, cases }
    }

    /// Whether a failure is unexplained.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.cases.iter().any(Line::is_unexplained)
    }

    /// One line.
    #[must_use]
    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed ({} explained), {} not applicable",
            self.passed, self.failed, self.explained, self.not_applicable
        )
    }

    /// The rows as a Markdown table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text =
            format!("{}\n\n| id | rule | section | by | verdict | |\n|-|-|-|-|-|-|\n", self.summary());
        for line in &self.cases {
            let cells = [line.id, line.rule, line.section, &format!("{:?}", line.obligation)].map(cell);
            let _ = writeln!(text, "| {} | {} | {} |", cells.join(" | "), line.verdict, cell(&line.reason()));
        }
        text
    }

    fn line(&self, id: &str) -> Option<&Line> {
        self.cases.iter().find(|line| line.id == id)
    }
}

/// One table of every row, with its verdict in each of the reports and what there is to say beside it.
#[must_use]
pub fn document(reports: &[Report]) -> String {
    let sides: Vec<_> = reports.iter().map(|report| format!("{:?}", report.side).to_lowercase()).collect();
    let mut text = format!("| id | rule | section | by | {} | |\n", sides.join(" | "));
    text.push_str(&"|-".repeat(5 + reports.len()));
    text.push_str("|\n");
    for row in super::table::rows() {
        let mut remarks: Vec<String> = Vec::new();
        let mut verdicts = Vec::new();
        for report in reports {
            let line = report.line(row.id);
            verdicts.push(line.map_or_else(String::new, |line| line.verdict.to_string()));
            let reason = line.map(Line::reason).filter(|reason| !reason.is_empty());
            remarks.extend(reason.filter(|reason| !remarks.contains(reason)));
        }
        let cells = [row.id, row.rule, row.section, &format!("{:?}", row.obligation)].map(cell);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cells.join(" | "),
            verdicts.join(" | "),
            cell(&remarks.join("; "))
        );
    }
    text
}

/// A text as a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Reads explanations: `ID: why` on each line; empty lines and those from `#` on are passed over.
///
/// # Errors
/// The first line that is none.
pub fn explanations(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (id, why) = line.split_once(':').ok_or_else(|| format!("{line:?} is no `ID: why`"))?;
        super::table::row(id.trim()).ok_or_else(|| format!("there is no case {:?}", id.trim()))?;
        Ok((id.trim().to_ascii_uppercase(), why.trim().to_owned()))
    };
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::table::row;

    fn line(verdicts: &[Verdict], explained: Option<&str>) -> Line {
        let runs =
            verdicts.iter().map(|verdict| Run { variant: "xml 1.2".to_owned(), verdict: verdict.clone() });
        Line::new(row("SRV-01").unwrap(), runs.collect(), explained.map(str::to_owned))
    }

    #[test]
    fn one_variant_that_fails_fails_the_case_and_one_that_passes_makes_it_apply() {
        let (pass, fail) = (Verdict::Pass, Verdict::Fail("x".to_owned()));
        let not = Verdict::NotApplicable("y".to_owned());
        assert_eq!(line(&[pass.clone(), fail.clone()], None).verdict, Verdict::Fail("xml 1.2: x".to_owned()));
        assert_eq!(line(&[not.clone(), pass.clone()], None).verdict, pass);
        assert_eq!(line(std::slice::from_ref(&not), None).verdict, not);
    }

    #[test]
    fn only_an_unexplained_failure_makes_a_report_bad() {
        let fail = [Verdict::Fail("x".to_owned())];
        for (explained, bad) in [(None, true), (Some("old TLS"), false)] {
            let report = Report::new(Side::Server, String::new(), vec![line(&fail, explained)]);
            assert_eq!(report.is_bad(), bad, "{explained:?}");
        }
    }

    #[test]
    fn an_explanation_names_a_case_that_exists() {
        assert_eq!(explanations("# x\n\nsrv-01: because\n").unwrap()["SRV-01"], "because");
        assert!(explanations("SRV-99: because").is_err());
        assert!(explanations("SRV-01 because").is_err());
    }
}
