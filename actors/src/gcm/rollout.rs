//! Rolling out what is set for all gateways.

use postern_engine::gcm::rollout::{Fate, Next, State, Step, next};
use postern_store::{
    Reader, StoreError, Tx, WriteError,
    audit::{self, Act},
    gateway_defaults::{self as defaults, Defaults, IN_FORCE, RUNNING, STOPPED},
    gateways::{self, ACTIVE},
};
use serde_json::json;

use super::{Gcm, settings::GatewaySettingsError};

/// What one look at a roll-out did.
enum Looked {
    /// Nothing is to be done now.
    Waits,
    /// A step was made; look again.
    Moved,
    /// This gateway has a new version, to be published.
    Gave(String),
}

impl Gcm {
    /// Goes on with the roll-out that runs, as far as it goes now; and gives what was rolled out to gateways that were not
    /// there.
    pub(super) async fn advance_rollout(&self) {
        loop {
            let connected = self.parts().fleet.connected();
            let here = connected.clone();
            // An idle system is not to write.
            match self.parts().store.read(move |r| is_due(r, &here)).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    return tracing::debug!(%error, "the roll-out of gateway settings is looked at later");
                }
            }
            let looked = self.parts().store.write(move |tx| look(tx, &connected)).await;
            match looked {
                Ok(Looked::Waits) => return,
                Ok(Looked::Moved) => {}
                Ok(Looked::Gave(gateway)) => {
                    if let Err(error) = self.publish(&gateway).await {
                        tracing::warn!(%error, gateway, "settings are not published yet");
                    }
                }
                Err(error) => {
                    log(&error);
                    return;
                }
            }
        }
    }
}

/// Whether something is to be done: a roll-out runs, or a gateway that is here lacks what counts.
fn is_due(r: &mut Reader, connected: &[String]) -> Result<bool, StoreError> {
    let Some(newest) = defaults::newest(r)? else { return Ok(false) };
    if newest.state == RUNNING {
        return Ok(true);
    }
    let counts = defaults::in_force(r)?.map_or(0, |row| row.version);
    for gateway in connected {
        if lacks(r, gateway, counts)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The gateway of this name, when what it is to have was made with other defaults than these, and it has not refused them.
fn lacks(r: &mut Reader, gateway: &str, defaults: i64) -> Result<Option<gateways::Gateway>, StoreError> {
    let Some(known) = gateways::find(r, gateway)?.filter(|known| known.state == ACTIVE) else {
        return Ok(None);
    };
    let made = gateways::settings(r, gateway, Some(known.settings_wanted))?;
    let has = made.is_none_or(|made| made.defaults == defaults);
    let has = has && (defaults == 0 || known.settings_wanted > 0);
    Ok((!has && !refused_before(r, &known, defaults)?).then_some(known))
}

fn log(error: &WriteError) {
    tracing::warn!(%error, "the roll-out of gateway settings waits for the database");
}

fn look(tx: &mut Tx, connected: &[String]) -> Result<Looked, StoreError> {
    let Some(newest) = defaults::newest(tx)? else { return Ok(Looked::Waits) };
    match newest.state.as_str() {
        RUNNING => advance(tx, &newest, connected),
        _ => catch_up(tx, connected),
    }
}

/// One step of the roll-out that runs.
fn advance(tx: &mut Tx, running: &Defaults, connected: &[String]) -> Result<Looked, StoreError> {
    let rows = defaults::steps(tx, running.version)?;
    let mut steps = Vec::new();
    for row in &rows {
        let known = gateways::find(tx, &row.gateway)?.filter(|known| known.state == ACTIVE);
        let fate = match &known {
            Some(known) => fate(tx, known, row.version)?,
            // It was retired meanwhile.
            None => Fate::Replaced,
        };
        steps.push(Step {
            state: State::parse(&row.state).unwrap_or(State::Waiting),
            connected: known.is_some() && connected.contains(&row.gateway),
            fate,
        });
    }
    match next(&steps) {
        Next::Wait => Ok(Looked::Waits),
        Next::Give(index) => {
            let gateway = rows[index].gateway.clone();
            match Gcm::set_defaults(tx, &gateway, running) {
                Ok(version) => {
                    defaults::step(tx, running.version, &gateway, State::Given.as_str(), version, None)?;
                    Ok(Looked::Gave(gateway))
                }
                Err(GatewaySettingsError::Store(error)) => Err(error),
                // Together with what is set for this gateway alone it makes no good document.
                Err(GatewaySettingsError::Document(why)) => {
                    defaults::step(tx, running.version, &gateway, State::Failed.as_str(), 0, Some(&why))?;
                    Ok(Looked::Moved)
                }
            }
        }
        Next::Set(index, state) => {
            let row = &rows[index];
            let because = match state {
                State::Failed => {
                    gateways::settings(tx, &row.gateway, Some(row.version))?.and_then(|made| made.answer)
                }
                State::PutOff => Some("it was not connected; it gets this when it is back".to_owned()),
                _ => None,
            };
            let because = because.as_deref();
            defaults::step(tx, running.version, &row.gateway, state.as_str(), row.version, because)?;
            Ok(Looked::Moved)
        }
        Next::Stop(index) => {
            let row = &rows[index];
            let why = row.because.clone().unwrap_or_default();
            let because = format!("{}: {why}", row.gateway);
            defaults::end(tx, running.version, STOPPED, Some(&because))?;
            note(tx, running, "stopped", &because)?;
            go_back(tx, running)?;
            Ok(Looked::Moved)
        }
        Next::Finish => {
            defaults::end(tx, running.version, IN_FORCE, None)?;
            note(tx, running, "finished", "")?;
            Ok(Looked::Moved)
        }
    }
}

/// A roll-out was stopped: gateways that have its version already go back to what is set for all without it.
fn go_back(tx: &mut Tx, stopped: &Defaults) -> Result<(), StoreError> {
    for row in defaults::steps(tx, stopped.version)? {
        if State::parse(&row.state) == Some(State::Done) {
            let because = "the roll-out was stopped; it goes back with the next look";
            defaults::step(tx, stopped.version, &row.gateway, "put-off", row.version, Some(because))?;
        }
    }
    Ok(())
}

/// A gateway that is connected and was made with other defaults than those that count gets these.
fn catch_up(tx: &mut Tx, connected: &[String]) -> Result<Looked, StoreError> {
    let Some(counts) = defaults::in_force(tx)?.map_or_else(|| empty(tx), |row| Ok(Some(row)))? else {
        return Ok(Looked::Waits);
    };
    for gateway in connected {
        if lacks(tx, gateway, counts.version)?.is_none() {
            continue;
        }
        match Gcm::set_defaults(tx, gateway, &counts) {
            Ok(_) => return Ok(Looked::Gave(gateway.clone())),
            Err(GatewaySettingsError::Store(error)) => return Err(error),
            Err(GatewaySettingsError::Document(why)) => {
                tracing::warn!(gateway, why, "what is set for all does not fit what is set for this gateway");
            }
        }
    }
    Ok(Looked::Waits)
}

/// Nothing counts, but something was tried: what the gateways have of it is to go.
fn empty(tx: &mut Tx) -> Result<Option<Defaults>, StoreError> {
    let newest = defaults::newest(tx)?;
    Ok(newest.map(|newest| Defaults { version: 0, document: "{}".to_owned(), ..newest }))
}

/// A gateway that rejected a version with these defaults is not given them again and again.
fn refused_before(r: &mut Reader, known: &gateways::Gateway, defaults: i64) -> Result<bool, StoreError> {
    let newest = gateways::settings(r, &known.name, Some(known.settings_newest))?;
    Ok(newest.is_some_and(|row| row.defaults == defaults && row.state == "rejected"))
}

fn fate(tx: &mut Tx, known: &gateways::Gateway, version: i64) -> Result<Fate, StoreError> {
    let Some(row) = gateways::settings(tx, &known.name, Some(version))? else { return Ok(Fate::Open) };
    Ok(match row.state.as_str() {
        "good" => Fate::Good,
        "applied" => Fate::Applied,
        "rejected" => Fate::Rejected,
        "replaced" => Fate::Replaced,
        _ => Fate::Open,
    })
}

fn note(tx: &mut Tx, of: &Defaults, outcome: &str, because: &str) -> Result<(), StoreError> {
    let act = Act {
        actor: "service:gcm".to_owned(),
        action: "gateway_defaults.roll_out".to_owned(),
        object: format!("gateway-defaults:{}", of.version),
        outcome: outcome.to_owned(),
        detail: json!({"because": because}).to_string(),
        ..Act::default()
    };
    audit::append(tx, act).map(drop)
}
