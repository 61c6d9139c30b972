//! `posternctl alarm …`: what a person has to know of, or to do.

use clap::Subcommand;
use postern_api::alarms::{AcknowledgeAlarm, Alarm, AlarmQuery};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with alarms.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List alarms that are open, the newest first.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        /// Of exactly this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Most alarms wanted.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Say that an alarm was seen; docs/OPERATIONS.md says what to do about each kind.
    Ack {
        /// The alarm's id.
        alarm: String,
        /// What is being done about it, or why nothing is.
        #[arg(long)]
        reason: Option<String>,
        /// Close it as well; it comes back when it is raised again.
        #[arg(long)]
        close: bool,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List { all, kind, limit } => {
                let state = all.then(|| "all".to_owned());
                let query = AlarmQuery { state, kind, limit: None, cursor: None };
                let alarms: Vec<Alarm> = client.list(&["alarms"], &query, Some(limit)).await?;
                output.answer(&alarms, |alarms| listed(alarms))?;
            }
            Self::Ack { alarm, reason, close } => {
                let body = AcknowledgeAlarm { reason, close };
                let alarm: Alarm = client.post(&["alarms", &alarm, "acknowledge"], &body).await?;
                output.answer(&alarm, |alarm| {
                    format!("alarm {} about {}: {}", alarm.kind, text::terminal(&alarm.subject), state(alarm))
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

fn listed(alarms: &[Alarm]) -> String {
    output::table(
        ["ALARM", "SEVERITY", "KIND", "SUBJECT", "SINCE", "LAST", "TIMES", "STATE", "TEXT"],
        alarms.iter().map(|alarm| {
            [
                alarm.id.to_string(),
                alarm.severity.clone(),
                alarm.kind.clone(),
                alarm.subject.clone(),
                time::short(alarm.since),
                time::short(alarm.last),
                alarm.count.to_string(),
                state(alarm),
                alarm.text.clone(),
            ]
        }),
    )
}

fn state(alarm: &Alarm) -> String {
    match (alarm.cleared_at, &alarm.acknowledged_by) {
        (Some(at), _) => format!("over since {}", time::short(at)),
        (None, Some(by)) => {
            format!("seen by {} {}", text::terminal(by), or_dash(alarm.acknowledged_at.map(time::short)))
        }
        (None, None) => "open".to_owned(),
    }
}
