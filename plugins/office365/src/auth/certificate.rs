//! An application's certificate, and assertions signed with its key: how an application proves who it is without sending a secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SystemRandom, fill},
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use larder_sdk::Secret;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use x509_cert::der::Decode as _;

use crate::{codes, error::Explanation};

/// How long an assertion is good. The login host takes 10 minutes at most; a clock that is somewhat behind must do no harm.
const ASSERTION_LIFE: Duration = Duration::from_secs(300);
/// Most certificates looked at in one file.
const CHAIN_MAX: usize = 16;

/// A certificate with its key. Never printed.
pub(crate) struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate, as the header of an assertion has it.
    thumbprint: String,
    ends: SystemTime,
}

impl Certificate {
    /// Reads PEM that holds an RSA key, not encrypted, and the certificate made for it, in any order and perhaps among others.
    pub(super) fn read(pem: &Secret) -> Result<Self, Explanation> {
        let text = pem.expose();
        if text.contains("ENCRYPTED") {
            return Err(unusable("the key is encrypted"));
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| unusable("there is no private key in it"))?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(unusable("its key is not RSA")),
        };
        let key = key.map_err(|error| unusable(&format!("its key is not taken ({error})")))?;
        if key.public_modulus_len() < KeySize::Rsa2048.len() {
            return Err(unusable("its key has fewer than 2048 bits"));
        }
        let mut any = false;
        for der in CertificateDer::pem_slice_iter(text.as_bytes()).take(CHAIN_MAX) {
            any = true;
            let der = der.map_err(|_| unusable("a certificate in it is damaged"))?;
            let certificate = x509_cert::Certificate::from_der(&der)
                .map_err(|_| unusable("a certificate in it is damaged"))?;
            let about = certificate.tbs_certificate();
            if about.subject_public_key_info().subject_public_key.raw_bytes() == key.public_key().as_ref() {
                let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
                return Ok(Self {
                    key,
                    thumbprint,
                    ends: UNIX_EPOCH + about.validity().not_after.to_unix_duration(),
                });
            }
        }
        Err(unusable(if any {
            "its key belongs to another certificate"
        } else {
            "there is no certificate in it"
        }))
    }

    /// When it runs out.
    pub(super) fn ends(&self) -> SystemTime {
        self.ends
    }

    /// A fresh assertion by the application `client_id` for the token endpoint `audience`. `None` if the key cannot sign.
    pub(super) fn assertion(&self, audience: &str, client_id: &str, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": audience, "iss": client_id, "sub": client_id, "jti": unique()?,
            "nbf": now, "iat": now, "exp": now + ASSERTION_LIFE.as_secs(),
        });
        let encoded = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let mut assertion = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), assertion.as_bytes(), &mut signature).ok()?;
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
        Some(assertion)
    }
}

/// A random GUID: no two assertions have the same, so that none can be used twice.
fn unique() -> Option<String> {
    let mut bytes = [0; 16];
    fill(&mut bytes).ok()?;
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    let number = u128::from_be_bytes(bytes);
    Some(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        (number >> 80) & 0xFFFF,
        (number >> 64) & 0xFFFF,
        (number >> 48) & 0xFFFF,
        number & 0xFFFF_FFFF_FFFF
    ))
}

fn unusable(why: &str) -> Explanation {
    Explanation::of(codes::OAUTH_CERTIFICATE_UNUSABLE).saying(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn told(pem: &str) -> String {
        Certificate::read(&Secret::new(pem)).err().unwrap().message
    }

    #[test]
    fn an_assertion_holds_what_the_login_host_checks() {
        let made = larder_tenant::application::SelfSigned::shared().unwrap();
        let certificate = Certificate::read(&Secret::new(made.pem())).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let assertion = certificate.assertion("https://login/t/oauth2/v2.0/token", "app", now).unwrap();
        let parts: Vec<Value> = assertion
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0]["alg"], "PS256");
        assert_eq!(parts[0]["x5t#S256"].as_str().unwrap().len(), 43);
        assert_eq!((&parts[1]["iss"], &parts[1]["sub"]), (&json!("app"), &json!("app")));
        assert_eq!(parts[1]["exp"].as_u64().unwrap() - parts[1]["nbf"].as_u64().unwrap(), 300);
        let again = certificate.assertion("https://login/t/oauth2/v2.0/token", "app", now).unwrap();
        assert_ne!(assertion, again, "no two are the same");
        assert!(certificate.ends() > SystemTime::now());
    }

    #[test]
    fn what_cannot_be_used_is_said_plainly() {
        let made = larder_tenant::application::SelfSigned::shared().unwrap();
        assert!(told("nothing").contains("no private key"));
        assert!(told(made.certificate_pem()).contains("no private key"));
        assert!(told(made.key_pem()).contains("no certificate"));
        assert!(told("-----BEGIN ENCRYPTED PRIVATE KEY-----").contains("encrypted"));
        let other = larder_tenant::application::SelfSigned::generate().unwrap();
        let mixed = format!("{}{}", made.certificate_pem(), other.key_pem());
        assert!(told(&mixed).contains("another certificate"));
        let chain = format!("{}{}", other.certificate_pem(), made.pem());
        assert!(Certificate::read(&Secret::new(chain)).is_ok(), "the key says which one is meant");
    }

    #[test]
    fn ids_are_guids_and_never_the_same() {
        let id = unique().unwrap();
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(unique(), unique());
    }
}
