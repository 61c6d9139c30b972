//! `posternctl conformance …`: runs the conformance cases and prints what they came to.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use crate::{
    args::Connection,
    client::Client,
    conformance::{
        account::Account,
        client::{self, Driver, Listener, driver},
        http::Identity,
        operator::{Operator, Postern, Program},
        report::{self, Report},
        run::{self, Choice},
        server, table,
        variant::Variants,
    },
    failure::{Exit, Failure},
    files,
    output::{self, Output},
};

/// What can be tested. Exit code 1 when a case fails that no explanation excuses.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// The cases on octets, against this program's own codec. Needs no network.
    Codec(Cases),
    /// The cases that play a client, against a server of OMA DM.
    ///
    /// With --url and --token-file (those of Postern's admin API) each case has a test device of its own; with
    /// --operator a program of yours enrols and queues; with --account alone, what needs an operator does not apply.
    Server(ServerCases),
    /// The cases that play a server, for a client of OMA DM.
    ///
    /// With --client a program of yours makes the client open sessions; without, a person does: each session that the
    /// client opens is used for the next case, and the account to type in is printed first.
    Client(ClientCases),
    /// The table of cases, without running any.
    List(Cases),
}

/// Arguments of `conformance server`.
#[derive(Debug, Args)]
pub struct ServerCases {
    /// The DM server's address, where --account has none: https://HOST[:PORT]/PATH.
    pub server: Option<String>,
    /// The test device's account in TOML or JSON: server_uri, device_id, server_id, auth, user, password, server_password, ca_pem.
    #[arg(long, value_name = "FILE")]
    pub account: Option<PathBuf>,
    /// A program that enrols test devices and queues commands: the verb as its argument, JSON on stdin and stdout.
    #[arg(long, value_name = "CMD", conflicts_with = "account")]
    pub operator: Option<String>,
    /// Which cases.
    #[command(flatten)]
    pub cases: Cases,
}

/// Arguments of `conformance client`.
#[derive(Debug, Args)]
pub struct ClientCases {
    /// Where to listen.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// The name or address by which the client connects here.
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// The certificate to show, with its chain, in PEM; without it one is made.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's key in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// A program that makes the client open sessions: the verb as its argument, JSON on stdin.
    #[arg(long, value_name = "CMD")]
    pub client: Option<String>,
    /// The interior node under which the cases may add nodes.
    #[arg(long, default_value = "./Settings", value_name = "URI")]
    pub root: String,
    /// Seconds that the client may take to open a session or to go on.
    #[arg(long, default_value_t = 600)]
    pub patience: u64,
    /// Which cases.
    #[command(flatten)]
    pub cases: Cases,
}

/// Which cases.
#[derive(Debug, Args)]
pub struct Cases {
    /// Only these: ids or their beginnings, such as SRV or SEC-0.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Put each case's mutant between it and its peer: every case that applies has to fail.
    #[arg(long)]
    pub mutate: bool,
    /// A file of failures that are expected: `ID: why` on each line.
    #[arg(long, value_name = "FILE")]
    pub explain: Option<PathBuf>,
    /// Write the report as Markdown to this file too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

impl Action {
    /// Does it.
    pub fn run(self, connection: &Connection, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Codec(cases) => {
                let report = run::codec(&cases.choice()?);
                cases.tell(&report, output)
            }
            Self::Server(server) => server.run(connection, output),
            Self::Client(client) => client.run(output),
            Self::List(cases) => {
                let choice = cases.choice()?;
                let rows = table::rows().filter(|row| choice.takes(row));
                let lines: Vec<_> = rows.map(|row| report::Line::new(row, Vec::new(), None)).collect();
                output.answer(&lines, |lines| {
                    output::table(
                        ["ID", "BY", "SECTION", "RULE"],
                        lines.iter().map(|line| {
                            let by = format!("{:?}", line.obligation);
                            [line.id.to_owned(), by, line.section.to_owned(), line.rule.to_owned()]
                        }),
                    )
                })?;
                Ok(Exit::Done)
            }
        }
    }
}

impl ServerCases {
    fn run(self, connection: &Connection, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let choice = self.cases.choice()?;
        let account = match &self.account {
            Some(path) => {
                let mut account = Account::read(path)
                    .map_err(|what| Failure::invalid("account", format!("{}: {what}", path.display())))?;
                account.server_uri = self.server.clone().unwrap_or(account.server_uri);
                Some(account)
            }
            None => None,
        };
        let operator: Option<Box<dyn Operator>> = match (&self.operator, connection.url.is_some()) {
            (Some(path), _) => Some(Box::new(Program { path: path.clone() })),
            (None, true) => {
                let operator = Postern::new(Client::new(connection)?);
                Some(Box::new(
                    operator.map_err(|error| Failure::new(Exit::Refused, "internal", error.to_string()))?,
                ))
            }
            (None, false) => None,
        };
        if account.is_none() && operator.is_none() {
            return Err(Failure::usage(
                "give --account, --operator, or --url and --token-file of Postern's admin API",
            ));
        }
        let peer = self.server.clone().or_else(|| account.as_ref().map(|account| account.server_uri.clone()));
        let peer = peer.or_else(|| connection.url.clone()).unwrap_or_default();
        let mut target = server::Target { account, operator, run: run_id(), enrolled: 0 };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let report = run::server(&choice, peer, &mut target, &mut |line| {
            output.remark(&format!("{} {}", line.id, line.verdict));
        });
        self.cases.tell(&report, output)
    }
}

impl ClientCases {
    fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let choice = self.cases.choice()?;
        let identity = match self.certificate.as_deref().zip(self.key.as_deref()) {
            Some((certificate, key)) => {
                Some(Identity { certificate_pem: files::text(certificate)?, key_pem: files::text(key)? })
            }
            None => None,
        };
        let mut listener = Listener::open(self.listen, &self.host, identity.as_ref())
            .map_err(|error| Failure::invalid("listen", format!("{}: {error}", self.listen)))?;
        listener.patience = Duration::from_secs(self.patience);
        let driver: Box<dyn Driver> = match &self.client {
            Some(path) => Box::new(driver::Program::new(path.clone())),
            None => Box::new(driver::Person),
        };
        let peer = self.client.clone().unwrap_or_else(|| "a client".to_owned());
        let mut target = client::Target { listener, driver, root: self.root.clone(), waiting: None };
        let variant = Variants::Once.each().into_iter().next().ok_or_else(|| Failure::usage("no variant"))?;
        let account = client::Bench::new(variant, &mut target, None).input(&client::Setup::default());
        output.remark(&format!("the account: {account:#}"));
        let report = run::client(&choice, peer, &mut target, &mut |line| {
            output.remark(&format!("{} {}", line.id, line.verdict));
        });
        self.cases.tell(&report, output)
    }
}

/// Tells the devices of this run from those of every other.
#[expect(clippy::disallowed_methods, reason = "the edge: a number that tells this run from all others")]
fn run_id() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

impl Cases {
    fn choice(&self) -> Result<Choice, Failure> {
        let explanations = match &self.explain {
            Some(path) => {
                let text = files::text(path)?;
                report::explanations(&text).map_err(|what| Failure::invalid("explain", what))?
            }
            None => std::collections::BTreeMap::new(),
        };
        Ok(Choice { only: self.only.clone(), mutate: self.mutate, explanations })
    }

    fn tell(&self, report: &Report, output: &mut Output<'_>) -> Result<Exit, Failure> {
        if let Some(path) = &self.markdown {
            std::fs::write(path, report.markdown()).map_err(|error| Failure::file(path, &error))?;
        }
        output.answer(report, |report| {
            let rows = report.cases.iter().map(|line| {
                let verdict = line.verdict.to_string();
                [line.id.to_owned(), verdict, line.section.to_owned(), line.rule.to_owned(), line.reason()]
            });
            let table = output::table(["ID", "VERDICT", "SECTION", "RULE", "REASON"], rows);
            format!("{table}\n\n{}", report.summary())
        })?;
        Ok(if report.is_bad() { Exit::Refused } else { Exit::Done })
    }
}
