//! `policy held`: what waits until somebody agrees.

use postern_api::policy_held::{HeldPolicy, HeldPolicyChange, HeldPolicyQuery, HeldPolicySetting};
use uuid::Uuid;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output},
    text, time,
};

/// Settings of one answer.
const PAGE: u32 = 500;

/// Shows what waits, setting by setting.
pub(super) async fn held(
    change: Option<Uuid>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let mut query = HeldPolicyQuery { change, limit: Some(PAGE), cursor: None };
    let mut held: HeldPolicy = client.get(&["policy", "held"], &query).await?;
    while let Some(cursor) = held.next_cursor.take() {
        // The next pages are of the same change, or there are none.
        query.change = held.change.as_ref().map(|change| change.id);
        query.cursor = Some(cursor);
        let next: HeldPolicy = client.get(&["policy", "held"], &query).await?;
        held.settings.extend(next.settings);
        held.next_cursor = next.next_cursor;
    }
    output.rows(
        &held,
        shown,
        ["kind", "uri", "before", "after", "source", "place", "devices", "examples"],
        |held| held.settings.iter().map(row).collect(),
    )?;
    Ok(Exit::Done)
}

fn row(setting: &HeldPolicySetting) -> [String; 8] {
    let examples: Vec<_> = setting.examples.iter().map(|device| device.name.as_str()).collect();
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    [
        setting.kind.clone(),
        setting.uri.clone(),
        value(&setting.before),
        value(&setting.after),
        setting.source.name.clone(),
        setting.source.place.clone(),
        setting.devices.to_string(),
        examples.join(", "),
    ]
}

fn shown(held: &HeldPolicy) -> String {
    let Some(change) = &held.change else { return "no change of policy waits".to_owned() };
    let table = output::table(
        ["WHAT", "NODE", "NOW", "THEN", "BY", "OF", "DEVICES", "SUCH AS"],
        held.settings.iter().map(row),
    );
    format!("{}\n{table}", head(change))
}

fn head(change: &HeldPolicyChange) -> String {
    let mut said = format!(
        "change {}, since {}: {} settings on {} of {} devices\n",
        change.id,
        time::short(change.since),
        change.settings,
        change.devices,
        change.managed
    );
    if let Some(approval) = change.approval {
        said += &format!("decide: posternctl approval show {approval}\n");
    }
    if !change.askers.is_empty() {
        said += &format!(
            "had a part in it, and do not agree to it: {}\n",
            text::terminal(&change.askers.join(", "))
        );
    }
    if change.left_out > 0 {
        said += &format!("{} devices are not counted below: the fleet is too different\n", change.left_out);
    }
    said
}

#[cfg(test)]
mod tests {
    use postern_api::{
        Time,
        device_policy::PolicySource,
        policy_held::{HeldPolicy, HeldPolicyChange, HeldPolicyDevice, HeldPolicySetting},
    };
    use postern_wire::terms::{EnrolmentId, UtcMillis};
    use uuid::Uuid;

    use super::shown;

    #[test]
    fn what_waits_is_a_table_below_who_had_a_part_in_it() {
        let nothing = HeldPolicy { change: None, settings: Vec::new(), next_cursor: None };
        assert_eq!(shown(&nothing), "no change of policy waits");
        let change = HeldPolicyChange {
            id: Uuid::from_u128(1),
            approval: Some(Uuid::from_u128(2)),
            digest: String::new(),
            devices: 12,
            managed: 40,
            settings: 24,
            since: Time(UtcMillis(0)),
            askers: vec!["mal\u{7}lory".to_owned()],
            left_out: 3,
        };
        let setting = HeldPolicySetting {
            kind: "altered".to_owned(),
            uri: "./A".to_owned(),
            before: None,
            after: Some("1".to_owned()),
            source: PolicySource {
                kind: "document".to_owned(),
                name: "field".to_owned(),
                place: "all".to_owned(),
                enforced: false,
                dn: None,
                setting: None,
                version: Some(1),
            },
            devices: 12,
            examples: vec![HeldPolicyDevice { id: EnrolmentId(Uuid::from_u128(3)), name: "d0".to_owned() }],
        };
        let text = shown(&HeldPolicy { change: Some(change), settings: vec![setting], next_cursor: None });
        for part in [
            "24 settings on 12 of 40 devices",
            "approval show 00000000-0000-0000-0000-000000000002",
            "do not agree to it: mal",
            "3 devices are not counted below",
            "altered",
            "./A",
            "field",
            "d0",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{7}'), "{text:?}");
    }
}
