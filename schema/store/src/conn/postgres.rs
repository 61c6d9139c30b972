//! PostgreSQL without libpq: tokio-postgres under diesel-async, made synchronous on the thread that owns it.
//!
//! Each database thread has a small tokio runtime of its own, on which both the connection's task and the query
//! run while the thread waits for the query: no second thread, no hand-over. Such a connection must never be used
//! from a runtime's own thread; only the writer and reader threads do.

use std::{future::Future, net::IpAddr, time::Duration};

use diesel::connection::SimpleConnection;
use diesel_async::{
    AsyncPgConnection,
    async_connection_wrapper::{AsyncConnectionWrapper, BlockOn},
};
use tokio_postgres::config::{Config, Host, SslMode};

use super::{Purpose, tls};
use crate::{errors::StoreError, options::PostgresPlace};

/// A synchronous diesel connection to PostgreSQL in pure Rust.
pub(crate) type PgConnection = AsyncConnectionWrapper<AsyncPgConnection, OnThisThread>;

/// Runs a connection's futures on the runtime of the thread that asks.
pub(crate) struct OnThisThread;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs only a file descriptor for its poller");
}

impl BlockOn for OnThisThread {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.with(|runtime| runtime.block_on(future))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Connects and prepares the session. A reader's session cannot write.
pub(crate) fn open(
    place: &PostgresPlace,
    lock_timeout: Duration,
    purpose: Purpose,
) -> Result<PgConnection, StoreError> {
    let target = tls::Target::read(place)?;
    let inner = OnThisThread.block_on(connect(&target))?;
    let mut conn = PgConnection::from(inner);
    let lock_ms = lock_timeout.as_millis();
    // Every statement here finds its rows by a key, so a plan is made once and uses the indexes. Left to itself the
    // server plans the larger statements anew each time; and before it has analysed a young table it takes it for small,
    // makes a plan that reads it whole, and keeps that. A scan that is really due then looks dear, which must not set
    // the compiler of expressions to work.
    conn.batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off;")?;
    let only = if purpose == Purpose::Read { "on" } else { "off" };
    conn.batch_execute(&format!(
        "SET lc_messages = 'C'; SET TIME ZONE 'UTC'; SET statement_timeout = '60s'; SET lock_timeout = {lock_ms};
         SET idle_in_transaction_session_timeout = {lock_ms}; SET default_transaction_read_only = {only};"
    ))
    .or_else(|_| {
        // lc_messages is a superuser's setting before PostgreSQL 15 unless granted; error texts are then the server's.
        conn.batch_execute(&format!(
            "SET TIME ZONE 'UTC'; SET statement_timeout = '60s'; SET lock_timeout = {lock_ms};
             SET idle_in_transaction_session_timeout = {lock_ms}; SET default_transaction_read_only = {only};"
        ))
    })?;
    Ok(conn)
}

async fn connect(target: &tls::Target) -> Result<AsyncPgConnection, StoreError> {
    let lost = |e: tokio_postgres::Error| {
        let cause = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        StoreError::Lost(format!("{e}{cause}"))
    };
    let wrapped = match &target.connector {
        Some(connector) => {
            let (client, connection) = target.config.connect(connector.clone()).await.map_err(lost)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
        None => {
            let (client, connection) = target.config.connect(tokio_postgres::NoTls).await.map_err(lost)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
    };
    wrapped.map_err(|e| StoreError::Lost(e.to_string()))
}

/// Whether every host of this configuration is on this machine.
pub(super) fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    !hosts.is_empty()
        && hosts.iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        })
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// The time limits of a connection's socket: a peer that is gone is noticed within seconds.
pub(super) fn set_limits(config: &mut Config, encrypted: bool) {
    config
        .ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable })
        .application_name("postern-core")
        .connect_timeout(Duration::from_secs(5))
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
}
