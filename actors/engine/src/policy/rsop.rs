//! The resultant set of policy of a device and its owner (MS-GPOL 3.2.5.1).
//!
//! Promise: a pure function of directory, SYSVOL, target and facts. Every link on the way has a reason, every
//! setting its winner and its losers in their order. **Order**: site, domain, outer OU to inner OU, in each the
//! highest link order number first; behind them the enforced ones the other way round, inner OU to site. The text
//! of MS-GPOL 3.2.5.1.5 inverts several enforced links of one container; what Windows was seen to do counts.

pub mod filters;
pub mod fleet;
pub mod links;
pub mod reason;
pub mod settings;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    directory::{Account, Directory, Som},
    dn::Dn,
    gpo::{Gpo, Half},
    registry_pol::value::{self, Value},
    sid::Sid,
    sysvol::Other,
    wql::facts::Facts,
};
use links::Scope;
use reason::{Detail, Reason};
use settings::{Folder, Settings};

/// Where a computer's policy says how its users' is made.
const LOOPBACK_KEY: &str = r"Software\Policies\Microsoft\Windows\System";
const LOOPBACK_VALUE: &str = "UserPolicyMode";

/// What policy is computed of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The directory.
    pub directory: Directory,
    /// The SYSVOL folders as last read, by their GPO's name in the directory: two domains have GPOs of one GUID.
    pub folders: BTreeMap<Dn, Arc<Folder>>,
    /// What is to be decided by choice.
    pub options: Options,
}

/// What is to be decided by choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether a GPO applies whose WMI filter nobody can decide.
    pub wmi_unknown: WmiUnknown,
    /// Whether the computer, too, has to be able to read a GPO that its user is to get (MS16-072).
    pub computer_reads_user_policy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { wmi_unknown: WmiUnknown::Deny, computer_reads_user_policy: true }
    }
}

/// What a GPO with an undecided WMI filter does. Its reason is `wmi-filter-unevaluated` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WmiUnknown {
    /// It does not apply.
    #[default]
    Deny,
    /// It applies.
    Allow,
}

/// Whose policy is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The device's computer object.
    pub computer: Option<Dn>,
    /// Its owner.
    pub user: Option<Dn>,
    /// The site that it is in; without one no site takes part.
    pub site: Option<Dn>,
    /// What is known of the device.
    pub facts: Arc<Facts>,
    /// How the owner's part is made, whatever the computer's policy says.
    pub loopback: Option<Loopback>,
}

/// How the user's part is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loopback {
    /// Of the user's own containers.
    #[default]
    Normal,
    /// Of the user's, then of the computer's.
    Merge,
    /// Of the computer's alone.
    Replace,
}

/// The resultant set of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rsop {
    /// The device's part.
    pub computer: Option<Pass>,
    /// The owner's part.
    pub user: Option<Pass>,
    /// How the owner's part was made.
    pub loopback: Loopback,
}

/// The device's part, or the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Which half of the GPOs.
    pub half: Half,
    /// Whose.
    pub dn: Dn,
    /// The token that filtered it, sorted by text.
    pub token: Arc<[Sid]>,
    /// Every link on the way, nearest container first, each container's in the order of its attribute.
    pub links: Vec<Link>,
    /// The links that apply, as places in `links`: first applied first, the last wins.
    pub order: Vec<usize>,
    /// What they set.
    pub settings: Settings,
    /// What could not be read. Where this is not empty, the last good result of the target stays in force.
    pub unread: Vec<Unread>,
    /// Containers on the way that the directory did not show, though the account lies in them: none of their links counts,
    /// and what they would be is not known.
    pub unseen: Vec<Dn>,
    /// What stands beside Registry.pol in the folders of GPOs that concern the target, as places in `links`.
    beside: Vec<(usize, Arc<[Other]>)>,
}

/// One link on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The GPO's name in the directory, as the link gives it.
    pub gpo_dn: String,
    /// The GPO, where the directory shows it.
    pub gpo: Option<Arc<Gpo>>,
    /// The container.
    pub som: Arc<Som>,
    /// 1 is the highest precedence in its container.
    pub link_order: usize,
    /// Whether the link is enforced.
    pub enforced: bool,
    /// Why it applies, or why not.
    pub reason: Reason,
    /// What the word does not say.
    pub detail: Detail,
    /// Whether directory and SYSVOL have different versions: what SYSVOL has applies.
    pub version_mismatch: bool,
}

impl Link {
    /// What people call the GPO; its directory name's own part where the directory does not show it.
    #[must_use]
    pub fn gpo_name(&self) -> String {
        match &self.gpo {
            Some(gpo) => gpo.name.clone(),
            None => Dn::new(&self.gpo_dn).map_or_else(|_| self.gpo_dn.clone(), |dn| dn.name()),
        }
    }
}

/// Something that a target's policy depends on and that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A container's links.
    Links(Dn),
    /// A GPO's security descriptor.
    Security(Dn),
    /// A GPO's folder in SYSVOL.
    Folder(Dn),
}

/// Why there is no resultant set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither device nor user.
    #[error("neither a computer nor a user is named")]
    Nobody,
    /// The directory does not hold it.
    #[error("the directory holds no account {0}")]
    NoAccount(Dn),
    /// The directory does not hold it.
    #[error("the directory holds no site {0}")]
    NoSite(Dn),
    /// Without a SID nobody can tell what is granted.
    #[error("{0} has no objectSid")]
    NoSid(Dn),
}

/// The resultant set of a target.
pub fn resultant(world: &World, target: &Target) -> Result<Rsop, Error> {
    let directory = &world.directory;
    let site = match &target.site {
        None => None,
        Some(dn) => Some(directory.soms().get(dn).ok_or_else(|| Error::NoSite(dn.clone()))?),
    };
    let computer = target.computer.as_ref().map(|dn| Person::of(directory, dn)).transpose()?;
    let user = target.user.as_ref().map(|dn| Person::of(directory, dn)).transpose()?;
    if computer.is_none() && user.is_none() {
        return Err(Error::Nobody);
    }
    let computer_pass = computer.as_ref().map(|computer| {
        let scopes = [Scope::of(directory, &computer.account.dn, site)];
        Pass::compute(world, Half::Computer, computer, None, &target.facts, &scopes)
    });
    let loopback =
        target.loopback.unwrap_or_else(|| computer_pass.as_ref().map_or(Loopback::Normal, loopback_of));
    let user_pass = user.as_ref().map(|user| {
        let own = || Scope::of(directory, &user.account.dn, site);
        let of_computer = || computer.as_ref().map(|c| Scope::of(directory, &c.account.dn, site));
        let scopes: Vec<Scope> = match (loopback, of_computer()) {
            (Loopback::Merge, Some(of_computer)) => vec![own(), of_computer],
            (Loopback::Replace, Some(of_computer)) => vec![of_computer],
            _ => vec![own()],
        };
        let reader = computer.as_ref().filter(|_| world.options.computer_reads_user_policy);
        Pass::compute(world, Half::User, user, reader, &target.facts, &scopes)
    });
    Ok(Rsop { computer: computer_pass, user: user_pass, loopback })
}

/// An account and its token.
struct Person {
    account: Arc<Account>,
    token: Arc<[Sid]>,
}

impl Person {
    fn of(directory: &Directory, dn: &Dn) -> Result<Self, Error> {
        let account = directory.accounts().get(dn).ok_or_else(|| Error::NoAccount(dn.clone()))?;
        if account.sid.is_none() {
            return Err(Error::NoSid(dn.clone()));
        }
        Ok(Self { account: account.clone(), token: directory.token(account).into() })
    }
}

impl Pass {
    fn compute(
        world: &World,
        half: Half,
        person: &Person,
        reader: Option<&Person>,
        facts: &Facts,
        scopes: &[Scope],
    ) -> Self {
        let mut filters = filters::Filters::new(world, half, &person.token, reader.map(|r| &*r.token), facts);
        let mut pass = Self {
            half,
            dn: person.account.dn.clone(),
            token: person.token.clone(),
            links: Vec::new(),
            order: Vec::new(),
            settings: Settings::default(),
            unread: Vec::new(),
            unseen: Vec::new(),
            beside: Vec::new(),
        };
        for scope in scopes {
            scope.walk(&mut filters, &mut pass);
        }
        pass.fold(world);
        pass
    }

    /// Applies what the links set, in their order.
    fn fold(&mut self, world: &World) {
        for place in &self.order {
            let folder = self.links[*place].gpo.as_ref().and_then(|gpo| world.folders.get(&gpo.dn));
            if let Some(Ok(policy)) = folder.map(|folder| folder.half(self.half)) {
                self.settings.apply(*place, policy);
            }
        }
        // A GPO without the registry extension passed every check before: Windows applies what else it holds.
        for (place, link) in self.links.iter().enumerate() {
            if self.order.contains(&place) || link.reason == Reason::NoExtension {
                let folder = link.gpo.as_ref().and_then(|gpo| world.folders.get(&gpo.dn));
                let others = folder.map(|folder| folder.others.clone());
                self.beside.extend(others.filter(|others| !others.is_empty()).map(|others| (place, others)));
            }
        }
    }

    /// What GPOs that concern the target hold beside Registry.pol in this half: no device gets it.
    pub fn others(&self) -> impl Iterator<Item = (&Link, &Other)> {
        let all = self
            .beside
            .iter()
            .flat_map(move |(place, others)| others.iter().map(move |other| (&self.links[*place], other)));
        all.filter(|(_, other)| other.half == self.half)
    }

    /// Whether the last good result has to stay in force instead of this one.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.unread.is_empty() || !self.unseen.is_empty()
    }
}

/// What the computer's policy says of loopback.
fn loopback_of(computer: &Pass) -> Loopback {
    let data = computer.settings.value(LOOPBACK_KEY, LOOPBACK_VALUE);
    match data.and_then(|data| value::typed(data.kind, &data.octets).ok()) {
        Some(Value::Number(1)) => Loopback::Merge,
        Some(Value::Number(2)) => Loopback::Replace,
        _ => Loopback::Normal,
    }
}
