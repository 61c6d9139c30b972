//! What gateways say: what became of versions, how they are, which keys want a certificate.

use postern_engine::gcm::{
    presence::skew,
    versions::{self, Answer, Standing},
};
use postern_store::{
    StoreError, Tx, WriteError,
    audit::{self, Act},
    gateways::{self, Ack},
};
use postern_wire::{
    link::{AckVerdict, Heartbeat, ListKind},
    terms::UtcMillis,
};
use serde_json::json;

use super::{GatewayBeat, Gcm};

/// What acknowledgements did.
#[derive(Default)]
struct Taken {
    /// Another version is wanted of the gateway than before: it is to be published.
    publish: bool,
}

impl Gcm {
    /// Takes a heartbeat.
    pub fn take_heartbeat(&self, gateway: &str, heartbeat: Heartbeat) {
        let at = self.now();
        let (skew_ms, skew_error_ms) = match heartbeat.beat {
            Some(beat) => skew(heartbeat.clock.0, at.0, beat.now.0, beat.age_ms),
            None => (heartbeat.clock.since(at), 0),
        };
        let good = heartbeat.settings_good;
        let noted = {
            let mut seen = self.seen();
            let before = seen.beats.remove(gateway);
            // Of a core that was started anew: an alarm of the one before may be open.
            let alarmed = |of: fn(&GatewayBeat) -> bool| before.as_ref().is_none_or(of);
            let beat = GatewayBeat {
                at,
                heartbeat,
                skew_ms,
                skew_error_ms,
                looked: false,
                alarmed_expiry: alarmed(|beat| beat.alarmed_expiry),
                alarmed_skew: alarmed(|beat| beat.alarmed_skew),
            };
            seen.beats.insert(gateway.to_owned(), beat);
            seen.good.get(gateway).copied()
        };
        if noted != Some(good) {
            self.note_good(gateway, good);
        }
    }

    /// A version was sent.
    pub fn note_pushed(&self, gateway: &str, version: u64) {
        let (gcm, name) = (self.clone(), gateway.to_owned());
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        actix_rt::spawn(async move {
            let noted =
                gcm.parts().store.write(move |tx| gateways::settings_pushed(tx, &name, version)).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "when settings were sent is not noted");
            }
        });
    }

    /// Takes acknowledgements.
    ///
    /// # Errors
    /// When they are not stored; they come again.
    pub async fn take_acks(
        &self,
        gateway: &str,
        acks: Vec<postern_wire::link::Ack>,
    ) -> Result<(), WriteError> {
        if acks.is_empty() {
            return Ok(());
        }
        let (name, now) = (gateway.to_owned(), self.now());
        let taken = self
            .parts()
            .store
            .write(move |tx| {
                let mut taken = Taken::default();
                for ack in &acks {
                    acknowledge(tx, &name, ack, now, &mut taken)?;
                }
                Ok(taken)
            })
            .await?;
        if taken.publish
            && let Err(error) = self.publish(gateway).await
        {
            tracing::warn!(%error, gateway, "settings are not published yet");
        }
        self.wake();
        Ok(())
    }

    /// A version has proved good there.
    fn note_good(&self, gateway: &str, version: u64) {
        let (gcm, gateway) = (self.clone(), gateway.to_owned());
        let number = i64::try_from(version).unwrap_or(i64::MAX);
        actix_rt::spawn(async move {
            let name = gateway.clone();
            let noted = gcm
                .parts()
                .store
                .write(move |tx| {
                    let Some(row) = gateways::find(tx, &name)? else { return Ok(()) };
                    let before = standing(&row);
                    let after = versions::after(before, Answer::Good(number));
                    if after.in_force != before.in_force {
                        gateways::settings_in_force(tx, &name, after.in_force)?;
                    }
                    if after.good != before.good {
                        gateways::settings_good(tx, &name, number)?;
                    }
                    Ok(())
                })
                .await;
            match noted {
                Ok(()) => {
                    gcm.seen().good.insert(gateway, version);
                    gcm.wake();
                }
                // The next heartbeat says it again.
                Err(error) => tracing::debug!(%error, "that settings proved good is not noted yet"),
            }
        });
    }
}

fn standing(row: &gateways::Gateway) -> Standing {
    Standing { wanted: row.settings_wanted, in_force: row.settings_in_force, good: row.settings_good }
}

fn acknowledge(
    tx: &mut Tx,
    gateway: &str,
    ack: &postern_wire::link::Ack,
    now: UtcMillis,
    taken: &mut Taken,
) -> Result<(), StoreError> {
    let number = |version: u64| i64::try_from(version).unwrap_or(i64::MAX);
    let kind = match ack.kind {
        ListKind::Settings => "settings",
        ListKind::Blocked => "blocked",
        ListKind::Routes => "routes",
        ListKind::Trust => "trust",
    };
    let reason = match &ack.verdict {
        AckVerdict::Applied => None,
        AckVerdict::Rejected { reason, .. } => Some(reason.clone()),
    };
    let before = gateways::find(tx, gateway)?.ok_or(StoreError::NotFound("gateway"))?;
    let row = Ack {
        gateway: gateway.to_owned(),
        kind: kind.to_owned(),
        version: number(ack.version),
        ok: reason.is_none(),
        reason: reason.clone(),
        at: now,
    };
    gateways::acknowledge(tx, row)?;
    if ack.kind != ListKind::Settings {
        return Ok(());
    }
    let answer = match &ack.verdict {
        AckVerdict::Applied => Answer::Applied(number(ack.version)),
        AckVerdict::Rejected { in_force, .. } => {
            Answer::Rejected { version: number(ack.version), in_force: number(*in_force) }
        }
    };
    let after = versions::after(standing(&before), answer);
    if after.wanted != before.settings_wanted {
        gateways::want_settings(tx, gateway, after.wanted)?;
        gateways::settings_in_force(tx, gateway, after.in_force)?;
        taken.publish = true;
        let detail = json!({"version": ack.version, "because": reason, "in_force": after.in_force});
        audit::append(
            tx,
            Act {
                actor: format!("gateway:{gateway}"),
                action: "gateways.settings_rejected".to_owned(),
                object: format!("gateway:{gateway}"),
                outcome: "rolled-back".to_owned(),
                detail: detail.to_string(),
                ..Act::default()
            },
        )?;
    }
    Ok(())
}
