//! Gateways come and go: bundles and joins, retirement.

use postern_engine::gcm::join::{Event, Refused, State, after};
use postern_store::{
    ReadError, StoreError, Tx, WriteError,
    audit::{self, Act},
    certificates as issued,
    gateway_certificates::{self as certificates, Certificate},
    gateway_joins::{self as joins, Join},
    gateways::{self, ACTIVE, JOINING},
};
use postern_wire::{
    link::{
        BlockedEntry, PortRole, WatchLine,
        join::{Grant, JoinRefusal, JoinSecret},
    },
    terms::{EnrolmentId, RevocationReason, UtcMillis},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Gcm, Leaving};

/// A gateway that is to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJoin {
    /// Its name.
    pub name: String,
    /// Where the core dials it.
    pub address: String,
    /// The names in its device port's certificate; empty: those of the devices' URL.
    pub names: Vec<String>,
    /// When the secret is worth nothing any more.
    pub expires_at: UtcMillis,
}

/// A join that is under way.
#[derive(Clone, Debug)]
pub struct OpenJoin {
    /// Its row.
    pub join: Join,
    /// Where the gateway is dialed.
    pub address: String,
    /// The one-time secret.
    pub secret: JoinSecret,
}

/// What becomes of a gateway's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinAnswer {
    /// It gets this.
    Granted(Box<Grant>),
    /// It gets nothing.
    Refused(JoinRefusal),
}

/// What a retired gateway had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Serial numbers of the certificates that were revoked, with their ports.
    pub revoked: Vec<(String, String)>,
    /// What joined the blocked list: to be told after the commit.
    pub blocked: Vec<BlockedEntry>,
}

impl Gcm {
    /// Opens a join in `tx`: a gateway of a new name, or in the place of the one before, whose certificates are revoked.
    ///
    /// # Errors
    /// Where the rows cannot be written.
    pub fn expect(
        &self,
        tx: &mut Tx,
        new: &NewJoin,
        secret: &JoinSecret,
        actor: &str,
    ) -> Result<(Uuid, Vec<BlockedEntry>), StoreError> {
        let (id, now) = (tx.fresh_id(), tx.now());
        let sealed = self.parts().sealer.seal(EnrolmentId(id), secret.expose())?;
        let (_, blocked) = revoke_all(tx, &new.name, RevocationReason::Superseded)?;
        gateways::expect(tx, &new.name, &new.address, &new.names.join("\n"))?;
        joins::open(
            tx,
            Join {
                gateway: new.name.clone(),
                id,
                secret: Some(sealed.into_octets()),
                state: joins::OPEN.to_owned(),
                key_hash: None,
                failures: 0,
                last_error: None,
                created_at: now,
                created_by: actor.to_owned(),
                expires_at: new.expires_at,
                ended_at: None,
            },
        )?;
        Ok((id, blocked))
    }

    /// The joins that are under way.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub async fn joins(&self) -> Result<Vec<OpenJoin>, ReadError> {
        let rows = self
            .parts()
            .store
            .read(|r| {
                let mut rows = Vec::new();
                for join in joins::under_way(r)? {
                    let address = gateways::find(r, &join.gateway)?.map(|gateway| gateway.address);
                    rows.extend(address.map(|address| (join, address)));
                }
                Ok(rows)
            })
            .await?;
        let open = |(join, address): (Join, String)| {
            let secret = self.secret(&join)?;
            Some(OpenJoin { join, address, secret })
        };
        Ok(rows.into_iter().filter_map(open).collect())
    }

    fn secret(&self, join: &Join) -> Option<JoinSecret> {
        let opened = self.parts().sealer.open(EnrolmentId(join.id), join.secret.as_deref()?);
        opened.ok()?.as_slice().try_into().ok().map(JoinSecret::new)
    }

    /// A gateway has proved the secret and wants these signed. The rows are committed before it is told.
    ///
    /// # Errors
    /// Where the rows cannot be written; it may try again.
    pub async fn grant(
        &self,
        join: &Join,
        link_request: &str,
        server_request: &str,
    ) -> Result<JoinAnswer, WriteError> {
        let now = self.now();
        let gcm = self.clone();
        let (join, link, server) = (join.clone(), link_request.to_owned(), server_request.to_owned());
        let answer = self
            .parts()
            .store
            .write(move |tx| {
                let Some(open) = joins::find(tx, &join.gateway)?.filter(|open| open.id == join.id) else {
                    return Ok(JoinAnswer::Refused(JoinRefusal::Closed));
                };
                gcm.grant_in(tx, &open, &link, &server, now)
            })
            .await?;
        self.wake();
        Ok(answer)
    }

    fn grant_in(
        &self,
        tx: &mut Tx,
        join: &Join,
        link: &str,
        server: &str,
        now: UtcMillis,
    ) -> Result<JoinAnswer, StoreError> {
        let refused = |reason| Ok(JoinAnswer::Refused(reason));
        if join.expires_at <= now {
            return refused(JoinRefusal::Expired);
        }
        let authority = &self.parts().authority;
        let Ok(key) = authority.key_of(link) else { return refused(JoinRefusal::Request) };
        let state = State::parse(&join.state).unwrap_or(State::Closed);
        let same_key = join.key_hash.as_ref().is_none_or(|before| *before == key);
        match after(state, Event::Proved { same_key }) {
            Ok(_) => {}
            Err(Refused::OtherKey) => {
                joins::failed(
                    tx,
                    &join.gateway,
                    "another key was certified with this secret already",
                    false,
                )?;
                note(tx, &join.gateway, "gateways.join", "refused", &json!({"because": "other-key"}))?;
                return refused(JoinRefusal::OtherKey);
            }
            Err(Refused::Ended) => return refused(JoinRefusal::Closed),
        }
        let gateway = gateways::find(tx, &join.gateway)?.ok_or(StoreError::NotFound("gateway"))?;
        let link = self.certify(tx, &gateway, PortRole::Link, link, now)?;
        let server = self.certify(tx, &gateway, PortRole::Server, server, now)?;
        let (Ok(link), Ok(server)) = (link, server) else { return refused(JoinRefusal::Later) };
        joins::grant(tx, &join.gateway, &key)?;
        if state == State::Open {
            let detail = json!({"link_certificate": link.serial, "server_certificate": server.serial});
            note(tx, &join.gateway, "gateways.join", "granted", &detail)?;
        }
        let anchors = authority.anchors();
        Ok(JoinAnswer::Granted(Box::new(Grant {
            link_certificate: link.chain,
            link_authority: anchors.link,
            server_certificate: server.chain,
            device_authority: anchors.device,
        })))
    }

    /// A proof that did not hold, or another failure of a try.
    pub async fn join_failed(&self, gateway: &str, why: &str, unproved: bool) {
        let (name, why) = (gateway.to_owned(), why.to_owned());
        let noted = self
            .parts()
            .store
            .write(move |tx| {
                let failures = joins::failed(tx, &name, &why, unproved)?;
                if unproved {
                    note(
                        tx,
                        &name,
                        "gateways.join",
                        "refused",
                        &json!({"because": why, "failures": failures}),
                    )?;
                    if after(State::Open, Event::Unproved { failures }) == Ok(State::Closed) {
                        joins::end(tx, &name, joins::CLOSED)?;
                    }
                }
                Ok(())
            })
            .await;
        if let Err(error) = noted {
            tracing::debug!(%error, gateway, "a failed join is not noted");
        }
    }

    /// The gateway has its certificates.
    ///
    /// # Errors
    /// Where the rows cannot be written; its first link says the same.
    pub async fn joined(&self, gateway: &str) -> Result<(), WriteError> {
        let name = gateway.to_owned();
        self.parts().store.write(move |tx| join_done(tx, &name).map(drop)).await?;
        self.wake();
        Ok(())
    }

    /// Ends joins whose gateways are connected or whose time is over, and dials who is to be dialed.
    pub(super) async fn look_after_members(&self) {
        let (connected, now) = (self.parts().fleet.connected(), self.now());
        let under_way = match self.parts().store.read(joins::under_way).await {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "joins are looked at later"),
        };
        for join in under_way {
            let here = connected.contains(&join.gateway) && join.state == joins::GRANTED;
            let over = join.expires_at <= now;
            if !here && !over {
                continue;
            }
            let name = join.gateway.clone();
            let ended = self
                .parts()
                .store
                .write(
                    move |tx| {
                        if here { join_done(tx, &name) } else { joins::end(tx, &name, joins::EXPIRED) }
                    },
                )
                .await;
            if let Err(error) = ended {
                tracing::warn!(%error, gateway = join.gateway, "the end of a join is noted later");
            }
        }
        self.redial().await;
    }

    /// Sends a line to a gateway.
    pub fn tell(&self, gateway: &str, line: WatchLine) {
        self.parts().fleet.send(gateway, line);
    }

    /// Retires a gateway in `tx`: its certificates are revoked and it is dialed no more.
    ///
    /// # Errors
    /// Where the rows cannot be written.
    pub fn retire(tx: &mut Tx, gateway: &str, because: &str) -> Result<Retired, StoreError> {
        gateways::retire(tx, gateway, because)?;
        joins::end(tx, gateway, joins::CLOSED)?;
        let (revoked, blocked) = revoke_all(tx, gateway, RevocationReason::CessationOfOperation)?;
        let told = |kept: Certificate| (kept.role, kept.serial.unwrap_or_default());
        Ok(Retired { revoked: revoked.into_iter().map(told).collect(), blocked })
    }

    /// A gateway says that it has put everything away.
    pub fn take_retired(&self, gateway: &str) {
        let mut seen = self.seen();
        if !seen.retired.iter().any(|known| known == gateway) {
            seen.retired.push(gateway.to_owned());
        }
    }

    /// Keeps the links of a gateway that is about to be retired, until [`Gcm::let_go`] has told it, or this is dropped.
    #[must_use]
    pub fn leaving(&self, gateway: &str) -> Leaving {
        self.seen().leaving.push(gateway.to_owned());
        Leaving { gcm: self.clone(), gateway: gateway.to_owned() }
    }

    /// Tells a retired gateway so, waits until it has put everything away, at most `limit`, and lets its links go. Whether it
    /// has said so.
    pub async fn let_go(&self, leaving: Leaving, limit: std::time::Duration) -> bool {
        let gateway = leaving.gateway.clone();
        let gateway = gateway.as_str();
        self.seen().retired.retain(|known| known != gateway);
        let said = async {
            loop {
                self.tell(gateway, WatchLine::Retired);
                for _ in 0..20 {
                    if self.seen().retired.iter().any(|known| known == gateway) {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        };
        let connected = self.parts().fleet.connected().iter().any(|known| known == gateway);
        let told = connected && tokio::time::timeout(limit, said).await.is_ok();
        drop(leaving);
        self.hang_up(gateway).await;
        told
    }

    /// Ends a gateway's links and forgets how it was; it is dialed again if it is to be.
    pub async fn hang_up(&self, gateway: &str) {
        let mut dialed = self.dialed().await.unwrap_or_default();
        dialed.retain(|other| other.name != gateway);
        self.parts().fleet.dial(dialed);
        self.seen().beats.remove(gateway);
        self.redial().await;
    }
}

/// Revokes all that a gateway holds: its links are refused, and the CRLs name it.
fn revoke_all(
    tx: &mut Tx,
    gateway: &str,
    reason: RevocationReason,
) -> Result<(Vec<Certificate>, Vec<BlockedEntry>), StoreError> {
    let revoked = certificates::revoke_all(tx, gateway)?;
    let mut blocked = Vec::new();
    for serial in revoked.iter().filter_map(|kept| kept.serial.as_deref()) {
        match issued::revoke(tx, serial, reason) {
            Ok(revoked) => blocked.extend(revoked.blocked),
            // Of a CA of others, or revoked by somebody before.
            Err(StoreError::NotFound(_) | StoreError::Refused(_) | StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((revoked, blocked))
}

fn join_done(tx: &mut Tx, gateway: &str) -> Result<bool, StoreError> {
    let ended = joins::end(tx, gateway, joins::DONE)?;
    let row = gateways::find(tx, gateway)?;
    if row.is_some_and(|row| row.state == JOINING) {
        gateways::set_state(tx, gateway, ACTIVE)?;
        note(tx, gateway, "gateways.join", "joined", &Value::Null)?;
    }
    Ok(ended)
}

pub(super) fn note(
    tx: &mut Tx,
    gateway: &str,
    action: &str,
    outcome: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    let act = Act {
        actor: format!("gateway:{gateway}"),
        action: action.to_owned(),
        object: format!("gateway:{gateway}"),
        outcome: outcome.to_owned(),
        detail: if detail.is_null() { String::new() } else { detail.to_string() },
        ..Act::default()
    };
    audit::append(tx, act).map(drop)
}
