//! Alarms about certificates and imported CRLs that end soon and that nobody renewed.
//!
//! Promise: what renews itself does so when a third of its life is left; what comes near its end nevertheless is told in
//! time to do it by hand: an alarm `certificate-expiring`, cleared when a newer one is in use. Gateways' certificates are
//! looked at by their supervisor, which hears of them with each heartbeat (`actors/src/gcm/looks.rs`).

use postern_store::{
    WriteError,
    alarms::{self, Severity},
    authorities, crls,
};
use postern_wire::terms::{CaState, UtcMillis};

use super::{DAY_MS, own};
use crate::inside::Inside;

/// The kind of these alarms.
const KIND: &str = "certificate-expiring";
/// A CA is told about so many days before its end: certificates under it get shorter with it.
const CA_DAYS: i64 = 400;
/// This core's own certificates so many days before.
const DAYS: i64 = 30;
/// From so many days before its end it is critical.
const CRITICAL_DAYS: i64 = 7;

/// What ends, when, and how many days before it is told.
struct Ends {
    subject: String,
    what: String,
    at: UtcMillis,
    days: i64,
}

/// Raises and clears the alarms.
pub(super) async fn look(inside: &Inside) -> Result<(), WriteError> {
    let now = inside.now();
    let all = collect(inside).await?;
    inside
        .store
        .write(move |tx| {
            for one in &all {
                let left = one.at.since(now);
                if left > one.days * DAY_MS {
                    alarms::clear(tx, KIND, &one.subject, "it holds longer again")?;
                    continue;
                }
                let severity =
                    if left <= CRITICAL_DAYS * DAY_MS { Severity::Critical } else { Severity::Warning };
                let ends = if left < 0 { "ended" } else { "ends" };
                alarms::raise(
                    tx,
                    severity,
                    KIND,
                    &one.subject,
                    &format!("{} {ends} at {}", one.what, one.at),
                )?;
            }
            Ok(())
        })
        .await
}

async fn collect(inside: &Inside) -> Result<Vec<Ends>, WriteError> {
    let read = inside.store.read(|r| Ok((authorities::list(r)?, crls::list(r)?))).await;
    let (cas, imported) =
        read.map_err(|error| WriteError::Rejected(postern_store::StoreError::Database(error.to_string())))?;
    let mut all: Vec<Ends> = cas
        .into_iter()
        .filter(|row| matches!(row.state, CaState::Signing | CaState::Trusted))
        .map(|row| Ends {
            subject: format!("ca:{}:{}", row.role, row.generation),
            what: format!(
                "the {} CA of generation {}: roll it over; its certificate",
                row.role, row.generation
            ),
            at: row.not_after,
            days: CA_DAYS,
        })
        .collect();
    for crl in imported {
        all.extend(crl.next_update.map(|at| Ends {
            subject: format!("crl:{}", crl.issuer),
            what: format!("the imported CRL of {}: import the next one; it", crl.name),
            at,
            days: 1,
        }));
    }
    let config = &inside.config;
    for (port, file) in [("admin", &config.admin.certificate), ("links", &config.links.certificate)] {
        all.extend(own::in_use(&config.at(file)).map(|used| Ends {
            subject: format!("core:{port}"),
            what: format!("this core's certificate {}", file.display()),
            at: used.not_after,
            days: DAYS,
        }));
    }
    Ok(all)
}
