//! Completes a description with the parts that all operations have in common.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Type};
use utoipa::{IntoParams, OpenApi};

use crate::problem::{FieldError, Problem};
use crate::refusal::Code;

/// The name of the one security scheme: a JWT in `Authorization`.
pub const SECURITY_SCHEME: &str = "bearer";

/// A page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct PageParams {
    /// `next` of the page before.
    after: Option<String>,
    /// How many entries the page may have.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i32>,
}

#[derive(OpenApi)]
#[openapi(components(schemas(Problem, FieldError, Code)))]
struct Common;

/// Adds the parts that all operations have in common: the bearer token, the problem document, and the refusals that
/// follow from an operation's parameters and body. A refusal that an operation describes itself stays as it is.
pub fn complete(description: &mut openapi::OpenApi) {
    description.merge(Common::openapi());
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    description.components.get_or_insert_default().add_security_scheme(SECURITY_SCHEME, SecurityScheme::Http(scheme));
    description.security = Some(vec![SecurityRequirement::new(SECURITY_SCHEME, Vec::<String>::new())]);
    for (path, item) in &mut description.paths.paths {
        for operation in operations(item) {
            let common = common(path, operation);
            for (status, answer) in refusals(&common) {
                operation.responses.responses.entry(status).or_insert(answer);
            }
        }
    }
}

/// [`complete`], and before it what [`Command`](crate::Command) reads: the `Idempotency-Key` of commands at the paths
/// for which `is_command` holds, and `If-Match` of those on an interaction.
pub fn complete_commands(description: &mut openapi::OpenApi, is_command: impl Fn(&str) -> bool) {
    for (path, item) in &mut description.paths.paths {
        let commands = [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten();
        for operation in commands.filter(|_| is_command(path)) {
            repeatable(operation);
            if path.starts_with("/interactions/{id}/") {
                based_on(operation);
            }
        }
    }
    complete(description);
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn common(path: &str, operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let mut parameters = parameters.collect::<Vec<&Parameter>>().into_iter();
    let condition = |parameter: &&Parameter| parameter.name == "If-Match" && matches!(parameter.required, Required::True);
    let versioned = parameters.clone().any(|parameter| condition(&parameter));
    let typed = parameters.any(|parameter| !matches!(parameter.parameter_in, ParameterIn::Path) && !condition(&parameter));
    let (body, in_path) = (operation.request_body.is_some(), path.contains('{'));
    let mut all = vec![
        ("401", "No token, or one that is not accepted."),
        ("403", "The role does not allow it."),
        ("503", "Something that is needed does not answer. Send the request again."),
        ("default", "The request was refused or failed."),
    ];
    if in_path {
        all.push(("404", "Not found, or not visible to the caller."));
    }
    if body || typed {
        all.push(("400", "The request can't be read."));
        all.push(("422", "Fields or parameters were refused. `errors` names each."));
    }
    if body {
        all.push(("413", "The body is larger than 256 KiB."));
    }
    if versioned {
        all.push(("412", "It was changed since it was read."));
        all.push(("428", "`If-Match` is required."));
    }
    all
}

/// Describes that a command may carry an `Idempotency-Key`.
fn repeatable(operation: &mut Operation) {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128)).build();
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Printable ASCII. A command that is repeated with the same key and body within 24 hours changes nothing and is answered like the \
             first one. With another body it is refused (422).",
        ))
        .schema(Some(key))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// Describes that a command may carry `If-Match`, with the version of its interaction.
fn based_on(operation: &mut Operation) {
    let version = ObjectBuilder::new().schema_type(Type::Integer).build();
    let parameter = ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The `version` that the command is based on: 409 `changed`, with the interaction as it is now, when it has another.",
        ))
        .schema(Some(version))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// Answers that are problem documents: status (or `default`) and description.
pub fn refusals(list: &[(&str, &str)]) -> Vec<(String, RefOr<openapi::Response>)> {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let answer = |words: &str| ResponseBuilder::new().description(words).content("application/problem+json", content()).build();
    list.iter().map(|(status, words)| ((*status).to_owned(), RefOr::T(answer(words)))).collect()
}
