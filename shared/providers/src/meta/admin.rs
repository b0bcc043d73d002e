//! Looking after a number: is it there, do its webhooks lead here, what templates it has.

use http::StatusCode;
use serde_json::{Value, json};

use super::{ACCOUNT_SID, API, APP_ID, PHONE_NUMBER_ID, VERIFY_TOKEN, bearer, is_number_id, json as read};
use crate::{Answer, Connection, Finding, Number, Origin, OutgoingRequest, Problem, Registration, Step, TemplateInfo, phone};

/// The longest address of an override that Meta takes, in characters.
const MAX_CALLBACK: usize = 200;

/// The most pages of a list that are read, at 100 elements each: nobody picks from more than 2,000 templates, and each page is a call.
const MAX_PAGES: usize = 20;

/// The number, then where its webhooks lead.
pub(super) fn check(connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Vec<Finding>> {
    let found = |subject, result| Finding { subject, result };
    let fine = || Ok(Some(String::new()));
    let Some(url) = number_url(connection) else {
        return Step::Done(vec![found("number", Err(Problem::NotFound { field: PHONE_NUMBER_ID }))]);
    };
    let ask = |fields: &str| Step::Call(OutgoingRequest::get(format!("{url}?fields={fields}"), bearer(connection)));
    let Some(answer) = answers.first() else { return ask("display_phone_number,verified_name") };
    match problem(answer) {
        None => {}
        // The token was known: an unknown one is refused first.
        Some(problem @ Problem::NotFound { .. }) => {
            return Step::Done(vec![found("credentials", fine()), found("number", Err(problem))]);
        }
        Some(problem) => return Step::Done(vec![found("credentials", Err(problem))]),
    }
    let Some(webhooks) = answers.get(1) else { return ask("webhook_configuration") };
    let described = answer.json();
    let number = match phone_of(&described) {
        Some(number) if number == connection.account.phone.as_str() => {
            Ok(Some(read::value(&described["verified_name"]).unwrap_or_default()))
        }
        _ => Err(Problem::NumberNotFound),
    };
    let webhook = match (problem(webhooks), leads_to(&webhooks.json())) {
        (None, Some(url)) if url == receive_url => fine(),
        (None, Some(_)) => Err(Problem::WebhookNotSet),
        // The token may send and not read this.
        (Some(_), _) | (None, None) => Ok(None),
    };
    Step::Done(vec![found("credentials", fine()), found("number", number), found("webhook", webhook)])
}

/// Where webhooks of the number go: its own override counts before the one of its business account, and both before the app's address.
///
/// Source: Meta, "Webhook overrides".
fn leads_to(described: &Value) -> Option<String> {
    let configuration = &described["webhook_configuration"];
    ["phone_number", "whatsapp_business_account", "application"].into_iter().find_map(|level| read::value(&configuration[level]))
}

/// The app is subscribed to the business account, where that is known and it is not yet; then the number's webhooks are sent here. Meta makes its handshake
/// before it answers.
pub(super) fn register(connection: &Connection<'_>, receive_url: &str, answers: &[Answer]) -> Step<Registration> {
    let provider = &connection.account.provider;
    let Some(number_url) = number_url(connection) else {
        return Step::Done(Registration::Failed(Problem::NotFound { field: PHONE_NUMBER_ID }));
    };
    if receive_url.chars().count() > MAX_CALLBACK {
        return Step::Done(Registration::ByHand);
    }
    let mut answers = answers.iter();
    if is_number_id(provider.field(ACCOUNT_SID)) {
        let apps_url = format!("{}/{}/subscribed_apps", connection.hosts.get(API), provider.field(ACCOUNT_SID));
        let Some(apps) = answers.next() else { return Step::Call(OutgoingRequest::get(apps_url, bearer(connection))) };
        // Asked for again, it would lose an override of its own: only where it is certainly not there. A token that may not read the list goes on too.
        if problem(apps).is_none() && !lists_app(&apps.json(), provider.field(APP_ID)) {
            let Some(subscribed) = answers.next() else {
                return Step::Call(OutgoingRequest::post_json(apps_url, bearer(connection), &json!({})));
            };
            if let Some(problem) = problem(subscribed) {
                return Step::Done(Registration::Failed(problem));
            }
        }
    }
    let Some(answer) = answers.next() else {
        let token = provider.field(VERIFY_TOKEN);
        let body = json!({"webhook_configuration": {"override_callback_uri": receive_url, "verify_token": token}});
        return Step::Call(OutgoingRequest::post_json(number_url, bearer(connection), &body));
    };
    Step::Done(match problem(answer) {
        None => Registration::Done,
        Some(problem) => Registration::Failed(problem),
    })
}

fn lists_app(answer: &Value, app: &str) -> bool {
    let ids = read::list(&answer["data"]).iter().map(|listed| read::id(&listed["whatsapp_business_api_data"]["id"]));
    ids.flatten().any(|id| id == app)
}

/// What a person does who sets the webhook up by hand.
pub(super) fn instructions(verify_token: &str, receive_url: &str) -> String {
    [
        "In Meta's App Dashboard, open the app, then WhatsApp, then Configuration.".to_owned(),
        format!("Under Webhook, press Edit, paste {receive_url} as \"Callback URL\" and {verify_token} as \"Verify token\", and press Verify and save."),
        "Under Webhook fields, subscribe to messages, and to user_id_update where it is listed.".to_owned(),
        "Under App settings, Basic, copy the App secret into the account's field app_secret: webhooks are signed with it.".to_owned(),
        "The app must be subscribed to the WhatsApp Business Account, and its access token must have the permissions whatsapp_business_messaging and whatsapp_business_management."
            .to_owned(),
    ]
    .join("\n")
}

/// The numbers of the business account, page by page.
pub(super) fn numbers(connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<Number>, Problem>> {
    paged(connection, "phone_numbers?fields=id,display_phone_number,verified_name&limit=100", answers, |listed| {
        Some(Number { phone: phone_of(listed)?, name: read::value(&listed["verified_name"]), id: read::id(&listed["id"]) })
    })
}

/// The templates of the business account, page by page.
pub(super) fn templates(connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<TemplateInfo>, Problem>> {
    paged(connection, "message_templates?fields=name,language,status,category,components&limit=100", answers, template)
}

/// A template as it is listed.
pub(crate) fn template(listed: &Value) -> Option<TemplateInfo> {
    let name = read::value(&listed["name"])?;
    let body = read::list(&listed["components"]).iter().find(|part| read::word(&part["type"]).eq_ignore_ascii_case("body"));
    Some(TemplateInfo {
        title: name.clone(),
        name,
        language: read::value(&listed["language"]).unwrap_or_default(),
        body: body.and_then(|body| read::text(&body["text"], read::TEXT_LIMIT)).unwrap_or_default(),
        approved: read::word(&listed["status"]).eq_ignore_ascii_case("approved"),
    })
}

/// All elements of a list of the business account; the address of each further page comes with the one before, and must be the API's own, since the token
/// goes there too.
fn paged<T>(
    connection: &Connection<'_>,
    path: &str,
    answers: &[Answer],
    read: impl Fn(&Value) -> Option<T>,
) -> Step<Result<Vec<T>, Problem>> {
    let (api, account) = (connection.hosts.get(API), connection.account.provider.field(ACCOUNT_SID));
    if !is_number_id(account) {
        return Step::Done(Err(Problem::NotOffered));
    }
    let get = |url: String| Step::Call(OutgoingRequest::get(url, bearer(connection)));
    let Some(last) = answers.last() else { return get(format!("{api}/{account}/{path}")) };
    if let Some(problem) = problem_with(last, ACCOUNT_SID) {
        return Step::Done(Err(problem));
    }
    match next_page(&last.json(), api) {
        Some(next) if answers.len() < MAX_PAGES => get(next),
        _ => {
            let pages: Vec<Value> = answers.iter().map(Answer::json).collect();
            Step::Done(Ok(pages.iter().flat_map(|page| self::read::list(&page["data"])).filter_map(read).collect()))
        }
    }
}

/// The address of the next page, if there is one and it is of the API at `api`.
pub(crate) fn next_page(page: &Value, api: &str) -> Option<String> {
    let next = page["paging"]["next"].as_str()?;
    (Origin::parse(next)? == Origin::parse(api)?).then(|| next.to_owned())
}

fn number_url(connection: &Connection<'_>) -> Option<String> {
    let number = connection.account.provider.field(PHONE_NUMBER_ID);
    is_number_id(number).then(|| format!("{}/{number}", connection.hosts.get(API)))
}

/// The number as accounts have it; Meta writes it with spaces and hyphens.
fn phone_of(described: &Value) -> Option<String> {
    let digits: String = read::value(&described["display_phone_number"])?.chars().filter(char::is_ascii_digit).collect();
    Some(phone(&digits)?.as_str().to_owned())
}

fn problem(answer: &Answer) -> Option<Problem> {
    problem_with(answer, PHONE_NUMBER_ID)
}

/// What went wrong, if anything: by the code, else by the status. `field` names what was asked about.
fn problem_with(answer: &Answer, field: &'static str) -> Option<Problem> {
    if answer.status.is_success() {
        return None;
    }
    Some(match read::number(&answer.json()["error"]["code"]) {
        Some(0 | 3 | 10 | 190 | 200..=299) => Problem::CredentialsRefused,
        Some(33 | 100) => Problem::NotFound { field },
        Some(4 | 80007 | 130429) => Problem::RateLimited,
        _ => match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::CredentialsRefused,
            StatusCode::NOT_FOUND => Problem::NotFound { field },
            StatusCode::TOO_MANY_REQUESTS => Problem::RateLimited,
            status => Problem::Unexpected { status: status.as_u16() },
        },
    })
}
