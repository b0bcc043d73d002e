//! What the deployment has one of, such as its settings: replaced as a whole.

use api::{Caller, Error, IfMatch};
use audit::{Shows, Subject};
use serde_json::json;
use store::Singleton;

use crate::app::{App, changed};
use crate::error::ApiError;
use crate::resource::Mode;
use crate::trail::Trail;

/// Replaces it, with its entry in the audit trail, if it has the version that `condition` names. Returns the version
/// that it has then. The value that it has already changes nothing, and neither does a dry run.
///
/// # Errors
/// Somebody changed it meanwhile, or the table fails.
pub(crate) async fn replace<T: Singleton + PartialEq>(
    app: &App,
    by: &Caller,
    mode: Mode,
    condition: &IfMatch,
    value: &T,
) -> Result<u64, ApiError> {
    let (before, version) = app.configuration().singleton::<T>().await?;
    condition.check(version)?;
    if *value == before {
        return Ok(version);
    }
    let after = version + 1;
    if mode == Mode::Dry {
        return Ok(after);
    }
    let subject = Subject { kind: T::KIND, id: T::KIND, versions: (Some(version), Some(after)) };
    let shows = Shows { ignored: &[], hidden: &|_| false, names_only: false };
    let trail = Trail::of(app, by, subject, &json!(before), &json!(value), &shows).await?;
    let entry = trail.entry(&[]).ok_or(Error::Encode)?;
    if !app.configuration().put_singleton(value, version, &entry).await? {
        return Err(Error::Changed.into());
    }
    changed(T::KIND, "replaced", T::KIND, by);
    Ok(after)
}
