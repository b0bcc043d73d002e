//! Signatures by the Standard Webhooks specification (standardwebhooks.com).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::values::Secret;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

/// The prefix of every secret, before its base64 (Standard Webhooks, "Signature scheme").
pub const SECRET_PREFIX: &str = "whsec_";

/// The headers that prove the origin of `body`. The signature is the HMAC-SHA256 of `id.timestamp.body` under the
/// bytes after `whsec_`. After a rotation there is one for each secret, separated by spaces, so that the other side
/// may use either. `None` if there is no secret, or one without this form.
pub fn headers<'a>(secrets: impl Iterator<Item = &'a Secret>, id: &str, now: Timestamp, body: &[u8]) -> Option<HeaderMap> {
    let seconds = now.as_second().to_string();
    let sign = |secret: &Secret| {
        let key = STANDARD.decode(secret.reveal().strip_prefix(SECRET_PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    let signatures: Vec<String> = secrets.map(sign).collect::<Option<_>>()?;
    if signatures.is_empty() {
        return None;
    }
    let signature = signatures.join(" ");
    let mut headers = HeaderMap::new();
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)] {
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_follows_the_specification() {
        // The example of the specification's reference libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let sign =
            |secrets: &[&Secret]| super::headers(secrets.iter().copied(), "msg_p5jXN8AQM9LWM0D4loKWxJek", now, br#"{"test": 2432232314}"#);
        let headers = sign(&[&secret]).unwrap();
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(
            (&headers["webhook-id"], &headers["webhook-timestamp"]),
            (&"msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap(), &"1614265330".parse().unwrap())
        );
        assert!(sign(&[&Secret::new("plain")]).is_none() && sign(&[]).is_none());
        // During a rotation, each of two secrets has its signature, and the new one comes first.
        let both = sign(&[&Secret::new("whsec_bmV3"), &secret]).unwrap();
        let both: Vec<&str> = both["webhook-signature"].to_str().unwrap().split(' ').collect();
        assert_eq!((both.len(), both[1]), (2, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_ne!(both[0], both[1]);
    }
}
