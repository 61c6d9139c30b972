//! The far ends of the outbox, as the configuration has them, and what doctor finds of them.
//!
//! Promise: one that cannot be set up does not keep the core from starting; it is left
//! out, and `status` says why. What goes to it waits in the outbox until it is named no more or set up again.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
};

use postern_actors::{
    BuiltInTemplates, Carrier, LetterTemplates,
    mail::{Mail, MailParts},
};
use postern_adapters::{
    OpenError, letters::TemplateFolder, smtp::SmtpCarrier, stream::StreamCarrier, syslog::SyslogCarrier,
    webhook::WebhookCarrier,
};
use postern_api::server::{Check, Verdict};
use postern_engine::mail::{address, delivery::Rules};
use postern_store::{
    Tx, WriteError, admins,
    alarms::{self, Severity},
    mail_addresses, outbox,
};
use postern_wire::terms::{Channel, DeliveryState};

use crate::{
    doctor::{check, ok},
    inside::Inside,
};

/// The alarm of a webhook that may go to this machine.
const LOCAL: &str = "webhook-local";

/// The supervisor with what is configured.
pub(crate) fn set_up(inside: &Inside) -> Mail {
    let config = &inside.config;
    let folder = &config.folder;
    let mut carriers: Vec<Arc<dyn Carrier>> = Vec::new();
    if let Some(mail) = &config.mail {
        carriers.extend(kept(inside, "mail", SmtpCarrier::open(mail, folder)));
    }
    for webhook in &config.webhooks {
        let opened = WebhookCarrier::open(webhook, folder);
        if webhook.allow_local {
            tracing::error!(webhook = %webhook.name, "webhook.allow_local is set: events may go to this machine and its link, without TLS; for tests only");
        }
        carriers.extend(kept(inside, &format!("webhook {}", webhook.name), opened));
    }
    if let Some(syslog) = &config.syslog {
        carriers.extend(kept(inside, "syslog", SyslogCarrier::open(syslog, folder)));
    }
    if let Some(stream) = &config.stream {
        carriers.push(Arc::new(StreamCarrier::open(stream, folder)));
    }
    let mail = config.mail.as_ref();
    let templates: Option<PathBuf> =
        mail.and_then(|mail| mail.templates.as_ref()).map(|path| config.at(path));
    let templates: Arc<dyn LetterTemplates> = match templates {
        Some(folder) => Arc::new(TemplateFolder::at(&folder)),
        None => Arc::new(BuiltInTemplates),
    };
    let domain = mail.map_or("localhost", |mail| address::domain(mail.from.trim_end_matches('>')));
    Mail::new(MailParts {
        store: inside.store.clone(),
        clock: Arc::clone(&inside.clock),
        rules: Rules::default(),
        carriers,
        templates,
        security: mail.map(|mail| mail.security.clone()).unwrap_or_default(),
        domain: domain.to_owned(),
        sign_in: mail.and_then(|mail| mail.sign_in.clone()),
    })
}

fn kept<C: Carrier>(inside: &Inside, name: &str, opened: Result<C, OpenError>) -> Option<Arc<dyn Carrier>> {
    match opened {
        Ok(carrier) => Some(Arc::new(carrier)),
        Err(error) => {
            let trouble = format!("{name}: {error}");
            tracing::error!(%trouble, "events do not go out by this");
            let mut troubles = inside.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
            None
        }
    }
}

/// Raises and clears the alarm about webhooks that a test may have left open to this machine.
pub(crate) async fn warn_of_local(inside: &Inside) -> Result<(), WriteError> {
    let local: Vec<(String, bool)> =
        inside.config.webhooks.iter().map(|webhook| (webhook.name.clone(), webhook.allow_local)).collect();
    inside
        .store
        .write(move |tx: &mut Tx| {
            let open = alarms::list(tx, alarms::Which::Open, Some(LOCAL), None, alarms::MOST_OF_A_KIND)?;
            for alarm in open {
                if !local.iter().any(|(name, local)| *local && alarm.subject == format!("webhook:{name}")) {
                    alarms::clear(tx, LOCAL, &alarm.subject, "allow_local is not set any more")?;
                }
            }
            for (name, _) in local.iter().filter(|(_, local)| *local) {
                let text = format!(
                    "the webhook {name} has allow_local: events may go to this machine and its link, without TLS; it is for tests only"
                );
                alarms::raise(tx, Severity::Warning, LOCAL, &format!("webhook:{name}"), &text)?;
            }
            Ok(())
        })
        .await
}

/// What doctor finds: each far end tried without sending, what waits and is parked, who has no address.
pub(crate) async fn checks(inside: &Inside, mail: &Mail) -> Vec<Check> {
    let mut all = Vec::new();
    for (channel, name, found) in mail.probe().await {
        let heading = if channel == Channel::Mail { "mail.server" } else { "mail.far_end" };
        let subject = name.map_or_else(|| channel.to_string(), |name| format!("{channel}:{name}"));
        all.push(match found {
            Ok(finding) => ok(heading, subject, finding),
            Err(error) => check(
                heading,
                subject,
                Verdict::Fail,
                error.to_string(),
                "docs/OPERATIONS.md, mail.server; what is to go there waits in the outbox meanwhile",
            ),
        });
    }
    if !mail.mails() && inside.config.mail.is_none() {
        let finding = "no mail server is set up ([mail], docs/MAIL.md): nobody is told of anything by mail";
        all.push(ok("mail.server", "mail", finding));
    }
    let read = inside.store.read(|r| {
        let mut without = 0;
        for admin in admins::list(r)?.iter().filter(|admin| admin.disabled_at.is_none()) {
            let known = mail_addresses::find(r, &mail_addresses::of_admin(admin.id))?;
            without += usize::from(known.is_none() && !address::is_address(&admin.name));
        }
        Ok((outbox::counts(r)?, without))
    });
    let Ok((counts, without)) = read.await else { return all };
    let of = |wanted| counts.iter().find(|(state, _)| *state == wanted).map_or(0, |(_, n)| *n);
    let (waiting, held, parked) =
        (of(DeliveryState::Waiting), of(DeliveryState::Held), of(DeliveryState::Parked));
    let finding = format!("{waiting} deliveries wait, {held} are held, {parked} are parked");
    all.push(match parked {
        0 => ok("mail.outbox", "", finding),
        _ => check(
            "mail.outbox",
            "",
            Verdict::Warn,
            finding,
            "`posternctl mail outbox --state parked`, put it right, then `posternctl mail retry ID`",
        ),
    });
    if mail.mails() && without > 0 {
        all.push(check(
            "mail.addresses",
            "",
            Verdict::Warn,
            format!("{without} admins have no e-mail address: they are not told of what they ask for"),
            "`posternctl mail address set admin:NAME ADDRESS`",
        ));
    }
    all
}
