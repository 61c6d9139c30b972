//! What the device asks of the server: alerts, DevInfo, and everything else that a client may not send
//! (OMA-TS-DM_Protocol 1.2.1, 8.3 to 8.7; REP 6.5).

use postern_wire::{
    recovery::Sealed,
    syncml::{Alert, Command, Item, Request, Status},
    terms::{CommandId, CommandState, ProofClass, Verb},
};

use super::{
    Session, SessionConfig, Turn,
    collect::{same_node, text},
    deny::every_command,
    serve::Open,
};
use crate::{
    command::{Cause, Event},
    effect::{AlertItem, DeviceInfo, Effect, ResultItem},
    profiles::Model,
    queue::{Note, Queue},
    recovery,
};

/// Leaves of DevInfo that are kept, and octets of each.
const DEVINFO_LEAVES: usize = 64;
const DEVINFO_OCTETS: usize = 1024;

/// A leaf outside ./DevInfo that Windows sends beside it (seen in captures of Windows 10).
const HARDWARE_ID: &str = "./Vendor/MSFT/DMClient/HWDevID";

/// The Status for each command of a message.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) statuses: Vec<Status>,
    /// The device sent Alert 1223.
    pub(super) aborted: bool,
}

impl Answers {
    fn push(&mut self, turn: &Turn<'_>, cmd_ref: u32, cmd: &str, code: u32) {
        let msg_ref = Some(turn.msg_id());
        self.statuses.push(Status { msg_ref, cmd_ref, cmd: cmd.to_owned(), code, ..Status::default() });
    }
}

/// Acts on the device's own commands. Each gets one Status, those inside a group too; Status none, and Results
/// only where the answer is not 200 (SRV-06).
pub(super) fn answer(
    session: &mut Session,
    open: &mut Open,
    turn: &mut Turn<'_>,
    queue: &mut Queue,
    of_results: &[(u32, u32)],
) -> Answers {
    let mut answers = Answers::default();
    let message = &turn.decoded.message;
    for command in &message.body {
        match command {
            Command::Status(_) => {}
            Command::Results(results) => {
                let code = of_results.iter().find(|(cmd_id, _)| *cmd_id == results.cmd_id);
                if let Some((cmd_id, code)) = code {
                    answers.push(turn, *cmd_id, "Results", *code);
                }
            }
            Command::Alert(alert) => {
                let code = self::alert(&session.config, alert, open, turn, queue);
                answers.aborted |= alert.code == 1223;
                answers.push(turn, alert.cmd_id, "Alert", code);
            }
            Command::Replace(request) => {
                let code = dev_info(session, open, request, turn);
                answers.push(turn, request.cmd_id, "Replace", code);
            }
            Command::Atomic(_) | Command::Sequence(_) => {
                every_command(command, &mut |cmd_id, cmd| answers.push(turn, cmd_id, cmd, 406));
            }
            Command::Unknown { .. } => {
                every_command(command, &mut |cmd_id, cmd| answers.push(turn, cmd_id, cmd, 501));
            }
            Command::Add(_) | Command::Get(_) | Command::Delete(_) | Command::Copy(_) | Command::Exec(_) => {
                every_command(command, &mut |cmd_id, cmd| answers.push(turn, cmd_id, cmd, 405));
            }
        }
    }
    answers
}

/// The Status code for an alert.
fn alert(
    config: &SessionConfig,
    alert: &Alert,
    open: &mut Open,
    turn: &mut Turn<'_>,
    queue: &mut Queue,
) -> u32 {
    match alert.code {
        1200 | 1201 | 1222 | 1223 => 200,
        1225 => {
            if let Some(upload) = &mut open.upload {
                upload.broken = true;
            }
            200
        }
        1224 | 1226 if alert.items.is_empty() => 412,
        1224 => {
            note_alert(alert, None, open.class, turn);
            200
        }
        1226 if alert.items.iter().any(|item| type_of(item).is_empty()) => 412,
        1226 => generic(config, alert, open, turn, queue),
        _ => 406,
    }
}

/// Generic alert: the end of an Exec of ours, or an event of a known type.
fn generic(
    config: &SessionConfig,
    alert: &Alert,
    open: &mut Open,
    turn: &mut Turn<'_>,
    queue: &mut Queue,
) -> u32 {
    let command = exec_of(alert, queue);
    let known = |item: &Item| config.alert_types.iter().any(|start| type_of(item).starts_with(start));
    if command.is_none() && !alert.items.iter().all(known) {
        return 415;
    }
    // A sealed password that cannot be read is refused at once: the device keeps the one before it.
    let unreadable =
        |item: &&Item| recovery::brings(type_of(item)) && Sealed::parse(text(item.data.as_ref())).is_err();
    if alert.items.iter().any(|item| unreadable(&item)) {
        return 415;
    }
    note_alert(alert, command, open.class, turn);
    let Some(id) = command else { return 200 };
    let good = alert.items.iter().all(|item| is_success(text(item.data.as_ref())));
    let results: Vec<_> = alert.items.iter().map(result).collect();
    let waits = queue.get(id).is_some_and(|command| command.accepted.is_some());
    if waits {
        let (event, cause) =
            if good { (Event::Succeed, Cause::Done) } else { (Event::Fail, Cause::FailedLater) };
        let note = Note { results, class: open.class, ..Note::cause(cause) };
        turn.effects.extend(queue.apply(id, event, note, turn.now));
    } else if let Some(flight) = open.in_flight.iter_mut().find(|flight| flight.command == id) {
        flight.alert = Some((good, results));
    }
    200
}

/// The Exec that an alert tells the end of: by Correlator, else by the node it names (OMA-TS-DM_Protocol 1.2.1, 8.7).
fn exec_of(alert: &Alert, queue: &Queue) -> Option<CommandId> {
    let sent = || {
        let open = queue.iter().filter(|command| command.state == CommandState::Sent);
        open.flat_map(|command| {
            let execs = command.body.flattened().into_iter().filter(|body| body.verb() == Verb::Exec);
            execs.map(|exec| (command.id, exec)).collect::<Vec<_>>()
        })
    };
    let correlator = alert.correlator.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let by_correlator = sent().find(|(_, exec)| correlator.is_some() && exec.correlator() == correlator);
    let names = |uri: &str| {
        alert.items.iter().any(|item| item.source.as_ref().is_some_and(|source| same_node(&source.uri, uri)))
    };
    let by_node = || {
        sent()
            .filter(|(_, exec)| correlator.is_none() || exec.correlator().is_none())
            .find(|(_, exec)| exec.items().iter().any(|item| names(&item.target)))
    };
    by_correlator.or_else(by_node).map(|(id, _)| id)
}

/// Whether a result code tells success: 2xx, 12xx (LAWMO, SCOMO) or 0; what holds no number is no failure.
fn is_success(data: &str) -> bool {
    let inner = data.split_once("<ResultCode>").map_or(data, |(_, rest)| rest);
    let digits = inner.split('<').next().unwrap_or_default().trim();
    digits.parse::<i64>().map_or(true, |code| matches!(code, 0 | 200..=299 | 1200..=1299))
}

/// The alert's Type without the prefix that some clients write, and trimmed (SRV-42).
fn type_of(item: &Item) -> &str {
    let type_ = item.meta.type_.as_deref().unwrap_or_default().trim();
    ["Reversed-Domain-Name:", "Content-Type:"]
        .iter()
        .find_map(|prefix| type_.strip_prefix(prefix))
        .unwrap_or(type_)
        .trim()
}

fn note_alert(alert: &Alert, command: Option<CommandId>, class: ProofClass, turn: &mut Turn<'_>) {
    let items = alert.items.iter().map(|item| AlertItem {
        source: item.source.as_ref().map_or_else(String::new, |source| source.uri.clone()),
        type_: type_of(item).to_owned(),
        format: item.meta.format.as_deref().unwrap_or("chr").trim().to_ascii_lowercase(),
        mark: item.meta.mark.as_deref().unwrap_or("informational").trim().to_owned(),
        data: item.data.clone().unwrap_or_default(),
    });
    turn.effects.push(Effect::AlertReceived {
        code: alert.code,
        command,
        correlator: alert.correlator.clone(),
        items: items.collect(),
        class,
        at: turn.now,
    });
}

fn result(item: &Item) -> ResultItem {
    ResultItem {
        uri: item.source.as_ref().map_or_else(String::new, |source| source.uri.clone()),
        format: item.meta.format.as_deref().unwrap_or("chr").trim().to_ascii_lowercase(),
        type_: type_of(item).to_owned(),
        data: item.data.clone().unwrap_or_default(),
    }
}

/// What the message and its frame say of the client.
pub(super) fn model<'a>(turn: &'a Turn<'_>) -> Model<'a> {
    let leaf = |name: &str| {
        let replaces = turn.decoded.message.body.iter().filter_map(|command| match command {
            Command::Replace(request) => Some(request),
            _ => None,
        });
        replaces.flat_map(|request| &request.items).find_map(|item| {
            let uri = &item.source.as_ref().or(item.target.as_ref())?.uri;
            same_node(uri, name).then(|| text(item.data.as_ref()))
        })
    };
    Model {
        man: leaf("DevInfo/Man"),
        mod_: leaf("DevInfo/Mod"),
        swv: leaf("DevDetail/SwV"),
        user_agent: turn.peer.user_agent.as_deref(),
        content_type: Some(turn.media),
    }
}

/// A client's Replace: DevInfo only. Order, missing Meta and leaves that no document names do not matter (AM-05).
fn dev_info(session: &mut Session, open: &Open, request: &Request, turn: &mut Turn<'_>) -> u32 {
    if request.items.is_empty() {
        return 412;
    }
    let mut info = DeviceInfo::default();
    for item in &request.items {
        let Some(uri) = item.source.as_ref().or(item.target.as_ref()).map(|node| node.uri.trim()) else {
            continue;
        };
        let uri = if uri.starts_with("./") { uri.to_owned() } else { format!("./{uri}") };
        let kept = uri.starts_with("./DevInfo/") || same_node(&uri, HARDWARE_ID);
        let value = text(item.data.as_ref());
        if kept && info.leaves.len() < DEVINFO_LEAVES && uri.len() + value.len() <= DEVINFO_OCTETS {
            info.leaves.insert(uri, value.to_owned());
        }
    }
    if info.leaves.is_empty() {
        return 405;
    }
    info.profiles.clone_from(&open.profiles);
    let digest = info.digest();
    if session.account.device_info != Some(digest) {
        session.account.device_info = Some(digest);
        turn.effects.push(Effect::DeviceInfo(info));
    }
    200
}
