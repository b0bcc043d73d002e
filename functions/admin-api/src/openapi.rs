//! The OpenAPI document, built from the code and served without a token.

use std::collections::BTreeMap;

use utoipa::openapi::{self, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi};

pub(crate) use api::PageParams;

/// The parts of the document that don't belong to a single operation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Configuration",
        description = "The configuration: accounts, agents, queues, contact lists and the choices for agents. Callers carry a JWT with the role admin or \
            owner. Supervisors may also read agents, queues, pauses and contacts, and manage dispositions, tags and canned answers. Agents may read the \
            templates of their accounts.\n\n\
            Responses carry an `ETag`. PUT, PATCH and DELETE require it in `If-Match`: 428 without it, 412 if the resource has changed since. A client can \
            read a document, change it and put it: fields that the service sets may be sent back unchanged. PATCH takes a JSON merge patch (RFC 7396): \
            omitted fields stay, `null` removes an optional field, and a list is replaced as a whole.\n\n\
            No `Idempotency-Key` is needed. `If-Match` refuses a repeated PUT, PATCH or DELETE. A repeated POST is refused by the unique key of an account, \
            the subject of an agent, the phone number of a contact, or the name of a pause, disposition or tag. Names of queues, lists, intervals and \
            canned answers are not unique. If the response to their POST is lost, check whether the resource exists before you repeat it.\n\n\
            Errors are problem documents (RFC 9457) with a stable `type`."
    ),
    modifiers(&ProviderTypes)
)]
pub(crate) struct Description;

/// The provider types and their fields, as the adapters declare them.
struct ProviderTypes;

impl Modify for ProviderTypes {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let text = description.info.description.get_or_insert_default();
        text.push_str("\n\n");
        text.push_str(&crate::input::described());
    }
}

type Answers = BTreeMap<String, RefOr<openapi::Response>>;

/// The error responses of every operation: only those that the kit adds.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> Answers {
        Answers::new()
    }
}

/// The error responses of a write.
pub(crate) struct WriteRefusals;

impl IntoResponses for WriteRefusals {
    fn responses() -> Answers {
        let conflicts = "The present configuration does not allow it: `no-agent`, `in-use` (with `users`), `open-interactions` (with `count`, \
                         `interactions` and the number `closed`), `contact-exists` (with `contact`).";
        api::refusals(&[("409", conflicts)]).into_iter().collect()
    }
}

/// The error responses of a file, beside those of a write.
pub(crate) struct FileRefusals;

impl IntoResponses for FileRefusals {
    fn responses() -> Answers {
        let large = "The file is too large for a provider: `attachment-too-large` (with `most`).";
        let other = "A provider does not take such a file (`media-type`), or the body is not JSON.";
        api::refusals(&[("413", large), ("415", other)]).into_iter().collect()
    }
}

/// The error responses of a request to a provider.
pub(crate) struct ProviderRefusals;

impl IntoResponses for ProviderRefusals {
    fn responses() -> Answers {
        let conflicts = "The provider refuses the request or does not support it: `refused-credentials`, `numbers-not-found`, `wrong-number-format`, \
                         `not-found-at-provider` (with `field`), `webhook-not-set`, `not-offered`.";
        let gateway = "The provider does not answer (`provider-unreachable`), or gives an unexpected answer (`provider-error`).";
        api::refusals(&[("409", conflicts), ("502", gateway)]).into_iter().collect()
    }
}

/// Adds the parts that all operations have in common. This API accepts only JSON bodies.
pub(crate) fn complete(description: &mut openapi::OpenApi) {
    api::complete(description);
    for operation in description.paths.paths.values_mut().flat_map(api::operations).filter(|operation| operation.request_body.is_some()) {
        for (status, response) in api::refusals(&[("415", "The content type of the body is not JSON.")]) {
            operation.responses.responses.entry(status).or_insert(response);
        }
    }
}
