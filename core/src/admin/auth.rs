//! Who asks: bearer tokens, looked up by their SHA-256, judged by expiry, revocation, network and admin.
//!
//! Promise: a token's text is compared by its hash in constant time and never logged; failures are counted by
//! address, and an address with too many is refused before the database is asked, unless its token was good
//! lately. Both memories are bounded.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use actix_web::http::header::HeaderMap;
use postern_actors::AuditActor;
use postern_api::{Permission, permissions::allows, problem::Slug, tokens::PREFIX};
use postern_store::{admins, roles, tokens};
use postern_wire::{
    link::Network,
    terms::{Role, UtcMillis},
};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::problem::Refused;
use crate::inside::Inside;

/// Addresses whose failures are remembered.
const ADDRESSES: usize = 10_000;
/// Tokens whose last use waits to be written.
const USES: usize = 10_000;
/// How long failures count, and how long a good sign-in is remembered.
const WINDOW_MS: i64 = 60_000;

/// The header of a request that is to go by break-glass: `yes`.
const BREAK_GLASS: &str = "postern-break-glass";

/// Who asks, in which request. Made by the guard, taken by handlers.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) admin: admins::Admin,
    pub(crate) roles: Vec<Role>,
    pub(crate) token: Uuid,
    pub(crate) scope: Option<Vec<Permission>>,
    pub(crate) source: IpAddr,
    pub(crate) request: Uuid,
    /// The row's operation: the audit action.
    pub(crate) operation: &'static str,
    /// The request's Idempotency-Key.
    pub(crate) once: Option<Once>,
    /// Whether the request asks to go by break-glass.
    pub(crate) break_glass: bool,
}

/// Who asks without a token, which one route takes. Made by the guard, taken by its handler.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    pub(crate) source: IpAddr,
    pub(crate) request: Uuid,
    pub(crate) operation: &'static str,
}

/// A request that is to be done once.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    pub(crate) key: String,
    /// SHA-256 over method, path and body.
    pub(crate) request: [u8; 32],
}

impl Caller {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        allows(&self.roles, self.scope.as_deref(), permission)
    }

    pub(crate) fn require(&self, permission: Permission) -> Result<(), Refused> {
        if self.may(permission) {
            return Ok(());
        }
        Err(Refused::new(
            Slug::Forbidden,
            format!("{} needs the permission {}", self.operation, permission.as_str()),
        ))
    }

    /// How the audit names the caller.
    pub(crate) fn name(&self) -> String {
        format!("admin:{}", self.admin.name)
    }

    pub(crate) fn actor(&self) -> AuditActor {
        let source = Some(self.source.to_string());
        AuditActor {
            request: Some(self.request.to_string()),
            token: Some(self.token),
            break_glass: self.break_glass,
            ..AuditActor::admin(&self.admin.name, source)
        }
    }
}

/// Sign-ins of late.
#[derive(Debug, Default)]
pub struct SignIns {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    good: Mutex<HashMap<Uuid, Good>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: UtcMillis,
    count: u32,
}

#[derive(Clone, Debug)]
struct Good {
    hash: [u8; 32],
    at: UtcMillis,
    from: IpAddr,
    written: bool,
}

impl SignIns {
    /// Whether this address may try now.
    fn may_try(&self, address: IpAddr, hash: &[u8; 32], now: UtcMillis, most: u32) -> Result<(), Refused> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(failed) = failures.get(&key(address)).filter(|failed| now.since(failed.since) < WINDOW_MS)
        else {
            return Ok(());
        };
        if failed.count < most || self.was_good(hash, address, now) {
            return Ok(());
        }
        let wait = u32::try_from((WINDOW_MS - now.since(failed.since)).max(1000) / 1000).unwrap_or(60);
        Err(Refused::new(Slug::RateLimited, format!("too many failed sign-ins from {address}"))
            .retry_after(wait))
    }

    /// Whether this address may give a password once more.
    pub(crate) fn may_reauthenticate(
        &self,
        address: IpAddr,
        now: UtcMillis,
        most: u32,
    ) -> Result<(), Refused> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.get(&key(address)).filter(|failed| now.since(failed.since) < WINDOW_MS);
        if failed.is_some_and(|failed| failed.count >= most) {
            let why = format!("too many wrong passwords from {address}");
            return Err(Refused::new(Slug::RateLimited, why).retry_after(60));
        }
        Ok(())
    }

    pub(crate) fn failed(&self, address: IpAddr, now: UtcMillis) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, failed| now.since(failed.since) < WINDOW_MS);
            if failures.len() >= ADDRESSES {
                failures.clear();
            }
        }
        let failed = failures.entry(key(address)).or_insert(Failures { since: now, count: 0 });
        if now.since(failed.since) >= WINDOW_MS {
            *failed = Failures { since: now, count: 0 };
        }
        failed.count = failed.count.saturating_add(1);
    }

    fn was_good(&self, hash: &[u8; 32], address: IpAddr, now: UtcMillis) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.values().any(|good| {
            bool::from(good.hash.ct_eq(hash)) && good.from == address && now.since(good.at) < 10 * WINDOW_MS
        })
    }

    fn succeeded(&self, token: Uuid, hash: [u8; 32], address: IpAddr, now: UtcMillis) {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= USES && !good.contains_key(&token) {
            good.retain(|_, good| now.since(good.at) < WINDOW_MS);
        }
        good.insert(token, Good { hash, at: now, from: address, written: false });
    }

    /// The uses that were not written yet; they count as written from now on.
    pub(crate) fn take_uses(&self) -> Vec<tokens::Use> {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.iter_mut()
            .filter(|(_, good)| !good.written)
            .map(|(id, good)| {
                good.written = true;
                tokens::Use { id: *id, at: good.at, from: good.from.to_string() }
            })
            .collect()
    }
}

/// An IPv6 /64 counts as one address.
fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}

/// Finds out who asks.
pub(crate) async fn sign_in(
    inside: &Inside,
    headers: &HeaderMap,
    source: IpAddr,
    request: Uuid,
    operation: &'static str,
) -> Result<Caller, Refused> {
    let now = inside.now();
    let hash = tokens::hash(bearer(headers).unwrap_or_default().as_bytes());
    inside.sign_ins.may_try(source, &hash, now, inside.config.admin.failures_per_minute)?;
    if bearer(headers).is_none() {
        inside.sign_ins.failed(source, now);
        return Err(unauthenticated("send Authorization: Bearer with a token"));
    }
    let found = inside
        .store
        .read(move |r| {
            let Some(token) = tokens::by_hash(r, &hash)? else { return Ok(None) };
            let Some(admin) = admins::find(r, token.admin)? else { return Ok(None) };
            let roles = roles::of(r, admin.id)?;
            Ok(Some((token, admin, roles)))
        })
        .await?;
    let judged = match found {
        Some((token, admin, roles)) if bool::from(token.hash.ct_eq(&hash)) => {
            judge(&token, &admin, source, now).map(|()| (token, admin, roles))
        }
        _ => Err("the token is not known"),
    };
    match judged {
        Ok((token, admin, grants)) => {
            inside.sign_ins.succeeded(token.id, hash, source, now);
            Ok(Caller {
                admin,
                roles: grants.into_iter().map(|grant| grant.role).collect(),
                token: token.id,
                scope: scope(&token.scope),
                source,
                request,
                operation,
                once: None,
                break_glass: headers.get(BREAK_GLASS).is_some_and(|value| value == "yes"),
            })
        }
        Err(reason) => {
            inside.sign_ins.failed(source, now);
            tracing::info!(%source, request = %request, reason, "sign-in refused");
            // One sentence for all: which part did not hold is for the log.
            Err(unauthenticated(
                "the token does not hold: it is unknown, expired, revoked, or not for this network",
            ))
        }
    }
}

fn unauthenticated(detail: &str) -> Refused {
    Refused::new(Slug::Unauthenticated, detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("authorization");
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && token.starts_with(PREFIX) && token.len() <= 128;
    fits.then_some(token)
}

fn judge(
    token: &tokens::Token,
    admin: &admins::Admin,
    source: IpAddr,
    now: UtcMillis,
) -> Result<(), &'static str> {
    if token.revoked_at.is_some() {
        return Err("revoked");
    }
    if token.expires_at.is_some_and(|at| at <= now) {
        return Err("expired");
    }
    if admin.disabled_at.is_some() {
        return Err("the admin is disabled");
    }
    if !networks(&token.networks).is_some_and(|networks| {
        networks.is_empty() || networks.iter().any(|network| network.contains(source))
    }) {
        return Err("from another network");
    }
    Ok(())
}

/// The networks of a token's column; `None` when one cannot be read, which lets nobody in.
pub(crate) fn networks(column: &str) -> Option<Vec<Network>> {
    column.split(',').filter(|text| !text.is_empty()).map(|text| text.trim().parse().ok()).collect()
}

/// The scope of a token's column: `*` is no narrowing; a permission that is not known narrows to nothing.
pub(crate) fn scope(column: &str) -> Option<Vec<Permission>> {
    (column != "*").then(|| column.split(',').filter_map(Permission::parse).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_000_000);

    fn token() -> tokens::Token {
        tokens::Token {
            id: Uuid::nil(),
            admin: Uuid::nil(),
            label: String::new(),
            hash: [0; 32],
            scope: "*".into(),
            networks: String::new(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            last_used_from: None,
            may_approve_from: NOW,
        }
    }

    fn admin() -> admins::Admin {
        admins::Admin {
            id: Uuid::nil(),
            name: "a".into(),
            password: None,
            created_at: NOW,
            created_by: String::new(),
            may_approve_from: NOW,
            disabled_at: None,
            revision: 1,
        }
    }

    #[test]
    fn a_token_holds_until_it_is_expired_revoked_disabled_or_elsewhere() {
        let here: IpAddr = "10.1.2.3".parse().unwrap();
        let with = |change: &dyn Fn(&mut tokens::Token, &mut admins::Admin)| {
            let (mut token, mut admin) = (token(), admin());
            change(&mut token, &mut admin);
            judge(&token, &admin, here, NOW).is_ok()
        };
        assert!(with(&|_, _| {}));
        assert!(with(&|token, _| token.expires_at = Some(NOW.plus(1))));
        assert!(with(&|token, _| token.networks = "192.0.2.0/24,10.0.0.0/8".into()));
        assert!(!with(&|token, _| token.expires_at = Some(NOW)));
        assert!(!with(&|token, _| token.revoked_at = Some(NOW)));
        assert!(!with(&|_, admin| admin.disabled_at = Some(NOW)));
        assert!(!with(&|token, _| token.networks = "192.0.2.0/24".into()));
        assert!(!with(&|token, _| token.networks = "nonsense".into()));
    }

    #[test]
    fn an_address_with_too_many_failures_waits_unless_its_token_was_good_lately() {
        let sign_ins = SignIns::default();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        sign_ins.succeeded(Uuid::nil(), [1; 32], address, NOW);
        for _ in 0..3 {
            sign_ins.failed(neighbour, NOW);
        }
        assert!(sign_ins.may_try(address, &[2; 32], NOW, 3).is_err());
        assert!(sign_ins.may_try(address, &[1; 32], NOW, 3).is_ok());
        assert!(sign_ins.may_try(address, &[2; 32], NOW.plus(WINDOW_MS), 3).is_ok());
    }

    #[test]
    fn a_scope_of_unknown_words_narrows_to_nothing() {
        assert_eq!(scope("*"), None);
        assert_eq!(scope("wizardry"), Some(vec![]));
    }

    #[test]
    fn the_last_use_of_a_token_is_written_once() {
        let sign_ins = SignIns::default();
        sign_ins.succeeded(Uuid::nil(), [1; 32], "::1".parse().unwrap(), NOW);
        assert_eq!(sign_ins.take_uses().len(), 1);
        assert_eq!(sign_ins.take_uses().len(), 0);
    }
}
