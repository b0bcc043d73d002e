//! The trait of configured resources, and the handlers that all of them share.
//!
//! Each kind says how to parse its input, how to show it and what to check. Versions, races, wakes, the log and the
//! audit trail are handled here. A new kind needs a file in `resources`, a line or two in `resources/mod.rs`, an
//! [`Entity`] in `store`, and its type and id in `domain`.

use std::future::Future;
use std::marker::PhantomData;

use api::{Anyone, Caller, Error, IfMatch, Listed, Page, Parameters, Versioned};
use audit::{Shows, Subject};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use domain::agent::Role;
use domain::effect::Target;
use domain::ids::Id;
use domain::screens::Screens;
use engine::ports::World;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use store::{Entity, Extra, OwedWakes, Write};

use crate::app::{ATTEMPTS, App, changed, owed, settled, written};
use crate::error::ApiError;
use crate::input::Errors;
use crate::merge::merged;
use crate::trail::Trail;

/// A kind of resource. Only the first block is required.
pub(crate) trait Resource: Entity + 'static {
    /// Its ids.
    type Id: Id;
    /// The input that callers send.
    type Input: Send + Sync;
    /// The view that callers see.
    type View: Serialize;
    /// The path of the kind under `/admin`.
    const PLACE: &'static str;
    /// The lowest role that may read them.
    const READERS: Role;
    /// The lowest role that may write them.
    const WRITERS: Role;
    /// Parses the body of a POST, or of a PUT on the document `shown`.
    fn parse(body: Value, shown: Option<&Value>) -> Result<Self::Input, Errors>;
    /// The resource with this id that the input describes. It replaces `before`.
    fn make(id: Self::Id, input: &mut Self::Input, before: Option<&Self>) -> Result<Self, ApiError>;
    /// The view of the resource.
    fn view(self, version: u64, app: &App) -> Self::View;

    /// Fails if the caller must not write this resource, although the caller's role may write others. It is called on
    /// the state before and on the state after.
    fn permit(&self, _by: &Caller) -> Result<(), ApiError> {
        Ok(())
    }

    /// Reads the parts of a patch that a merge loses. A secret is not in the view, so a `null` for it leaves no trace
    /// in the merged document.
    fn patched(_input: &mut Self::Input, _patch: &Value) -> Result<(), Errors> {
        Ok(())
    }

    /// Whether an input has a value that no view shows. If so, an equal view does not mean that nothing changes.
    fn is_secret(_input: &Self::Input) -> bool {
        false
    }

    /// Fills in parts of the body of a POST that it only names, before it is parsed.
    fn expand(_app: &App, _body: &mut Value) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// Completes the input of a POST with data from other services, before the resource is made. A dry run only reads
    /// there.
    fn complete(_app: &App, _input: &mut Self::Input, _by: &Caller, _mode: Mode) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// Fails if the rest of the configuration does not allow the change. It is called for each attempt, and reads
    /// past the cache.
    fn check(_app: &App, _change: &Change<'_, Self>) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// Prepares a change, once, after the first check and before the write. Returns the paths of the secrets that
    /// it has changed, for the audit trail.
    fn prepare(_app: &App, _change: &Change<'_, Self>) -> impl Future<Output = Result<Vec<String>, ApiError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Whether a view shows a secret at this path. If so, the audit trail records only that it changed.
    fn is_hidden(_path: &str) -> bool {
        false
    }

    /// Fields of the view that are derived from others. They don't count as changes.
    const DERIVED: &'static [&'static str] = &["id", "version"];

    /// Undoes the preparation after the write was refused.
    fn take_back(_app: &App, _change: &Change<'_, Self>, _refused: &ApiError) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Further items for the same transaction.
    fn extra(_change: &Change<'_, Self>) -> Vec<Extra> {
        Vec::new()
    }

    /// The targets whose waiting interactions are looked at again.
    fn wakes(_before: &Self, _after: &Self) -> Vec<Target> {
        Vec::new()
    }

    /// Whose screens show the change (`GET /agent/me`); `None` on a side: it is new, or deleted.
    fn screens(_before: Option<&Self>, _after: Option<&Self>) -> Option<Screens> {
        None
    }

    /// Finishes a change, even one that changed nothing. If a finish fails, the same request with the new `ETag`
    /// completes it.
    fn finish(_app: &App, _change: &Change<'_, Self>) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// The users that prevent a deletion, as the refusal names them (409, `in-use`). It is called for each attempt.
    fn users(&self, _app: &App) -> impl Future<Output = Result<Vec<String>, ApiError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Prepares each attempt to delete an unused resource.
    fn leave(&self, _app: &App) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// Finishes a deletion. Nothing depends on it.
    fn left(&self, _app: &App) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Whether a write is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is.
    Write,
    /// A dry run (`?dry_run=true`): it is checked as a write is, and answered with what would be stored.
    Dry,
}

impl FromRequestParts<App> for Mode {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let parameters = Parameters::from_request_parts(parts, app).await?;
        Ok(if parameters.flag("dry_run")? { Self::Dry } else { Self::Write })
    }
}

/// The parameter of a write that may be a dry run.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
pub(crate) struct DryRun {
    /// `true`: nothing is written. The request is checked as ever (403, 409, 412, 422), and the response is 200 with
    /// the resource as it would be stored, without an `ETag`. Ids, tokens and keys that the service generates are
    /// examples.
    #[param(nullable = false)]
    dry_run: Option<bool>,
}

/// The response to a write.
#[derive(Debug)]
pub(crate) enum Outcome<V> {
    /// What is stored.
    Stored(Versioned<V>),
    /// What would be stored. It has no `ETag`, since no such version exists.
    Tried(V),
}

impl<V> Outcome<V> {
    /// What is stored, or would be.
    pub(crate) fn of(mode: Mode, stored: Versioned<V>) -> Self {
        match mode {
            Mode::Write => Self::Stored(stored),
            Mode::Dry => Self::Tried(stored.view),
        }
    }
}

impl<V: Serialize> IntoResponse for Outcome<V> {
    fn into_response(self) -> Response {
        match self {
            Self::Stored(stored) => stored.into_response(),
            Self::Tried(view) => Json(view).into_response(),
        }
    }
}

/// A change that is about to be written.
pub(crate) struct Change<'a, R: Resource> {
    /// The present state; `None` for a new resource.
    pub(crate) before: Option<&'a R>,
    /// The new state.
    pub(crate) after: &'a R,
    /// The caller's input.
    pub(crate) input: &'a R::Input,
}

/// A caller who may read a kind.
pub(crate) struct Reader<R>(PhantomData<R>);

impl<R: Resource> FromRequestParts<App> for Reader<R> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Anyone(by) = Anyone::from_request_parts(parts, app).await?;
        if by.may(R::READERS) { Ok(Self(PhantomData)) } else { Err(Error::Forbidden.into()) }
    }
}

/// A caller who may write a kind.
pub(crate) struct Writer<R> {
    by: Caller,
    of: PhantomData<R>,
}

impl<R> Writer<R> {
    /// A caller whom a route lets in by a rule of its own, since it writes a part only.
    pub(crate) fn of(by: Caller) -> Self {
        Self { by, of: PhantomData }
    }

    /// The caller who writes.
    pub(crate) fn by(&self) -> &Caller {
        &self.by
    }
}

impl<R: Resource> FromRequestParts<App> for Writer<R> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Anyone(by) = Anyone::from_request_parts(parts, app).await?;
        if by.may(R::WRITERS) { Ok(Self { by, of: PhantomData }) } else { Err(Error::Forbidden.into()) }
    }
}

/// Lists a page of a kind.
pub(crate) async fn list<R: Resource>(app: &App, _: Reader<R>, parameters: &Parameters) -> Result<Listed<R::View>, ApiError> {
    app.list::<R, _>(&Page::of::<R::Id>(parameters)?, |entity, version| entity.view(version, app)).await
}

/// Reads a resource.
pub(crate) async fn get<R: Resource>(app: &App, _: Reader<R>, id: &R::Id) -> Result<Versioned<R::View>, ApiError> {
    let (entity, version) = app.load::<R>(id.text()).await?;
    Ok(Versioned::new(entity.view(version, app), version))
}

/// Makes a resource.
pub(crate) async fn create<R: Resource>(app: &App, writer: Writer<R>, mode: Mode, mut body: Value) -> Result<Outcome<R::View>, ApiError> {
    R::expand(app, &mut body).await?;
    let mut input = R::parse(body, None)?;
    R::complete(app, &mut input, &writer.by, mode).await?;
    let id = R::Id::of(cloud::ids::ulid());
    let place = app.place(R::PLACE, id.text());
    let made = R::make(id, &mut input, None)?;
    made.permit(&writer.by)?;
    let change = Change { before: None, after: &made, input: &input };
    if mode == Mode::Dry {
        let version = tried(app, &change, &Write::New).await?;
        return Ok(Outcome::Tried(made.view(version, app)));
    }
    let version = write(app, &writer.by, &change, &Value::Null, Write::New).await?;
    changed(R::KIND, "created", made.id(), &writer.by);
    Ok(Outcome::Stored(Versioned::made(made.view(version, app), place)))
}

/// Replaces a resource.
pub(crate) async fn put<R: Resource>(
    app: &App,
    writer: Writer<R>,
    mode: Mode,
    id: R::Id,
    condition: IfMatch,
    body: Value,
) -> Result<Outcome<R::View>, ApiError> {
    let stored = Stored::<R>::load(app, &writer, &id, Some(&condition)).await?;
    let input = R::parse(body, Some(&stored.shown))?;
    stored.replace(app, &writer, mode, id, input, true).await
}

/// Applies a merge patch (RFC 7396). A patch that changes nothing is not written.
pub(crate) async fn patch<R: Resource>(
    app: &App,
    writer: Writer<R>,
    mode: Mode,
    id: R::Id,
    condition: IfMatch,
    patch: &Value,
) -> Result<Outcome<R::View>, ApiError> {
    let stored = Stored::<R>::load(app, &writer, &id, Some(&condition)).await?;
    let mut input = R::parse(merged(stored.shown.clone(), patch), Some(&stored.shown))?;
    R::patched(&mut input, patch)?;
    stored.replace(app, &writer, mode, id, input, false).await
}

/// Changes a part of a resource, such as an entry of a list, even while others change the rest of it. An edit that
/// changes nothing is not written.
pub(crate) async fn edit<R: Resource>(
    app: &App,
    writer: Writer<R>,
    id: R::Id,
    condition: Option<IfMatch>,
    edit: impl Fn(&mut Value) + Send + Sync,
) -> Result<Versioned<R::View>, ApiError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let stored = Stored::<R>::load(app, &writer, &id, condition.as_ref()).await?;
        let mut body = stored.shown.clone();
        edit(&mut body);
        let input = R::parse(body, Some(&stored.shown))?;
        match stored.written(app, &writer, id.clone(), input, false).await {
            // The edit does not depend on the version, so it also applies to the next version.
            Err(ApiError::Kit(Error::Changed)) if condition.is_none() && attempt < ATTEMPTS => app.engine.world.pause(attempt).await,
            outcome => return outcome,
        }
    }
}

/// Writes a change that is not checked against the rest of the configuration, such as a new generated secret: a leaked
/// one is replaced whatever else is wrong. `None` changes nothing.
pub(crate) async fn rewrite<R: Resource>(
    app: &App,
    writer: &Writer<R>,
    id: &R::Id,
    condition: &IfMatch,
    action: &'static str,
    change: impl FnOnce(&R) -> Result<Option<(R, Vec<Extra>)>, ApiError> + Send,
) -> Result<Versioned<R::View>, ApiError> {
    let Stored { before, version, shown } = Stored::<R>::load(app, writer, id, Some(condition)).await?;
    let Some((after, mut extra)) = change(&before)? else { return Ok(Versioned::new(before.view(version, app), version)) };
    let view = self::shown(after.clone(), version + 1, app)?;
    let subject = Subject { kind: R::KIND, id: after.id(), versions: (Some(version), Some(version + 1)) };
    let trail = Trail::of(app, &writer.by, subject, &shown, &view, &shows::<R>()).await?;
    extra.extend(trail.extra(&[]));
    let owed = owed(Vec::new(), R::screens(Some(&before), Some(&after)));
    extra.extend(owed.iter().cloned().map(Extra::Wakes));
    let version = written(app.configuration().put(&after, Write::Replace { before: &before, version }, extra).await?)?;
    app.pay(owed).await;
    changed(R::KIND, action, after.id(), &writer.by);
    Ok(Versioned::new(after.view(version, app), version))
}

/// The list at a path of a view. It is created if it is absent. `None` if another value is there.
pub(crate) fn list_at<'a>(view: &'a mut Value, path: &[&str]) -> Option<&'a mut Vec<Value>> {
    let mut at = view;
    for name in path {
        if at.is_null() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = at.as_object_mut()?.entry(*name).or_insert(Value::Null);
    }
    if at.is_null() {
        *at = Value::Array(Vec::new());
    }
    at.as_array_mut()
}

/// Adds an id to a list of a view.
pub(crate) fn put_in(view: &mut Value, path: &[&str], id: &str) {
    if let Some(list) = list_at(view, path)
        && !list.iter().any(|entry| entry == id)
    {
        list.push(id.into());
    }
}

/// Removes an id from a list of a view.
pub(crate) fn take_out(view: &mut Value, path: &[&str], id: &str) {
    let pointer: String = path.iter().flat_map(|name| ["/", name]).collect();
    if let Some(list) = view.pointer_mut(&pointer).and_then(Value::as_array_mut) {
        list.retain(|entry| entry != id);
    }
}

/// Deletes an unused resource.
pub(crate) async fn delete<R: Resource>(app: &App, writer: Writer<R>, id: R::Id, condition: IfMatch) -> Result<StatusCode, ApiError> {
    let stored = Stored::<R>::load(app, &writer, &id, Some(&condition)).await?;
    let (entry, owed) = stored.deleted(app, &writer.by).await?;
    let Stored { before, version, .. } = stored;
    let mut attempts = app.attempts();
    loop {
        let at = attempts.next().await?;
        let users = before.users(app).await?;
        if !users.is_empty() {
            return Err(ApiError::InUse { users });
        }
        before.leave(app).await?;
        if settled(app.configuration().delete_at(at, &before, version, &entry).await?)?.is_some() {
            break;
        }
    }
    app.pay(owed).await;
    before.left(app).await;
    changed(R::KIND, "deleted", before.id(), &writer.by);
    Ok(StatusCode::NO_CONTENT)
}

/// An existing resource that may be changed.
pub(crate) struct Stored<R: Resource> {
    pub(crate) before: R,
    pub(crate) version: u64,
    shown: Value,
}

impl<R: Resource> Stored<R> {
    pub(crate) async fn load(app: &App, writer: &Writer<R>, id: &R::Id, condition: Option<&IfMatch>) -> Result<Self, ApiError> {
        let (before, version) = app.load::<R>(id.text()).await?;
        before.permit(&writer.by)?;
        if let Some(condition) = condition {
            condition.check(version)?;
        }
        Self::of(app, before, version)
    }

    /// A resource that was read.
    pub(crate) fn of(app: &App, before: R, version: u64) -> Result<Self, ApiError> {
        let shown = shown(before.clone(), version, app)?;
        Ok(Self { before, version, shown })
    }

    /// What is written with the deletion, its audit entry among it, and what it owes.
    pub(crate) async fn deleted(&self, app: &App, by: &Caller) -> Result<(Vec<Extra>, Option<OwedWakes>), ApiError> {
        let subject = Subject { kind: R::KIND, id: self.before.id(), versions: (Some(self.version), None) };
        let trail = Trail::of(app, by, subject, &self.shown, &Value::Null, &shows::<R>()).await?;
        let owed = owed(Vec::new(), R::screens(Some(&self.before), None));
        Ok((trail.extra(&[]).into_iter().chain(owed.iter().cloned().map(Extra::Wakes)).collect(), owed))
    }

    /// Replaces the resource by the one that the input describes.
    async fn replace(
        self,
        app: &App,
        writer: &Writer<R>,
        mode: Mode,
        id: R::Id,
        input: R::Input,
        always: bool,
    ) -> Result<Outcome<R::View>, ApiError> {
        match mode {
            Mode::Write => self.written(app, writer, id, input, always).await.map(Outcome::Stored),
            Mode::Dry => {
                let (after, version) = self.tried(app, writer, id, input, always).await?;
                Ok(Outcome::Tried(after.view(version, app)))
            }
        }
    }

    /// The resource as a merge patch would leave it.
    pub(crate) async fn try_patch(self, app: &App, writer: &Writer<R>, id: R::Id, patch: &Value) -> Result<R, ApiError> {
        let input = R::parse(merged(self.shown.clone(), patch), Some(&self.shown))?;
        Ok(self.tried(app, writer, id, input, false).await?.0)
    }

    /// The resource that would replace this one, and the version that it would have.
    async fn tried(self, app: &App, writer: &Writer<R>, id: R::Id, mut input: R::Input, always: bool) -> Result<(R, u64), ApiError> {
        let after = R::make(id, &mut input, Some(&self.before))?;
        after.permit(&writer.by)?;
        let change = Change { before: Some(&self.before), after: &after, input: &input };
        let version = match self.differs(app, &change, always)? {
            true => tried(app, &change, &Write::Replace { before: &self.before, version: self.version }).await?,
            false => self.version,
        };
        Ok((after, version))
    }

    /// Whether a change is to be written: `always`, or only if it differs.
    fn differs(&self, app: &App, change: &Change<'_, R>, always: bool) -> Result<bool, ApiError> {
        Ok(always || R::is_secret(change.input) || self::shown(change.after.clone(), self.version, app)? != self.shown)
    }

    /// Writes the resource that the input describes: `always`, or only if it differs.
    async fn written(
        self,
        app: &App,
        writer: &Writer<R>,
        id: R::Id,
        mut input: R::Input,
        always: bool,
    ) -> Result<Versioned<R::View>, ApiError> {
        let after = R::make(id, &mut input, Some(&self.before))?;
        after.permit(&writer.by)?;
        let change = Change { before: Some(&self.before), after: &after, input: &input };
        let Self { before, version, shown } = &self;
        let version = if self.differs(app, &change, always)? {
            let version = write(app, &writer.by, &change, shown, Write::Replace { before, version: *version }).await?;
            changed(R::KIND, "replaced", after.id(), &writer.by);
            version
        } else {
            *version
        };
        R::finish(app, &change).await?;
        Ok(Versioned::new(after.view(version, app), version))
    }
}

fn shown<R: Resource>(entity: R, version: u64, app: &App) -> Result<Value, ApiError> {
    serde_json::to_value(entity.view(version, app)).map_err(|_| Error::Encode.into())
}

/// The parts of a kind that the audit trail shows.
fn shows<R: Resource>() -> Shows<'static> {
    Shows { ignored: R::DERIVED, hidden: &R::is_hidden, names_only: false }
}

/// Checks a change as [`write`] does, and writes nothing. Returns the version that it would make.
async fn tried<R: Resource>(app: &App, change: &Change<'_, R>, write: &Write<'_, R>) -> Result<u64, ApiError> {
    R::check(app, change).await?;
    written(app.configuration().try_put(change.after, write).await?)
}

/// Writes a change of the view `shown` while its check holds.
async fn write<R: Resource>(app: &App, by: &Caller, change: &Change<'_, R>, shown: &Value, write: Write<'_, R>) -> Result<u64, ApiError> {
    let before = match write {
        Write::New => None,
        Write::Replace { version, .. } => Some(version),
    };
    let version = before.unwrap_or_default() + 1;
    let after = self::shown(change.after.clone(), version, app)?;
    let subject = Subject { kind: R::KIND, id: change.after.id(), versions: (before, Some(version)) };
    let trail = Trail::of(app, by, subject, shown, &after, &shows::<R>()).await?;
    let wakes = change.before.map(|before| R::wakes(before, change.after)).unwrap_or_default();
    let owed = owed(wakes, R::screens(change.before, Some(change.after)));
    let mut extra = R::extra(change);
    extra.extend(owed.iter().cloned().map(Extra::Wakes));
    let mut secrets = None;
    let outcome = checked(app, change, &write, extra, &trail, &mut secrets).await;
    match (&outcome, secrets) {
        (Ok(_), _) => app.pay(owed).await,
        (Err(refused), Some(secrets)) => {
            R::take_back(app, change, refused).await;
            // The secrets were changed, whatever happened to the rest. If the response was lost, the entry may exist
            // already. Then it stays.
            if change.before.is_some()
                && let Some(entry) = trail.secrets_only(&secrets)
            {
                app.configuration().note(&entry).await?;
            }
        }
        (Err(_), None) => {}
    }
    outcome
}

/// Checks and writes until no other write comes in between.
async fn checked<R: Resource>(
    app: &App,
    change: &Change<'_, R>,
    write: &Write<'_, R>,
    mut extra: Vec<Extra>,
    trail: &Trail<'_>,
    secrets: &mut Option<Vec<String>>,
) -> Result<u64, ApiError> {
    let mut attempts = app.attempts();
    loop {
        let at = attempts.next().await?;
        R::check(app, change).await?;
        if secrets.is_none() {
            let changed = R::prepare(app, change).await?;
            extra.extend(trail.extra(&changed));
            *secrets = Some(changed);
        }
        if let Some(version) = settled(app.configuration().put_at(at, change.after, write, &extra).await?)? {
            return Ok(version);
        }
    }
}
