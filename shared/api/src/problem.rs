//! What an API answers when it refuses: problem documents (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::refusal::Code;

/// A problem document, sent as `application/problem+json` with its status. What it says goes to the caller: no secret,
/// body or phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem: `/problems/<slug>`. Stable: clients may rely on it.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words, the same for every problem of the kind.
    title: String,
    /// The HTTP status.
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    #[serde(serialize_with = "code")]
    status: StatusCode,
    /// This very problem in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Members that belong to the kind.
    #[serde(flatten)]
    extra: Map<String, Value>,
    /// After how many seconds the request may be sent again, for the header `Retry-After`.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// A field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name, with dots and indexes inside: `plan.steps[0].seconds`.
    pub field: String,
    /// Which kind of refusal it is, for a client that has its own words.
    pub code: Code,
    /// Why, in English words for the person who entered it.
    pub message: String,
    /// The least that is allowed, where that is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The most that is allowed, where that is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

impl FieldError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let code = Code::of(&message);
        let (min, max) = code.limits(&message);
        Self { field: field.into(), code, message, min, max }
    }
}

/// The fields that were refused, by their path: `plan[1].queue`. A message never repeats the value, which may be a
/// secret or a phone number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errors(Vec<FieldError>);

impl Errors {
    /// One refused field.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![FieldError::new(field, message)])
    }

    /// Adds a refused field.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// Adds others.
    pub fn extend(&mut self, others: Errors) {
        self.0.extend(others.0);
    }

    /// The same, as fields of `place`.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.0.iter_mut().for_each(|error| error.field = format!("{place}.{}", error.field));
        self
    }

    /// Fails if any field was refused.
    ///
    /// # Errors
    /// Itself.
    pub fn check(self) -> Result<(), Errors> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The refused fields.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.iter()
    }

    /// 422 with all of them.
    pub fn problem(&self) -> Problem {
        Problem { errors: self.0.clone(), ..Problem::invalid() }
    }
}

fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of the kind `/problems/<slug>`.
    pub fn new(status: StatusCode, slug: &str, title: &str) -> Self {
        let kind = format!("/problems/{slug}");
        Self { kind, title: title.to_owned(), status, detail: None, errors: Vec::new(), extra: Map::new(), retry_after: None }
    }

    /// With this very problem in words.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With a field that was refused.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError::new(field, message));
        self
    }

    /// With a member that belongs to the kind; the members of every problem can't be replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !["type", "title", "status", "detail", "errors"].contains(&name) {
            self.extra.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The kind: `/problems/<slug>`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// 400: the request can't be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request").detail(detail)
    }

    /// 401: no token, or one that is not accepted. It isn't said why.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized").detail("A valid token is needed.")
    }

    /// 403: the caller's role does not allow it.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden").detail("Your role does not allow this.")
    }

    /// 403: no agent's record has the subject of the caller's token.
    pub fn no_agent() -> Self {
        Self::new(StatusCode::FORBIDDEN, "no_agent", "No agent").detail("No agent has the subject of your token.")
    }

    /// 404: nothing is there, or nothing that the caller may see.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found")
    }

    /// 405: the path has no such method.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
    }

    /// 409: what is stored does not allow it now.
    pub fn conflict(slug: &str, title: &str) -> Self {
        Self::new(StatusCode::CONFLICT, slug, title)
    }

    /// 412: `If-Match` names another version than the stored one.
    pub fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", "Precondition failed").detail("It was changed since you read it.")
    }

    /// 413: the body is too large.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Content too large").detail("The body is larger than 256 KiB.")
    }

    /// 415: the content type of the body is not JSON.
    pub fn not_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Unsupported media type").detail("The body must be application/json.")
    }

    /// 422: fields that were refused; add them with [`Problem::field`].
    pub fn invalid() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Unprocessable content")
    }

    /// 428: a write without `If-Match`.
    pub fn precondition_required() -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", "Precondition required")
            .detail("Send If-Match with the ETag that you read.")
    }

    /// 500: a fault of ours.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
    }

    /// 503: something that is needed does not answer; the request may be sent again.
    pub fn unavailable() -> Self {
        // Throttles and failovers pass in about a second.
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable").detail("Try again in a moment.").after(1)
    }

    /// 429: the caller did it too often. It may be done again after some seconds.
    pub fn too_many_requests(seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests").after(seconds)
    }

    /// The request may be sent again after some seconds.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // A problem of this status that says nothing itself passes in about a second too.
        let retry_after = self.retry_after.or((self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
        headers.extend(retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_names_the_field_that_was_refused() {
        let problem = Problem::invalid().field("key", "must be exactly five ASCII letters or digits");
        let expected = json!({
            "type": "/problems/invalid",
            "title": "Unprocessable content",
            "status": 422,
            "errors": [{ "field": "key", "code": "wrong-format", "message": "must be exactly five ASCII letters or digits" }]
        });
        assert_eq!(serde_json::to_value(&problem).unwrap(), expected);
    }

    #[test]
    fn a_problem_carries_members_of_its_kind() {
        let problem =
            Problem::conflict("offer-taken", "Somebody else has it").detail("Anna accepted it").with("owner", "agt_1").with("status", 1);
        let value = serde_json::to_value(&problem).unwrap();
        assert_eq!((&value["owner"], &value["status"], &value["detail"]), (&json!("agt_1"), &json!(409), &json!("Anna accepted it")));
    }

    #[test]
    fn a_problem_is_sent_as_one() {
        let response = Problem::unauthorized().into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
