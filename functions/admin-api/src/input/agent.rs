//! Agents.

use domain::agent::{Capacity, Role};
use serde_json::Value;
use utoipa::ToSchema;

use super::NAME;
use super::fields::{Errors, Fields, Refusal, boolean, integer, line, parsed};

/// The longest `sub` claim that OpenID Connect allows (Core 1.0, section 2).
const SUBJECT: usize = 255;

/// A person with a role: agent, supervisor, admin or owner.
#[derive(Debug, PartialEq, ToSchema)]
pub(crate) struct AgentInput {
    /// The name that colleagues see.
    #[schema(min_length = 1, max_length = 200, example = "Anna")]
    pub(crate) name: String,
    /// The `sub` claim of the person's token. The subject is unique. Give either this or, for a new agent, `email`.
    #[schema(required = false, min_length = 1, max_length = 255, value_type = String)]
    pub(crate) subject: Option<String>,
    /// The e-mail address for an invitation. Only for a new agent, and only if the deployment has its own user pool.
    /// The address is not stored. The person's `subject` is.
    #[schema(required = false, max_length = 254, value_type = String, format = Email)]
    pub(crate) email: Option<String>,
    /// The agent's role. Only owners manage admins and owners. With `RoleSource=claim` the role grants nothing.
    #[schema(required = false)]
    pub(crate) role: Role,
    /// Whether interactions are offered to the agent.
    #[schema(required = false, default = true)]
    pub(crate) whatsapp: bool,
    /// How many open interactions the agent may hold.
    #[schema(value_type = i64, required = false, default = 5, minimum = 1, maximum = 100)]
    pub(crate) capacity: Capacity,
}

impl AgentInput {
    /// Parses the body of a POST, or of a PUT on the document `shown`.
    pub(crate) fn parse(body: Value, shown: Option<&Value>) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let input = Fields::open(String::new(), body, &mut errors).and_then(|mut fields| {
            let name = fields.required("name", line(NAME));
            let (has_subject, has_email) = (fields.has("subject"), fields.has("email"));
            let subject = fields.optional("subject", line(SUBJECT));
            let email = fields.optional("email", parsed(email));
            if shown.is_some() && has_email {
                fields.refuse("email", "is for a new agent only");
            } else if has_subject == has_email {
                fields.refuse("subject", "is required, or email, and never both");
            }
            let role = fields.optional("role", parsed(role)).unwrap_or(Role::Agent);
            let whatsapp = fields.optional("whatsapp", boolean).unwrap_or(true);
            let capacity = fields.optional("capacity", integer(Capacity::new)).unwrap_or_default();
            fields.finish_with(&["id", "version"], shown);
            Some(Self { name: name?, subject, email, role, whatsapp, capacity })
        });
        match input {
            Some(input) => errors.check().map(|()| input),
            None => Err(errors),
        }
    }
}

/// A rough check. The user pool decides.
fn email(text: &str) -> Result<String, Refusal> {
    let (name, host) = text.rsplit_once('@').unwrap_or_default();
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    // The longest address of a mail (RFC 5321, section 4.5.3.1.3, without the brackets).
    let right = !name.is_empty() && host.contains('.') && plain && text.len() <= 254;
    // The pool identifies persons by address, but people don't expect case to matter in an address.
    if right { Ok(text.to_lowercase()) } else { Err("must be an e-mail address") }
}

fn role(text: &str) -> Result<Role, Refusal> {
    match text {
        "agent" => Ok(Role::Agent),
        "supervisor" => Ok(Role::Supervisor),
        "admin" => Ok(Role::Admin),
        "owner" => Ok(Role::Owner),
        _ => Err("must be agent, supervisor, admin or owner"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields::testing::names;
    use super::*;

    #[test]
    fn an_agent_answers_five_customers_by_default() {
        let agent = AgentInput::parse(json!({"name": "Anna", "subject": "anna"}), None).unwrap();
        assert_eq!((agent.role, agent.whatsapp, agent.capacity.get()), (Role::Agent, true, 5));
    }

    #[test]
    fn every_bad_field_of_an_agent_is_named() {
        for (field, bad) in [
            ("name", json!("")),
            ("name", json!("x".repeat(201))),
            ("name", json!(true)),
            ("subject", json!(null)),
            ("subject", json!("  ")),
            ("subject", json!("s".repeat(256))),
            ("role", json!("king")),
            ("whatsapp", json!("yes")),
            ("capacity", json!(0)),
            ("capacity", json!(101)),
            ("capacity", json!(2.5)),
            ("version", json!(1)),
            ("colour", json!("red")),
        ] {
            let mut body = json!({"name": "Anna", "subject": "anna", "role": "agent", "whatsapp": true, "capacity": 5});
            body[field] = bad;
            assert_eq!(names(AgentInput::parse(body, None)), [field]);
        }
    }

    #[test]
    fn all_bad_fields_are_named_at_once() {
        let body = json!({"subject": 1, "role": "king", "capacity": 0, "x": 1});
        assert_eq!(names(AgentInput::parse(body, None)), ["name", "subject", "role", "capacity", "x"]);
    }
}
