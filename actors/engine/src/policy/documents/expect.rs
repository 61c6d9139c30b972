//! Policy tests: what devices have to end with, as files (docs/POLICY.md, "Policy tests").

use super::{
    node::{At, Error, ErrorKind, Kind, Limits, Node, read as nodes},
    read::{GROUP, NAME},
};
use crate::policy::documents::InGroup;

/// What stands at the head of a file of tests, with the version of its form.
pub const FORM: &str = "policy-test/1";
/// Tests of a file, and expectations of a test, at most.
const TESTS: usize = 1000;
/// Characters of a name, a path, a distinguished name.
const TEXT: usize = 1000;

/// A file of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// Where the directory is, if any.
    pub directory: Option<Source>,
    /// Files and folders of documents, as the file writes them.
    pub documents: Vec<String>,
    /// An operator's tables, as the file writes them: they stand before the built-in one.
    pub tables: Vec<String>,
    /// The tests.
    pub tests: Vec<Test>,
}

/// A directory in files, as the file writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// LDIF.
    pub ldif: Vec<String>,
    /// SYSVOL.
    pub sysvol: String,
    /// The site that devices are in.
    pub site: Option<String>,
    /// Whether a GPO applies whose WMI filter nobody can decide.
    pub wmi_unknown_allows: bool,
}

/// One test: a device, and what it has to end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The line that it begins on.
    pub line: Option<usize>,
    /// What is tested.
    pub name: String,
    /// Whose policy.
    pub device: Device,
    /// What it has to end with.
    pub expect: Vec<Expect>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Who it is in the directory.
    pub who: Who,
    /// Its owner there.
    pub user: Option<String>,
    /// The groups of documents that it is in.
    pub groups: Vec<InGroup>,
    /// Which table puts settings into its nodes: `postern`, `windows-mobile`, `windows`.
    pub kind: String,
    /// Its version, where it is known.
    pub version: Option<String>,
    /// What is known of it for WMI filters.
    pub facts: serde_json::Value,
}

/// Who a device is in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody: documents alone count.
    Nobody,
    /// A computer object that is there.
    Computer(String),
    /// One that is supposed in a container, in groups of the directory.
    Supposed {
        /// The container.
        container: String,
        /// The groups.
        groups: Vec<String>,
    },
}

/// What a device has to end with at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The line.
    pub line: Option<usize>,
    /// The node, or a setting by its name.
    pub subject: super::Subject,
    /// What.
    pub outcome: Outcome,
    /// The GPO or document that has to win.
    pub from: Option<String>,
}

/// What a device has to end with at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This value.
    Value(super::Value),
    /// The node is not to be there.
    Absent,
    /// Nobody says anything of it.
    Unset,
}

/// Reads a file of tests.
pub fn read(octets: &[u8], limits: &Limits) -> Result<Tests, Error> {
    let mut all = nodes(octets, limits)?;
    all.retain(|node| node.kind != Kind::Null);
    let [node] = all.as_slice() else {
        return Err(Error { line: None, path: String::new(), kind: ErrorKind::Missing("one document") });
    };
    tests(&At::root(node))
}

fn tests(at: &At<'_>) -> Result<Tests, Error> {
    let members = at.members(&["postern", "directory", "documents", "tables", "tests"])?;
    members.need("postern")?.one_of(FORM, |text| (text == FORM).then_some(()))?;
    let mut tests = Tests::default();
    if let Some(at) = members.get("directory") {
        tests.directory = Some(source(&at)?);
    }
    if let Some(at) = members.get("documents") {
        tests.documents = texts(&at)?;
    }
    if let Some(at) = members.get("tables") {
        tests.tables = texts(&at)?;
    }
    for item in members.need("tests")?.items()? {
        if tests.tests.len() == TESTS {
            return Err(item.refuse(ErrorKind::TooLarge { what: "tests", limit: TESTS }));
        }
        tests.tests.push(test(&item, tests.directory.is_some())?);
    }
    if tests.tests.is_empty() {
        return Err(at.refuse(ErrorKind::Missing("a test")));
    }
    Ok(tests)
}

fn source(at: &At<'_>) -> Result<Source, Error> {
    let members = at.members(&["ldif", "sysvol", "site", "wmi-unknown"])?;
    let unknown = |text: &str| match text {
        "deny" => Some(false),
        "allow" => Some(true),
        _ => None,
    };
    Ok(Source {
        ldif: texts(&members.need("ldif")?)?,
        sysvol: members.need("sysvol")?.line_of_text(TEXT)?.to_owned(),
        site: own(members.get("site").as_ref())?,
        wmi_unknown_allows: members
            .get("wmi-unknown")
            .map(|at| at.one_of("deny, allow", unknown))
            .transpose()?
            .unwrap_or(false),
    })
}

fn own(at: Option<&At<'_>>) -> Result<Option<String>, Error> {
    at.map(|at| at.line_of_text(TEXT).map(str::to_owned)).transpose()
}

/// A text, or a list of texts.
fn texts(at: &At<'_>) -> Result<Vec<String>, Error> {
    if matches!(at.node.kind, Kind::Text(_)) {
        return Ok(vec![at.line_of_text(TEXT)?.to_owned()]);
    }
    at.items()?.iter().map(|item| item.line_of_text(TEXT).map(str::to_owned)).collect()
}

fn test(at: &At<'_>, has_directory: bool) -> Result<Test, Error> {
    let known = ["name", "device", "in", "member-of", "user", "groups", "kind", "version", "facts", "expect"];
    let members = at.members(&known)?;
    let kinds = ["postern", "windows-mobile", "windows"];
    let kind = members
        .get("kind")
        .map(|at| at.one_of(&kinds.join(", "), |text| kinds.into_iter().find(|kind| *kind == text)))
        .transpose()?;
    let who = match (members.get("device"), members.get("in")) {
        (Some(_), Some(at)) => return Err(at.wanted("device or in, not both")),
        (Some(at), None) => Who::Computer(at.line_of_text(TEXT)?.to_owned()),
        (None, Some(at)) => Who::Supposed {
            container: at.line_of_text(TEXT)?.to_owned(),
            groups: members.get("member-of").map(|at| texts(&at)).transpose()?.unwrap_or_default(),
        },
        (None, None) => Who::Nobody,
    };
    if let (Some(at), false) = (members.get("member-of"), matches!(who, Who::Supposed { .. })) {
        return Err(at.wanted("in beside it: a device that is there has its own groups"));
    }
    if who != Who::Nobody && !has_directory {
        return Err(at.wanted("a directory at the head of the file, for a device of one"));
    }
    let expect = members.need("expect")?;
    let mut expected = Vec::new();
    for item in expect.items()? {
        expected.push(self::expect(&item)?);
    }
    if expected.is_empty() || expected.len() > TESTS {
        return Err(expect.wanted(format!("1 to {TESTS} expectations")));
    }
    Ok(Test {
        line: at.node.line,
        name: members.need("name")?.line_of_text(TEXT)?.to_owned(),
        device: Device {
            who,
            user: own(members.get("user").as_ref())?,
            groups: members.get("groups").map(|at| groups(&at)).transpose()?.unwrap_or_default(),
            kind: kind.unwrap_or("postern").to_owned(),
            version: own(members.get("version").as_ref())?,
            facts: members.get("facts").map_or_else(|| serde_json::json!({}), |at| json(at.node)),
        },
        expect: expected,
    })
}

/// Groups, the outermost first; several in one list lie equally deep.
fn groups(at: &At<'_>) -> Result<Vec<InGroup>, Error> {
    let mut all = Vec::new();
    for (depth, item) in at.items()?.iter().enumerate() {
        let level = if matches!(item.node.kind, Kind::List(_)) { item.items()? } else { vec![item.clone()] };
        for at in level {
            all.push(InGroup { name: at.line_of_text(GROUP)?.to_owned(), depth });
        }
    }
    Ok(all)
}

fn expect(at: &At<'_>) -> Result<Expect, Error> {
    let members = at.members(&["uri", "setting", "value", "absent", "unset", "from"])?;
    let subject = match (members.get("uri"), members.get("setting")) {
        (Some(at), None) => super::Subject::Uri(super::read::uri(&at)?),
        (None, Some(at)) => super::Subject::Setting(at.line_of_text(NAME)?.to_owned()),
        _ => return Err(at.wanted("uri or setting, one of them")),
    };
    let given = ["value", "absent", "unset"].map(|name| members.get(name));
    let outcome = match given {
        [Some(at), None, None] => Outcome::Value(super::read::value(&at, &subject)?),
        [None, Some(at), None] if at.truth()? => Outcome::Absent,
        [None, None, Some(at)] if at.truth()? => Outcome::Unset,
        _ => return Err(at.wanted("value, absent: true or unset: true, one of them")),
    };
    let from = own(members.get("from").as_ref())?;
    if from.is_some() && outcome == Outcome::Unset {
        return Err(at.wanted("no from: nobody says anything of what is unset"));
    }
    Ok(Expect { line: at.node.line, subject, outcome, from })
}

/// What is known of a device, as JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(truth) => (*truth).into(),
        Kind::Number(number) => (*number).into(),
        Kind::Text(text) => text.as_str().into(),
        Kind::List(items) => items.iter().map(json).collect(),
        Kind::Map(members) => {
            serde_json::Value::Object(members.iter().map(|(name, node)| (name.clone(), json(node))).collect())
        }
    }
}
