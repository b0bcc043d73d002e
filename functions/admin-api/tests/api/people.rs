//! Agents who are invited through the stack's own user pool.

use admin_api::UserPool;
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::admin_get_user::AdminGetUserOutput;
use aws_sdk_cognitoidentityprovider::types::UsernameAttributeType;

use super::*;

struct People {
    admin: Admin,
    cognito: Client,
    pool: String,
}

impl People {
    async fn start() -> Self {
        let mut admin = Admin::start().await;
        let aws = Aws::new(&environment(&admin.endpoint, &admin.account, &admin.wakes)).unwrap();
        let cognito = Client::new(aws.sdk_config());
        let pool = cognito.create_user_pool().pool_name("people").username_attributes(UsernameAttributeType::Email).send().await.unwrap();
        let pool = pool.user_pool.unwrap().id.unwrap();
        let mut pairs = pairs(&admin.endpoint, &admin.account, &admin.wakes);
        pairs.push(("USER_POOL_ID", &pool));
        let env = Env::from_pairs(pairs);
        assert!(UserPool::from_env(&aws, &env).is_some());
        admin.router = router(app(&env));
        Self { admin, cognito, pool }
    }

    async fn known(&self, email: &str) -> Option<AdminGetUserOutput> {
        self.cognito.admin_get_user().user_pool_id(&self.pool).username(email).send().await.ok()
    }

    async fn add(&self, role: &'static str, body: Value) -> Answer {
        call(role, "POST", "/agents").json(&body).to(&self.admin.router).await
    }
}

fn sub(person: &AdminGetUserOutput) -> &str {
    person.user_attributes().iter().find(|attribute| attribute.name() == "sub").unwrap().value().unwrap()
}

#[tokio::test]
async fn an_agent_is_invited_by_e_mail_and_disabled_with_the_record() {
    let people = People::start().await;
    let anna = json!({"name": "Anna", "email": "Anna@Example.com", "capacity": 3});
    let made = people.add("admin", anna.clone()).await.is(201);
    let person = people.known("anna@example.com").await.unwrap();
    assert_eq!((made["subject"].as_str().unwrap(), person.enabled), (sub(&person), true));
    // A repeated request is refused and invites no one else.
    let refused = people.add("admin", anna.clone()).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["field"], "email");
    let path = place("agents", &made);
    people.admin.delete(&path, 1).await.is(204);
    assert!(!people.known("anna@example.com").await.unwrap().enabled);
    // The same person is invited again.
    let again = people.add("admin", anna).await.is(201);
    assert_eq!((&again["subject"], people.known("anna@example.com").await.unwrap().enabled), (&made["subject"], true));
}

#[tokio::test]
async fn a_call_that_failed_after_the_invitation_is_completed_by_the_same_call() {
    let people = People::start().await;
    people.cognito.admin_create_user().user_pool_id(&people.pool).username("ben@example.com").send().await.unwrap();
    let before = people.known("ben@example.com").await.unwrap();
    let made = people.add("admin", json!({"name": "Ben", "email": "ben@example.com"})).await.is(201);
    assert_eq!(made["subject"], sub(&before));
}

#[tokio::test]
async fn a_refused_request_invites_no_one() {
    let people = People::start().await;
    people.add("admin", json!({"name": "Eve", "email": "eve@example.com", "role": "owner"})).await.problem(403, "forbidden");
    for bad in [json!({"name": "", "email": "eve@example.com"}), json!({"name": "Eve", "email": "eve@example.com", "subject": "eve"})] {
        people.add("owner", bad).await.problem(422, "invalid");
    }
    assert!(people.known("eve@example.com").await.is_none());
    // Persons of another issuer are named by their subject, whether or not there is a user pool here.
    let foreign = people.add("owner", json!({"name": "Fay", "subject": "fay"})).await.is(201);
    people.admin.delete(&place("agents", &foreign), 1).await.is(204);
    // Only a new agent can have an e-mail address.
    let agent = people.add("owner", json!({"name": "Gus", "subject": "gus"})).await.is(201);
    let changed = people.admin.patch(&place("agents", &agent), 1, &json!({"email": "gus@example.com"})).await;
    assert_eq!(changed.fields(), ["email"]);
}

#[tokio::test]
async fn a_dry_run_invites_no_one_and_enables_no_one() {
    let people = People::start().await;
    let tries = async |email: &str| {
        let body = json!({"name": "Anna", "email": email});
        call("owner", "POST", "/agents?dry_run=true").json(&body).to(&people.admin.router).await
    };
    // Only the invitation gives a person a subject.
    assert_eq!(tries("anna@example.com").await.is(200)["subject"], "");
    assert!(people.known("anna@example.com").await.is_none());
    let made = people.add("owner", json!({"name": "Anna", "email": "anna@example.com"})).await.is(201);
    assert_eq!(tries("anna@example.com").await.fields(), ["email"]);
    people.admin.delete(&place("agents", &made), 1).await.is(204);
    assert_eq!(tries("anna@example.com").await.is(200)["subject"], made["subject"]);
    assert!(!people.known("anna@example.com").await.unwrap().enabled);
}

#[tokio::test]
async fn without_a_user_pool_an_e_mail_is_refused() {
    let admin = Admin::start().await;
    let refused = call("owner", "POST", "/agents").json(&json!({"name": "Anna", "email": "anna@example.com"})).to(&admin.router).await;
    assert_eq!(refused.fields(), ["email"]);
}
