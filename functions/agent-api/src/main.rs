//! The Lambda `agent-api`; see the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    agent_api::run().await
}
