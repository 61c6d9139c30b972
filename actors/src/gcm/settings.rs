//! Settings documents: made out of layers, given versions, published.

use postern_engine::gcm::layers::{self, Setting};
use postern_store::{
    ReadError, Reader, StoreError, Tx, gateway_defaults as defaults,
    gateways::{self, NewSettings},
};
use postern_wire::link::Settings;
use serde_json::{Map, Value, json};

use super::Gcm;
use crate::Published;

/// Why settings are not taken.
#[derive(Debug, thiserror::Error)]
pub enum GatewaySettingsError {
    /// The document is outside its limits, or not one.
    #[error("{0}")]
    Document(String),
    /// The database said so.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A gateway's settings with where each value comes from.
#[derive(Clone, Debug)]
pub struct SettingsView {
    /// Every key.
    pub settings: Vec<Setting>,
    /// What is set for all gateways.
    pub all: Value,
    /// What is set for this gateway.
    pub own: Value,
}

/// The default document, without a version.
fn plain() -> Value {
    let mut document = serde_json::to_value(Settings::default()).unwrap_or_default();
    if let Some(table) = document.as_object_mut() {
        table.remove("version");
    }
    document
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// What is set for all gateways now: the version that counts and its document.
///
/// # Errors
/// Where the rows cannot be read.
pub fn defaults_now(r: &mut Reader) -> Result<(i64, Value), StoreError> {
    Ok(defaults::in_force(r)?.map_or((0, json!({})), |row| (row.version, object(&row.document))))
}

/// Checks a layer: what is set has to make a good document, over the defaults alone.
///
/// # Errors
/// [`GatewaySettingsError::Document`] that names the key.
pub fn checked(layer: &Value) -> Result<Value, GatewaySettingsError> {
    let mut layer = layer.clone();
    let table = layer
        .as_object_mut()
        .ok_or_else(|| GatewaySettingsError::Document("a settings document is a JSON object".to_owned()))?;
    table.remove("version");
    document(&json!({}), &layer, 1)?;
    Ok(layer)
}

/// The whole document of a version, as it is sent.
fn document(all: &Value, own: &Value, version: u64) -> Result<Settings, GatewaySettingsError> {
    let mut merged = layers::merged(&plain(), all, own);
    if let Some(table) = merged.as_object_mut() {
        table.insert("version".to_owned(), version.into());
    }
    Settings::read(&merged).map_err(|error| GatewaySettingsError::Document(error.to_string()))
}

/// The layers of a gateway: what it is to have now.
///
/// # Errors
/// Where the rows cannot be read.
pub fn explain(r: &mut Reader, gateway: &gateways::Gateway) -> Result<SettingsView, StoreError> {
    let (own, all) = layers_of(r, gateway)?;
    Ok(SettingsView { settings: layers::explained(&plain(), &all, &own), all, own })
}

/// What is set for the gateway, and for all, in the version that it is to have.
fn layers_of(r: &mut Reader, gateway: &gateways::Gateway) -> Result<(Value, Value), StoreError> {
    match gateways::settings(r, &gateway.name, Some(gateway.settings_wanted))? {
        Some(row) => {
            let all = defaults::find(r, row.defaults)?.map_or(json!({}), |all| object(&all.document));
            Ok((object(&row.own), all))
        }
        None => Ok((json!({}), json!({}))),
    }
}

/// What would have to be set for a gateway so that it had its version `version` again.
///
/// # Errors
/// Where the rows cannot be read.
pub fn roll_back_own(r: &mut Reader, gateway: &str, version: i64) -> Result<Option<Value>, StoreError> {
    let Some(row) = gateways::settings(r, gateway, Some(version))? else { return Ok(None) };
    let mut document = object(&row.document);
    if let Some(table) = document.as_object_mut() {
        table.remove("version");
    }
    let (_, all) = defaults_now(r)?;
    Ok(Some(layers::difference(&document, &plain(), &all)))
}

impl Gcm {
    /// Makes the next version of a gateway's settings out of what is set for it and for all. Gives the version. It is
    /// published with [`Gcm::publish`] after the commit.
    ///
    /// # Errors
    /// [`GatewaySettingsError`].
    pub fn set_own(
        tx: &mut Tx,
        gateway: &str,
        own: &Value,
        reason: Option<&str>,
        actor: &str,
    ) -> Result<i64, GatewaySettingsError> {
        let (defaults, all) = defaults_now(tx)?;
        make_version(tx, gateway, (own, &all, defaults), reason, actor)
    }

    /// Makes the next version of a gateway's settings with these defaults, and what is set for it as it was.
    pub(super) fn set_defaults(
        tx: &mut Tx,
        gateway: &str,
        row: &defaults::Defaults,
    ) -> Result<i64, GatewaySettingsError> {
        let known = gateways::find(tx, gateway)?.ok_or(StoreError::NotFound("gateway"))?;
        let (own, _) = layers_of(tx, &known)?;
        let all = object(&row.document);
        make_version(tx, gateway, (&own, &all, row.version), row.reason.as_deref(), &row.actor)
    }

    /// Publishes what a gateway is to have.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub async fn publish(&self, gateway: &str) -> Result<(), ReadError> {
        let name = gateway.to_owned();
        let wanted = self
            .parts()
            .store
            .read(move |r| {
                let Some(row) = gateways::find(r, &name)? else { return Ok(None) };
                gateways::settings(r, &name, Some(row.settings_wanted))
            })
            .await?;
        let published = wanted.map(|row| Published {
            version: u64::try_from(row.version).unwrap_or(0),
            document: object(&row.document),
            sha256: hex(&row.sha256),
        });
        self.parts().fleet.publish(gateway, published);
        Ok(())
    }
}

fn make_version(
    tx: &mut Tx,
    gateway: &str,
    (own, all, defaults): (&Value, &Value, i64),
    reason: Option<&str>,
    actor: &str,
) -> Result<i64, GatewaySettingsError> {
    let known = gateways::find(tx, gateway)?.ok_or(StoreError::NotFound("gateway"))?;
    let version = u64::try_from(known.settings_newest + 1).unwrap_or(0);
    let settings = document(all, own, version)?;
    let failed = |error: &dyn std::fmt::Display| GatewaySettingsError::Document(error.to_string());
    let new = NewSettings {
        document: serde_json::to_string(&settings).map_err(|error| failed(&error))?,
        sha256: octets(&settings.digest()).ok_or_else(|| failed(&"a digest that is not 32 octets"))?,
        own: own.to_string(),
        defaults,
        reason: reason.map(str::to_owned),
    };
    Ok(gateways::add_settings(tx, gateway, &new, actor)?)
}

fn octets(hex: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

pub(super) fn hex(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(octets)
}
