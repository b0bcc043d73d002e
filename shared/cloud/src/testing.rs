//! In the place of AWS: a server on loopback that answers each call as a test says, and records it.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::Aws;
use crate::config::Env;

/// A configuration whose endpoint is `url`.
pub fn aws_at(url: &str) -> Aws {
    let env = Env::from_pairs([
        ("AWS_REGION", "eu-south-1"),
        ("AWS_ACCESS_KEY_ID", "111111111111"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL", url),
    ]);
    Aws::new(&env).unwrap()
}

/// A call to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation (`AmazonSQS.SendMessage`), or the path where a service names it there.
    pub operation: String,
    /// The body. Null if it is not JSON.
    pub body: Value,
}

type Answer = dyn Fn(&Call) -> Option<(u16, String)> + Send + Sync;

/// The server.
#[derive(Debug)]
pub struct Stub {
    /// Clients of this configuration call the server, once for each request.
    pub aws: Aws,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Stub {
    /// `answer` gives the status and the body for each call; `None` closes the connection without an answer.
    pub async fn start(answer: impl Fn(&Call) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let aws = aws_at(&format!("http://{}", listener.local_addr().unwrap())).without_retries();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Arc<Answer>) = (Arc::clone(&calls), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move { serve(socket, &seen, &*answer).await });
            }
        });
        Self { aws, calls }
    }

    /// The calls since the last query.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

async fn serve(socket: TcpStream, seen: &Mutex<Vec<Call>>, answer: &Answer) {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    socket.read_exact(&mut body).await.unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let operation = header("x-amz-target").unwrap_or(path).to_owned();
    let call = Call { operation, body: serde_json::from_slice(&body).unwrap_or_default() };
    let said = answer(&call);
    seen.lock().unwrap().push(call);
    if let Some((status, body)) = said {
        let head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        // A client that has seen enough closes the connection.
        let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
    }
}
