//! The Lambda `receive-meta`: webhooks of the WhatsApp Cloud API come in here, under
//! `/receive/meta/{token}`. The crate `receive` handles them.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    receive::run("meta").await
}
