//! The one way in which Lambdas start: telemetry, the clients that the environment names, then the runtime.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::Aws;
use crate::config::Env;
use crate::telemetry;

/// Runs a Lambda: `open` makes its clients once, and `handle` handles each event with them.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run<F, E, A>(
    open: impl FnOnce(&Aws, &Env) -> Result<F, Error>,
    handle: impl AsyncFn(&F, LambdaEvent<E>) -> Result<A, Error>,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let env = Env::of_process();
    telemetry::init(&env);
    let shared = Arc::new((open(&Aws::new(&env)?, &env)?, handle));
    lambda_runtime::run(service_fn(move |event| {
        let shared = Arc::clone(&shared);
        async move {
            let (function, handle) = &*shared;
            // Boxed, because the future's type is too deep for the compiler.
            Box::pin(handle(function, event)).await
        }
    }))
    .await
}
