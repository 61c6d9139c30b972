//! What policy wants of a device, as `posternctl device policy` and `device show` tell it.

use postern_api::device_policy::{DevicePolicy, PolicySetting, PolicySource};

use crate::{output, time};

/// The line of `device show`.
pub(crate) fn line(policy: &DevicePolicy) -> String {
    format!("{}: {}", policy.state, policy.because)
}

/// All of it.
pub(crate) fn shown(policy: &DevicePolicy) -> String {
    let mut text = output::fields([
        ("device", policy.device.to_string()),
        ("policy", format!("{}: {}", policy.state, policy.because)),
        ("changed", policy.changed_at.map_or_else(|| "never".to_owned(), time::short)),
        ("settled", policy.settled_at.map_or_else(|| "never".to_owned(), time::short)),
        ("read back", policy.verify_at.map_or_else(|| "-".to_owned(), time::short)),
    ]);
    if !policy.settings.is_empty() {
        let rows = policy.settings.iter().map(|setting| {
            [setting.uri.clone(), value(setting), state(setting), who(setting), confirmed(setting)]
        });
        let table = output::table(["SETTING", "VALUE", "STATE", "FROM", "CONFIRMED"], rows);
        text = format!("{text}\n\n{table}");
    }
    if !policy.unmapped.is_empty() {
        let rows = policy.unmapped.iter().map(|one| {
            [one.setting.clone(), one.source.name.clone(), one.reason.clone(), one.detail.clone()]
        });
        text = format!("{text}\n\n{}", output::table(["GOES NOWHERE", "FROM", "REASON", "DETAIL"], rows));
    }
    text
}

fn value(setting: &PolicySetting) -> String {
    match &setting.value {
        Some(value) => value.clone(),
        None if setting.leaving => "(not wanted any longer)".to_owned(),
        None => "(not there)".to_owned(),
    }
}

fn state(setting: &PolicySetting) -> String {
    let code = setting.code.map(|code| format!(" {code}")).unwrap_or_default();
    let why = if setting.because.is_empty() { String::new() } else { format!(": {}", setting.because) };
    format!("{}{code}{why}", setting.state)
}

fn who(setting: &PolicySetting) -> String {
    let one = |source: &PolicySource| {
        let enforced = if source.enforced { ", enforced" } else { "" };
        format!("{} ({}{enforced})", source.name, source.place)
    };
    let winner = setting.source.as_ref().map(one).unwrap_or_default();
    match setting.losers.len() {
        0 => winner,
        losers => format!("{winner}, over {losers} more"),
    }
}

fn confirmed(setting: &PolicySetting) -> String {
    let at = setting.confirmed_at.map_or_else(|| "-".to_owned(), time::short);
    if setting.drift > 0 { format!("{at}, {} times otherwise", setting.drift) } else { at }
}
