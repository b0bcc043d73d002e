use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Form;
use axum::http::Request;
use axum::routing::{get, post};
use cloud::config::Env;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::{Files, router};

/// Requests for tokens that the issuer got.
type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// An issuer that knows the code `good` and the session `refresh-1`.
async fn issuer() -> (String, Asked) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let description = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize?tenant=1"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "end_session_endpoint": format!("{url}/logout"),
    });
    let remember = |asked: &Asked| {
        let asked = asked.clone();
        move |form: &HashMap<String, String>| asked.lock().unwrap().push(form.clone())
    };
    let (at_token, at_revoke) = (remember(&asked), remember(&asked));
    let tokens = async move |Form(form): Form<HashMap<String, String>>| {
        at_token(&form);
        let good =
            form.get("code").is_some_and(|code| code == "good") || form.get("refresh_token").is_some_and(|token| token == "refresh-1");
        if form.get("code").is_some_and(|code| code == "broken") {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        if !good {
            return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
        }
        Json(json!({"id_token": "ey.id", "refresh_token": "refresh-1", "expires_in": 3600})).into_response()
    };
    let revoked = async move |Form(form): Form<HashMap<String, String>>| at_revoke(&form);
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(description.clone())))
        .route("/token", post(tokens))
        .route("/revoke", post(revoked));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

/// The function behind `public_url`.
fn console(issuer: &str, public_url: &str) -> Router {
    let env = Env::from_pairs([
        // Lets the issuer be plain.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("PUBLIC_URL", public_url),
        ("JWT_ISSUER", issuer),
        ("CONSOLE_CLIENT_ID", "console"),
        ("BUCKET_ORIGIN", "https://bucket.s3.eu-south-1.amazonaws.com"),
        ("WEBSOCKET_URL", "wss://socket.example/live"),
    ]);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/session/app");
    router(Arc::new(App::from_env(&env, Files::Folder(folder)).unwrap()))
}

const PUBLIC: &str = "https://desk.example/wa";

async fn send(console: &Router, request: Request<Body>) -> Response {
    console.clone().oneshot(request).await.unwrap()
}

async fn visit(console: &Router, path: &str, cookie: &str) -> Response {
    send(console, Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap()).await
}

async fn ask(console: &Router, path: &str, cookie: &str) -> Response {
    let request = Request::post(path).header("cookie", cookie).header("origin", "https://desk.example").header("x-console", "1");
    send(console, request.body(Body::empty()).unwrap()).await
}

fn location(answer: &Response) -> &str {
    answer.headers()["location"].to_str().unwrap()
}

/// The cookies that an answer sets: names and values, and the whole lines.
fn cookies(answer: &Response) -> (HashMap<String, String>, Vec<String>) {
    let lines: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect();
    let pairs = lines.iter().filter_map(|line| line.split(';').next()?.split_once('='));
    (pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), lines)
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_slice(&to_bytes(answer.into_body(), 10_000).await.unwrap()).unwrap()
}

/// A login as far as the issuer's page: the cookie, and the state.
async fn begun(console: &Router) -> (String, String) {
    let answer = visit(console, "/wa/console/session/login?to=/desk/int_1", "").await;
    let value = cookies(&answer).0["__Secure-console-login"].clone();
    let state = value.split('.').next().unwrap().to_owned();
    (format!("other=1; __Secure-console-login={value}"), state)
}

#[tokio::test]
async fn a_login_ends_with_a_session_that_no_script_can_read() {
    let (issuer, asked) = issuer().await;
    let console = console(&issuer, PUBLIC);
    let answer = visit(&console, "/wa/console/session/login?to=/desk/int_1", "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let url: reqwest::Url = location(&answer).parse().unwrap();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert!(url.as_str().starts_with(&format!("{issuer}/authorize?tenant=1&response_type=code&client_id=console&")), "{url}");
    assert_eq!(query["redirect_uri"], "https://desk.example/wa/console/session/callback");
    let (pairs, lines) = cookies(&answer);
    assert!(lines[0].ends_with("; Path=/wa/console/session; Max-Age=600; HttpOnly; SameSite=Lax; Secure"), "{lines:?}");
    let login = &pairs["__Secure-console-login"];
    let (state, rest) = login.split_once('.').unwrap();
    let verifier = rest.split('.').next().unwrap();
    assert_eq!(query["state"], state);
    assert_eq!(query["code_challenge"], BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())));

    let back = format!("/wa/console/session/callback?code=good&state={state}");
    let answer = visit(&console, &back, &format!("__Secure-console-login={login}")).await;
    assert_eq!(location(&answer), "https://desk.example/wa/console/desk/int_1");
    let (pairs, lines) = cookies(&answer);
    assert_eq!((pairs["__Secure-console-session"].as_str(), pairs["__Secure-console-login"].as_str()), ("refresh-1", ""));
    assert!(lines[0].ends_with("; Path=/wa/console/session; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"), "{lines:?}");
    assert_eq!(asked.lock().unwrap()[0]["code_verifier"], verifier);

    let answer = ask(&console, "/wa/console/session/token", "__Secure-console-session=refresh-1").await;
    assert_eq!((answer.status(), answer.headers()["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"));
    assert_eq!(json_of(answer).await, json!({"id_token": "ey.id", "expires_in": 3600}));
}

#[tokio::test]
async fn an_answer_that_this_browser_did_not_ask_for_logs_nobody_in() {
    let (issuer, asked) = issuer().await;
    let console = console(&issuer, PUBLIC);
    let (cookie, state) = begun(&console).await;
    let cases = [
        (format!("code=good&state={state}"), ""),
        ("code=good&state=another".to_owned(), &*cookie),
        ("code=good".to_owned(), &*cookie),
        (format!("error=access_denied&state={state}"), &*cookie),
        (format!("code=stale&state={state}"), &*cookie),
    ];
    for (query, cookie) in cases {
        let answer = visit(&console, &format!("/wa/console/session/callback?{query}"), cookie).await;
        assert_eq!(location(&answer), "https://desk.example/wa/console/login?problem=login", "{query}");
        assert!(!cookies(&answer).0.contains_key("__Secure-console-session"), "{query}");
    }
    // Only the last one reached the issuer.
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_issuer_that_fails_is_named_and_the_session_stays() {
    let (issuer, _) = issuer().await;
    let broken = console(&issuer, PUBLIC);
    let (cookie, state) = begun(&broken).await;
    let answer = visit(&broken, &format!("/wa/console/session/callback?code=broken&state={state}"), &cookie).await;
    assert_eq!(location(&answer), "https://desk.example/wa/console/login?problem=issuer");
    // Nobody listens there.
    let gone = console("http://127.0.0.1:1", PUBLIC);
    let answer = visit(&gone, "/wa/console/session/login", "").await;
    assert_eq!(location(&answer), "https://desk.example/wa/console/login?problem=issuer");
    let answer = ask(&gone, "/wa/console/session/token", "__Secure-console-session=refresh-1").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(cookies(&answer).1.is_empty() && answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn another_sites_page_gets_no_token_and_ends_no_session() {
    let (issuer, asked) = issuer().await;
    let console = console(&issuer, PUBLIC);
    let cookie = "__Secure-console-session=refresh-1";
    for path in ["/wa/console/session/token", "/wa/console/session/logout"] {
        for (origin, ours) in
            [(None, true), (Some("https://evil.example"), true), (Some("https://desk.example"), false), (Some("null"), true)]
        {
            let mut request = Request::post(path).header("cookie", cookie);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            if ours {
                request = request.header("x-console", "1");
            }
            let answer = send(&console, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {origin:?}");
            assert!(cookies(&answer).1.is_empty());
        }
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_the_issuer_ended_is_forgotten() {
    let (issuer, _) = issuer().await;
    let console = console(&issuer, PUBLIC);
    let answer = ask(&console, "/wa/console/session/token", "__Secure-console-session=ended").await;
    assert_eq!((answer.status(), cookies(&answer).0["__Secure-console-session"].as_str()), (StatusCode::UNAUTHORIZED, ""));
    assert_eq!(ask(&console, "/wa/console/session/token", "console-session=refresh-1").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn logout_ends_the_session_here_and_at_the_issuer() {
    let (issuer, asked) = issuer().await;
    let console = console(&issuer, PUBLIC);
    let answer = ask(&console, "/wa/console/session/logout", "__Secure-console-session=refresh-1").await;
    assert_eq!(cookies(&answer).0["__Secure-console-session"], "");
    let url = json_of(answer).await["url"].as_str().unwrap().to_owned();
    let after = "https%3A%2F%2Fdesk.example%2Fwa%2Fconsole%2Flogin";
    assert_eq!(url, format!("{issuer}/logout?client_id=console&post_logout_redirect_uri={after}&logout_uri={after}"));
    assert_eq!(asked.lock().unwrap()[0]["token"], "refresh-1");
}

#[tokio::test]
async fn a_login_leads_to_no_other_site() {
    for to in ["//evil.example", "https://evil.example", "/\\evil.example", "/desk?x=https:", "desk"] {
        assert_eq!(inside(Some(to)), "/desk", "{to}");
    }
    assert_eq!(inside(Some("/desk/int_01")), "/desk/int_01");
}

#[tokio::test]
async fn on_this_machine_cookies_need_no_encryption() {
    let (issuer, _) = issuer().await;
    let local = console(&issuer, "http://127.0.0.1:4701/_aws/execute-api/a1/$default");
    let answer = visit(&local, "/console/session/login", "").await;
    let (pairs, lines) = cookies(&answer);
    assert!(pairs.contains_key("console-login") && !lines[0].contains("Secure"), "{lines:?}");
    assert!(lines[0].contains("; Path=/_aws/execute-api/a1/$default/console/session;"), "{lines:?}");
    assert!(!answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn the_page_is_never_kept_and_its_policy_allows_no_script_or_style_but_the_files() {
    let (issuer, _) = issuer().await;
    let console = console(&issuer, PUBLIC);
    for path in ["/wa/console/desk", "/console/desk/int_1", "/wa/console/login"] {
        let answer = visit(&console, path, "").await;
        assert_eq!((answer.status(), answer.headers()["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"), "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "trusted-types vue"] {
            assert!(policy.split("; ").any(|found| found == part), "{part}: {policy}");
        }
        assert!(
            !policy.contains("unsafe")
                && policy.contains("connect-src 'self' https://bucket.s3.eu-south-1.amazonaws.com wss://socket.example;")
        );
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(r#"<base href="/wa/console/" />"#), "{path}");
    }
    assert_eq!(location(&visit(&console, "/wa/console", "").await), "https://desk.example/wa/console/desk");
    assert_eq!(visit(&console, "/wa/console/session/other", "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(visit(&console, "/wa/other", "").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_is_kept_for_ever_and_travels_compressed() {
    let (issuer, _) = issuer().await;
    let console = console(&issuer, PUBLIC);
    for (accept, encoding, length) in [("gzip, br", Some("br"), 2), ("gzip", Some("gzip"), 4), ("identity", None, 7)] {
        let request = Request::get("/wa/console/assets/main-1a2b.js").header("accept-encoding", accept).body(Body::empty()).unwrap();
        let answer = send(&console, request).await;
        let headers = answer.headers().clone();
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(headers.get("content-encoding").map(|found| found.to_str().unwrap()), encoding);
        assert_eq!(
            (headers["vary"].to_str().unwrap(), headers["x-content-type-options"].to_str().unwrap()),
            ("accept-encoding", "nosniff")
        );
        assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap().len(), length, "{accept}");
    }
    for path in ["/wa/console/assets/other.js", "/wa/console/assets/..%2f..%2fsession.rs", "/wa/console/assets/main-1a2b.js.br"] {
        let answer = visit(&console, path, "").await;
        assert_eq!((answer.status(), answer.headers()["cache-control"].to_str().unwrap()), (StatusCode::NOT_FOUND, "no-store"), "{path}");
    }
}
