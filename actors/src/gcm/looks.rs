//! What a person has to know of the gateways: alarms, raised and cleared.

use postern_engine::gcm::presence::{News, SKEW_MS, look};
use postern_store::{
    StoreError,
    alarms::{self, Severity},
    gateways::{self, ACTIVE},
};

use super::{GatewayBeat, Gcm};

/// A gateway is not connected.
const LOST: &str = "gateway-lost";
/// A certificate ends soon and nothing renewed it.
const EXPIRING: &str = "certificate-expiring";
/// From so long before its end it is critical.
const CRITICAL_MS: i64 = 7 * 86_400_000;
/// A gateway's clock is off.
const SKEW: &str = "gateway-clock";

enum Alarm {
    Raise(Severity, &'static str, String, String),
    Clear(&'static str, String, &'static str),
}

impl Gcm {
    /// Looks at every gateway and raises or clears what changed.
    pub(super) async fn look(&self) {
        let rows = match self.parts().store.read(gateways::list).await {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "gateways are looked at later"),
        };
        let connected = self.parts().fleet.connected();
        let monotonic = u64::try_from(self.parts().clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let mut alarms = Vec::new();
        {
            let mut seen = self.seen();
            for row in &rows {
                let subject = format!("gateway:{}", row.name);
                if row.state != ACTIVE {
                    if seen.presence.remove(&row.name).is_some() {
                        for kind in [LOST, EXPIRING, SKEW] {
                            alarms.push(Alarm::Clear(kind, subject.clone(), "the gateway is one no more"));
                        }
                    }
                    continue;
                }
                let before = seen.presence.get(&row.name).copied();
                let here = connected.contains(&row.name);
                let (after, news) = look(before.unwrap_or_default(), here, monotonic);
                match news {
                    News::Lost => alarms.push(Alarm::Raise(
                        Severity::Critical,
                        LOST,
                        subject.clone(),
                        format!("gateway {} is not connected: it serves no device", row.name),
                    )),
                    News::Back => alarms.push(Alarm::Clear(LOST, subject.clone(), "it is connected again")),
                    // This core was started while an alarm of the one before was open.
                    News::None if here && before.is_none() => {
                        alarms.push(Alarm::Clear(LOST, subject.clone(), "it is connected"));
                    }
                    News::None => {}
                }
                seen.presence.insert(row.name.clone(), after);
                if let Some(beat) = seen.beats.get_mut(&row.name).filter(|_| here) {
                    alarms.extend(of_beat(&row.name, &subject, beat));
                }
            }
        }
        if alarms.is_empty() {
            return;
        }
        let written = self
            .parts()
            .store
            .write(move |tx| {
                for alarm in &alarms {
                    match alarm {
                        Alarm::Raise(severity, kind, subject, text) => {
                            if alarms::open(tx, kind, subject)?.is_none_or(|open| open.severity != *severity)
                            {
                                alarms::raise(tx, *severity, kind, subject, text)?;
                            }
                        }
                        Alarm::Clear(kind, subject, because) => {
                            alarms::clear(tx, kind, subject, because)?;
                        }
                    }
                }
                Ok::<_, StoreError>(())
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, "alarms of gateways are raised later");
            // What was found is found again.
            self.seen().presence.clear();
        }
    }
}

/// What a heartbeat says that a person has to know; each is looked at once for each heartbeat.
fn of_beat(name: &str, subject: &str, beat: &mut GatewayBeat) -> Vec<Alarm> {
    let mut found = Vec::new();
    if beat.looked {
        return found;
    }
    beat.looked = true;
    let soon = beat
        .heartbeat
        .certificates
        .iter()
        // Renewal begins when a third of the life is left; a quarter left means that it does not work.
        .filter(|known| known.not_after.since(beat.at) <= known.not_after.since(known.not_before) / 4)
        .min_by_key(|known| known.not_after);
    match soon {
        Some(known) => {
            let left = known.not_after.since(beat.at);
            let severity = if left <= CRITICAL_MS { Severity::Critical } else { Severity::Warning };
            let text = format!("the {} port's certificate of gateway {name} ends soon", known.role.as_str());
            found.push(Alarm::Raise(severity, EXPIRING, subject.to_owned(), text));
        }
        None if beat.alarmed_expiry => {
            found.push(Alarm::Clear(EXPIRING, subject.to_owned(), "it was renewed"));
        }
        None => {}
    }
    let off = beat.skew_ms.abs() - beat.skew_error_ms > SKEW_MS;
    if off {
        let text = format!("the clock of gateway {name} is off by {} s", beat.skew_ms / 1000);
        found.push(Alarm::Raise(Severity::Warning, SKEW, subject.to_owned(), text));
    } else if beat.alarmed_skew {
        found.push(Alarm::Clear(SKEW, subject.to_owned(), "its clock is right again"));
    }
    beat.alarmed_expiry = found.iter().any(|alarm| matches!(alarm, Alarm::Raise(_, EXPIRING, ..)));
    beat.alarmed_skew = off;
    found
}
