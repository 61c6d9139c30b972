//! A TCP proxy with faults: delay, throttle, cut after N octets, reset, silence, refusal.
//!
//! Faults can be changed while connections are open; they hold from the next octets on. `tc netem` is not in
//! every kernel, and a proxy can be driven from the test itself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    runtime::Runtime,
    sync::{Notify, watch},
};

/// What goes wrong. The default is a plain proxy.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Each piece of data waits this long, in each direction.
    pub delay: Duration,
    /// At most this many octets a second, in each direction.
    pub octets_per_second: Option<u64>,
    /// The connection ends after this many octets towards the server.
    pub cut_upstream_after: Option<u64>,
    /// The connection ends after this many octets towards the client.
    pub cut_downstream_after: Option<u64>,
    /// Connections end with RST instead of FIN.
    pub reset: bool,
    /// Connections stay open and nothing passes: a peer that vanished without a word.
    pub silent: bool,
    /// New connections are closed at once.
    pub refuse: bool,
}

/// A running proxy before one address. Dropping it ends its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    cut: watch::Sender<u64>,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    upstream: AtomicU64,
    downstream: AtomicU64,
}

impl FaultProxy {
    /// Listens on a free loopback port and passes everything to `server`.
    #[must_use]
    pub fn before(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (faults, watched) = watch::channel(Faults::default());
        let (cut, cuts) = watch::channel(0);
        let counts = Arc::new(Counts::default());
        runtime.spawn(serve(listener, server, watched, cuts, Arc::clone(&counts)));
        Self { address, faults, cut, counts, runtime: Some(runtime) }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the faults for open and new connections.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Ends every open connection now: with RST when the faults say so, else with FIN.
    pub fn cut_all(&self) {
        self.cut.send_modify(|generation| *generation += 1);
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Octets that went to the server and to the client so far.
    #[must_use]
    pub fn octets(&self) -> (u64, u64) {
        (self.counts.upstream.load(Ordering::Relaxed), self.counts.downstream.load(Ordering::Relaxed))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    faults: watch::Receiver<Faults>,
    cuts: watch::Receiver<u64>,
    counts: Arc<Counts>,
) {
    while let Ok((client, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        if faults.borrow().refuse {
            end(&client, faults.borrow().reset);
            continue;
        }
        tokio::spawn(connection(client, server, faults.clone(), cuts.clone(), Arc::clone(&counts)));
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    faults: watch::Receiver<Faults>,
    mut cuts: watch::Receiver<u64>,
    counts: Arc<Counts>,
) {
    let Ok(upstream) = TcpStream::connect(server).await else { return end(&client, true) };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    cuts.mark_unchanged();
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = upstream.into_split();

    let limit = Notify::new();

    let ended_by_fault = tokio::select! {
        () = async {
            tokio::join!(
                pump(&mut client_read, &mut server_write, &faults, &counts.upstream, &limit, |f| f.cut_upstream_after),
                pump(&mut server_read, &mut client_write, &faults, &counts.downstream, &limit, |f| f.cut_downstream_after),
            );
        } => false,
        () = limit.notified() => true,
        _ = cuts.changed() => true,
    };

    let reset = ended_by_fault && faults.borrow().reset;
    for half in [client_read.reunite(client_write), server_read.reunite(server_write)].into_iter().flatten() {
        end(&half, reset);
    }
}

/// One direction, until its sender ends or its limit is reached (then it waits for the whole to be cut).
async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    faults: &watch::Receiver<Faults>,
    total: &AtomicU64,
    limit_reached: &Notify,
    limit: impl Fn(&Faults) -> Option<u64>,
) {
    let mut passed = 0_u64;
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut piece).await {
        if length == 0 {
            break;
        }
        let now = faults.borrow().clone();
        if now.silent {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(now.delay).await;
        let left = limit(&now).map_or(u64::MAX, |limit| limit.saturating_sub(passed));
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        if write(to, &piece[..length], now.octets_per_second).await.is_err() {
            break;
        }
        passed += length as u64;
        total.fetch_add(length as u64, Ordering::Relaxed);
        if left <= length as u64 {
            limit_reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
    let _ = to.shutdown().await;
}

async fn write(to: &mut OwnedWriteHalf, data: &[u8], octets_per_second: Option<u64>) -> std::io::Result<()> {
    let Some(rate) = octets_per_second else { return to.write_all(data).await };
    let slice = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
    for part in data.chunks(slice) {
        to.write_all(part).await?;
        tokio::time::sleep(Duration::from_secs_f64(part.len() as f64 / rate as f64)).await;
    }
    Ok(())
}

fn end(stream: &TcpStream, reset: bool) {
    if reset {
        let _ = stream.set_zero_linger();
    }
}
