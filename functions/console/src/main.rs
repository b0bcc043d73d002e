//! The Lambda `console`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    console::run(console::Files::Embedded).await
}
