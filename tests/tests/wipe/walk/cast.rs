//! Who acts on a wipe: persons by their commands, time by the rows, and the device as a script plays it.

use std::{
    io,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use postern_tests::{
    ctl::Ctl,
    dm_client::{Answer, DmClient, DmSession},
    sql::Sql,
};
use postern_wire::syncml::{self, Alert, Command, Item, Location, Meta, Style, Version};

use super::cases::{Act, Case};

/// Octets beside the Status for SyncHdr that a device in want of room leaves: an alert fits, an Exec does not.
const LITTLE: usize = 80;

/// A device with its wipe, as a case wants it.
pub(super) struct Subject {
    pub(super) number: usize,
    pub(super) case: Case,
    /// How often its wipe was sent.
    pub(super) sends: usize,
    client: &'static DmClient,
    /// The session that it holds open, with what it was last told.
    held: Option<(DmSession<'static>, Answer)>,
    sessions: u32,
}

impl Subject {
    pub(super) fn new(number: usize, case: Case, client: DmClient) -> Self {
        Self { number, case, sends: 0, client: Box::leak(Box::new(client)), held: None, sessions: 0 }
    }

    pub(super) fn name(&self) -> String {
        name(self.number)
    }

    /// A session of its own name: the same one again would be the one that went on.
    fn open(&mut self) -> io::Result<DmSession<'static>> {
        self.sessions += 1;
        self.client.open(&format!("{:X}", self.sessions))
    }

    fn play(&mut self, act: Act) -> io::Result<()> {
        match act {
            Act::Visit => {
                self.sessions += 1;
                let _ = self.client.check_in(&format!("{:X}", self.sessions))?;
            }
            Act::Take | Act::TakeLeaving | Act::Leave | Act::Tell(_) => {
                let mut session = self.open()?;
                let mut body = session.package_1();
                body.extend(match act {
                    Act::TakeLeaving => vec![leaving()],
                    Act::Leave => vec![leaving(), abort()],
                    Act::Tell(code) => vec![result(code)],
                    _ => Vec::new(),
                });
                let answer = session.persist(body)?;
                self.held = Some((session, answer));
            }
            Act::Cramped => {
                let mut session = self.open()?;
                session.is_final = false;
                let body = session.package_1();
                let answer = session.persist(body)?;
                session.is_final = true;
                self.held = Some((session, answer));
                self.play(Act::Cramp)?;
            }
            Act::Answer(_) | Act::Mark | Act::Cramp => {
                let Some((mut session, told)) = self.held.take() else { return Ok(()) };
                let Some(message) = &told.message else { return Ok(()) };
                let code = if let Act::Answer(code) = act { code } else { 200 };
                if act == Act::Cramp {
                    session.max_msg_size = u64::try_from(little(&told)).unwrap_or(u64::MAX);
                }
                let body = session.answers(message, &mut |_| (code, None));
                let answer = session.persist(body)?;
                self.held = Some((session, answer));
            }
            Act::Abort => {
                let Some((mut session, _)) = self.held.take() else { return Ok(()) };
                let _ = session.persist(vec![abort()])?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a case's device is called.
pub(super) fn name(number: usize) -> String {
    format!("W:{number:02}")
}

/// Who acts.
#[derive(Clone)]
pub(super) struct Cast {
    pub(super) admin: Ctl,
    pub(super) bob: Ctl,
    pub(super) eve: Ctl,
    pub(super) sql: Sql,
    pub(super) folder: PathBuf,
}

impl Cast {
    /// Does it, and tells when it has begun. Whether it went well is for the rows to say.
    pub(super) fn act(&self, subject: &mut Subject, act: Act, begun: &AtomicUsize) {
        let name = subject.name();
        let run = |ctl: &Ctl, args: &[&str]| {
            let child = ctl.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            begun.fetch_add(1, Ordering::SeqCst);
            let _ = child.expect("posternctl starts").wait();
        };
        // Time passes: what no clock of this machine is set for.
        let passes = |sql: &str| {
            begun.fetch_add(1, Ordering::SeqCst);
            self.sql.change(sql);
        };
        let this = format!("device_id = '{name}' AND finished_at IS NULL");
        let device = format!("enrolment = (SELECT id FROM enrolments WHERE device_id = '{name}')");
        match act {
            Act::Request => {
                let by = if subject.case.awaits { &self.admin } else { &self.eve };
                run(by, &["wipe", "request", &name, "--kind", subject.case.kind, "--reason", "a walk"]);
            }
            Act::Approve => run(&self.bob, &["wipe", "approve", &name, "--reason", "yes"]),
            Act::Reject => {
                let shown = self.admin.run(&["wipe", "show", &name]).json();
                let approval = shown["approval"].as_str().unwrap_or_default().to_owned();
                run(&self.bob, &["approval", "reject", &approval, "--reason", "no"]);
            }
            Act::Cancel => run(&self.admin, &["wipe", "cancel", &name, "--reason", "found"]),
            Act::FirstDisarms => run(&self.admin, &["wipe", "disarm", &name, "--reason", "found"]),
            Act::SecondDisarms => run(&self.bob, &["wipe", "disarm", &name, "--reason", "found"]),
            Act::ReEnrol => {
                let out = self.folder.join(format!("again-{}.json", subject.number)).display().to_string();
                let args =
                    ["device", "re-enrol", &name, "--device-id", &name, "--auth", "basic", "--out", &out];
                run(&self.eve, &args);
            }
            Act::Expire => passes(&format!("UPDATE wipes SET expires_at = 1, next_at = 1 WHERE {this}")),
            Act::Overrun => passes(&format!("UPDATE wipes SET accepted_at = 1, next_at = 1 WHERE {this}")),
            Act::Silence => passes(&format!(
                "UPDATE sessions SET opened_at = opened_at - 172800000, closed_at = closed_at - 172800000 WHERE {device}; \
                 UPDATE wipes SET accepted_at = accepted_at - 172800000, next_at = 1 WHERE {this}"
            )),
            Act::Forgotten => {
                passes(&format!("UPDATE lives SET leaving_at = leaving_at - 3600000 WHERE {device}"));
            }
            Act::Recorded => {}
            Act::Take
            | Act::TakeLeaving
            | Act::Answer(_)
            | Act::Mark
            | Act::Cramp
            | Act::Cramped
            | Act::Abort
            | Act::Tell(_)
            | Act::Visit
            | Act::Leave => {
                begun.fetch_add(1, Ordering::SeqCst);
                let _whatever_it_was_answered = subject.play(act);
            }
        }
    }
}

/// The generic alert by which a device says that it leaves.
fn leaving() -> Command {
    let meta = Meta { type_: Some(postern_engine::enrolment::leaving::ALERT.to_owned()), ..Meta::default() };
    let item = Item { meta, data: Some("left".into()), ..Item::default() };
    Command::Alert(Alert { cmd_id: 40, code: 1226, items: vec![item], ..Alert::default() })
}

/// The alert by which a device ends a session.
fn abort() -> Command {
    Command::Alert(Alert { cmd_id: 41, code: 1223, ..Alert::default() })
}

/// The generic alert of LAWMO with the result of a reset (LAWMO 1.0, 5.3).
fn result(code: u32) -> Command {
    let type_ = Some("urn:oma:at:lawmo:1.0:OperationComplete".to_owned());
    let item = Item {
        source: Some(Location::uri(postern_engine::wipe::FACTORY_RESET)),
        meta: Meta { type_, format: Some("chr".to_owned()), ..Meta::default() },
        data: Some(format!("<ResultCode>{code}</ResultCode>").into()),
        ..Item::default()
    };
    Command::Alert(Alert { cmd_id: 42, code: 1226, items: vec![item], ..Alert::default() })
}

/// Octets of a message like this one with its first Status and little else.
fn little(told: &Answer) -> usize {
    let style = Style::xml(Version::V1_2);
    let body = told.message.iter().flat_map(|message| message.body.iter().skip(1));
    let others: usize = body.map(|command| syncml::command_len(command, &style)).sum();
    told.response.body.len().saturating_sub(others) + LITTLE
}
