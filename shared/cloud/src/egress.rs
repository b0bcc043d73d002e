//! HTTP to the outside. [`Egress`] is the one client for addresses that a person may choose: strangers (media) and
//! administrators (base URLs of providers, Webhook steps). It allows https only, resolves the name itself, checks
//! every address, and connects to those very addresses. [`Egress::vet`] applies the same rule when an address is
//! saved. [`fixed_client`] is for addresses that whoever deploys has set.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use domain::values::Secret;
use http::{StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Url, redirect};

use crate::config::{ConfigError, Env};

/// A name and a handshake take well under a second. A server that needs more than five is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Providers answer within a second or two. It is below the visibility timeout of the queue of a send.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest medium (100 MB, Meta's limit for documents) at 2.5 MB/s, within the time of the function that copies
/// it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(40);
/// When a sender that stops in the middle is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle socket is kept. It may have died while the environment was frozen, and a request written to a
/// dead socket has an unknown outcome, which a person must resolve. This is long enough for reuse within a burst,
/// and too short to survive a pause.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Some of Meta's media hosts are reported to refuse a request without a user agent.
const USER_AGENT: &str = concat!("whatsapp-connector/", env!("CARGO_PKG_VERSION"));
/// How long a name may take to be resolved while its address is saved. Whoever saves waits for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Providers' media take one or two redirects to a content network.
const MAX_REDIRECTS: usize = 5;

/// The types of bodies.
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The client can't be built: the TLS library refused its own roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client can't be built")]
pub struct ClientError;

/// Why nothing was fetched. The error names no address, because it may be a signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The URL, or one that it redirects to, may not be fetched. Trying again won't help.
    #[error("the address is refused: {0}")]
    Refused(&'static str),
    /// Too many redirects. Trying again won't help.
    #[error("more than 5 redirects")]
    TooManyRedirects,
    /// The body is longer than the given limit. Trying again won't help.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// No answer, or a truncated one. Trying again may help.
    #[error("no answer")]
    NoAnswer,
}

/// Scheme, host and port of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of `url`, if it is http or https.
    pub fn of(url: &Url) -> Option<Self> {
        let web = matches!(url.scheme(), "http" | "https");
        let port = url.port_or_known_default()?;
        web.then_some(())?;
        Some(Self { scheme: url.scheme().to_owned(), host: url.host_str()?.to_owned(), port })
    }
}

/// The text is not `scheme://host[:port]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        text.parse().ok().as_ref().and_then(Origin::of).ok_or(NotAnOrigin)
    }
}

/// Credentials, and the origin that may get them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The value of `Authorization`.
    pub secret: Authorization,
    /// The only origin that gets them, with the first request only.
    pub to: Origin,
}

/// The value of `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// HTTP basic authentication.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
}

/// The fetched answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The status of the last answer, after redirects.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its `Content-Disposition`, in which the provider names the file.
    pub content_disposition: Option<String>,
    /// Its `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body.
    pub bytes: Vec<u8>,
}

/// Doesn't show the body, which is a customer's.
impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetched({}, {} bytes)", self.status, self.bytes.len())
    }
}

/// A client for addresses that a stranger may choose.
#[derive(Debug, Clone)]
pub struct Egress {
    vetted: Client,
    exempt: Client,
    allowed: Vec<Origin>,
}

impl Egress {
    /// Reads `EGRESS_ALLOWED_ORIGINS`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Self::new(allowed(env)?).map_err(|_| INVALID)
    }

    /// A client for the providers' APIs: connect in 5 s, answer in 15 s. It reads `EGRESS_ALLOWED_ORIGINS`, and on the
    /// local engine may also reach the origins of `fixed`, which whoever deploys has set.
    pub fn of_providers<'a>(env: &Env, fixed: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let mut allowed = allowed(env)?;
        if env.on_local_engine() {
            allowed.extend(fixed.into_iter().filter_map(|url| url.parse().ok()));
        }
        Self::with(allowed, || base().timeout(PROVIDER_TIMEOUT)).map_err(|_| INVALID)
    }

    /// A client that may also reach `allowed`, with any scheme and address. For local runs; empty in production.
    pub fn new(allowed: Vec<Origin>) -> Result<Self, ClientError> {
        Self::with(allowed, || base().timeout(FETCH_TIMEOUT).read_timeout(READ_TIMEOUT))
    }

    fn with(allowed: Vec<Origin>, client: impl Fn() -> ClientBuilder) -> Result<Self, ClientError> {
        Ok(Self {
            vetted: client().https_only(true).dns_resolver(VettingResolver).build().map_err(|_| ClientError)?,
            exempt: client().build().map_err(|_| ClientError)?,
            allowed,
        })
    }

    /// Fetches `url`. Follows up to 5 redirects, each checked like the first. Gives up a body as soon as it exceeds
    /// `limit` bytes.
    pub async fn get(&self, url: &str, credentials: Option<&Credentials>, limit: u64) -> Result<Fetched, EgressError> {
        let mut url: Url = url.parse().map_err(|_| EgressError::Refused("not a URL"))?;
        let mut credentials = credentials;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client_for(&url)?.get(url.clone());
            if let Some(credentials) = credentials.take().filter(|credentials| Origin::of(&url).as_ref() == Some(&credentials.to)) {
                request = match &credentials.secret {
                    Authorization::Basic { user, password } => request.basic_auth(user, Some(password.reveal())),
                    Authorization::Bearer(token) => request.bearer_auth(token.reveal()),
                };
            }
            let answer = request.send().await.map_err(|error| refusal(&error).unwrap_or(EgressError::NoAnswer))?;
            match redirect_of(&answer) {
                Some(location) => url = url.join(&location).map_err(|_| EgressError::Refused("redirect to what is not a URL"))?,
                None => return read(answer, limit, Beyond::Refused).await,
            }
        }
        Err(EgressError::TooManyRedirects)
    }

    /// Posts JSON to `url`. A redirect counts as the answer: a request that was signed for one address goes to no
    /// other.
    pub async fn post_json(
        &self,
        url: &str,
        headers: header::HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
        limit: u64,
    ) -> Result<Fetched, EgressError> {
        read(self.posted(url, headers, JSON, body, timeout).await?, limit, Beyond::Refused).await
    }

    /// The same with a form.
    pub async fn post_form(
        &self,
        url: &str,
        headers: header::HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
        limit: u64,
    ) -> Result<Fetched, EgressError> {
        read(self.posted(url, headers, FORM, body, timeout).await?, limit, Beyond::Refused).await
    }

    /// Like [`Egress::post_json`], for an answer whose status counts: of a longer body, the first `limit` bytes are
    /// read.
    pub async fn post_json_beginning(
        &self,
        url: &str,
        headers: header::HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
        limit: u64,
    ) -> Result<Fetched, EgressError> {
        read(self.posted(url, headers, JSON, body, timeout).await?, limit, Beyond::Unread).await
    }

    async fn posted(
        &self,
        url: &str,
        headers: header::HeaderMap,
        content_type: &'static str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<reqwest::Response, EgressError> {
        let url: Url = url.parse().map_err(|_| EgressError::Refused("not a URL"))?;
        let request = self.client_for(&url)?.post(url).headers(headers).header(header::CONTENT_TYPE, content_type);
        request.timeout(timeout).body(body).send().await.map_err(|error| refusal(&error).unwrap_or(EgressError::NoAnswer))
    }

    /// Whether a person may choose this address. It must be https, its host a name of the public Internet that is
    /// spelled as it is understood, and lead to public addresses only. A name that leads nowhere (yet) may be
    /// chosen: it is vetted again whenever it is used.
    ///
    /// # Errors
    /// The address is refused, with the reason.
    pub async fn vet(&self, url: &str) -> Result<(), EgressError> {
        self.vet_by(url, async |host| {
            let found = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, 0))).await;
            found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
        })
        .await
    }

    async fn vet_by(&self, url: &str, look_up: impl AsyncFnOnce(&str) -> Vec<SocketAddr>) -> Result<(), EgressError> {
        let url: Url = url.parse().map_err(|_| EgressError::Refused("not a URL"))?;
        if self.allows(&url) {
            return Ok(());
        }
        self.client_for(&url)?;
        let host = public_name(&url).ok_or(EgressError::Refused("not the name of a public host"))?;
        vet(&look_up(host).await).map_err(|_| EgressError::Refused("not a public address"))
    }

    fn allows(&self, url: &Url) -> bool {
        Origin::of(url).is_some_and(|origin| self.allowed.contains(&origin))
    }

    /// The client that may reach `url`, if there is one. It connects to vetted addresses only.
    ///
    /// # Errors
    /// The address is refused, with the reason.
    pub fn client_for(&self, url: &Url) -> Result<&Client, EgressError> {
        if self.allows(url) {
            return Ok(&self.exempt);
        }
        if url.scheme() != "https" {
            return Err(EgressError::Refused("not https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Refused("credentials in the URL"));
        }
        // An IP address in the URL is connected to without the resolver. `Url` has normalised every spelling of it
        // (octal, hexadecimal, one number) to one of two forms.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(EgressError::Refused("not a public address"));
        }
        Ok(&self.vetted)
    }
}

const INVALID: ConfigError =
    ConfigError::Invalid { name: "EGRESS_ALLOWED_ORIGINS", expected: "a comma-separated list of scheme://host:port" };

fn allowed(env: &Env) -> Result<Vec<Origin>, ConfigError> {
    let origins: Result<Vec<Origin>, NotAnOrigin> = env.list("EGRESS_ALLOWED_ORIGINS").into_iter().map(str::parse).collect();
    origins.map_err(|_| INVALID)
}

/// Whether `host` is a name of the public Internet, and not an address in any spelling (`0x7f.1`, `2130706433`).
pub fn is_public_name(host: &str) -> bool {
    format!("https://{host}/").parse().is_ok_and(|url| public_name(&url) == Some(host))
}

/// The host, if it is a name with a dot that is not known to be local.
fn public_name(url: &Url) -> Option<&str> {
    // `Url` has normalised every spelling of an IP address to one of two forms, neither of which is a name here.
    let host = url.domain()?;
    let (_, last) = host.trim_end_matches('.').rsplit_once('.')?;
    let local = ["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"].contains(&last);
    (!local && last.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).then_some(host)
}

/// The target of a redirect. An answer without a usable `Location` is not a redirect.
fn redirect_of(answer: &reqwest::Response) -> Option<String> {
    let redirects = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    redirects.then(|| answer.headers().get(header::LOCATION)?.to_str().ok().map(str::to_owned)).flatten()
}

/// What happens to a body beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// The answer is of no use.
    Refused,
    /// The rest is not read.
    Unread,
}

async fn read(mut answer: reqwest::Response, limit: u64, beyond: Beyond) -> Result<Fetched, EgressError> {
    let too_large = EgressError::TooLarge { limit };
    if beyond == Beyond::Refused && answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, content_disposition) = (text(header::CONTENT_TYPE), text(header::CONTENT_DISPOSITION));
    let retry_after = text(header::RETRY_AFTER);
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| EgressError::NoAnswer)? {
        let room = usize::try_from(limit).unwrap_or(usize::MAX) - bytes.len();
        if chunk.len() <= room {
            bytes.extend_from_slice(&chunk);
        } else if beyond == Beyond::Refused {
            return Err(too_large);
        } else {
            bytes.extend_from_slice(&chunk[..room]);
            break;
        }
    }
    Ok(Fetched { status: answer.status(), content_type, content_disposition, retry_after, bytes })
}

/// A client for addresses that whoever deploys has set, such as the issuer's keys: connect in 5 s, answer in 15 s, no
/// redirect followed, no proxy.
pub fn fixed_client() -> Result<Client, ClientError> {
    base().timeout(PROVIDER_TIMEOUT).build().map_err(|_| ClientError)
}

/// The fate of a request after a transport error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// No connection was made, so nothing was sent. The request may be sent again.
    NotSent,
    /// The request may have arrived and taken effect.
    Unknown,
}

impl Transport {
    /// The fate by `error`.
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_builder() || error.is_connect() || error.is_dns() { Transport::NotSent } else { Transport::Unknown }
    }
}

/// The settings of all clients. The roots are bundled, because reading the system's costs some 45 ms for every
/// client. There is no proxy, because a proxy would resolve names itself.
fn base() -> ClientBuilder {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| Certificate::from_der(root).ok());
    Client::builder()
        .tls_certs_only(roots)
        .no_proxy()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
}

/// The name has an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("not a public address")]
struct NotPublic;

/// The refusal within a transport error, if that was its cause.
fn refusal(error: &reqwest::Error) -> Option<EgressError> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return Some(EgressError::Refused("not a public address"));
        }
        cause = error.source();
    }
    None
}

/// Resolves names to public addresses only. The connection goes to the returned addresses, so a name can't change
/// between check and use.
struct VettingResolver;

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            vet(&addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// One bad address condemns the name: an honest name does not mix public and private addresses.
fn vet(addresses: &[SocketAddr]) -> Result<(), NotPublic> {
    if addresses.iter().all(|address| is_public(address.ip())) { Ok(()) } else { Err(NotPublic) }
}

/// Whether an address belongs to the public Internet. Source of the ranges: IANA's special-purpose address registries.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0 // this network
        || a == 10 || a == 127 // private, loopback
        || (a == 100 && (64..=127).contains(&b)) // carrier-grade NAT
        || (a == 169 && b == 254) // link-local, where clouds keep their metadata
        || (a == 172 && (16..=31).contains(&b)) || (a == 192 && b == 168) // private
        || (a == 192 && b == 0 && (c == 0 || c == 2)) || (a == 192 && b == 88 && c == 99) // protocols, documentation, 6to4 relays
        || (a == 198 && (b == 18 || b == 19)) || (a == 198 && b == 51 && c == 100) || (a == 203 && b == 0 && c == 113) // benchmarks, documentation
        || a >= 224; // multicast, reserved, broadcast
    !special
}

/// Only 2000::/3 is assigned. Everything else (loopback, unique and link-local, multicast, disguised IPv4, NAT64)
/// is refused.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) // protocols (among them Teredo and ORCHID), documentation
        || (a == 0x3fff && b < 0x1000) // documentation
        || a == 0x2002; // 6to4: carries any IPv4 address
    (0x2000..=0x3fff).contains(&a) && !special
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server on loopback that gives the same answer to every request and records the requests.
    struct Server {
        port: u16,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        async fn start(answer: impl Into<String>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
            let (answer, seen) = (answer.into().replace("{port}", &server.port.to_string()), Arc::clone(&server.seen));
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    let mut request = Vec::new();
                    let mut buffer = [0; 1024];
                    while !request.ends_with(b"\r\n\r\n") {
                        match socket.read(&mut buffer).await {
                            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                            _ => break,
                        }
                    }
                    seen.lock().unwrap().push(String::from_utf8(request).unwrap().to_lowercase());
                    // A client that has seen enough closes the connection.
                    let _ = socket.write_all(answer.as_bytes()).await;
                }
            });
            server
        }

        fn url(&self) -> String {
            format!("http://127.0.0.1:{}/m", self.port)
        }

        fn origin(&self) -> Origin {
            self.url().parse().unwrap()
        }

        fn seen(&self) -> Vec<String> {
            self.seen.lock().unwrap().clone()
        }
    }

    fn ok(body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    fn redirect_to(location: &str) -> String {
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    fn egress(servers: &[&Server]) -> Egress {
        Egress::new(servers.iter().map(|server| server.origin()).collect()).unwrap()
    }

    fn credentials(to: Origin) -> Credentials {
        Credentials { secret: Authorization::Basic { user: "AC1".into(), password: Secret::new("secret") }, to }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_accepted() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.1.0.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a05:d000::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn one_private_address_condemns_a_name() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(vet(&[address("1.1.1.1"), address("2606:4700::1111")]).is_ok());
        assert!(vet(&[address("1.1.1.1"), address("10.0.0.1")]).is_err());
    }

    #[tokio::test]
    async fn urls_that_strangers_must_not_choose_are_refused() {
        let egress = egress(&[]);
        for (url, why) in [
            ("http://example.com/a", "not https"),
            ("ftp://example.com/a", "not https"),
            ("file:///etc/passwd", "not https"),
            ("nonsense", "not a URL"),
            ("https://user:pass@example.com/", "credentials in the URL"),
            ("https://127.0.0.1/", "not a public address"),
            ("https://2130706433/", "not a public address"),
            ("https://0x7f.1/", "not a public address"),
            ("https://0177.0.0.1/", "not a public address"),
            ("https://169.254.169.254/latest/meta-data/", "not a public address"),
            ("https://[::1]/", "not a public address"),
            ("https://[::ffff:10.0.0.1]/", "not a public address"),
            ("https://localhost/", "not a public address"),
        ] {
            assert_eq!(egress.get(url, None, 10).await, Err(EgressError::Refused(why)), "{url}");
        }
    }

    #[tokio::test]
    async fn an_allowed_origin_is_fetched_whole() {
        let server = Server::start(ok("hello")).await;
        let fetched = egress(&[&server]).get(&server.url(), None, 5).await.unwrap();
        assert_eq!((fetched.status, fetched.content_type.as_deref(), &*fetched.bytes), (StatusCode::OK, Some("image/png"), &b"hello"[..]));
    }

    #[tokio::test]
    async fn another_port_of_an_allowed_host_is_refused() {
        let (allowed, other) = (Server::start(ok("a")).await, Server::start(ok("b")).await);
        assert_eq!(egress(&[&allowed]).get(&other.url(), None, 5).await, Err(EgressError::Refused("not https")));
        assert!(other.seen().is_empty());
    }

    #[tokio::test]
    async fn a_redirect_is_followed_without_credentials() {
        let target = Server::start(ok("hello")).await;
        let first = Server::start(redirect_to(&target.url())).await;
        let credentials = credentials(first.origin());
        let fetched = egress(&[&first, &target]).get(&first.url(), Some(&credentials), 100).await.unwrap();
        assert_eq!(fetched.bytes, b"hello");
        assert!(first.seen()[0].contains("authorization: basic"));
        assert!(!target.seen()[0].contains("authorization"));
        assert!(!target.seen()[0].contains("referer"));
    }

    #[tokio::test]
    async fn credentials_go_to_their_own_origin_only() {
        let server = Server::start(ok("hello")).await;
        let credentials = credentials("https://api.twilio.com".parse().unwrap());
        egress(&[&server]).get(&server.url(), Some(&credentials), 100).await.unwrap();
        assert!(!server.seen()[0].contains("authorization"));
    }

    #[tokio::test]
    async fn a_redirect_to_a_private_address_is_refused() {
        let private = Server::start(ok("secret")).await;
        for location in [private.url(), "https://169.254.169.254/".into(), "//10.0.0.1/".into(), "https://localhost/".into()] {
            let first = Server::start(redirect_to(&location)).await;
            assert!(matches!(egress(&[&first]).get(&first.url(), None, 100).await, Err(EgressError::Refused(_))), "{location}");
        }
        assert!(private.seen().is_empty());
    }

    #[tokio::test]
    async fn a_relative_redirect_stays_and_a_loop_ends() {
        let server = Server::start(redirect_to("/again")).await;
        assert_eq!(egress(&[&server]).get(&server.url(), None, 100).await, Err(EgressError::TooManyRedirects));
        assert_eq!(server.seen().len(), 1 + MAX_REDIRECTS);
        assert!(server.seen()[1].starts_with("get /again "));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_given_up_announced_or_not() {
        let announced = Server::start(ok("hello!")).await;
        let streamed = Server::start("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!").await;
        for server in [announced, streamed] {
            assert_eq!(egress(&[&server]).get(&server.url(), None, 5).await, Err(EgressError::TooLarge { limit: 5 }));
            assert!(egress(&[&server]).get(&server.url(), None, 6).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_truncated_body_counts_as_no_answer() {
        let server = Server::start("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello").await;
        assert_eq!(egress(&[&server]).get(&server.url(), None, 100).await, Err(EgressError::NoAnswer));
    }

    #[tokio::test]
    async fn other_answers_are_passed_on() {
        let server = Server::start("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(egress(&[&server]).get(&server.url(), None, 100).await.unwrap().status, 404);
    }

    #[tokio::test]
    async fn a_refused_connection_was_certainly_not_sent() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let client = fixed_client().unwrap();
        let error = client.post(format!("http://127.0.0.1:{port}/")).body("x").send().await.unwrap_err();
        assert_eq!(Transport::of(&error), Transport::NotSent);
        let error = client.post("not a url").send().await.unwrap_err();
        assert_eq!(Transport::of(&error), Transport::NotSent);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_is_unknown() {
        let server = Server::start("").await;
        let error = fixed_client().unwrap().post(server.url()).send().await.unwrap_err();
        assert_eq!(Transport::of(&error), Transport::Unknown);
        assert_eq!(server.seen().len(), 1, "and it is not sent again");
    }

    #[tokio::test]
    async fn a_provider_that_redirects_is_not_followed() {
        let target = Server::start(ok("x")).await;
        let server = Server::start(redirect_to(&target.url())).await;
        assert_eq!(fixed_client().unwrap().get(server.url()).send().await.unwrap().status(), 307);
        assert!(target.seen().is_empty());
    }

    #[test]
    fn allowed_origins_come_from_the_environment() {
        let env = |list: &str| Env::from_pairs([("EGRESS_ALLOWED_ORIGINS", list)]);
        assert!(Egress::from_env(&env("")).unwrap().allowed.is_empty());
        assert_eq!(Egress::from_env(&env("http://127.0.0.1:9, https://x.example")).unwrap().allowed.len(), 2);
        assert!(Egress::from_env(&env("example.com")).is_err());
    }

    #[tokio::test]
    async fn a_post_arrives_with_its_headers_and_follows_no_redirect() {
        let mut headers = header::HeaderMap::new();
        headers.insert("webhook-id", "one".parse().unwrap());
        // The server reads up to an empty line.
        let body = b"{\"a\": 1}\r\n\r\n".to_vec();
        let elsewhere = Server::start(ok("secret")).await;
        let server = Server::start(redirect_to(&elsewhere.url())).await;
        let egress = egress(&[&server, &elsewhere]);
        let second = Duration::from_secs(5);
        let answer = egress.post_json(&server.url(), headers.clone(), body.clone(), second, 100).await.unwrap();
        assert_eq!((answer.status.as_u16(), elsewhere.seen().len()), (307, 0));
        let seen = server.seen().remove(0);
        assert!(
            seen.starts_with("post /m ")
                && seen.contains("webhook-id: one")
                && seen.contains("application/json")
                && seen.contains("\"a\": 1")
        );
        let long = egress.post_json(&elsewhere.url(), headers.clone(), body.clone(), second, 3).await;
        assert_eq!(long, Err(EgressError::TooLarge { limit: 3 }));
        for inside in ["https://127.0.0.1/", "https://169.254.169.254/", "http://8.8.8.8/", "https://localhost/"] {
            let refused = egress.post_json(inside, headers.clone(), body.clone(), second, 100).await;
            assert!(matches!(refused, Err(EgressError::Refused(_))), "{inside}: {refused:?}");
        }
    }

    /// The spellings of an IPv4 address that a URL's host may have (WHATWG URL, "IPv4 parser"): one to four parts,
    /// each decimal, octal or hexadecimal.
    fn spellings(address: u32) -> Vec<String> {
        let [a, b, c, d] = address.to_be_bytes();
        let parts = [
            vec![address],
            vec![u32::from(a), address & 0x00ff_ffff],
            vec![u32::from(a), u32::from(b), address & 0xffff],
            [a, b, c, d].map(u32::from).to_vec(),
        ];
        let styles: [fn(u32) -> String; 4] = [|n| n.to_string(), |n| format!("{n:#x}"), |n| format!("0{n:o}"), |n| format!("0X{n:X}")];
        parts.iter().flat_map(|parts| styles.iter().map(|style| parts.iter().map(|n| style(*n)).collect::<Vec<_>>().join("."))).collect()
    }

    proptest! {
        #[test]
        fn no_spelling_of_an_address_is_a_name_and_none_of_a_private_one_is_reached(address: u32, private in 0_usize..6) {
            let egress = egress(&[]);
            let private = [0x7f00_0001, 0x0a00_0000, 0xc0a8_0000, 0xac10_0000, 0xa9fe_a9fe, 0x0000_0000][private] | (address & 0xff);
            for address in [address, private] {
                for host in spellings(address).into_iter().flat_map(|host| [host.clone(), format!("{host}.")]) {
                    prop_assert!(!is_public_name(&host), "{host}");
                    let url: Url = format!("https://{host}/x").parse().unwrap();
                    let public = is_public(Ipv4Addr::from(address).into());
                    prop_assert_eq!(egress.client_for(&url).is_ok(), public, "{}", host);
                }
                for mapped in [format!("[::ffff:{}]", Ipv4Addr::from(address)), format!("[::{:x}:{:x}]", address >> 16, address & 0xffff)] {
                    prop_assert!(egress.client_for(&format!("https://{mapped}/x").parse().unwrap()).is_err(), "{mapped}");
                }
            }
        }

        #[test]
        fn a_name_is_refused_as_soon_as_one_of_its_addresses_is_private(public in vec(0x0800_0000_u32..0x0900_0000, 0..4), private: u8, at: u8) {
            let vetted = |addresses: Vec<u32>| {
                let addresses = addresses.into_iter().map(|address| SocketAddr::from((Ipv4Addr::from(address), 0))).collect();
                let egress = egress(&[]);
                let outcome = egress.vet_by("https://api.example.com/v1", async move |_| addresses);
                futures_util::FutureExt::now_or_never(outcome).unwrap()
            };
            prop_assert_eq!(vetted(public.clone()), Ok(()));
            let mut mixed = public;
            mixed.insert(usize::from(at) % (mixed.len() + 1), 0x0a00_0000 | u32::from(private));
            prop_assert_eq!(vetted(mixed), Err(EgressError::Refused("not a public address")));
        }
    }

    #[tokio::test]
    async fn an_address_is_chosen_by_the_public_name_of_its_host() {
        let server = Server::start(ok("")).await;
        let vet = async |url: &str| egress(&[&server]).vet_by(url, async |_| Vec::new()).await;
        for good in ["https://api.eu.kaleyra.io", "https://crm.example.com:8443/hook?x=1", "https://api.example.com.", &server.url()] {
            assert_eq!(vet(good).await, Ok(()), "{good}");
        }
        for bad in [
            "http://api.eu.kaleyra.io",
            "ftp://api.eu.kaleyra.io",
            "https://user:pass@api.eu.kaleyra.io",
            "https://localhost",
            "https://localhost.",
            "https://metadata.google.internal",
            "https://printer.local.",
            "https://intranet",
            "https://169.254.169.254",
            "https://0x7f.1",
            "https://127.0.0x1",
            "https://1.0x7f",
            "https://2130706433",
            "https://8.8.8.8",
            "https://[::1]",
            "https://[::ffff:8.8.8.8]",
            "https://\u{ff11}27.0.0.1",
            "https://127\u{3002}0\u{3002}0\u{3002}1",
            "https://",
            "api.eu.kaleyra.io",
        ] {
            assert!(vet(bad).await.is_err(), "{bad}");
        }
        assert_eq!(vet("http://127.0.0.1:1/").await, Err(EgressError::Refused("not https")), "another port is another origin");
        assert!(
            is_public_name("whatsapp.example.com") && !is_public_name("WHATSAPP.example.com/x") && !is_public_name("a.example.com:443")
        );
    }

    #[tokio::test]
    async fn a_client_of_providers_reaches_the_fixed_hosts_of_the_local_engine_and_vetted_names() {
        let server = Server::start(ok("")).await;
        let (url, engine) = (server.url(), "http://127.0.0.1:4701");
        let local = Egress::of_providers(&Env::from_pairs([("AWS_ENDPOINT_URL", engine)]), [url.as_str()]).unwrap();
        let reached = local.client_for(&url.parse().unwrap()).unwrap().get(&url).send().await.unwrap();
        assert_eq!(reached.status(), 200);
        let aws = Egress::of_providers(&Env::from_pairs([("A", "b")]), [url.as_str()]).unwrap();
        assert!(aws.client_for(&url.parse().unwrap()).is_err());
        // The name of this very machine leads to loopback, whatever the check at the time of saving said.
        let url = format!("https://localhost:{}/", server.port);
        let error = aws.client_for(&url.parse().unwrap()).unwrap().get(&url).send().await.unwrap_err();
        assert_eq!((refusal(&error), Transport::of(&error)), (Some(EgressError::Refused("not a public address")), Transport::NotSent));
        assert_eq!(server.seen().len(), 1);
    }
}
