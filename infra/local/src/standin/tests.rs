//! Checks that the stand-in answers as the providers' documentation says.

use axum::routing::post;
use jsonwebtoken::jwk::JwkSet;
use reqwest::Method;

use super::*;

fn twilio_account() -> Account {
    Account::new("TWILIO", "+390612345678", &[("account_sid", "AC0123456789abcdef0123456789abcdef"), ("auth_token", "secret")])
}

fn meta_account() -> Account {
    let fields =
        [("account_sid", "102290129340398"), ("phone_number_id", "106540352242922"), ("auth_token", "EAAtoken"), ("app_secret", "s3cret")];
    Account::new("META", "+390612345678", &fields)
}

fn sinch_account() -> Account {
    let fields =
        [("project_id", "p1"), ("app_id", "a1"), ("key_id", "k1"), ("key_secret", "ks"), ("webhook_secret", "ws"), ("base_url", "")];
    Account::new("SINCH_V2", "+390612345678", &fields)
}

fn legacy_account() -> Account {
    Account::new("SINCH", "+390612345678", &[("account_sid", "bot1"), ("authorization_token", "t0ken")])
}

fn kaleyra_account() -> Account {
    Account::new("KALEYRA", "+390612345678", &[("account_sid", "HX1"), ("api_key", "k3y"), ("waba_id", "102290129340398")])
}

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn started(accounts: &[Account]) -> StandIn {
    let standin = StandIn::start().await.unwrap();
    for account in accounts {
        standin.add_account(account);
    }
    standin
}

type Answer = (u16, Value);

async fn ask(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn post_form(standin: &StandIn, token: &str, params: &[(&str, &str)]) -> Answer {
    let account = twilio_account();
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", standin.url, account.id());
    ask(crate::http().post(url).basic_auth(account.id(), Some(token)).form(params)).await
}

async fn post_meta(standin: &StandIn, token: &str, body: &Value) -> Answer {
    ask(crate::http().post(format!("{}/meta/v26.0/106540352242922/messages", standin.url)).bearer_auth(token).json(body)).await
}

fn meta_text(body: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": "+393331234567", "type": "text", "text": {"body": body}, "biz_opaque_callback_data": "ref-1"})
}

async fn sinch_token(standin: &StandIn, secret: &str) -> Answer {
    let url = format!("{}/sinch-auth/oauth2/token", standin.url);
    ask(crate::http().post(url).basic_auth("k1", Some(secret)).form(&[("grant_type", "client_credentials")])).await
}

fn sinch_text(body: &str) -> Value {
    let identity = json!({"channel": "WHATSAPP", "identity": "393331234567"});
    json!({"app_id": "a1", "recipient": {"identified_by": {"channel_identities": [identity]}}, "message": {"text_message": {"text": body}}, "message_metadata": "ref-1"})
}

/// A receiver of webhooks: its address, and the requests that it gets.
async fn receiver() -> (String, tokio::sync::mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (seen, received) = tokio::sync::mpsc::unbounded_channel();
    let app = Router::new().route(
        "/in",
        post(async move |headers: HeaderMap, body: Bytes| {
            let _ = seen.send((headers, body));
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, received)
}

const GOOD: [(&str, &str); 3] = [("From", "whatsapp:+390612345678"), ("To", "whatsapp:+393331234567"), ("Body", "Buongiorno")];

#[test]
fn the_published_vectors_of_twilios_signature_pass() {
    let call = pairs(&[
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ]);
    assert_eq!(twilio_signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &call), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    let repeated = pairs(&[("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]);
    assert_eq!(twilio_signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", &repeated), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
}

#[test]
fn the_picture_is_a_picture() {
    assert!(PICTURE.starts_with(b"\x89PNG\r\n\x1a\n") && PICTURE.ends_with(b"IEND\xaeB`\x82"));
}

#[test]
fn the_example_curl_is_signed_and_quoted() {
    let account = Account { receive_url: "http://127.0.0.1:1/receive/twilio/t#rc=3".to_owned(), ..twilio_account() };
    let params = pairs(&[("Body", "it's me")]);
    let command = sign(&account, twilio_form("SM1", &account.receive_url, &params)).unwrap().curl();
    assert!(command.starts_with("curl -i 'http://127.0.0.1:1/receive/twilio/t' "));
    assert!(command.contains(&twilio_signature("secret", "http://127.0.0.1:1/receive/twilio/t", &params)));
    assert!(command.ends_with(r"--data-raw 'Body=it%27s+me'"), "{command}");
    let json = Webhook::json("x", "http://h.example", &json!({"body": "it's me"})).curl();
    assert!(json.ends_with(r#"--data-raw '{"body":"it'\''s me"}'"#), "{json}");
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier() {
    let standin = StandIn::start().await.unwrap();
    let http = crate::http();
    let description: Value =
        http.get(format!("{}/.well-known/openid-configuration", standin.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(description["issuer"], standin.url);
    // RFC 7636, appendix B.
    let (verifier, challenge) = ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let back = "http://127.0.0.1:1/console/session/callback";
    let ask = async |redirect_uri: &str| {
        let asked = [
            ("response_type", "code"),
            ("client_id", AUDIENCE),
            ("redirect_uri", redirect_uri),
            ("state", "s&1"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("subject", "anna"),
        ];
        http.get(format!("{}/authorize/as", standin.url)).query(&asked).send().await.unwrap()
    };
    let code = async || {
        let answer = ask(back).await;
        let url: reqwest::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(query["state"], "s&1");
        query["code"].clone()
    };
    let exchange = async |form: &[(&str, &str)]| {
        let form: Vec<_> = form.iter().copied().chain([("client_id", AUDIENCE), ("redirect_uri", back)]).collect();
        let answer = http.post(description["token_endpoint"].as_str().unwrap()).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let by_code = async |code: &str, verifier: &str| {
        exchange(&[("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)]).await
    };

    let first = code().await;
    let (status, tokens) = by_code(&first, verifier).await;
    assert_eq!((status, tokens["expires_in"].as_u64()), (200, Some(3600)));
    assert_eq!(by_code(&first, verifier).await, (400, json!({"error": "invalid_grant"})));
    assert_eq!(by_code(&code().await, "another").await.0, 400);

    let session = tokens["refresh_token"].as_str().unwrap();
    let renew = [("grant_type", "refresh_token"), ("refresh_token", session)];
    assert!(exchange(&renew).await.1["id_token"].is_string());
    let revoked = http.post(description["revocation_endpoint"].as_str().unwrap()).form(&[("token", session)]).send().await.unwrap();
    assert_eq!((revoked.status().as_u16(), exchange(&renew).await.0), (200, 400));
    // A code leaves this machine for nobody.
    assert_eq!(ask("https://evil.example/").await.status(), 400);
    assert_eq!(ask("http://127.0.0.1.evil.example/").await.status(), 400);
}

#[tokio::test]
async fn twilio_accepts_a_message_and_calls_back_in_order_and_signed() {
    let standin = started(&[twilio_account()]).await;
    let (url, mut received) = receiver().await;
    let callback = format!("{url}?ref=1");
    let (status, answer) = post_form(&standin, "secret", &[&GOOD[..], &[("StatusCallback", &callback)]].concat()).await;
    assert_eq!((status, answer["status"].as_str()), (201, Some("queued")));
    for expected in ["sent", "delivered", "read"] {
        let (headers, body) = received.recv().await.unwrap();
        let params: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        assert!(params.contains(&("MessageStatus".to_owned(), expected.to_owned())));
        assert!(params.contains(&("MessageSid".to_owned(), answer["sid"].as_str().unwrap().to_owned())));
        assert_eq!(headers["x-twilio-signature"].to_str().unwrap(), twilio_signature("secret", &callback, &params));
    }
    assert_eq!(standin.sent().len(), 1);
}

#[tokio::test]
async fn bad_parameters_get_twilios_codes() {
    let standin = started(&[twilio_account()]).await;
    let long = "x".repeat(1601);
    let cases: [(&[(&str, &str)], u64); 5] = [
        (&GOOD[..1], 21604),
        (&GOOD[1..], 21603),
        (&GOOD[..2], 21602),
        (&[GOOD[0], ("To", "whatsapp:+12"), GOOD[2]], 21211),
        (&[GOOD[0], GOOD[1], ("Body", &long)], 21617),
    ];
    for (params, code) in cases {
        let (status, answer) = post_form(&standin, "secret", params).await;
        assert_eq!((status, answer["code"].as_u64()), (400, Some(code)));
    }
    assert!(standin.sent().is_empty());
}

#[tokio::test]
async fn wrong_credentials_are_refused_by_each_provider_in_its_own_form() {
    let standin = started(&[twilio_account(), meta_account(), sinch_account(), legacy_account(), kaleyra_account()]).await;
    let (status, answer) = post_form(&standin, "wrong", &GOOD).await;
    assert_eq!((status, &answer["code"]), (401, &json!(20003)));
    let (status, answer) = post_meta(&standin, "wrong", &meta_text("x")).await;
    assert_eq!((status, &answer["error"]["code"]), (401, &json!(190)));
    let (status, answer) = sinch_token(&standin, "wrong").await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")));
    let http = crate::http();
    let url = format!("{}/sinch/v1/projects/p1/messages:send", standin.url);
    let (status, answer) = ask(http.post(url).bearer_auth("wrong").json(&sinch_text("x"))).await;
    assert_eq!((status, &answer["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    let url = format!("{}/sinch-legacy/whatsapp/v1/bot1/messages", standin.url);
    let (status, answer) = ask(http.post(url).bearer_auth("wrong").json(&json!({}))).await;
    assert_eq!((status, &answer["message"]), (401, &json!("Unauthorized")));
    let url = format!("{}/kaleyra/v2/HX1/whatsapp/%2B390612345678/messages", standin.url);
    let (status, answer) = ask(http.post(url).header("api-key", "wrong").json(&json!({}))).await;
    assert_eq!((status, &answer["code"]), (401, &json!("RBC001")));
    assert!(standin.sent().is_empty());
}

#[tokio::test]
async fn a_scripted_error_happens_once_to_the_provider_that_it_names() {
    let standin = started(&[twilio_account(), meta_account()]).await;
    standin.next(serde_json::from_value(json!({"provider": "META", "status": 429, "retry_after": 1})).unwrap());
    assert_eq!(post_form(&standin, "secret", &GOOD).await.0, 201);
    let url = format!("{}/meta/v26.0/106540352242922/messages", standin.url);
    let answer = crate::http().post(url).bearer_auth("EAAtoken").json(&meta_text("x")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (429, &b"1"[..]));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], 130_429);
    assert_eq!(post_meta(&standin, "EAAtoken", &meta_text("x")).await.0, 200);
    standin.next(Fault { status: Some(400), code: Some(WINDOW_EXPIRED.into()), ..Fault::default() });
    assert_eq!(post_meta(&standin, "EAAtoken", &meta_text("x")).await.1["error"]["code"], 131_047);
}

#[tokio::test]
async fn a_message_that_is_accepted_without_an_answer_is_stored() {
    let standin = started(&[meta_account()]).await;
    standin.next(Fault { fault: Some(Silence::Closed), ..Fault::default() });
    let url = format!("{}/meta/v26.0/106540352242922/messages", standin.url);
    let failure = crate::http().post(url).bearer_auth("EAAtoken").json(&meta_text("lost")).send().await.unwrap_err();
    assert!(!failure.is_connect() && !failure.is_timeout(), "{failure:?}");
    assert_eq!(standin.sent()[0].body, "lost");
    assert_eq!(post_meta(&standin, "EAAtoken", &meta_text("next")).await.0, 200);
}

#[tokio::test]
async fn meta_reports_signed_with_the_app_secret_and_gives_the_reference_back() {
    let standin = started(&[]).await;
    let (url, mut received) = receiver().await;
    standin.point(&meta_account(), &url);
    let (status, answer) = post_meta(&standin, "EAAtoken", &meta_text("x")).await;
    assert_eq!((status, answer["contacts"][0]["wa_id"].as_str()), (200, Some("393331234567")));
    for expected in ["sent", "delivered", "read"] {
        let (headers, body) = received.recv().await.unwrap();
        assert_eq!(headers["x-hub-signature-256"].to_str().unwrap(), format!("sha256={}", hex(&hmac_sha256("s3cret", &body))));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let status = &body["entry"][0]["changes"][0]["value"]["statuses"][0];
        assert_eq!((&status["status"], &status["id"]), (&json!(expected), &answer["messages"][0]["id"]));
        assert_eq!(status["biz_opaque_callback_data"], "ref-1");
    }
}

#[tokio::test]
async fn meta_accepts_a_new_webhook_address_only_if_it_echoes_the_challenge() {
    let standin = started(&[meta_account()]).await;
    let app = Router::new().route(
        "/in",
        get(async |Query(query): Query<BTreeMap<String, String>>| match query["hub.verify_token"].as_str() {
            "right" => (StatusCode::OK, query["hub.challenge"].clone()),
            _ => (StatusCode::FORBIDDEN, String::new()),
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receive_url = format!("http://{}/in", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("{}/meta/v26.0/102290129340398/subscribed_apps", standin.url);
    for (token, status) in [("wrong", 400), ("right", 200)] {
        let body = json!({"override_callback_uri": receive_url, "verify_token": token});
        assert_eq!(ask(crate::http().post(&url).bearer_auth("EAAtoken").json(&body)).await.0, status);
    }
    assert_eq!(standin.account("META", "106540352242922").unwrap().receive_url, receive_url);
    let (_, listed) = ask(crate::http().get(&url).bearer_auth("EAAtoken")).await;
    assert_eq!(listed["data"][0]["override_callback_uri"], receive_url);
}

#[tokio::test]
async fn sinch_wants_a_fetched_token_and_reports_signed() {
    let standin = started(&[]).await;
    let (url, mut received) = receiver().await;
    standin.point(&sinch_account(), &url);
    let (_, token) = sinch_token(&standin, "ks").await;
    assert_eq!(token["expires_in"], 3600);
    let send = async || {
        let url = format!("{}/sinch/v1/projects/p1/messages:send", standin.url);
        ask(crate::http().post(url).bearer_auth(token["access_token"].as_str().unwrap()).json(&sinch_text("x"))).await
    };
    let (status, answer) = send().await;
    assert_eq!(status, 200);
    for expected in ["QUEUED_ON_CHANNEL", "DELIVERED", "READ"] {
        let (headers, body) = received.recv().await.unwrap();
        let header = |name: &str| headers[format!("x-sinch-webhook-signature{name}")].to_str().unwrap();
        assert_eq!(header(""), sinch::signature("ws", &body, header("-nonce"), header("-timestamp")));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let report = &body["message_delivery_report"];
        assert_eq!(
            (&report["status"], &report["message_id"], &report["metadata"]),
            (&json!(expected), &answer["message_id"], &json!("ref-1"))
        );
    }
    standin.revoke_tokens();
    assert_eq!((send().await.0, standin.token_requests()), (401, 1));
}

#[tokio::test]
async fn the_older_sinch_and_kaleyra_accept_a_message_and_report() {
    let standin = started(&[]).await;
    let (url, mut received) = receiver().await;
    standin.point(&legacy_account(), &url);
    standin.point(&kaleyra_account(), &url);
    let http = crate::http();
    let body = json!({"to": ["393331234567"], "message": {"type": "text", "text": "x"}, "callback": url});
    let send = http.post(format!("{}/sinch-legacy/whatsapp/v1/bot1/messages", standin.url)).bearer_auth("t0ken").json(&body);
    let (status, answer) = ask(send).await;
    assert_eq!((status, &answer["statuses"][0]["state"]), (201, &json!("queued")));
    for expected in ["sent", "delivered", "read"] {
        let body: Value = serde_json::from_slice(&received.recv().await.unwrap().1).unwrap();
        assert_eq!(
            (&body["statuses"][0]["state"], &body["statuses"][0]["message_id"]),
            (&json!(expected), &answer["statuses"][0]["message_id"])
        );
    }
    let body = json!({"messaging_object": meta_text("x"), "extra_info": {"ref": "ref-2"}});
    let send = http.post(format!("{}/kaleyra/v2/HX1/whatsapp/%2B390612345678/messages", standin.url)).header("api-key", "k3y").json(&body);
    let (status, answer) = ask(send).await;
    assert_eq!((status, &answer["code"]), (200, &json!("WA200")));
    for expected in ["sent", "delivered", "read"] {
        let body: Value = serde_json::from_slice(&received.recv().await.unwrap().1).unwrap();
        assert_eq!((&body["status"], &body["extra_info"]["ref"]), (&json!(expected), &json!("ref-2")));
        assert_eq!(body["extra_info"]["message_id"], answer["data"]["message_id"]);
    }
}

#[tokio::test]
async fn the_provider_fetches_the_file_of_a_message_and_reports_a_failure() {
    let standin = started(&[]).await;
    let (url, mut received) = receiver().await;
    standin.point(&meta_account(), &url);
    let file = standin.add_file(&legacy_account(), "image/png", Some("a.png"), PICTURE).unwrap();
    let message = |link: &str| json!({"messaging_product": "whatsapp", "to": "+393331234567", "type": "image", "image": {"link": link, "caption": "see"}});
    assert_eq!(post_meta(&standin, "EAAtoken", &message(&file.url)).await.0, 200);
    let sent = standin.wait_for_sent(Duration::from_secs(10), |sent| sent.media.is_some()).await.unwrap();
    assert_eq!((sent.body.as_str(), sent.media.unwrap().bytes), ("see", Bytes::from_static(PICTURE)));
    for _ in 0..3 {
        received.recv().await.unwrap();
    }
    assert_eq!(post_meta(&standin, "EAAtoken", &message(&format!("{}/files/nothing", standin.url))).await.0, 200);
    let body: Value = serde_json::from_slice(&received.recv().await.unwrap().1).unwrap();
    let status = &body["entry"][0]["changes"][0]["value"]["statuses"][0];
    assert_eq!((&status["status"], &status["errors"][0]["code"]), (&json!("failed"), &json!(131_053)));
}

#[tokio::test]
async fn twilios_media_want_credentials_and_the_content_network_refuses_them() {
    let account = twilio_account();
    let standin = started(std::slice::from_ref(&account)).await;
    let url = standin.add_file(&account, "image/png", None, PICTURE).unwrap().url;
    let http = crate::http();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    let redirect = http.get(&url).basic_auth(account.id(), Some("secret")).send().await.unwrap();
    assert_eq!(redirect.status(), 307);
    let target = redirect.headers()["location"].to_str().unwrap();
    assert_eq!(http.get(target).basic_auth(account.id(), Some("secret")).send().await.unwrap().status(), 400);
    let file = http.get(target).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "image/png");
    assert_eq!(file.bytes().await.unwrap(), PICTURE);
}

#[tokio::test]
async fn metas_media_are_found_in_two_steps_and_their_address_wants_the_token_and_ends() {
    let account = meta_account();
    let standin = started(std::slice::from_ref(&account)).await;
    let file = standin.add_file(&account, "image/png", None, PICTURE).unwrap();
    let get = async |url: &str, token: &str| crate::http().request(Method::GET, url).bearer_auth(token).send().await.unwrap();
    let resolve = format!("{}/meta/v26.0/{}?phone_number_id=106540352242922", standin.url, file.id);
    let found: Value = get(&resolve, "EAAtoken").await.json().await.unwrap();
    let url = found["url"].as_str().unwrap();
    assert_eq!(found["sha256"], hex(&file.sha256));
    assert_eq!(get(url, "wrong").await.status(), 401);
    assert_eq!(get(url, "EAAtoken").await.bytes().await.unwrap(), PICTURE);
    standin.expire_addresses();
    assert_eq!(get(url, "EAAtoken").await.status(), 404);
    let again: Value = get(&resolve, "EAAtoken").await.json().await.unwrap();
    assert_eq!(get(again["url"].as_str().unwrap(), "EAAtoken").await.status(), 200);
}

#[tokio::test]
async fn providers_with_a_list_list_customers_messages() {
    let (twilio, sinch, legacy) = (twilio_account(), sinch_account(), legacy_account());
    let standin = started(&[twilio.clone(), sinch.clone(), legacy.clone()]).await;
    for account in [&twilio, &sinch, &legacy] {
        for text in ["one", "two"] {
            standin.write(account, "+393331234567", "Zoë", text, None).unwrap();
        }
    }
    let http = crate::http();
    let number = "whatsapp:+390612345678";
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", standin.url, twilio.id());
    let list = |page: &str| {
        let query = [("To", number), ("DateSent>", "2026-01-01"), ("PageSize", "1"), ("Page", page)];
        http.get(&url).query(&query).basic_auth(twilio.id(), Some("secret"))
    };
    let (_, first) = ask(list("0")).await;
    assert_eq!((&first["messages"][0]["body"], &first["messages"][0]["direction"]), (&json!("two"), &json!("inbound")));
    let next = first["next_page_uri"].as_str().unwrap();
    let (_, second) = ask(http.get(format!("{}{next}", standin.url)).basic_auth(twilio.id(), Some("secret"))).await;
    assert_eq!((&second["messages"][0]["body"], &second["next_page_uri"]), (&json!("one"), &Value::Null));

    let (_, token) = sinch_token(&standin, "ks").await;
    let token = token["access_token"].as_str().unwrap();
    let url = format!("{}/sinch/v1/projects/p1/messages?app_id=a1&page_size=10", standin.url);
    let (_, listed) = ask(http.get(url).bearer_auth(token)).await;
    assert_eq!(listed["messages"][0]["contact_message"]["text_message"]["text"], "two");
    let contact = listed["messages"][0]["contact_id"].as_str().unwrap();
    let (_, contact) = ask(http.get(format!("{}/sinch/v1/projects/p1/contacts/{contact}", standin.url)).bearer_auth(token)).await;
    assert_eq!(contact["display_name"], "Zoë");

    let url = format!("{}/sinch-legacy/whatsapp/v1/bot1/callbacks/notifications?page_size=10", standin.url);
    let (_, listed) = ask(http.get(url).bearer_auth("t0ken")).await;
    assert_eq!(listed["notifications"][1]["message"]["body"], "two");
}

#[tokio::test]
async fn a_minted_token_is_verified_with_the_published_key() {
    let standin = started(&[]).await;
    let token = standin.mint("anna", &["agent"], Duration::from_secs(60)).unwrap();
    let keys: JwkSet = crate::http().get(standin.jwks_url()).send().await.unwrap().json().await.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(identity::KEY_ID).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_issuer(&[&standin.url]);
    rules.set_audience(&[identity::AUDIENCE]);
    let read = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
    assert_eq!(read.claims["sub"], "anna");
    assert_eq!(read.claims["cognito:groups"], json!(["agent"]));
}
