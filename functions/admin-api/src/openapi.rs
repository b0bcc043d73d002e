//! The description of the API, made from the code and served without a token.

use std::collections::BTreeMap;

use cloud::http::{FieldError, Problem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};

/// What is not said at a single operation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Configuration",
        description = "Accounts, agents, queues, lists and what agents choose from. Callers carry a JWT with the role admin or owner; supervisors may read agents, \
            queues, pauses and contacts, and manage dispositions, tags and canned answers; agents may read the templates of their accounts.\n\n\
            Answers carry an `ETag`; PUT, PATCH and DELETE need it in `If-Match` (428 without, 412 when it was changed meanwhile). What was read can be changed \
            and put: fields that the service sets may be sent back as they were. PATCH takes a JSON merge patch (RFC 7396) of what is shown: fields that \
            are left out stay, `null` removes an optional one, lists are replaced as a whole.\n\n\
            No `Idempotency-Key` is needed: a PUT, PATCH or DELETE that is repeated is refused by its `If-Match`, a POST of an account or agent by its unique key \
            or subject, of a contact by its phone number, of a pause, disposition or tag by its name. Names of queues, lists, intervals and canned answers are not unique: after an answer \
            that got lost, look before you repeat their POST.\n\n\
            Refusals are problem documents (RFC 9457) with a stable `type`."
    ),
    components(schemas(Problem, FieldError)),
    security(("token" = [])),
    modifiers(&Token, &ProviderTypes)
)]
pub(crate) struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        description.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The provider types and their fields, as the adapters declare them.
struct ProviderTypes;

impl Modify for ProviderTypes {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let text = description.info.description.get_or_insert_default();
        text.push_str("\n\n");
        text.push_str(&crate::input::described());
    }
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct PageParams {
    /// What the page before gave as `next`.
    after: Option<String>,
    /// Entries a page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i32>,
}

type Answers = BTreeMap<String, RefOr<openapi::Response>>;

fn refusals(list: &[(u16, &str)]) -> Answers {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let answer = |words: &str| ResponseBuilder::new().description(words).content("application/problem+json", content()).build();
    list.iter().map(|(status, words)| (status.to_string(), RefOr::T(answer(words)))).collect()
}

const OF_ALL: [(u16, &str); 6] = [
    (400, "The request can't be read."),
    (401, "No token, or one that is not accepted."),
    (403, "The role does not allow it."),
    (404, "There is no such thing."),
    (422, "Fields or parameters were refused; `errors` names each."),
    (503, "Something that is needed does not answer; try again."),
];

/// What every operation may refuse with.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> Answers {
        refusals(&OF_ALL)
    }
}

/// What a write may refuse with.
pub(crate) struct WriteRefusals;

impl IntoResponses for WriteRefusals {
    fn responses() -> Answers {
        let mut answers = refusals(&OF_ALL);
        answers.extend(refusals(&[
            (409, "What is stored does not allow it: `no-agent`, `in-use` (with `users`), `open-interactions` (with `count`, `interactions` and how many were `closed`), `contact-exists` (with `contact`)."),
            (412, "It was changed since it was read."),
            (413, "The body is larger than 256 KiB."),
            (415, "The body is not JSON."),
            (428, "PUT, PATCH and DELETE of a whole need `If-Match`."),
        ]));
        answers
    }
}

/// What a question to a provider may be refused with.
pub(crate) struct ProviderRefusals;

impl IntoResponses for ProviderRefusals {
    fn responses() -> Answers {
        let mut answers = refusals(&OF_ALL);
        answers.extend(refusals(&[
            (
                409,
                "The provider refuses it or can't do it: `refused-credentials`, `numbers-not-found`, `wrong-number-format`, `not-found-at-provider` (with `field`), \
                 `webhook-not-set`, `not-offered`.",
            ),
            (502, "The provider does not answer (`provider-unreachable`), or something unexpected (`provider-error`)."),
        ]));
        answers
    }
}
