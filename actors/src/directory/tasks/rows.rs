//! How tasks begin and end: their rows, their words in the audit log and their alarms, each in one transaction.

use postern_engine::policy::{
    binding::{How, Unbound},
    dn::Dn,
};
use postern_store::{
    Reader, Store, StoreError, Tx, WriteError,
    alarms::{self, Severity},
    audit,
    directory::{self as table, Task},
    enrolments::Enrolment,
    meta,
    wipes::Wipe,
};
use postern_wire::terms::{EnrolmentId, UtcMillis};
use serde_json::json;

use super::{
    super::{Bindings as _, StoredBindings},
    DirectoryTaskParts, LookError, TASK, TOGETHER,
};
use crate::abilities::{BindRefusal, DirectoryError, DirectoryWriteError, TakeOut};

/// The first wait after a try that failed, and the longest one.
const WAITS_MS: (i64, i64) = (60_000, 6 * 3_600_000);
/// After the account was refused: each try counts towards its lock-out.
const REFUSED_MS: i64 = 30 * 60_000;
/// Tries after which a person is told.
const TOLD: i64 = 5;
/// The keys in `meta`: since when what follows a wipe is done, and computers are made.
const SINCE: [&str; 2] = ["directory.after_wipe_since", "directory.create_since"];
/// What this stands under in the audit.
const SERVICE: &str = "service:directory";
/// What a name of our own begins with; no device takes it away by calling itself so.
const OWN: &str = "PST-";

const WAITING: &str = "waiting";
const PARKED: &str = "parked";
const DONE: &str = "done";
const GIVEN_UP: &str = "given-up";

type Computer = Result<(Dn, How), Unbound>;

/// Makes tasks of what happened. Since when: from the first start with it on. Off forgets that, so that what happened meanwhile is left
/// alone.
pub(super) async fn take_up(parts: &DirectoryTaskParts) -> Result<(), LookError> {
    let (act, creates) = (parts.after_wipe, parts.creates);
    let bindings = parts.supervisor.bindings();
    // Nobody is anybody while no directory was read.
    let has_directory = parts.supervisor.keeper().view().is_some();
    let is_old = parts.supervisor.keeper().status().is_stale();
    let is_new = parts.store.read(move |r| {
        let marks = [marked(r, SINCE[0])?, marked(r, SINCE[1])?];
        if marks.map(|mark| mark.is_some()) != [act.is_some(), creates] {
            return Ok(true);
        }
        let wiped = marks[0].map(|since| table::wiped_without_task(r, since, 1)).transpose()?;
        let enrolled = marks[1].map(|since| table::new_without_task(r, since, 1)).transpose()?;
        let any = wiped.is_some_and(|all| !all.is_empty()) || enrolled.is_some_and(|all| !all.is_empty());
        Ok(has_directory && any)
    });
    if !is_new.await? {
        return Ok(());
    }
    let written = parts.store.write(move |tx| {
        let wipes_since = since(tx, SINCE[0], act.is_some())?;
        let create_since = since(tx, SINCE[1], creates)?;
        if !has_directory {
            return Ok(());
        }
        if let (Some(act), Some(since)) = (act, wipes_since) {
            for wipe in table::wiped_without_task(tx, since, TOGETHER)? {
                let bound = bindings.of(tx, wipe.enrolment)?.computer;
                // An old reading may lack what was made lately: it decides nothing for good.
                if is_old && bound.is_err() {
                    continue;
                }
                let task = after_wipe(tx, &wipe, act, bound, &bindings);
                put(tx, task)?;
            }
        }
        if let Some(since) = create_since {
            for row in table::new_without_task(tx, since, TOGETHER)? {
                let bound = bindings.of(tx, row.id)?.computer;
                let task = for_new(tx, &row, &bound);
                put(tx, task)?;
            }
        }
        Ok(())
    });
    Ok(written.await?)
}

/// Nothing is written any more: what happens from now on is left alone, also when it is switched on again.
///
/// # Errors
/// The database's.
pub(super) async fn switched_off(store: &Store) -> Result<(), WriteError> {
    store
        .write(|tx| {
            for key in SINCE {
                since(tx, key, false)?;
            }
            Ok(())
        })
        .await
}

fn marked(r: &mut Reader, key: &str) -> Result<Option<UtcMillis>, StoreError> {
    Ok(meta::get(r, key)?.and_then(|text| text.parse().ok()).map(UtcMillis))
}

fn since(tx: &mut Tx, key: &str, on: bool) -> Result<Option<UtcMillis>, StoreError> {
    match (on, marked(tx, key)?) {
        (true, Some(since)) => Ok(Some(since)),
        (true, None) => {
            let now = tx.now();
            meta::set(tx, key, &now.0.to_string())?;
            Ok(Some(now))
        }
        (false, None) => Ok(None),
        (false, Some(_)) => meta::set(tx, key, "").map(|()| None),
    }
}

fn after_wipe(tx: &mut Tx, wipe: &Wipe, act: TakeOut, bound: Computer, bindings: &StoredBindings) -> Task {
    let now = tx.now();
    let sid = bound.as_ref().ok().and_then(|(dn, _)| bindings.sid(dn)).map(|sid| sid.to_string());
    let task = Task {
        act: act.as_str().to_owned(),
        wipe: Some(wipe.id),
        computer: sid.clone(),
        computer_dn: bound.as_ref().ok().map(|(dn, _)| dn.to_string()),
        cause: "the wipe succeeded".to_owned(),
        ..fresh(tx, wipe.enrolment)
    };
    match (bound, sid) {
        (Ok(_), Some(_)) => task,
        (Ok(_), None) => over(task, GIVEN_UP, "its computer has no SID".to_owned(), now),
        (Err(why), _) => over(task, GIVEN_UP, format!("it has no computer: {why}"), now),
    }
}

fn for_new(tx: &mut Tx, row: &Enrolment, bound: &Computer) -> Task {
    let now = tx.now();
    let task =
        Task { act: "create".to_owned(), cause: "the device was enrolled".to_owned(), ..fresh(tx, row.id) };
    match bound {
        Err(Unbound::Nobody) => task,
        Ok((dn, _)) => over(task, DONE, format!("{dn} is its computer already"), now),
        Err(why) => over(task, GIVEN_UP, why.to_string(), now),
    }
}

fn fresh(tx: &mut Tx, enrolment: EnrolmentId) -> Task {
    let now = tx.now();
    Task {
        id: tx.fresh_id(),
        act: String::new(),
        enrolment,
        wipe: None,
        computer: None,
        computer_dn: None,
        state: WAITING.to_owned(),
        tries: 0,
        due_at: Some(now),
        cause: String::new(),
        made_at: now,
        done_at: None,
    }
}

fn over(task: Task, state: &str, cause: String, now: UtcMillis) -> Task {
    Task { state: state.to_owned(), due_at: None, done_at: Some(now), cause, ..task }
}

fn put(tx: &mut Tx, task: Task) -> Result<(), StoreError> {
    if task.state == GIVEN_UP {
        audited(tx, &task, "refused")?;
    }
    table::put_task(tx, task)
}

/// A task after a try.
pub(super) fn after(task: Task, tried: Result<String, DirectoryWriteError>, now: UtcMillis) -> Task {
    let tries = task.tries + 1;
    let task = Task { tries, ..task };
    match tried {
        Ok(text) => over(task, DONE, text, now),
        Err(DirectoryWriteError::Never(why)) => over(task, GIVEN_UP, why, now),
        Err(error) if error.needs_a_person() => {
            Task { state: PARKED.to_owned(), due_at: None, cause: error.to_string(), ..task }
        }
        Err(error) => {
            let wait = wait_ms(tries, &error);
            Task { due_at: Some(now.plus(wait)), cause: error.to_string(), ..task }
        }
    }
}

fn wait_ms(tries: i64, error: &DirectoryWriteError) -> i64 {
    let (first, longest) = WAITS_MS;
    let wait = first.saturating_mul(1 << tries.saturating_sub(1).clamp(0, 20)).min(longest);
    match error {
        DirectoryWriteError::Directory(DirectoryError::Refused(refusal))
            if *refusal != BindRefusal::NoRights =>
        {
            wait.max(REFUSED_MS)
        }
        _ => wait,
    }
}

/// Writes a task down after a try, with what was made, what is audited and what is told.
pub(super) fn ended(tx: &mut Tx, task: Task, made: Option<&(String, String)>) -> Result<(), StoreError> {
    let task = match made {
        Some((sid, dn)) => {
            bind(tx, task.enrolment, sid, dn)?;
            Task { computer: Some(sid.clone()), computer_dn: Some(dn.clone()), ..task }
        }
        None => task,
    };
    alarm(tx, &task)?;
    // Tries that fail for now stand in the row alone.
    match task.state.as_str() {
        DONE => audited(tx, &task, "ok")?,
        PARKED => audited(tx, &task, "failed")?,
        GIVEN_UP => audited(tx, &task, "refused")?,
        _ => {}
    }
    table::put_task(tx, task)
}

/// The computer that was made is the device's, unless a person named another one meanwhile.
fn bind(tx: &mut Tx, enrolment: EnrolmentId, sid: &str, dn: &str) -> Result<(), StoreError> {
    let before = table::binding(tx, enrolment)?;
    if before.as_ref().is_some_and(|before| before.computer.is_some()) {
        return Ok(());
    }
    let at = tx.now();
    let of = |get: fn(table::Binding) -> Option<String>| before.clone().and_then(get);
    let binding = table::Binding {
        enrolment,
        computer: Some(sid.to_owned()),
        computer_dn: Some(dn.to_owned()),
        created: true,
        person: of(|before| before.person),
        person_dn: of(|before| before.person_dn),
        set_by: SERVICE.to_owned(),
        at,
    };
    table::bind(tx, binding)
}

fn audited(tx: &mut Tx, task: &Task, outcome: &str) -> Result<(), StoreError> {
    let detail = json!({
        "computer": task.computer_dn, "wipe": task.wipe, "cause": task.cause, "tries": task.tries,
    });
    audit::append(
        tx,
        audit::Act {
            actor: SERVICE.to_owned(),
            action: format!("directory.{}", task.act),
            object: format!("device:{}", task.enrolment),
            outcome: outcome.to_owned(),
            detail: detail.to_string(),
            ..audit::Act::default()
        },
    )?;
    Ok(())
}

fn alarm(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    let subject = format!("device:{}", task.enrolment);
    let what = if task.wipe.is_some() {
        format!("the computer of a wiped device is still in use (it is to be: {})", task.act)
    } else {
        "no computer was made for a new device".to_owned()
    };
    let text = match task.state.as_str() {
        PARKED => Some(format!(
            "{what}: {}; put that right, then `posternctl directory refresh` tries it again",
            task.cause
        )),
        WAITING if task.tries >= TOLD => Some(format!("{what}: {}; {} tries", task.cause, task.tries)),
        _ => None,
    };
    if let Some(text) = text {
        alarms::raise(tx, Severity::Warning, TASK, &subject, &text)?;
    } else if task.done_at.is_some() && alarms::open(tx, TASK, &subject)?.is_some() {
        alarms::clear(tx, TASK, &subject, &task.cause)?;
    }
    Ok(())
}

/// What the computer of a task is known again by: a task's id is nobody else's.
pub(super) fn mark(task: &Task) -> String {
    format!("Postern device {} ({})", task.enrolment, task.id)
}

/// The names that the computer of a device may have: the device's own where that can be one, then one of its id. A device's name is
/// text from outside: what breaks the rules is not put right but left alone.
pub(super) fn names(row: &Enrolment) -> Vec<String> {
    let EnrolmentId(id) = row.id;
    let own = format!("{OWN}{}", &id.simple().to_string()[22..]).to_ascii_uppercase();
    let name = row.name.to_ascii_uppercase();
    let fits = (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.starts_with(OWN)
        && name.bytes().any(|b| b.is_ascii_alphabetic());
    if fits { vec![name, own] } else { vec![own] }
}

#[cfg(test)]
mod tests {
    use postern_wire::terms::AuthType;

    use super::*;

    fn task() -> Task {
        Task {
            id: uuid::Uuid::from_u128(7),
            act: "disable".to_owned(),
            enrolment: EnrolmentId(uuid::Uuid::from_u128(1)),
            wipe: Some(uuid::Uuid::from_u128(2)),
            computer: None,
            computer_dn: None,
            state: WAITING.to_owned(),
            tries: 0,
            due_at: Some(UtcMillis(0)),
            cause: String::new(),
            made_at: UtcMillis(0),
            done_at: None,
        }
    }

    fn refused(refusal: BindRefusal) -> DirectoryWriteError {
        DirectoryError::Refused(refusal).into()
    }

    #[test]
    fn what_may_pass_is_tried_ever_more_seldom_and_the_rest_waits_for_a_person() {
        let now = UtcMillis(1_000);
        let after = |tries, error: DirectoryWriteError| after(Task { tries, ..task() }, Err(error), now);
        let waits = |tries, error| {
            let task = after(tries, error);
            (task.state, task.due_at.map(|due| due.since(now)))
        };
        let waiting = |wait| (WAITING.to_owned(), Some(wait));
        assert_eq!(waits(0, DirectoryError::Slow.into()), waiting(60_000));
        assert_eq!(waits(3, DirectoryError::Slow.into()), waiting(480_000));
        assert_eq!(waits(40, DirectoryError::Slow.into()), waiting(6 * 3_600_000));
        assert_eq!(waits(0, refused(BindRefusal::Locked)), waiting(REFUSED_MS));
        for error in [
            refused(BindRefusal::Credentials),
            refused(BindRefusal::Disabled),
            refused(BindRefusal::NoRights),
            DirectoryWriteError::Refused("no right".to_owned()),
        ] {
            assert_eq!(waits(0, error.clone()), (PARKED.to_owned(), None), "{error}");
        }
        let never = after(0, DirectoryWriteError::Never("it is a domain controller".to_owned()));
        assert_eq!((never.state.as_str(), never.due_at, never.done_at), (GIVEN_UP, None, Some(now)));
    }

    #[test]
    fn a_devices_name_is_taken_where_it_can_be_a_computers_and_left_alone_otherwise() {
        let id = EnrolmentId("0199f7a0-0000-7000-8000-00abcdef0123".parse().unwrap());
        let names = |name: &str| {
            let row = Enrolment::new(id, [0; 16], "IMEI:1", AuthType::Md5, UtcMillis(0));
            names(&Enrolment { name: name.to_owned(), ..row })
        };
        let own = "PST-ABCDEF0123".to_owned();
        assert_eq!(names("phone-7"), ["PHONE-7".to_owned(), own.clone()]);
        for name in [
            "",
            "123",
            "-a",
            "a-",
            "Alice's phone",
            "a,OU=x",
            "a)(cn=*",
            "a\0",
            "ａｂ",
            "abcdefghijklmnop",
            "pst-abcdef0124",
        ] {
            assert_eq!(names(name), std::slice::from_ref(&own), "{name:?}");
        }
    }
}
