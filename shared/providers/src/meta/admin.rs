//! Looks after a number: checks it and where its webhooks lead, and lists numbers and templates.

use domain::template::ListedTemplate;
use http::StatusCode;
use serde_json::{Value, json};

use super::template::listed;
use super::{ACCOUNT_SID, API, APP_ID, PHONE_NUMBER_ID, VERIFY_TOKEN, bearer, is_number_id};
use crate::json as read;
use crate::{Answer, Connection, Finding, Number, Origin, OutgoingRequest, Problem, Registration, Step, phone};

/// The longest override address that Meta accepts, in characters.
const MAX_CALLBACK: usize = 200;

/// The most pages of a list that are read, with 100 elements each. Nobody picks from more than 2,000 templates, and
/// each page is a call.
const MAX_PAGES: usize = 20;

/// Asks for the number, then for where its webhooks lead.
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
        // Meta knew the token: it refuses an unknown one first.
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
        // The token may be allowed to send but not to read this.
        (Some(_), _) | (None, None) => Ok(None),
    };
    Step::Done(vec![found("credentials", fine()), found("number", number), found("webhook", webhook)])
}

/// The address of the number's webhooks. The number's own override counts before the one of its business account,
/// and both before the app's address.
///
/// Source: Meta, "Webhook overrides".
fn leads_to(described: &Value) -> Option<String> {
    let configuration = &described["webhook_configuration"];
    ["phone_number", "whatsapp_business_account", "application"].into_iter().find_map(|level| read::value(&configuration[level]))
}

/// Subscribes the app to the business account, if the account is known and the app is not subscribed yet. Then
/// sends the number's webhooks here. Meta makes its handshake before it answers.
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
        // Subscribing again would remove an override of the subscription, so it happens only if the app is
        // certainly not subscribed. A token that may not read the list goes on too.
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

/// The steps to set up the webhook by hand.
pub(super) fn instructions(verify_token: &str, receive_url: &str) -> String {
    [
        "In Meta's App Dashboard, open the app, then WhatsApp, then Configuration.".to_owned(),
        format!("Under Webhook, press Edit, paste {receive_url} as \"Callback URL\" and {verify_token} as \"Verify token\", and press Verify and save."),
        "Under Webhook fields, subscribe to messages, calls, user_preferences, and user_id_update where it is listed.".to_owned(),
        "If the number is also used in the WhatsApp Business app or by another system, subscribe to smb_message_echoes, history and standby too.".to_owned(),
        "For alerts about the account, subscribe to security, template_category_update and the fields that begin with account_, business_, message_template_ and phone_number_.".to_owned(),
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
pub(super) fn templates(connection: &Connection<'_>, answers: &[Answer]) -> Step<Result<Vec<ListedTemplate>, Problem>> {
    paged(connection, "message_templates?fields=name,language,status,category,parameter_format,components&limit=100", answers, listed)
}

/// All elements of a list of the business account. Each page holds the address of the next. That address must be
/// the API's own, since the token goes there too.
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

/// The address of the next page, if there is one and it belongs to the API at `api`.
pub(crate) fn next_page(page: &Value, api: &str) -> Option<String> {
    let next = page["paging"]["next"].as_str()?;
    (Origin::parse(next)? == Origin::parse(api)?).then(|| next.to_owned())
}

fn number_url(connection: &Connection<'_>) -> Option<String> {
    let number = connection.account.provider.field(PHONE_NUMBER_ID);
    is_number_id(number).then(|| format!("{}/{number}", connection.hosts.get(API)))
}

/// The number as accounts have it. Meta writes it with spaces and hyphens.
fn phone_of(described: &Value) -> Option<String> {
    let digits: String = read::value(&described["display_phone_number"])?.chars().filter(char::is_ascii_digit).collect();
    Some(phone(&digits)?.as_str().to_owned())
}

fn problem(answer: &Answer) -> Option<Problem> {
    problem_with(answer, PHONE_NUMBER_ID)
}

/// The problem, if any: by the code, otherwise by the status. `field` names the id that was asked for.
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

#[cfg(test)]
mod tests {
    use super::super::API_URL;
    use super::super::tests::{account, credentials};
    use super::*;
    use crate::{Authorization, Hosts};
    use domain::account::Account;
    use domain::values::Secret;
    use http::Method;

    const RECEIVE_URL: &str = "https://h.example/receive/meta/T0KEN";

    fn with<T>(account: &Account, look: impl Fn(&Connection<'_>) -> T) -> T {
        let credentials = credentials("app secret");
        let hosts = Hosts::all(|_, address| Ok::<_, ()>(address.to_owned())).unwrap();
        look(&Connection { account, credentials: &credentials, token: None, hosts: &hosts })
    }

    fn without(field: &str) -> Account {
        let mut account = account();
        account.provider.fields.remove(field);
        account
    }

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.to_string().into_bytes() }
    }

    fn error(status: u16, code: u64) -> Answer {
        answer(status, json!({"error": {"code": code, "message": "…"}}))
    }

    fn call<T: std::fmt::Debug>(step: Step<T>) -> (Method, String, Value) {
        match step {
            Step::Call(request) => {
                assert_eq!(request.authorization, Authorization::Bearer(Secret::new("EAAtoken")));
                (request.method, request.url, serde_json::from_slice(&request.body).unwrap_or_default())
            }
            Step::Done(done) => panic!("{done:?} without asking"),
        }
    }

    fn found(answers: &[Answer]) -> Vec<(&'static str, Result<Option<String>, Problem>)> {
        match with(&account(), |connection| check(connection, RECEIVE_URL, answers)) {
            Step::Done(findings) => findings.into_iter().map(|finding| (finding.subject, finding.result)).collect(),
            Step::Call(_) => panic!("it asks on"),
        }
    }

    fn fine() -> Result<Option<String>, Problem> {
        Ok(Some(String::new()))
    }

    fn number() -> Answer {
        answer(200, json!({"display_phone_number": "+39 06 1234-5678", "verified_name": "Esempio srl", "id": "106540352242922"}))
    }

    fn webhooks(configuration: Value) -> Answer {
        answer(200, json!({"webhook_configuration": configuration, "id": "106540352242922"}))
    }

    #[test]
    fn a_check_asks_for_the_number_then_for_where_its_webhooks_lead() {
        let ask = |answers: &[Answer]| with(&account(), |connection| call(check(connection, RECEIVE_URL, answers)));
        let url = format!("{API_URL}/106540352242922?fields=");
        assert_eq!(ask(&[]), (Method::GET, format!("{url}display_phone_number,verified_name"), Value::Null));
        assert_eq!(ask(&[number()]), (Method::GET, format!("{url}webhook_configuration"), Value::Null));
        let named = Ok(Some("Esempio srl".to_owned()));
        for (configuration, webhook) in [
            (json!({"phone_number": RECEIVE_URL, "application": "https://other.example"}), fine()),
            (json!({"whatsapp_business_account": RECEIVE_URL, "application": "https://other.example"}), fine()),
            (json!({"application": RECEIVE_URL}), fine()),
            (json!({"phone_number": "https://other.example", "application": RECEIVE_URL}), Err(Problem::WebhookNotSet)),
            (json!({}), Ok(None)),
            (json!(null), Ok(None)),
        ] {
            let expected = vec![("credentials", fine()), ("number", named.clone()), ("webhook", webhook)];
            assert_eq!(found(&[number(), webhooks(configuration)]), expected);
        }
        assert_eq!(found(&[number(), error(403, 200)])[2], ("webhook", Ok(None)));
    }

    #[test]
    fn a_check_says_what_is_wrong() {
        for (answered, problem) in [
            (error(401, 190), Problem::CredentialsRefused),
            (error(401, 0), Problem::CredentialsRefused),
            (error(403, 10), Problem::CredentialsRefused),
            (error(403, 200), Problem::CredentialsRefused),
            (answer(401, json!("x")), Problem::CredentialsRefused),
            (error(400, 4), Problem::RateLimited),
            (answer(429, json!({})), Problem::RateLimited),
            (answer(500, json!({})), Problem::Unexpected { status: 500 }),
        ] {
            assert_eq!(found(&[answered]), [("credentials", Err(problem))]);
        }
        let absent = Err(Problem::NotFound { field: "phone_number_id" });
        for answered in [error(400, 100), error(400, 33), answer(404, json!({}))] {
            assert_eq!(found(&[answered]), [("credentials", fine()), ("number", absent.clone())]);
        }
        for shown in [json!("+39 06 8765 4321"), json!(null), json!("")] {
            let other = answer(200, json!({"display_phone_number": shown}));
            assert_eq!(found(&[other, webhooks(json!({}))])[1], ("number", Err(Problem::NumberNotFound)));
        }
        let nameless = with(&without(PHONE_NUMBER_ID), |connection| check(connection, RECEIVE_URL, &[]));
        assert_eq!(nameless, Step::Done(vec![Finding { subject: "number", result: absent }]));
    }

    #[test]
    fn webhooks_of_the_number_are_sent_here_once_the_app_is_subscribed() {
        let account = account();
        let next = |answers: &[Answer]| with(&account, |connection| register(connection, RECEIVE_URL, answers));
        let apps = format!("{API_URL}/102290129340398/subscribed_apps");
        let override_url = format!("{API_URL}/106540352242922");
        let configuration = json!({"webhook_configuration": {"override_callback_uri": RECEIVE_URL, "verify_token": "a verify token"}});
        let done = answer(200, json!({"success": true}));
        let subscribed = answer(200, json!({"data": [{"whatsapp_business_api_data": {"id": "670843887433847"}}]}));
        let nobody = answer(200, json!({"data": []}));

        assert_eq!(call(next(&[])), (Method::GET, apps.clone(), Value::Null));
        // The app is subscribed already. Subscribing again would remove an override.
        assert_eq!(call(next(std::slice::from_ref(&subscribed))), (Method::POST, override_url.clone(), configuration.clone()));
        assert_eq!(next(&[subscribed.clone(), done.clone()]), Step::Done(Registration::Done));
        assert_eq!(call(next(std::slice::from_ref(&nobody))), (Method::POST, apps, json!({})));
        assert_eq!(call(next(&[nobody.clone(), done.clone()])), (Method::POST, override_url.clone(), configuration.clone()));
        assert_eq!(next(&[nobody.clone(), done.clone(), done.clone()]), Step::Done(Registration::Done));
        assert_eq!(next(&[nobody, error(403, 10)]), Step::Done(Registration::Failed(Problem::CredentialsRefused)));
        assert_eq!(next(&[subscribed, error(400, 2200)]), Step::Done(Registration::Failed(Problem::Unexpected { status: 400 })));
        // An unreadable list is no reason to stop.
        assert_eq!(call(next(&[error(403, 10)])), (Method::POST, override_url.clone(), configuration.clone()));

        let unlisted = |answers: &[Answer]| with(&without(ACCOUNT_SID), |connection| register(connection, RECEIVE_URL, answers));
        assert_eq!(call(unlisted(&[])), (Method::POST, override_url, configuration));
        assert_eq!(unlisted(&[done]), Step::Done(Registration::Done));
    }

    #[test]
    fn an_address_that_meta_would_refuse_is_left_to_a_person() {
        let long = format!("https://h.example/{}", "x".repeat(MAX_CALLBACK));
        assert_eq!(with(&account(), |connection| register(connection, &long, &[])), Step::Done(Registration::ByHand));
        let nameless = with(&without(PHONE_NUMBER_ID), |connection| register(connection, RECEIVE_URL, &[]));
        assert_eq!(nameless, Step::Done(Registration::Failed(Problem::NotFound { field: "phone_number_id" })));
        let text = instructions("a verify token", RECEIVE_URL);
        for named in
            [RECEIVE_URL, "a verify token", "app_secret", "messages, calls, user_preferences", "smb_message_echoes, history and standby"]
        {
            assert!(text.contains(named), "{named} is not in the instructions");
        }
    }

    #[test]
    fn numbers_are_listed_page_by_page() {
        let next = |answers: &[Answer]| with(&account(), |connection| numbers(connection, answers));
        let first = format!("{API_URL}/102290129340398/phone_numbers?fields=id,display_phone_number,verified_name&limit=100");
        assert_eq!(call(next(&[])).1, first);
        let listed = |id: &str, phone: &str| json!({"id": id, "display_phone_number": phone, "verified_name": "Esempio"});
        let page = |id: &str, phone: &str, next: Value| answer(200, json!({"data": [listed(id, phone)], "paging": {"next": next}}));
        let second = format!("{API_URL}/102290129340398/phone_numbers?after=QVFI");
        let one = page("1", "+39 06 1234 5678", second.clone().into());
        assert_eq!(call(next(std::slice::from_ref(&one))).1, second);
        let number = |id: &str, phone: &str| Number { phone: phone.into(), name: Some("Esempio".into()), id: Some(id.into()) };
        let both = Ok(vec![number("1", "+390612345678"), number("2", "+15550001111")]);
        assert_eq!(next(&[one.clone(), page("2", "+1 555-000-1111", Value::Null)]), Step::Done(both));
        // The token goes to no other host, and an endless list is cut.
        for elsewhere in ["https://evil.example/x", "http://graph.facebook.com/x", "https://graph.facebook.com.evil.example/x", "/x", ""] {
            let page = page("1", "+39 06 1234 5678", elsewhere.into());
            assert_eq!(next(&[page]), Step::Done(Ok(vec![number("1", "+390612345678")])), "{elsewhere}");
        }
        assert!(matches!(next(&vec![one; MAX_PAGES]), Step::Done(Ok(numbers)) if numbers.len() == MAX_PAGES));
        assert_eq!(next(&[page("3", "not a number", Value::Null)]), Step::Done(Ok(vec![])));
        assert_eq!(next(&[error(400, 100)]), Step::Done(Err(Problem::NotFound { field: "account_sid" })));
        assert_eq!(with(&without(ACCOUNT_SID), |connection| numbers(connection, &[])), Step::Done(Err(Problem::NotOffered)));
    }

    #[test]
    fn templates_are_listed_with_their_text_and_whether_they_may_be_sent() {
        let next = |answers: &[Answer]| with(&account(), |connection| templates(connection, answers));
        let url = format!(
            "{API_URL}/102290129340398/message_templates?fields=name,language,status,category,parameter_format,components&limit=100"
        );
        assert_eq!(call(next(&[])).1, url);
        let body = json!([{"type": "HEADER", "format": "TEXT", "text": "T"}, {"type": "BODY", "text": "Buongiorno {{1}}"}]);
        let page = answer(
            200,
            json!({"data": [
                {"name": "recontact_1", "language": "it", "status": "APPROVED", "components": body, "id": "1"},
                {"name": "recontact_2", "language": "en_US", "status": "PENDING", "components": [], "id": "2"},
                {"language": "it"},
                "x",
            ]}),
        );
        let Step::Done(Ok(found)) = next(&[page]) else { panic!("a list") };
        let shown: Vec<_> = found.iter().map(|found| (&*found.name, &*found.language, &*found.parts.text, found.is_approved())).collect();
        assert_eq!(shown, [("recontact_1", "it", "Buongiorno {{1}}", true), ("recontact_2", "en_US", "", false)]);
        assert_eq!(next(&[error(401, 190)]), Step::Done(Err(Problem::CredentialsRefused)));
        assert_eq!(with(&without(ACCOUNT_SID), |connection| templates(connection, &[])), Step::Done(Err(Problem::NotOffered)));
    }
}
