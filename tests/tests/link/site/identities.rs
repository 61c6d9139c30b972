//! Certificates for tests.

use postern_tests::raw::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, SerialNumber, date_time_ymd,
};

/// A CA of one role.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// What a certificate is to say.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) name: String,
    pub(crate) dns: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) usages: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) until_year: i32,
    pub(crate) serial: u64,
}

impl Leaf {
    pub(crate) fn server(name: &str) -> Self {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Self { dns: Some(name.to_owned()), usages, ..Self::device(name) }
    }

    pub(crate) fn gateway(name: &str) -> Self {
        let uri = Some(format!("postern:gateway:{name}"));
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { uri, usages, ..Self::device(name) }
    }

    pub(crate) fn core(name: &str) -> Self {
        Self { uri: Some(format!("postern:core:{name}")), ..Self::device(name) }
    }

    pub(crate) fn device(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dns: None,
            uri: None,
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
            until_year: 2099,
            serial: 0x1001,
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Test {name} CA"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let pem = issuer.pem();
        Self { issuer, pem }
    }

    pub(crate) fn issue(&self, leaf: &Leaf) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, leaf.name.clone());
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(leaf.until_year, 1, 1);
        params.serial_number = Some(SerialNumber::from(leaf.serial));
        params.extended_key_usages = leaf.usages.clone();
        params.use_authority_key_identifier_extension = true;
        let text = |text: &String| text.clone().try_into().expect("ASCII");
        params.subject_alt_names.extend(leaf.dns.iter().map(|dns| SanType::DnsName(text(dns))));
        params.subject_alt_names.extend(leaf.uri.iter().map(|uri| SanType::URI(text(uri))));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}
