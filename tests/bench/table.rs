//! One row of the report: what was measured, against what, and the ratio with its spread.

use crate::codec::Paired;

/// A line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured.
    pub subject: String,
    /// What it was measured against, in the same run.
    pub baseline: String,
    /// The subject's figure with its unit.
    pub figure: String,
    /// The baseline's figure with its unit.
    pub baseline_figure: String,
    /// Higher is better: baseline time by subject time, or subject rate by baseline rate.
    pub ratio: String,
    /// What was aimed at.
    pub aim: String,
}

impl Row {
    /// A row from paired times (nanoseconds a call).
    pub(crate) fn ratio(subject: String, baseline: &str, paired: Paired, aim: Option<f64>) -> Self {
        let mut ratios: Vec<f64> = paired.rounds.iter().map(|(base, ours)| base / ours).collect();
        ratios.sort_by(f64::total_cmp);
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let ours = median(paired.rounds.iter().map(|pair| pair.1).collect());
        let base = median(paired.rounds.iter().map(|pair| pair.0).collect());
        Self {
            subject,
            baseline: baseline.to_owned(),
            figure: format!("{:.2} µs", ours / 1000.0),
            baseline_figure: format!("{:.2} µs", base / 1000.0),
            ratio: format!(
                "{:.2} ({:.2}–{:.2})",
                ratios[ratios.len() / 2],
                ratios[0],
                ratios[ratios.len() - 1]
            ),
            aim: aim.map_or_else(String::new, |aim| format!("≥ {aim}")),
        }
    }

    /// A row of plain figures.
    pub(crate) fn plain(
        subject: impl Into<String>,
        figure: impl Into<String>,
        aim: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            baseline: String::new(),
            figure: figure.into(),
            baseline_figure: String::new(),
            ratio: String::new(),
            aim: aim.into(),
        }
    }
}

/// The rows as a Markdown table, as docs/PERFORMANCE.md holds it.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | figure | baseline of the same run | its figure | ratio (higher is better) | aim |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            row.subject, row.figure, row.baseline, row.baseline_figure, row.ratio, row.aim
        ));
    }
    text
}
