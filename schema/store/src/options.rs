//! Where a store rests and how it behaves.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use uuid::Uuid;

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A SQLite file (its `-wal` and `-shm` lie beside it); made when it is not there.
    Sqlite {
        /// The file. Its folder must exist and be on a local disk.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres(PostgresPlace),
}

/// How a PostgreSQL server is reached. TLS with full verification, unless the URL says `sslmode=disable`, which
/// is accepted for unix sockets and loopback addresses only.
#[derive(Clone, Debug)]
pub struct PostgresPlace {
    /// `postgresql://user:password@host:port/database?...`, as libpq has it. `sslmode` may be `verify-full`
    /// (the default) or `disable`; `sslrootcert`, `sslcert` and `sslkey` are read as file paths.
    pub url: SecretString,
    /// PEM file of the authorities that the server's certificate must come from; over `sslrootcert`.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate chain; over `sslcert`.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of the client's key (PKCS#8, SEC1 or PKCS#1); over `sslkey`.
    pub client_key_file: Option<PathBuf>,
}

impl PostgresPlace {
    /// The server at this URL, certificates by its parameters.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
        }
    }
}

/// How a store behaves. [`Options::new`] has the defaults, which are the documented ones.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database is.
    pub place: Place,
    /// Who holds the epoch when this store is active: a fresh id for each start of a process.
    pub holder: Uuid,
    /// Writes that may wait; more are refused with `Overloaded`. 8192.
    pub queue_limit: usize,
    /// Urgent writes (wipes) that may wait on top of a full queue. 256.
    pub urgent_reserve: usize,
    /// Writes in one transaction at most. 256.
    pub batch_limit: usize,
    /// How long a batch that is not full waits for company. 2 ms.
    pub batch_linger: Duration,
    /// Threads that read, each with a connection. 4.
    pub readers: usize,
    /// Reads that may wait; more are refused with `Overloaded`. 4096.
    pub read_queue_limit: usize,
    /// How long writes are held while the database is away, before they are refused with `Unavailable`. 30 s.
    pub retry_for: Duration,
    /// How often the active core renews its epoch. 2 s.
    pub renew_every: Duration,
    /// How often a standby looks. 1 s.
    pub poll_every: Duration,
    /// A holder that has not renewed for this long is taken over from. 5 s.
    pub patience: Duration,
    /// Finished batches are remembered for this long, for the retry after a lost COMMIT. 10 min.
    pub keep_batches_for: Duration,
    /// How long a statement waits for a lock on SQLite, or a session may idle inside a transaction on
    /// PostgreSQL (shorter than `patience`, so that a hung core cannot block its successor). 3 s.
    pub lock_timeout: Duration,
    /// Octets kept in a file beside a SQLite database, given up when the disk is full and an urgent write needs
    /// them; 0 for none. 8 MiB.
    pub disk_reserve: u64,
}

impl Options {
    /// The defaults for a database at `place`, held as `holder`.
    #[must_use]
    pub const fn new(place: Place, holder: Uuid) -> Self {
        Self {
            place,
            holder,
            queue_limit: 8192,
            urgent_reserve: 256,
            batch_limit: 256,
            batch_linger: Duration::from_millis(2),
            readers: 4,
            read_queue_limit: 4096,
            retry_for: Duration::from_secs(30),
            renew_every: Duration::from_secs(2),
            poll_every: Duration::from_secs(1),
            patience: Duration::from_secs(5),
            keep_batches_for: Duration::from_secs(600),
            lock_timeout: Duration::from_secs(3),
            disk_reserve: 8 << 20,
        }
    }
}
