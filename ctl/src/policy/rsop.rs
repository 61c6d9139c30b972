//! `posternctl policy rsop --ldif FILE --sysvol DIR …`.

mod report;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use postern_api::problem::ProblemItem;
use postern_engine::policy::{
    directory::{AccountKind, Directory, Unnamed},
    dn::Dn,
    fold, ldif,
    rsop::{Loopback, Options, Target, WmiUnknown, World, resultant},
    wql::facts::Facts,
};

use self::report::Report;
use super::sysvol::Sysvol;
use crate::{
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// Whose resultant set, and of what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory, as LDIF. Several files add up, an entry in two of them is one.
    #[arg(long, required = true, value_name = "FILE")]
    pub ldif: Vec<PathBuf>,
    /// SYSVOL: the folder that holds `Policies`, or the domains' folders that do.
    #[arg(long, value_name = "DIR")]
    pub sysvol: PathBuf,
    /// The device's computer object. Without --user: the computer's part.
    #[arg(long, value_name = "DN|NAME", required_unless_present = "user")]
    pub device: Option<String>,
    /// The user: the user's part, with --device as on that device.
    #[arg(long, value_name = "DN|NAME")]
    pub user: Option<String>,
    /// How the user's part is made, whatever the computer's policy says.
    #[arg(long, value_enum, value_name = "MODE", requires_all = ["user", "device"])]
    pub loopback: Option<Mode>,
    /// The site that the device is in. Without it the directory's only site; none if it has several.
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// What is known of the device, as JSON: what WMI filters are decided on.
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// Whether a GPO applies whose WMI filter nobody can decide.
    #[arg(long, value_enum, default_value_t, value_name = "CHOICE")]
    pub wmi_unknown: Choice,
    /// Print the settings also as a flat map of value names, `registry`.
    #[arg(long)]
    pub compat: bool,
}

/// How the user's part is made.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Mode {
    /// Of the user's own containers, then of the device's.
    Merge,
    /// Of the device's containers alone.
    Replace,
}

/// What an undecided WMI filter does.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Choice {
    /// Its GPO does not apply.
    #[default]
    Deny,
    /// Its GPO applies.
    Allow,
}

impl Args {
    /// Computes and shows it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let directory = directory(&self.ldif, output)?;
        let target = self.target(&directory)?;
        let world = world(directory, &self.sysvol, self.wmi_unknown)?;
        let rsop = resultant(&world, &target)
            .map_err(|error| Failure::new(Exit::Refused, "no-resultant-set", error.to_string()))?;
        let loopback = rsop.loopback;
        let pass = rsop.user.or(rsop.computer);
        let pass = pass.ok_or_else(|| Failure::usage("neither a device nor a user is named"))?;
        let report = Report::of(&pass, loopback, self.compat);
        output.answer(&report, Report::table)?;
        Ok(Exit::Done)
    }

    fn target(&self, directory: &Directory) -> Result<Target, Failure> {
        let named = |kind, name: &Option<String>| -> Result<Option<Dn>, Failure> {
            let Some(name) = name else { return Ok(None) };
            directory.account(kind, name).map(|account| Some(account.dn.clone())).map_err(unnamed)
        };
        Ok(Target {
            computer: named(AccountKind::Computer, &self.device)?,
            user: named(AccountKind::User, &self.user)?,
            site: site(directory, self.site.as_deref())?,
            facts: Arc::new(self.facts()?),
            loopback: self.loopback.map(|mode| match mode {
                Mode::Merge => Loopback::Merge,
                Mode::Replace => Loopback::Replace,
            }),
        })
    }

    fn facts(&self) -> Result<Facts, Failure> {
        let Some(path) = &self.facts else { return Ok(Facts::default()) };
        let invalid = |why: String| Failure::invalid("invalid-facts", format!("{}: {why}", path.display()));
        let document = serde_json::from_slice(&files::octets(path)?).map_err(|e| invalid(e.to_string()))?;
        Facts::from_json(&document).map_err(|error| invalid(error.to_string()))
    }
}

/// A directory of LDIF files; an entry in two of them is one.
pub(super) fn directory(paths: &[PathBuf], output: &mut Output<'_>) -> Result<Directory, Failure> {
    let limits = ldif::Limits::default();
    let mut entries = Vec::new();
    for path in paths {
        let octets = files::octets_up_to(path, limits.file_octets as u64)?;
        let read = ldif::read(&octets, &limits).map_err(|error| {
            let at = format!("line {}", error.line);
            let errors = vec![ProblemItem { at, detail: error.kind.to_string() }];
            let sentence = format!("{} is not valid LDIF", path.display());
            Failure { errors, ..Failure::invalid("invalid-ldif", sentence) }
        })?;
        entries.extend(read);
    }
    let (directory, remarks) = Directory::from_entries(entries);
    remarks.iter().for_each(|remark| output.remark(&remark.to_string()));
    Ok(directory)
}

/// A directory with the SYSVOL that lies in a folder.
pub(super) fn world(directory: Directory, sysvol: &Path, wmi_unknown: Choice) -> Result<World, Failure> {
    let sysvol = Sysvol::new(sysvol)?;
    let folders = directory.gpos().values();
    let folders = folders.filter_map(|gpo| Some((gpo.dn.clone(), Arc::new(sysvol.folder(gpo)?))));
    let wmi_unknown = match wmi_unknown {
        Choice::Deny => WmiUnknown::Deny,
        Choice::Allow => WmiUnknown::Allow,
    };
    let options = Options { wmi_unknown, ..Options::default() };
    Ok(World { folders: folders.collect(), directory, options })
}

/// The site of a name; without one the directory's only site, none if it has several.
pub(super) fn site(directory: &Directory, name: Option<&str>) -> Result<Option<Dn>, Failure> {
    let sites: Vec<&Dn> = directory.sites().map(|site| &site.dn).collect();
    let Some(name) = name else {
        return Ok(if sites.len() == 1 { Some(sites[0].clone()) } else { None });
    };
    let wanted = Dn::new(name).ok();
    let mut found =
        sites.into_iter().filter(|site| wanted.as_ref() == Some(*site) || fold::same(&site.name(), name));
    let none = || unnamed(Unnamed::None("site", name.to_owned()));
    found.next().cloned().map(Some).ok_or_else(none)
}

pub(super) fn unnamed(error: Unnamed) -> Failure {
    let sentence = error.to_string();
    match error {
        Unnamed::None(..) => Failure::new(Exit::Refused, "not-found", sentence),
        Unnamed::Several(name, several) => {
            let item = |dn: &Dn| ProblemItem { at: name.clone(), detail: dn.to_string() };
            let errors = several.iter().map(item).collect();
            Failure { errors, ..Failure::new(Exit::Refused, "ambiguous-device", sentence) }
        }
    }
}
