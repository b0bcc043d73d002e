//! Starts [`reconcile`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    reconcile::run().await
}
