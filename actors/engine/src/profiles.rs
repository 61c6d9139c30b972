//! Quirk profiles: what a model cannot do, as data.
//!
//! Promise: a profile says where it was seen. All that match add up in their order, a later one wins; an operator's
//! profile takes the place of the built-in one of its name, else it comes after. What a peer says of itself picks a
//! profile, never a right.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::account::Quirks;

/// Profiles of one document at most.
const PROFILES: usize = 1000;
/// Octets of a name, a source or a pattern at most.
const TEXT: usize = 256;

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where it was seen.
    pub source: String,
    /// What a client has to be.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What it cannot do.
    pub quirks: Changes,
}

/// What a client has to be: all that is given; patterns without case, `*` for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// DevInfo/Man.
    pub man: Option<String>,
    /// DevInfo/Mod.
    #[serde(rename = "mod")]
    pub mod_: Option<String>,
    /// DevDetail/SwV, where it is known.
    pub swv: Option<String>,
    /// User-Agent.
    pub user_agent: Option<String>,
    /// Content-Type, without its parameters.
    pub content_type: Option<String>,
}

/// What a profile sets of [`Quirks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Quirks, which documents them")]
pub struct Changes {
    pub no_sequence: Option<bool>,
    pub no_atomic: Option<bool>,
    pub one_item_per_get: Option<bool>,
    pub max_commands_per_message: Option<u32>,
    pub max_message_octets: Option<u32>,
    pub no_large_objects: Option<bool>,
    pub volatile_device_id: Option<bool>,
    pub credentials_each_message: Option<bool>,
}

impl Match {
    /// What it asks of a client: the field and its pattern.
    #[must_use]
    pub fn patterns(&self) -> Vec<(&'static str, &str)> {
        let Self { man, mod_, swv, user_agent, content_type } = self;
        [
            ("man", man),
            ("mod", mod_),
            ("swv", swv),
            ("user_agent", user_agent),
            ("content_type", content_type),
        ]
        .into_iter()
        .filter_map(|(name, pattern)| Some((name, pattern.as_deref()?)))
        .collect()
    }
}

impl Changes {
    /// What it sets: the quirk and its value.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("no_sequence", self.no_sequence),
            ("no_atomic", self.no_atomic),
            ("one_item_per_get", self.one_item_per_get),
            ("no_large_objects", self.no_large_objects),
            ("volatile_device_id", self.volatile_device_id),
            ("credentials_each_message", self.credentials_each_message),
        ];
        let numbers = [
            ("max_commands_per_message", self.max_commands_per_message),
            ("max_message_octets", self.max_message_octets),
        ];
        let flags = flags.into_iter().filter_map(|(name, set)| Some((name, set?.to_string())));
        let numbers = numbers.into_iter().filter_map(|(name, set)| Some((name, set?.to_string())));
        flags.chain(numbers).collect()
    }

    fn apply(self, quirks: &mut Quirks) {
        let flag = |place: &mut bool, set: Option<bool>| *place = set.unwrap_or(*place);
        flag(&mut quirks.no_sequence, self.no_sequence);
        flag(&mut quirks.no_atomic, self.no_atomic);
        flag(&mut quirks.one_item_per_get, self.one_item_per_get);
        flag(&mut quirks.no_large_objects, self.no_large_objects);
        flag(&mut quirks.volatile_device_id, self.volatile_device_id);
        flag(&mut quirks.credentials_each_message, self.credentials_each_message);
        quirks.max_commands_per_message = self.max_commands_per_message.or(quirks.max_commands_per_message);
        quirks.max_message_octets = self.max_message_octets.or(quirks.max_message_octets);
    }
}

/// What is known of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Match, which documents them")]
pub struct Model<'a> {
    pub man: Option<&'a str>,
    pub mod_: Option<&'a str>,
    pub swv: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub content_type: Option<&'a str>,
}

/// A document that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfiles {
    /// It is no TOML of this form.
    #[error("the profiles cannot be read: {0}")]
    Form(String),
    /// A profile breaks a rule.
    #[error("profile {name:?}: {problem}")]
    Profile {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Profiles in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    #[serde(default)]
    profile: Vec<Profile>,
}

static BUILT_IN: LazyLock<Profiles> = LazyLock::new(|| {
    Profiles::parse(include_str!("profiles.toml")).expect("a test reads the document that is built in")
});

impl FromIterator<Profile> for Profiles {
    fn from_iter<I: IntoIterator<Item = Profile>>(profiles: I) -> Self {
        Self { profile: profiles.into_iter().collect() }
    }
}

impl Profiles {
    /// Those that are built in.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads a document of `[[profile]]` tables.
    ///
    /// # Errors
    /// [`BadProfiles`].
    pub fn parse(text: &str) -> Result<Self, BadProfiles> {
        let profiles: Self = toml::from_str(text).map_err(|error| BadProfiles::Form(error.to_string()))?;
        for (at, profile) in profiles.profile.iter().enumerate() {
            let wrong = |problem| {
                Err(BadProfiles::Profile { name: profile.name.chars().take(80).collect(), problem })
            };
            let Match { man, mod_, swv, user_agent, content_type } = &profile.matches;
            let patterns = || [man, mod_, swv, user_agent, content_type].into_iter().flatten();
            let plain = |text: &String| {
                !text.trim().is_empty() && text.len() <= TEXT && !text.chars().any(char::is_control)
            };
            if at >= PROFILES {
                return wrong("there are too many profiles");
            }
            if !plain(&profile.name) || !plain(&profile.source) || !patterns().all(plain) {
                return wrong("name, source and patterns are 1 to 256 octets without control characters");
            }
            if profile.name.contains(',') {
                return wrong("a name holds no comma");
            }
            if patterns().all(|pattern| pattern.bytes().all(|octet| octet == b'*')) {
                return wrong("it would match every client");
            }
            if profile.quirks == Changes::default() {
                return wrong("it sets nothing");
            }
            if profile.quirks.max_message_octets.is_some_and(|octets| octets < 1024) {
                return wrong("max_message_octets is 1024 or more");
            }
            if profiles.profile[..at].iter().any(|other| other.name == profile.name) {
                return wrong("the name stands twice");
            }
        }
        Ok(profiles)
    }

    /// Each profile with a document of its own, as [`Self::parse`] takes it.
    ///
    /// # Errors
    /// [`BadProfiles::Form`] where one cannot be written, which no field of it brings about.
    pub fn documents(&self) -> Result<Vec<(&Profile, String)>, BadProfiles> {
        let document = |profile: &Profile| {
            let one = Self { profile: vec![profile.clone()] };
            toml::to_string(&one).map_err(|error| BadProfiles::Form(error.to_string()))
        };
        self.profile.iter().map(|profile| Ok((profile, document(profile)?))).collect()
    }

    /// These, and those after them; a name that stands twice counts once, the last time.
    pub fn add(&mut self, more: Self) {
        for new in more.profile {
            self.profile.retain(|old| old.name != new.name);
            self.profile.push(new);
        }
    }

    /// These with an operator's: one of the same name takes the place, the others come after.
    #[must_use]
    pub fn merge(&self, added: Self) -> Self {
        let mut profile = self.profile.clone();
        for new in added.profile {
            match profile.iter_mut().find(|old| old.name == new.name) {
                Some(old) => *old = new,
                None => profile.push(new),
            }
        }
        Self { profile }
    }

    /// The profiles.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profile.iter()
    }

    /// The profiles that a client matches, in their order.
    pub fn matching<'a>(&'a self, model: &Model<'_>) -> impl Iterator<Item = &'a Profile> {
        self.profile.iter().filter(move |profile| profile.matches.holds(model))
    }

    /// What a client cannot do, beside what is known of it already.
    #[must_use]
    pub fn pick(&self, model: &Model<'_>, known: Quirks) -> Quirks {
        sum(self.matching(model), known)
    }

    /// The same from the names that [`Self::matching`] gave, with commas between; a name that is gone counts for nothing.
    #[must_use]
    pub fn named(&self, names: &str, known: Quirks) -> Quirks {
        sum(self.profile.iter().filter(|profile| names.split(',').any(|name| name == profile.name)), known)
    }
}

fn sum<'a>(profiles: impl Iterator<Item = &'a Profile>, mut quirks: Quirks) -> Quirks {
    profiles.for_each(|profile| profile.quirks.apply(&mut quirks));
    quirks
}

impl Match {
    fn holds(&self, model: &Model<'_>) -> bool {
        let media = model.content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        [
            (&self.man, model.man),
            (&self.mod_, model.mod_),
            (&self.swv, model.swv),
            (&self.user_agent, model.user_agent),
            (&self.content_type, media),
        ]
        .into_iter()
        .all(|(pattern, value)| match (pattern, value) {
            (None, _) => true,
            (Some(pattern), Some(value)) => fits(pattern.as_bytes(), value.trim().as_bytes()),
            (Some(_), None) => false,
        })
    }
}

/// Whether a text fits a pattern in which `*` stands for any text; ASCII case does not count. Linear in both for each `*`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut of, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(octet) if octet.eq_ignore_ascii_case(&text[at]) => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((back, from)) => {
                    *from += 1;
                    (of, at) = (*back + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|octet| *octet == b'*')
}

/// The profiles in force: built in, and whatever an operator added since. Shared by all sessions of a core.
#[derive(Clone, Debug)]
pub struct Shelf(Arc<RwLock<Arc<Profiles>>>);

impl Default for Shelf {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Profiles::built_in().clone()))))
    }
}

impl Shelf {
    /// The profiles in force.
    #[must_use]
    pub fn get(&self) -> Arc<Profiles> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts others in force, for the sessions that begin from now on.
    pub fn set(&self, profiles: Profiles) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(profiles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_profile_is_picked_by_its_client_and_has_a_source() {
        let agent = |text| Model { user_agent: Some(text), ..Model::default() };
        let clients = [
            ("libdmclient", Model { mod_: Some("libdmclient"), ..Model::default() }),
            (
                "syncml-media-type-without-dm",
                Model {
                    content_type: Some("application/vnd.syncml+wbxml; charset=utf-8"),
                    ..Model::default()
                },
            ),
            ("aosp-motorola", agent("Motorola SyncML DM Client [en] ")),
            ("intune-look-alike", agent("MSFT Windows OMA DM Client/2.7")),
            ("intune-look-alike", agent("MSFT Android OMA DM Client/2.7")),
            ("windows", agent("MSFT OMA DM Client/1.2.0.1")),
        ];
        for (name, model) in clients {
            let picked: Vec<_> = Profiles::built_in().matching(&model).map(|profile| &profile.name).collect();
            assert_eq!(picked, [name]);
        }
        for profile in Profiles::built_in().iter() {
            assert!(clients.iter().any(|(name, _)| *name == profile.name), "{} has no test", profile.name);
            assert!(profile.source.contains("seen"), "{}: where was it seen?", profile.name);
        }
    }

    #[test]
    fn an_ordinary_client_matches_nothing() {
        let model = Model {
            man: Some("x"),
            mod_: Some("m"),
            user_agent: Some("postern-device/1"),
            content_type: Some("application/vnd.syncml.dm+xml"),
            ..Model::default()
        };
        assert_eq!(Profiles::built_in().pick(&model, Quirks::default()), Quirks::default());
        assert_eq!(Profiles::built_in().pick(&Model::default(), Quirks::default()), Quirks::default());
    }

    #[test]
    fn an_operators_profile_takes_the_place_of_its_name_or_comes_after() {
        let added = Profiles::parse(
            "[[profile]]\nname='libdmclient'\nsource='our bench'\nmatch={mod='libdmclient'}\nquirks={no_atomic=true}\n\
             [[profile]]\nname='ours'\nsource='our bench'\nmatch={man='ResearchCo',swv='1.*'}\nquirks={no_atomic=false}",
        );
        let profiles = Profiles::built_in().merge(added.unwrap());
        let old = Model { man: Some("researchco"), mod_: Some("libdmclient"), ..Model::default() };
        let new = Model { swv: Some("1.7"), ..old };
        assert_eq!(profiles.pick(&old, Quirks::default()), Quirks { no_atomic: true, ..Quirks::default() });
        assert_eq!(profiles.pick(&new, Quirks::default()), Quirks::default());
        assert!(profiles.named("libdmclient,gone", Quirks::default()).no_atomic);
    }

    #[test]
    fn a_profile_that_says_nothing_or_is_for_everyone_is_refused() {
        let profile = |matches: &str, quirks: &str| {
            Profiles::parse(&format!(
                "[[profile]]\nname='a'\nsource='b'\nmatch={{{matches}}}\nquirks={{{quirks}}}"
            ))
        };
        assert!(profile("man='x'", "no_atomic=true").is_ok());
        for (matches, quirks) in [
            ("", "no_atomic=true"),
            ("man='*'", "no_atomic=true"),
            ("man=''", "no_atomic=true"),
            ("man='x'", ""),
            ("man='x'", "no_such=true"),
            ("man='x'", "max_message_octets=10"),
            ("colour='x'", "no_atomic=true"),
        ] {
            assert!(profile(matches, quirks).is_err(), "{matches} {quirks}");
        }
        assert!(Profiles::parse("no toml").is_err());
    }

    #[test]
    fn patterns_stand_for_any_text_without_case() {
        for (pattern, text, fit) in [
            ("a*c", "ABBC", true),
            ("a*c", "abcb", false),
            ("*b*", "abc", true),
            ("abc", "abcd", false),
            ("abc*", "abc", true),
            ("*a*b*a", "xaxbxbxa", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), fit, "{pattern} {text}");
        }
    }
}
