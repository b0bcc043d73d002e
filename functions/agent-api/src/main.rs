//! The Lambda `agent-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    agent_api::run().await
}
