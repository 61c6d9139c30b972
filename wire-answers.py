import os
os.chdir('/work/wt-documents')
def sub(p,*prs):
    s=open(p).read()
    for a,b in prs:
        assert a in s,(p,a)
        s=s.replace(a,b,1)
    open(p,'w').write(s)
sub('schema/api/src/lib.rs',("pub mod policy;\n","pub mod policy;\npub mod policy_answers;\n"))
sub('schema/api/src/openapi.rs',("objects, policy,","objects, policy, policy_answers,"),("    policy::RollBackPolicy,\n","    policy::RollBackPolicy,\n    policy_answers::PolicyComparison,\n    policy_answers::PolicyExplanation,\n    policy_answers::SupposePolicy,\n"))
sub('schema/api/src/routes/policy.rs',('''    .takes("RollBackPolicy")
    .also(ASSIGN)
    .needs_if_match(),
''','''    .takes("RollBackPolicy")
    .also(ASSIGN)
    .needs_if_match(),
    route(
        Get,
        "/api/1/policy/compare",
        "policy.compare",
        P::PolicyRead,
        One("PolicyComparison"),
        "Say what policy sets otherwise on two devices, and who says so.",
    )
    .query(&[("one", "A device."), ("other", "Another.")]),
    route(
        Get,
        "/api/1/devices/{device}/policy/explain",
        "policy.explain",
        P::PolicyRead,
        One("PolicyExplanation"),
        "Say why a device is to be as it is: the GPOs and documents on the way, who wins, who loses, how each setting stands.",
    )
    .query(&[("setting", "Only this one: a node, a setting's name, or the end of a registry setting.")]),
    route(
        Post,
        "/api/1/devices/{device}/policy/what-if",
        "policy.what_if",
        P::PolicyRead,
        One("PolicyComparison"),
        "Say what would be another if the device moved, were in a group, a GPO linked, documents applied. Changes nothing.",
    )
    .takes("SupposePolicy"),
'''))
sub('core/tests/admin/matrix.rs',('''policy.roll_back            -    -    x    -    -    -
''','''policy.roll_back            -    -    x    -    -    -
policy.compare              x    x    x    -    -    x
policy.explain              x    x    x    -    -    x
policy.what_if              x    x    x    -    -    x
'''))
sub('core/src/admin/register.rs',('''    table.on("policy.roll_back", policy::roll_back);
''','''    table.on("policy.roll_back", policy::roll_back);
    table.on("policy.compare", policy::compare);
    table.on("policy.explain", policy::explain_device);
    table.on("policy.what_if", policy::what_if);
'''))
sub('core/src/admin/guard.rs',('["commands.queue", "policy.plan", "policy.apply"]','["commands.queue", "policy.plan", "policy.apply", "policy.what_if"]'))
sub('core/src/admin/policy.rs',("mod apply;\n","mod answers;\nmod apply;\n"),("pub(super) use self::apply::{apply, plan, roll_back};","pub(super) use self::{\n    answers::{compare, explain_device, what_if},\n    apply::{apply, plan, roll_back},\n};"),("what applying them changes ([`apply`]).","what applying them changes ([`apply`]); answers about\n//! devices ([`answers`])."))
sub('core/src/admin/policy/apply.rs',('''    let changed = plan.changes.iter()''','''    if let Ok(active) = inside.active() {
        active.policies.changed(InputChange::Documents);
    }
    let changed = plan.changes.iter()'''),('use postern_actors::documents::{Reach, held, reach, stored, tables};','use postern_actors::{\n    documents::{Reach, held, reach, stored, tables},\n    policy::inputs::Change as InputChange,\n};'))
sub('core/src/admin/policy/answers.rs',('inputs().world_now()','inputs().world()'),('''    let mut settings = device_policy::settings(&desired, status.as_ref());''','''    let mut settings = device_policy::settings(&desired, status.as_ref());'''))
sub('actors/src/policy/inputs.rs',('''    pub(super) fn world(&self)''','''    /// Directory and SYSVOL as they are now.
    #[must_use]
    pub fn world(&self)'''))
sub('core/src/policy.rs',('''    PolicyInputs { rules: Arc::new(CorePolicyRules(inside.config.clone())), ..PolicyInputs::default() }''','''    PolicyInputs {
        rules: Arc::new(CorePolicyRules(inside.config.clone())),
        documents: Some(Arc::new(StoredDocuments::default())),
        ..PolicyInputs::default()
    }''') ,('use postern_actors::policy::inputs::{','use postern_actors::documents::StoredDocuments;\nuse postern_actors::policy::inputs::{'))
sub('core/src/settings.rs',('''        Ok(now) => active.devices.settings_changed(now),
        Err(error) => tracing::warn!(%error, "a change of settings is told with the next one"),
    }
''','''        Ok(now) => active.devices.settings_changed(now),
        Err(error) => tracing::warn!(%error, "a change of settings is told with the next one"),
    }
    // Who is in which group says which documents count, too.
    active.policies.changed(Change::Documents);
'''),("    wipe::{WipeRules, WipeSettings, rules as wipe},\n","    policy::inputs::Change,\n    wipe::{WipeRules, WipeSettings, rules as wipe},\n"))
s=open('core/src/admin/device_policy.rs').read()
s=s.replace("status.standings.iter().map(|standing| setting(&status, standing)).collect()","status.standings.iter().map(|standing| setting(&status.desired, standing)).collect()")
i=s.index("        unmapped: status\n"); j=s.index("            .collect(),\n",i)+len("            .collect(),\n")
s=s[:i]+"        unmapped: unmapped(&status.desired),\n"+s[j:]
s=s.replace('''fn setting(status: &Status, standing: &Standing) -> PolicySetting {
    let desired = status.desired.get(&standing.uri)''','''/// The settings of what is desired, with how each stands on the device.
pub(super) fn settings(desired: &Desired, status: Option<&Status>) -> Vec<PolicySetting> {
    let book = status.map(|status| status.book.clone()).unwrap_or_default();
    standings(desired, &book).iter().map(|standing| setting(desired, standing)).collect()
}

/// The settings that go nowhere.
pub(super) fn unmapped(desired: &Desired) -> Vec<UnmappedSetting> {
    let one = |one: &Homeless| UnmappedSetting {
        setting: one.setting.clone(),
        reason: one.reason.clone(),
        detail: one.detail.clone(),
        source: source(&one.source),
    };
    desired.unmapped.iter().map(one).collect()
}

fn setting(desired: &Desired, standing: &Standing) -> PolicySetting {
    let desired = desired.get(&standing.uri)''')
s=s.replace("\nfn source(source: &Source)","\npub(super) fn source(source: &Source)")
s=s.replace("use postern_engine::policy::desired::{Source, status::Standing};","use postern_engine::policy::desired::{\n    Desired, Homeless, Source,\n    status::{Standing, standings},\n};")
open('core/src/admin/device_policy.rs','w').write(s)
sub('actors/src/documents.rs',('''/// How deep groups lie''','''/// A group of this name with those that hold it, as a device in it would have them; nothing where there is none.
///
/// # Errors
/// As the store's reads.
pub fn holders_of(r: &mut Reader, name: &str) -> Result<Option<Vec<InGroup>>, StoreError> {
    let Some(group) = groups::find(r, name)?.filter(|group| group.name == name) else { return Ok(None) };
    let mut all = Vec::new();
    for id in groups::holders(r, group.id)? {
        if let Some(holder) = groups::find(r, &id.to_string())? {
            all.push(InGroup { name: holder.name, depth: groups::depth(r, id)? });
        }
    }
    Ok(Some(all))
}

/// The documents of the store, for the policy supervisor. What they say is read again when one changed; where they are assigned, each
/// time, because groups are renamed.
#[derive(Debug, Default)]
pub struct StoredDocuments {
    read: Mutex<Option<(i64, Arc<Vec<Held>>)>>,
}

impl StoredDocuments {
    fn held(&self, r: &mut Reader) -> Result<Vec<Held>, StoreError> {
        let revision = documents::revision(r)?;
        let kept = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = match kept {
            Some((at, read)) if at == revision => read,
            _ => {
                let read = Arc::new(held(r)?);
                *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((revision, Arc::clone(&read)));
                read
            }
        };
        let mut of: BTreeMap<String, Vec<Assignment>> = BTreeMap::new();
        for (group, row) in documents::all_assignments(r)? {
            of.entry(row.name.clone()).or_default().push(assignment(group, row));
        }
        let assigned = |held: &Held| Held {
            assignments: of.remove(&held.document.name).unwrap_or_default(),
            ..held.clone()
        };
        Ok(read.iter().map(assigned).collect())
    }
}

impl PolicyDocuments for StoredDocuments {
    fn layers(
        &self,
        r: &mut Reader,
        device: &Enrolment,
        tables: &[Arc<Table>],
        version: Option<&str>,
    ) -> Result<Vec<Layer>, StoreError> {
        let groups = groups_of(r, device.id)?;
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let tables: Vec<&Table> = tables.iter().map(|table| &**table).collect();
        Ok(layers(&resolve(&self.held(r)?, &groups, device.dialect), &tables, version))
    }
}

fn assignment(group: String, row: documents::AssignmentRow) -> Assignment {
    Assignment {
        document: row.name,
        group,
        order: u32::try_from(row.place).unwrap_or(u32::MAX),
        enforced: row.enforced,
    }
}

/// How deep groups lie'''),('''    documents::{
        Assignment,''','''    desired::layer::Layer,
    documents::{
        Assignment,'''),('''Limits, effective, read,
        resolve,''','''Limits, effective,
        layer::layers, read, resolve,'''),("use postern_store::{Reader, StoreError, documents, enrolments, groups};","use postern_store::{\n    Reader, StoreError, documents,\n    enrolments::{self, Enrolment},\n    groups,\n};"),('''use uuid::Uuid;
''','''use uuid::Uuid;

use crate::policy::inputs::PolicyDocuments;
'''))
sub('ctl/src/commands/policy.rs',("mod apply;\n","mod answers;\nmod apply;\n"),('''    /// List policy documents.''','''    /// Say why a device is to be as it is: GPOs and documents on the way, who wins, who loses, how each setting stands.
    Explain {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Only this one: a node, a setting's name, or the end of a registry setting.
        setting: Option<String>,
    },
    /// Say what would be another on a device. Touches nothing.
    WhatIf(answers::WhatIf),
    /// Say what policy sets otherwise on two devices, and who says so.
    Compare {
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// List policy documents.'''),('''            Self::List { removed } => {''','''            Self::Explain { device, setting } => {
                return answers::explain(&device, setting.as_deref(), client, output).await;
            }
            Self::WhatIf(what_if) => return what_if.run(client, output).await,
            Self::Compare { one, other } => return answers::compare(&one, &other, client, output).await,
            Self::List { removed } => {'''))

sub('actors/src/documents.rs',("    sync::{Arc, LazyLock},","    sync::{Arc, LazyLock, Mutex, PoisonError},"))
s=open('actors/src/documents.rs').read()
i=s.index("        let assignment = |(group, row)"); j=s.index("        all.push(Held {",i)
s=s[:i]+s[j:]
s=s.replace("one.assignments.into_iter().map(assignment).collect()","one.assignments.into_iter().map(|(group, row)| assignment(group, row)).collect()")
open('actors/src/documents.rs','w').write(s)
sub('schema/store/src/topics/documents.rs',("/// The documents that are assigned to a group.",'''/// All assignments: the group's name of today, and the assignment.
pub fn all_assignments(r: &mut Reader) -> Result<Vec<(String, AssignmentRow)>, StoreError> {
    let found: Vec<(AssignmentRow, String)> = each!(r.conn, c => a::policy_assignments
        .inner_join(g::groups.on(g::id.eq(a::group_id)))
        .order((a::name, g::name))
        .select((AssignmentRow::as_select(), g::name))
        .load(c))?;
    Ok(found.into_iter().map(|(row, group)| (group, row)).collect())
}

/// The documents that are assigned to a group.'''),('''    let assigned: Vec<(AssignmentRow, String)> = each!(r.conn, c => a::policy_assignments
        .inner_join(g::groups.on(g::id.eq(a::group_id)))
        .order((a::name, g::name))
        .select((AssignmentRow::as_select(), g::name))
        .load(c))?;
    let mut of: BTreeMap<String, Vec<(String, AssignmentRow)>> = BTreeMap::new();
    for (row, group) in assigned {''','''    let mut of: BTreeMap<String, Vec<(String, AssignmentRow)>> = BTreeMap::new();
    for (group, row) in all_assignments(r)? {'''))
DOC='''## Answers
```
posternctl policy explain DEVICE [SETTING]
posternctl policy what-if DEVICE [--move-to OU] [--add-group GROUP] [--link GPO@OU] [--link-enforced GPO@OU] [--document FILE|DIR]
posternctl policy compare DEVICE DEVICE
```
`explain` says for each node the value, the GPO or document that won with its container or group, those that lost, the nearest to winning first, how it stands on the device and when the device confirmed it; beside that every link on the way with its reason, and the documents in their order.
SETTING is an address, a setting's name (`camera`) or the end of a registry setting (`Lockdown\\\\Camera`). It is computed now; where it cannot be (directory or SYSVOL unread) the last good state is shown and why.

`what-if` touches nothing: it computes the device in a world in which its computer object lies elsewhere (it keeps its groups), is in one more group (of documents, of the directory, or of both where both have one of the name), a GPO is linked as the weakest of a container, documents are applied; and shows what would be
another. `compare` does the same of two devices. All need `policy.read`, take `--output json`, and `--output csv` for the rows; in CSV no cell is a formula, and control characters are escaped, because names come from the directory.

## Policy tests
'''
sub('docs/POLICY.md',("## Policy tests\n",DOC))
sub('CHANGELOG.md',("over documents, LDIF and SYSVOL (`posternctl policy test`, docs/POLICY.md).","over documents, LDIF and SYSVOL (`posternctl policy test`). Why a device is to be as it is, what would be if, what tells two devices apart: `posternctl policy explain|what-if|compare`, as CSV\n  and JSON, too (docs/POLICY.md)."))
