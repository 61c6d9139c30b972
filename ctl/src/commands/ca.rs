//! `posternctl ca …`: CAs, their roll-over, the certificates that they issued, and CRLs.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use postern_api::ca::{
    CaRequest, CaStatus, Certificate, CertificateAuthority, CertificateQuery, Crl, ImportCa, ImportCrl,
    ImportedCrl, IssueCertificate, IssueFor, IssuedCertificate, RenewCertificate, RequestCa,
    RevokeCertificate, RollOver, RollOverStep,
};
use postern_wire::terms::{CaRole, RevocationReason};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with CAs and certificates.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show the CAs; one role's with its stragglers; or a certificate by its serial number.
    Show {
        /// `device`, `link`, `server`, or a certificate's serial number.
        what: Option<String>,
    },
    /// List the certificates that were issued.
    List {
        /// Only of this role's CA.
        #[arg(long)]
        role: Option<CaRole>,
        /// Only this subject's, such as postern:gateway:edge.
        #[arg(long)]
        subject: Option<String>,
        /// Only revoked ones.
        #[arg(long)]
        revoked: bool,
        /// Only those that end within so many days.
        #[arg(long, value_name = "DAYS")]
        ends_within: Option<u32>,
        /// At most so many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Issue a link or server certificate over the key of a signing request; PEM to stdout.
    Issue {
        /// What for.
        #[arg(long = "for")]
        what: What,
        /// The gateway's name, or the core's id.
        id: String,
        /// The PKCS#10 request, PEM. `-` is stdin.
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// A host name or address of the server; may be given several times.
        #[arg(long = "name")]
        names: Vec<String>,
        /// For how many days; 398 when absent.
        #[arg(long)]
        days: Option<u32>,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Issue a certificate in the place of one, for the same subject; PEM to stdout.
    Renew {
        /// The serial number of the one that is there.
        serial: String,
        /// The new key's PKCS#10 request, PEM. `-` is stdin.
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// A host name or address of the server; may be given several times.
        #[arg(long = "name")]
        names: Vec<String>,
        /// For how many days; 398 when absent.
        #[arg(long)]
        days: Option<u32>,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Revoke a certificate: it is blocked at once, and on the next CRL.
    Revoke {
        /// Its serial number.
        serial: String,
        /// Why, as the CRL says it. A compromised key is refused; with any other a device may still fetch its wipe.
        #[arg(long, default_value = "unspecified")]
        because: RevocationReason,
        /// Why, in your words; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Roll a CA over to its next generation.
    RollOver {
        /// `device`, `link` or `server`.
        role: CaRole,
        /// What to do.
        #[arg(default_value = "status")]
        step: Step,
        /// Finish or abort although there are stragglers.
        #[arg(long)]
        force: bool,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Have a CA certified by an external one: a signing request out (to stdout), a chain in.
    External {
        /// `device`, `link` or `server`.
        role: CaRole,
        /// Bring this chain in (PEM: the CA's certificate first, then what is above it). Without it: the request.
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        import: Option<PathBuf>,
        /// The common name that is asked for.
        #[arg(long)]
        name: Option<String>,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// CRLs: list them, write one to a file, import one of another CA.
    Crl {
        /// Write this CA's CRL (its issuer name from the list), DER.
        #[arg(long, value_name = "ISSUER", requires = "out")]
        get: Option<String>,
        /// To this file; `-` is stdout.
        #[arg(long, value_name = "FILE", requires = "get")]
        out: Option<PathBuf>,
        /// Import this CRL, DER or PEM.
        #[arg(long, value_name = "FILE", conflicts_with = "get")]
        import: Option<PathBuf>,
        /// The certificate of its issuer, PEM, where that CA is not known here.
        #[arg(long, value_name = "FILE", requires = "import")]
        issuer: Option<PathBuf>,
        /// Why; stands in the audit log.
        #[arg(long, requires = "import")]
        reason: Option<String>,
    },
}

/// What a certificate is issued for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum What {
    /// A gateway's link port.
    GatewayLink,
    /// A gateway's device port.
    GatewayServer,
    /// A core's links.
    CoreLink,
    /// A core's admin port.
    CoreServer,
}

/// A step of a roll-over.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Step {
    /// Make the next generation; new certificates come from it.
    Start,
    /// Where it stands, and who has not followed.
    Status,
    /// Retire the old generation.
    Finish,
    /// Go back to the old generation.
    Abort,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Show { what: None } => {
                let all: Vec<CertificateAuthority> = client.list(&["ca"], &(), None).await?;
                output.answer(&all, |all| authorities(all))?;
            }
            Self::Show { what: Some(what) } => match what.parse::<CaRole>() {
                Ok(role) => show(client, output, role).await?,
                Err(_) => {
                    let found: Certificate = client.get(&["certificates", &what], &()).await?;
                    output.answer(&found, certificate)?;
                }
            },
            Self::List { role, subject, revoked, ends_within, limit } => {
                let query = CertificateQuery {
                    role,
                    subject,
                    revoked: revoked.then_some(true),
                    ends_within_days: ends_within,
                    ..CertificateQuery::default()
                };
                let all: Vec<Certificate> = client.list(&["certificates"], &query, limit).await?;
                output.answer(&all, |all| certificates(all))?;
            }
            Self::Issue { what, id, csr, names, days, reason } => {
                let what = match what {
                    What::GatewayLink => IssueFor::GatewayLink,
                    What::GatewayServer => IssueFor::GatewayServer,
                    What::CoreLink => IssueFor::CoreLink,
                    What::CoreServer => IssueFor::CoreServer,
                };
                let csr_pem = files::text(&csr)?;
                let body = IssueCertificate { what, id, names, csr_pem, days, reason };
                let made: IssuedCertificate = client.post(&["certificates"], &body).await?;
                output.answer(&made, |made| made.chain_pem.trim_end().to_owned())?;
            }
            Self::Renew { serial, csr, names, days, reason } => {
                let body = RenewCertificate { csr_pem: files::text(&csr)?, names, days, reason };
                let made: IssuedCertificate = client.post(&["certificates", &serial, "renew"], &body).await?;
                output.answer(&made, |made| made.chain_pem.trim_end().to_owned())?;
            }
            Self::Revoke { serial, because, reason } => {
                let body = RevokeCertificate { reason: because, note: reason };
                let revoked: Certificate = client.post(&["certificates", &serial, "revoke"], &body).await?;
                output.answer(&revoked, certificate)?;
            }
            Self::RollOver { role, step, force, reason } => {
                let step = match step {
                    Step::Status => return show(client, output, role).await.map(|()| Exit::Done),
                    Step::Start => RollOverStep::Start,
                    Step::Finish => RollOverStep::Finish,
                    Step::Abort => RollOverStep::Abort,
                };
                let body = RollOver { step, force, reason };
                let now: CaStatus = client.post(&["ca", role.as_str(), "roll-over"], &body).await?;
                output.answer(&now, status)?;
            }
            Self::External { role, import: None, name, reason } => {
                let body = RequestCa { name, reason };
                let request: CaRequest = client.post(&["ca", role.as_str(), "external"], &body).await?;
                output.answer(&request, |request| request.request_pem.trim_end().to_owned())?;
            }
            Self::External { role, import: Some(file), reason, .. } => {
                let body = ImportCa { chain_pem: files::text(&file)?, reason };
                let now: CaStatus = client.put_to(&["ca", role.as_str(), "external"], &body).await?;
                output.answer(&now, status)?;
            }
            Self::Crl { import: Some(file), issuer, reason, .. } => {
                let crl_base64 = data_encoding::BASE64.encode(&files::octets(&file)?);
                let issuer_pem = issuer.as_deref().map(files::text).transpose()?;
                let body = ImportCrl { crl_base64, issuer_pem, reason };
                let done: ImportedCrl = client.post(&["crls"], &body).await?;
                output.answer(&done, imported)?;
            }
            Self::Crl { get: Some(issuer), out, .. } => fetch(client, output, &issuer, out).await?,
            Self::Crl { .. } => {
                let all: Vec<Crl> = client.list(&["crls"], &(), None).await?;
                output.answer(&all, |all| crls(all))?;
            }
        }
        Ok(Exit::Done)
    }
}

async fn show(client: &Client, output: &mut Output<'_>, role: CaRole) -> Result<(), Failure> {
    let found: CaStatus = client.get(&["ca", role.as_str()], &()).await?;
    output.answer(&found, status)
}

async fn fetch(
    client: &Client,
    output: &mut Output<'_>,
    issuer: &str,
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let crl: Crl = client.get(&["crls", issuer], &()).await?;
    let octets =
        crl.der_base64.as_deref().and_then(|text| data_encoding::BASE64.decode(text.as_bytes()).ok());
    let octets = octets.ok_or_else(|| {
        Failure::invalid("crl", "there are no octets of this CRL here: it was imported, or is not made yet")
    })?;
    match out.filter(|path| path.as_os_str() != "-") {
        None => output.octets(&octets),
        Some(path) => std::fs::write(&path, octets)
            .map_err(|error| Failure::invalid("file", format!("{}: {error}", path.display()))),
    }
}

fn authorities(all: &[CertificateAuthority]) -> String {
    output::table(
        ["ROLE", "GENERATION", "STATE", "NAME", "UNTIL", "CRL", "NEXT CRL BY", "ISSUER"],
        all.iter().map(|ca| {
            [
                ca.role.to_string(),
                ca.generation.to_string(),
                ca.state.to_string(),
                text::terminal(&ca.name).to_string(),
                time::short(ca.not_after),
                ca.crl_number.to_string(),
                or_dash(ca.crl_next.map(time::short)),
                ca.issuer.clone(),
            ]
        }),
    )
}

fn status(now: &CaStatus) -> String {
    let moves = match (now.from, now.to) {
        (Some(from), Some(to)) => format!("{} from generation {from} to {to}", now.roll_over),
        (None, Some(to)) => format!("{}: generation {to} waits for its certificate", now.roll_over),
        _ => now.roll_over.clone(),
    };
    let mut shown = output::fields([("role", now.role.to_string()), ("roll-over", moves)]);
    shown = format!("{shown}\n\n{}", authorities(&now.generations));
    for trouble in &now.troubles {
        shown = format!("{shown}\n\ntrouble: {}", text::terminal(trouble));
    }
    if !now.stragglers.is_empty() {
        let rows = now.stragglers.iter().map(|one| {
            [
                one.kind.clone(),
                one.id.clone(),
                text::terminal(&one.name).to_string(),
                one.generation.to_string(),
                text::terminal(&one.why).to_string(),
            ]
        });
        shown =
            format!("{shown}\n\n{}", output::table(["STRAGGLER", "ID", "NAME", "GENERATION", "WHY"], rows));
        if now.more_stragglers {
            shown.push_str("\n… and more");
        }
    } else if now.roll_over == "rolling" {
        shown.push_str("\n\nno stragglers: `finish` retires the old generation");
    }
    shown
}

fn certificates(all: &[Certificate]) -> String {
    output::table(
        ["SERIAL", "ROLE", "GENERATION", "SUBJECT", "UNTIL", "STATE"],
        all.iter().map(|one| {
            [
                one.serial.clone(),
                one.role.to_string(),
                one.generation.to_string(),
                text::terminal(&one.subject).to_string(),
                time::short(one.not_after),
                one.state.clone(),
            ]
        }),
    )
}

fn certificate(one: &Certificate) -> String {
    output::fields([
        ("serial", one.serial.clone()),
        ("issuer", one.issuer.clone()),
        ("role", format!("{} (generation {})", one.role, one.generation)),
        ("subject", text::terminal(&one.subject).to_string()),
        ("fingerprint", one.fingerprint.clone()),
        ("from", time::short(one.not_before)),
        ("until", time::short(one.not_after)),
        ("state", one.state.clone()),
        ("revoked", or_dash(one.revoked_at.map(time::short))),
        ("because", or_dash(one.reason)),
        ("replaced by", or_dash(one.replaced_by.as_ref())),
    ])
}

fn crls(all: &[Crl]) -> String {
    output::table(
        ["ISSUER", "NAME", "OURS", "NUMBER", "OF", "NEXT BY"],
        all.iter().map(|crl| {
            [
                crl.issuer.clone(),
                text::terminal(&crl.name).to_string(),
                if crl.ours { "yes" } else { "imported" }.to_owned(),
                crl.number.clone(),
                or_dash(crl.this_update.map(time::short)),
                or_dash(crl.next_update.map(time::short)),
            ]
        }),
    )
}

fn imported(done: &ImportedCrl) -> String {
    let mut shown = format!(
        "CRL of {}: {} newly blocked, {} no longer",
        text::terminal(&done.crl.name),
        done.blocked,
        done.freed
    );
    for name in &done.retired {
        shown = format!("{shown}\nour own CA {} is on it: it is retired", text::terminal(name));
    }
    shown
}
