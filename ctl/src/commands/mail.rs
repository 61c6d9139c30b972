//! `posternctl mail …`: what people and other systems are told of.

use clap::Subcommand;
use postern_api::mail::{
    Address, AddressQuery, Delivery, OutboxQuery, Preview, PreviewQuery, PutAddress, RetryDelivery, TestMail,
    Told,
};
use postern_wire::terms::{Channel, DeliveryState, EventKind};
use uuid::Uuid;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with mail, webhooks, syslog and the stream.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List deliveries, the newest first.
    Outbox {
        /// Only these: waiting, held, delivered or parked.
        #[arg(long)]
        state: Option<DeliveryState>,
        /// Only by this: mail, webhook, syslog or stream.
        #[arg(long)]
        channel: Option<Channel>,
        /// Only of events about exactly this, such as wipe:ID.
        #[arg(long)]
        subject: Option<String>,
        /// Most deliveries wanted.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one delivery.
    Show {
        /// The delivery's id.
        delivery: String,
    },
    /// Show the letter of a kind of event as it would go out now, by your templates or the built-in ones.
    Preview {
        /// The kind, such as wipe-requested.
        kind: EventKind,
        /// That of this event, in place of an example.
        #[arg(long)]
        event: Option<Uuid>,
        /// The HTML part in place of the text, for a file that a browser opens.
        #[arg(long)]
        html: bool,
    },
    /// Have a delivery tried again now: one that is parked or waits.
    Retry {
        /// The delivery's id.
        delivery: String,
        /// Also one that another system took already: it goes again with the same id. A mail never does.
        #[arg(long)]
        replay: bool,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Send a test to an address; every webhook and stream gets it as well.
    Test {
        /// The address.
        #[arg(long)]
        to: String,
    },
    /// Where people get mail.
    #[command(subcommand)]
    Address(AddressAction),
}

/// What can be done with addresses.
#[derive(Debug, Subcommand)]
pub enum AddressAction {
    /// List addresses.
    List {
        /// Most addresses wanted.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Set where an admin or an owner of devices gets mail.
    Set {
        /// admin:NAME, admin:ID, or owner:NAME with the name as enrolments have it.
        subject: String,
        /// The address.
        address: String,
        /// Another one, that is not read on the managed device: it is not held back when the device is lost.
        #[arg(long)]
        second: Option<String>,
    },
    /// Forget where somebody gets mail.
    Remove {
        /// admin:NAME, admin:ID or owner:NAME.
        subject: String,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Outbox { state, channel, subject, limit } => {
                let query = OutboxQuery { state, channel, subject, limit: None, cursor: None };
                let rows: Vec<Delivery> = client.list(&["mail", "outbox"], &query, Some(limit)).await?;
                output.answer(&rows, |rows| listed(rows))?;
            }
            Self::Show { delivery } => {
                let row: Delivery = client.get(&["mail", "outbox", &delivery], &()).await?;
                output.answer(&row, shown)?;
            }
            Self::Preview { kind, event, html } => {
                let query = PreviewQuery { event };
                let letter: Preview = client.get(&["mail", "letters", kind.as_str()], &query).await?;
                output.answer(&letter, |letter| previewed(letter, html))?;
            }
            Self::Retry { delivery, replay, reason } => {
                let body = RetryDelivery { reason, replay };
                let row: Delivery = client.post(&["mail", "outbox", &delivery, "retry"], &body).await?;
                output.answer(&row, |row| {
                    format!("{} to {} is tried again now", row.kind, text::terminal(&row.target))
                })?;
            }
            Self::Test { to } => {
                let told: Told = client.post(&["mail", "test"], &TestMail { to }).await?;
                output.answer(&told, |told| {
                    format!("sent on its way: posternctl mail outbox --subject {}", told.subject)
                })?;
            }
            Self::Address(action) => action.run(client, output).await?,
        }
        Ok(Exit::Done)
    }
}

impl AddressAction {
    async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let path = ["mail", "addresses"];
        let body = match self {
            Self::List { limit } => {
                let rows: Vec<Address> = client.list(&path, &AddressQuery::default(), Some(limit)).await?;
                return output.answer(&rows, |rows| {
                    output::table(
                        ["WHO", "ADDRESS", "SECOND", "SINCE", "SET BY"],
                        rows.iter().map(|row| {
                            [
                                row.subject.clone(),
                                row.address.clone(),
                                or_dash(row.second.clone()),
                                time::short(row.at),
                                row.set_by.clone(),
                            ]
                        }),
                    )
                });
            }
            Self::Set { subject, address, second } => PutAddress { subject, address: Some(address), second },
            Self::Remove { subject } => PutAddress { subject, address: None, second: None },
        };
        let put: PutAddress = client.put_to(&path, &body).await?;
        output.answer(&put, |body| match &body.address {
            Some(address) => format!("{} gets mail at {address}", text::terminal(&body.subject)),
            None => format!("{} has no address any more", text::terminal(&body.subject)),
        })
    }
}

fn listed(rows: &[Delivery]) -> String {
    output::table(
        ["DELIVERY", "AT", "EVENT", "SUBJECT", "BY", "TO", "STATE", "TRIES", "NEXT", "SAID"],
        rows.iter().map(|row| {
            [
                row.id.to_string(),
                time::short(row.at),
                row.kind.to_string(),
                row.subject.clone(),
                row.channel.to_string(),
                row.target.clone(),
                row.state.to_string(),
                row.attempts.to_string(),
                or_dash(row.next_at.map(time::short)),
                row.cause.clone(),
            ]
        }),
    )
}

fn shown(row: &Delivery) -> String {
    let mut out = format!(
        "delivery {}: {} of {} about {}\n  by {} to {}: {}, {} tries\n  said: {}\n  id: {}\n",
        row.id,
        row.kind,
        time::short(row.at),
        text::terminal(&row.subject),
        row.channel,
        text::terminal(&row.target),
        row.state,
        row.attempts,
        text::terminal(&row.cause),
        text::terminal(&row.message_id),
    );
    if let Some(facts) = row.data.as_object() {
        for (name, value) in facts {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.push_str(&format!("  {}: {}\n", text::terminal(name), text::terminal(&value)));
        }
    }
    out.trim_end().to_owned()
}

fn previewed(letter: &Preview, html: bool) -> String {
    if html {
        return letter.html.clone();
    }
    let mut out = String::new();
    for trouble in &letter.troubles {
        out.push_str(&format!("! {}\n", text::terminal(trouble)));
    }
    out.push_str(&format!("Subject: {}\n\n", text::terminal(&letter.subject)));
    for line in letter.text.lines() {
        out.push_str(&format!("{}\n", text::terminal(line)));
    }
    out.trim_end().to_owned()
}
