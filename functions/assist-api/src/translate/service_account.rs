//! The proof by which a service account of Google gets an access token: a JWT signed with its key (RFC 7523). Source:
//! "Using OAuth 2.0 for Server to Server Applications".

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use domain::google_key::ServiceAccount;
use domain::values::Secret;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The one right that is asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-translation";
/// Who may take it: Google, whatever the key file says.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// How long it is valid, in seconds. It is used at once; an hour is the most that Google takes.
const VALID: i64 = 300;

/// The signed proof; `None` if the key can't be read or used.
pub(super) fn assertion(account: &ServiceAccount, now: Timestamp) -> Option<Secret> {
    let key = KeyPair::from_pkcs8(&der(account.private_key.reveal())?).ok()?;
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let (iat, exp) = (now.as_second(), now.as_second() + VALID);
    let claims = json!({ "iss": account.client_email, "scope": SCOPE, "aud": AUDIENCE, "iat": iat, "exp": exp });
    let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
}

/// The bytes of a PEM document with one part.
fn der(pem: &str) -> Option<Vec<u8>> {
    let mut lines = pem.trim().lines().map(str::trim);
    lines.next().filter(|first| first.starts_with("-----BEGIN "))?;
    let body: String = lines.take_while(|line| !line.starts_with("-----END ")).collect();
    BASE64_STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_proof_is_signed_with_the_accounts_key_for_google_alone() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let lines: Vec<String> =
            BASE64_STANDARD.encode(der.as_ref()).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let account = ServiceAccount { project_id: "shop-1".into(), client_email: "t@shop-1.example".into(), private_key: pem.into() };
        let proof = assertion(&account, Timestamp::from_second(1_800_000_000).unwrap()).unwrap();
        let (signed, signature) = proof.reveal().rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
        assert_eq!((&claims["aud"], &claims["exp"]), (&json!(AUDIENCE), &json!(1_800_000_300)));
        for broken in ["", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "AAAA"] {
            let account = ServiceAccount { private_key: broken.into(), ..account.clone() };
            assert_eq!(assertion(&account, Timestamp::UNIX_EPOCH), None, "{broken}");
        }
    }
}
