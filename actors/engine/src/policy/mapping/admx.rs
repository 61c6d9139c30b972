//! Postern.admx and Postern.adml, made of the table of settings: what lets an administrator author them in the Group
//! Policy editor (MS-GPREG appendix B). A test holds the files in deploy/policy to what is made here.

use std::{collections::BTreeSet, fmt::Write as _};

use super::classic::{Authored, Kind};
use crate::policy::gpo::Half;

const REMARK: &str = "<!-- Made of actors/engine/src/policy/mapping/tables/settings.tsv; do not edit. -->";

/// The template.
#[must_use]
pub fn admx(settings: &[Authored]) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{REMARK}\n\
         <policyDefinitions revision=\"1.0\" schemaVersion=\"1.0\" \
         xmlns=\"http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions\">\n\
         \x20 <policyNamespaces>\n    <target prefix=\"postern\" namespace=\"Postern.Policies\" />\n  </policyNamespaces>\n\
         \x20 <resources minRequiredRevision=\"1.0\" />\n\
         \x20 <supportedOn>\n    <definitions>\n      <definition name=\"SUPPORTED\" displayName=\"$(string.SUPPORTED)\" />\n\
         \x20   </definitions>\n  </supportedOn>\n  <categories>\n    <category name=\"Postern\" displayName=\"$(string.Postern)\" />\n"
    );
    for area in areas(settings) {
        let _ = writeln!(
            out,
            "    <category name=\"{area}\" displayName=\"$(string.Area_{area})\">\n      <parentCategory ref=\"Postern\" />\n    </category>"
        );
    }
    out.push_str("  </categories>\n  <policies>\n");
    settings.iter().for_each(|setting| policy(setting, &mut out));
    out.push_str("  </policies>\n</policyDefinitions>\n");
    out
}

fn policy(setting: &Authored, out: &mut String) {
    let id = name(setting);
    let class = match setting.half {
        Half::Computer => "Machine",
        Half::User => "User",
    };
    let key = escaped(&setting.key);
    let value = escaped(&setting.value);
    let _ = write!(
        out,
        "    <policy name=\"{id}\" class=\"{class}\" displayName=\"$(string.{id})\" explainText=\"$(string.{id}_Help)\""
    );
    if setting.kind != Kind::Switch {
        let _ = write!(out, " presentation=\"$(presentation.{id})\"");
    }
    let _ = write!(out, " key=\"{key}\"");
    if setting.kind == Kind::Switch {
        let _ = write!(out, " valueName=\"{value}\"");
    }
    let _ = write!(
        out,
        ">\n      <parentCategory ref=\"{}\" />\n      <supportedOn ref=\"SUPPORTED\" />\n",
        setting.area
    );
    match &setting.kind {
        Kind::Switch => out.push_str(
            "      <enabledValue>\n        <decimal value=\"1\" />\n      </enabledValue>\n\
             \x20     <disabledValue>\n        <decimal value=\"0\" />\n      </disabledValue>\n",
        ),
        Kind::Number(least, most) => element(
            out,
            &format!(
                "<decimal id=\"{id}_Value\" valueName=\"{value}\" required=\"true\" minValue=\"{least}\" maxValue=\"{most}\" />"
            ),
        ),
        Kind::Text(most) => element(
            out,
            &format!(
                "<text id=\"{id}_Value\" valueName=\"{value}\" required=\"true\" maxLength=\"{most}\" />"
            ),
        ),
        Kind::List => {
            element(out, &format!("<list id=\"{id}_Value\" key=\"{key}\" valuePrefix=\"\" />"));
        }
        Kind::Choice(choices) => {
            let mut text = format!("<enum id=\"{id}_Value\" valueName=\"{value}\" required=\"true\">\n");
            for (number, _) in choices {
                let _ = writeln!(
                    text,
                    "          <item displayName=\"$(string.{id}_{number})\">\n            <value>\n              <decimal value=\"{number}\" />\n            </value>\n          </item>"
                );
            }
            text.push_str("        </enum>");
            element(out, &text);
        }
    }
    out.push_str("    </policy>\n");
}

fn element(out: &mut String, element: &str) {
    let _ = write!(out, "      <elements>\n        {element}\n      </elements>\n");
}

/// The template's texts in English.
#[must_use]
pub fn adml(settings: &[Authored]) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{REMARK}\n\
         <policyDefinitionResources revision=\"1.0\" schemaVersion=\"1.0\" \
         xmlns=\"http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions\">\n\
         \x20 <displayName>Postern</displayName>\n  <description>Devices managed by Postern</description>\n\
         \x20 <resources>\n    <stringTable>\n"
    );
    let mut string = |id: &str, text: &str| {
        let _ = writeln!(out, "      <string id=\"{id}\">{}</string>", escaped(text));
    };
    string("SUPPORTED", "Devices managed by Postern");
    string("Postern", "Postern");
    for area in areas(settings) {
        string(&format!("Area_{area}"), area);
    }
    for setting in settings {
        let id = name(setting);
        string(&id, &setting.title);
        string(&format!("{id}_Help"), &setting.explain);
        if let Kind::Choice(choices) = &setting.kind {
            choices.iter().for_each(|(number, text)| string(&format!("{id}_{number}"), text));
        }
    }
    out.push_str("    </stringTable>\n    <presentationTable>\n");
    for setting in settings {
        let id = name(setting);
        let title = escaped(&setting.title);
        let control = match &setting.kind {
            Kind::Switch => continue,
            Kind::Number(least, _) => {
                format!(
                    "<decimalTextBox refId=\"{id}_Value\" defaultValue=\"{least}\">{title}</decimalTextBox>"
                )
            }
            Kind::Text(_) => format!(
                "<textBox refId=\"{id}_Value\">\n          <label>{title}</label>\n        </textBox>"
            ),
            Kind::List => format!("<listBox refId=\"{id}_Value\">{title}</listBox>"),
            Kind::Choice(_) => {
                format!(
                    "<dropdownList refId=\"{id}_Value\" noSort=\"true\" defaultItem=\"0\">{title}</dropdownList>"
                )
            }
        };
        let _ = write!(out, "      <presentation id=\"{id}\">\n        {control}\n      </presentation>\n");
    }
    out.push_str("    </presentationTable>\n  </resources>\n</policyDefinitionResources>\n");
    out
}

fn areas(settings: &[Authored]) -> BTreeSet<&str> {
    settings.iter().map(|setting| setting.area.as_str()).collect()
}

/// `password-min-length` as `PasswordMinLength`: names of templates have no dashes.
fn name(setting: &Authored) -> String {
    let words = setting.id.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
