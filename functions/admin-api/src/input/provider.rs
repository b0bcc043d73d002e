//! An account's provider, and how to reach it. The adapter of the type declares the fields.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::{Credentials, Provider};
use domain::ids::AccountId;
use domain::values::Secret;
use providers::{ADAPTERS, Adapter, Field, Shape, Source};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Errors, Fields, REQUIRED, Refusal, line, parsed};

/// The longest secret. It is far below the limit of Secrets Manager (64 KB), and no provider's token has more than a
/// few hundred characters.
const SECRET: usize = 4_000;
/// The longest of the other values: ids, user names, hosts.
const VALUE: usize = 500;

/// The field that names the account whose credentials a new account takes. It is replaced before the rest is parsed.
pub(crate) const CREDENTIALS_FROM: &str = "credentials_from";

/// The provider, and how to reach it.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct ProviderInput {
    /// One of the types that `GET /providers` lists. The other fields depend on the type and are listed there too.
    /// Secret fields are write-only: the API never shows them. Required secrets must be given when the account is
    /// created. A PUT without a secret keeps the stored one. A new secret replaces the previous one, and signatures
    /// made with the previous one are accepted for 24 hours. Another type or another `base_url` requires all secrets
    /// again.
    #[schema(rename = "type", example = "TWILIO")]
    pub(crate) kind: String,
    /// For a new account only: the id of an account of the same provider account, whose credentials are taken. Besides
    /// it only what belongs to the number must be given: `phone_number_id` for `META`, `app_id` for `SINCH_V2`. A
    /// `base_url` must be the same. The credentials are copied: a later change of them is not taken.
    #[allow(dead_code, reason = "only described")]
    pub(crate) credentials_from: Option<AccountId>,
    /// The public fields.
    #[schema(ignore)]
    pub(crate) fields: BTreeMap<String, String>,
    /// The given secret fields.
    #[schema(ignore)]
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The names of optional or generated secrets that are removed.
    #[schema(ignore)]
    pub(crate) removed: BTreeSet<String>,
    /// Whether the stored secrets must not be used with these fields.
    #[schema(ignore)]
    pub(crate) elsewhere: bool,
}

impl ProviderInput {
    /// Parses `provider` of a POST, or of a PUT on the document `shown`.
    pub(crate) fn parse(mut fields: Fields<'_>, shown: Option<&Value>) -> Option<Self> {
        let kinds = || ADAPTERS.iter().map(|adapter| adapter.kind()).collect::<Vec<_>>().join(", ");
        let adapter = match fields.required("type", parsed(|text| Ok(providers::adapter(text)))) {
            Some(Some(adapter)) => adapter,
            None => {
                fields.give_up();
                return None;
            }
            Some(None) => {
                fields.refuse_with("type", format!("must be one of {}", kinds()));
                fields.give_up();
                return None;
            }
        };
        if fields.has(CREDENTIALS_FROM) {
            let _ = fields.optional(CREDENTIALS_FROM, Ok);
            fields.refuse(CREDENTIALS_FROM, "is for a new account only");
        }
        let before = |name: &str| shown.and_then(|shown| shown[name].as_str());
        let same_kind = before("type") == Some(adapter.kind());
        let mut public = BTreeMap::new();
        let mut elsewhere = shown.is_some() && !same_kind;
        for field in adapter.fields().iter().filter(|field| !field.secret) {
            let value = match field.source {
                Source::Required => fields.required(field.name, line(VALUE)),
                Source::Optional | Source::Generated | Source::Made => fields.optional(field.name, line(VALUE)),
            };
            let value = value.and_then(|value| match shaped(field, &value) {
                Ok(value) => Some(value),
                Err(expected) => {
                    fields.refuse_with(field.name, expected);
                    None
                }
            });
            // A generated value stays if it is omitted.
            let own = matches!(field.source, Source::Generated | Source::Made);
            let kept = || before(field.name).filter(|_| same_kind && own).map(str::to_owned);
            let Some(value) = value.or_else(kept) else { continue };
            elsewhere |= field.destination && shown.is_some() && before(field.name) != Some(&value);
            public.insert(field.name.to_owned(), value);
        }
        let mut secrets = BTreeMap::new();
        for field in adapter.fields().iter().filter(|field| field.secret) {
            let needed = field.source == Source::Required && (shown.is_none() || elsewhere);
            let value = if needed { fields.required(field.name, parsed(secret)) } else { fields.optional(field.name, parsed(secret)) };
            secrets.extend(value.map(|value| (field.name.to_owned(), value)));
        }
        fields.finish();
        let kind = adapter.kind().to_owned();
        Some(Self { kind, credentials_from: None, fields: public, secrets, removed: BTreeSet::new(), elsewhere })
    }

    /// The fields of the type that are generated and were omitted.
    fn generated(&self) -> impl Iterator<Item = &'static Field> {
        let fields = providers::adapter(&self.kind).map_or(&[][..], |adapter| adapter.fields());
        fields.iter().filter(|field| field.source == Source::Generated)
    }

    /// Notes the secrets that a merge patch of `provider` removes by `null`, and the guard that was generated with the
    /// account. A required secret can't be removed.
    pub(crate) fn patched(&mut self, patch: &Value) -> Result<(), Errors> {
        let mut errors = Errors::default();
        let fields = providers::adapter(&self.kind).map_or(&[][..], |adapter| adapter.fields());
        for field in fields.iter().filter(|field| field.source == Source::Made && patch.get(field.name).is_some_and(Value::is_null)) {
            self.fields.remove(field.name);
        }
        for field in fields.iter().filter(|field| field.secret && patch.get(field.name).is_some_and(Value::is_null)) {
            match field.source {
                Source::Required => errors.add(format!("provider.{}", field.name), REQUIRED),
                Source::Optional | Source::Generated | Source::Made => {
                    self.removed.insert(field.name.to_owned());
                }
            }
        }
        errors.check()
    }

    /// Whether secrets are given or removed.
    pub(crate) fn writes_secrets(&self) -> bool {
        !self.secrets.is_empty() || !self.removed.is_empty()
    }

    /// Fills in the generated public fields: for an account that is being `made`, also its guard, unless it has
    /// another one.
    ///
    /// # Errors
    /// The error of `random`.
    pub(crate) fn complete<E>(&mut self, made: bool, random: impl Fn() -> Result<String, E>) -> Result<(), E> {
        let adapter = providers::adapter(&self.kind);
        let given = Credentials(self.secrets.clone());
        let unguarded = made && adapter.is_some_and(|adapter| !adapter.proves_origin(&self.public(), &given));
        let wanted = |field: &&Field| field.source == Source::Generated || (field.source == Source::Made && unguarded);
        let fields = adapter.map_or(&[][..], |adapter| adapter.fields()).iter().filter(wanted);
        let missing: Vec<_> = fields.filter(|field| !field.secret && !self.fields.contains_key(field.name)).collect();
        for field in missing {
            self.fields.insert(field.name.to_owned(), random()?);
        }
        Ok(())
    }

    /// The part that may be shown.
    pub(crate) fn public(&self) -> Provider {
        Provider { kind: self.kind.clone(), fields: self.fields.clone() }
    }

    /// The new secrets, based on the `stored` ones. `None` if nothing changes.
    ///
    /// # Errors
    /// The error of `random`.
    pub(crate) fn credentials<E>(
        &self,
        stored: Option<&Credentials>,
        random: impl Fn() -> Result<String, E>,
    ) -> Result<Option<Credentials>, E> {
        let names: Vec<&str> =
            providers::adapter(&self.kind).map_or(&[][..], |adapter| adapter.fields()).iter().map(|field| field.name).collect();
        let own: Vec<&str> = self.generated().filter(|field| field.secret).map(|field| field.name).collect();
        // A new address gets only secrets that were given for it. A generated secret is not a credential of the
        // provider, so it stays.
        let stays = |name: &str| names.contains(&name) && !self.removed.contains(name) && (!self.elsewhere || own.contains(&name));
        let kept =
            stored.map(|stored| stored.0.iter().filter(|(name, _)| stays(name)).map(|(name, secret)| (name.clone(), secret.clone())));
        let mut all: BTreeMap<String, Secret> = kept.into_iter().flatten().collect();
        all.extend(self.secrets.iter().map(|(name, secret)| (name.clone(), secret.clone())));
        for name in own {
            if !all.contains_key(name) {
                all.insert(name.to_owned(), Secret::new(random()?));
            }
        }
        let all = Credentials(all);
        Ok((stored != Some(&all)).then_some(all))
    }

    /// Notes base addresses to which credentials must not be sent. `at` comes before the names of the fields.
    pub(crate) fn check(&self, at: &str, refused: &BTreeSet<String>, errors: &mut Errors) {
        for (name, _) in self.base_urls().filter(|(_, url)| refused.contains(*url)) {
            errors.add(format!("{at}{name}"), NOT_PUBLIC);
        }
    }

    /// The addresses to which credentials are sent.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.base_urls().map(|(_, url)| url)
    }

    fn base_urls(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = providers::adapter(&self.kind).map_or(&[][..], |adapter| adapter.fields());
        let urls = fields.iter().filter(|field| matches!(field.shape, Shape::BaseUrl));
        urls.filter_map(|field| Some((field.name, self.fields.get(field.name)?.as_str())))
    }
}

/// The refusal of an address that is not public.
pub(crate) const NOT_PUBLIC: Refusal = "must be an https address of a public host, such as https://api.example.com";

/// The value in its stored form.
fn shaped(field: &Field, value: &str) -> Result<String, String> {
    match field.shape {
        Shape::Line => Ok(value.to_owned()),
        Shape::Checked { check, expected } => {
            if check(value) {
                Ok(value.to_owned())
            } else {
                Err(format!("must be {expected}"))
            }
        }
        Shape::BaseUrl => {
            let url = value.trim_end_matches('/');
            let whole = providers::Origin::parse(url).is_some() && !url.contains(['?', '#', '\\', ' ']) && url.is_ascii();
            if whole { Ok(url.to_owned()) } else { Err("must be an address such as https://api.example.com, without a query".to_owned()) }
        }
    }
}

/// A secret is stored exactly as it was given. A likely slip at its ends is refused, not corrected.
fn secret(text: &str) -> Result<Secret, Refusal> {
    if text.is_empty() {
        Err(REQUIRED)
    } else if text.len() > SECRET {
        Err("is too long")
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        Err("must not have spaces or other than ASCII characters")
    } else {
        Ok(Secret::new(text))
    }
}

/// The types and their fields, for the OpenAPI document.
pub(crate) fn described() -> String {
    let mut text = "Provider types and their fields:\n\n| type | field | description | |\n|---|---|---|---|\n".to_owned();
    for adapter in ADAPTERS {
        for field in adapter.fields() {
            text.push_str(&row(*adapter, field));
        }
    }
    text
}

fn row(adapter: &dyn Adapter, field: &Field) -> String {
    let source = match field.source {
        Source::Required => "required",
        Source::Optional => "optional",
        Source::Generated => "generated if omitted",
        Source::Made => "generated with the account, if nothing else guards it",
    };
    let secret = if field.secret { ", write-only" } else { "" };
    format!("| `{}` | `{}` | {} | {source}{secret} |\n", adapter.kind(), field.name, field.description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value, shown: Option<&Value>) -> Result<ProviderInput, Vec<String>> {
        let mut errors = Errors::default();
        let input = Fields::open("provider".into(), body, &mut errors).and_then(|fields| ProviderInput::parse(fields, shown));
        let names: Vec<String> = errors.iter().map(|error| error.field.clone()).collect();
        input.filter(|_| names.is_empty()).ok_or(names)
    }

    fn kaleyra() -> Value {
        json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io/", "account_sid": "HX1", "waba_id": "1022", "api_key": "k3y"})
    }

    fn shown() -> Value {
        let mut shown = kaleyra();
        shown.as_object_mut().unwrap().remove("api_key");
        shown["base_url"] = json!("https://api.eu.kaleyra.io");
        shown
    }

    #[test]
    fn every_types_missing_required_fields_are_named() {
        for adapter in ADAPTERS {
            let required: Vec<String> = {
                let (secret, public): (Vec<&Field>, Vec<&Field>) = adapter.fields().iter().partition(|field| field.secret);
                let all = public.into_iter().chain(secret).filter(|field| field.source == Source::Required);
                all.map(|field| format!("provider.{}", field.name)).collect()
            };
            assert_eq!(parse(json!({"type": adapter.kind()}), None).unwrap_err(), required, "{}", adapter.kind());
        }
        assert_eq!(parse(json!({"type": "PIGEON"}), None).unwrap_err(), ["provider.type"]);
    }

    #[test]
    fn another_base_url_needs_the_secret_again() {
        let mut same = shown();
        assert!(!parse(same.clone(), Some(&shown())).unwrap().elsewhere);
        same["base_url"] = json!("https://api.eu.kaleyra.io/");
        assert!(!parse(same.clone(), Some(&shown())).unwrap().elsewhere, "a slash at its end does not make another address");
        same["base_url"] = json!("https://thief.example.com");
        assert_eq!(parse(same.clone(), Some(&shown())).unwrap_err(), ["provider.api_key"]);
        same["api_key"] = json!("again");
        assert!(parse(same, Some(&shown())).unwrap().elsewhere);
        let other_type = json!({"type": "TWILIO", "account_sid": format!("AC{}", "0".repeat(32))});
        assert_eq!(parse(other_type, Some(&shown())).unwrap_err(), ["provider.auth_token"]);
    }

    #[test]
    fn omitted_secrets_stay_unless_the_address_changes() {
        let stored = Credentials::default().with("api_key", "k3y").with("callback_password", "pass");
        let random = || Ok::<_, ()>("random".to_owned());
        let kept = parse(shown(), Some(&shown())).unwrap();
        assert_eq!(kept.credentials(Some(&stored), random), Ok(None));
        let mut body = kaleyra();
        body["api_key"] = json!("new");
        let rotated = parse(body.clone(), Some(&shown())).unwrap();
        assert_eq!(rotated.credentials(Some(&stored), random), Ok(Some(stored.clone().with("api_key", "new"))));
        body["base_url"] = json!("https://api.in.kaleyra.io");
        let moved = parse(body, Some(&shown())).unwrap();
        assert_eq!(moved.credentials(Some(&stored), random), Ok(Some(Credentials::default().with("api_key", "new"))));
    }

    #[test]
    fn a_generated_field_is_generated_once() {
        let random = || Ok::<_, ()>("random".to_owned());
        let meta = json!({"type": "META", "app_id": "1", "phone_number_id": "2", "auth_token": "t", "app_secret": "s"});
        let mut input = parse(meta.clone(), None).unwrap();
        input.complete(true, random).unwrap();
        assert_eq!(input.fields["verify_token"], "random");
        let mut shown = meta;
        shown["verify_token"] = json!("first");
        let again = parse(json!({"type": "META", "app_id": "1", "phone_number_id": "2"}), Some(&shown)).unwrap();
        assert_eq!(again.fields["verify_token"], "first");
        let sinch = json!({"type": "SINCH_V2", "base_url": "https://eu.conversation.api.sinch.com", "project_id": "p", "app_id": "a", "key_id": "k", "key_secret": "s"});
        let sinch = parse(sinch, None).unwrap();
        let credentials = sinch.credentials(None, random).unwrap().unwrap();
        assert_eq!(credentials.get("webhook_secret"), Some(&Secret::new("random")));
        assert_eq!(sinch.credentials(Some(&credentials), || Ok::<_, ()>("another".to_owned())), Ok(None));
    }

    #[test]
    fn an_account_that_would_prove_nothing_is_made_with_a_guard_and_never_gets_one_later_by_itself() {
        let random = || Ok::<_, ()>("generated-0123456789".to_owned());
        let body =
            json!({"type": "KALEYRA", "base_url": "https://api.eu.kaleyra.io", "waba_id": "1", "account_sid": "HX1", "api_key": "k"});
        let mut made = parse(body.clone(), None).unwrap();
        made.complete(true, random).unwrap();
        assert_eq!(made.fields["callback_token"], "generated-0123456789");
        // Its provider would not know a guard that comes with another change.
        let mut changed = parse(body.clone(), Some(&body)).unwrap();
        changed.complete(false, random).unwrap();
        assert!(!changed.fields.contains_key("callback_token"));
        // It stays, until a person takes it away.
        let mut shown = body.clone();
        shown["callback_token"] = json!("generated-0123456789");
        let mut kept = parse(body.clone(), Some(&shown)).unwrap();
        assert_eq!(kept.fields["callback_token"], "generated-0123456789");
        kept.patched(&json!({"callback_token": null})).unwrap();
        assert!(!kept.fields.contains_key("callback_token"));
        // Another guard is enough, and so is a signature.
        let mut guarded = body;
        (guarded["callback_header"], guarded["callback_header_value"]) = (json!("X-Key"), json!("v"));
        let mut guarded = parse(guarded, None).unwrap();
        guarded.complete(true, random).unwrap();
        assert!(!guarded.fields.contains_key("callback_token"));
        let signed = json!({"type": "SINCH", "base_url": "https://eu1.whatsapp.api.sinch.com", "account_sid": "b", "authorization_token": "t", "callback_secret": "s"});
        let mut signed = parse(signed, None).unwrap();
        signed.complete(true, random).unwrap();
        assert!(!signed.fields.contains_key("callback_token"));
    }

    #[test]
    fn credentials_go_to_vetted_addresses_only() {
        let mut body = kaleyra();
        body["base_url"] = json!("https://inside.example.com:8443/x");
        let input = parse(body.clone(), None).unwrap();
        assert_eq!(input.addresses().collect::<Vec<_>>(), ["https://inside.example.com:8443/x"]);
        let names = |refused: &[&str]| {
            let mut errors = Errors::default();
            input.check("provider.", &refused.iter().map(|url| (*url).to_owned()).collect(), &mut errors);
            errors.iter().map(|error| error.field.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["https://inside.example.com:8443/x"]), ["provider.base_url"]);
        assert!(names(&["https://inside.example.com:8443"]).is_empty());
        // What is not even an address is refused before it is vetted.
        for bad in ["https://user:pass@api.eu.kaleyra.io", "https://api.eu.kaleyra.io?x=", "https://[::1]", "api.eu.kaleyra.io"] {
            body["base_url"] = json!(bad);
            assert_eq!(parse(body.clone(), None).unwrap_err(), ["provider.base_url"], "{bad}");
        }
    }

    #[test]
    fn a_refusal_repeats_no_secret() {
        let mut body = kaleyra();
        body["api_key"] = json!("s3cr et");
        let mut errors = Errors::default();
        let _ = Fields::open("provider".into(), body, &mut errors).and_then(|fields| ProviderInput::parse(fields, None));
        assert!(!format!("{errors:?}").contains("s3cr"));
    }
}
