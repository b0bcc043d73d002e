//! The routes of a kind: one annotated function each, for the OpenAPI document. Each calls the handler that all kinds
//! share.

/// Declares the routes of a kind, and `routes()`, which adds them to the API. The form is `{R: Input => View, tag,
/// "/place", "/place/{id}"}`, then for each route its documentation, its kind (`list`, `create`, `get`, `put`,
/// `patch`, `delete`) and its name.
macro_rules! shells {
    (@list $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(get, path = $all, tag = $tag, params($crate::openapi::PageParams),
            responses((status = 200, description = "A page.", body = api::Listed<$view>), $crate::openapi::Refusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            reader: $crate::resource::Reader<$r>,
            parameters: api::Parameters,
        ) -> Result<api::Listed<$view>, $crate::error::ApiError> {
            $crate::resource::list(&app, reader, &parameters).await
        }}
    };
    (@create $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(post, path = $all, tag = $tag, params($crate::resource::DryRun), request_body = $input,
            responses((status = 201, description = "Created.", body = $view, headers(("ETag" = String), ("Location" = String))),
                (status = 200, description = "A dry run: what would be created.", body = $view), $crate::openapi::WriteRefusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            writer: $crate::resource::Writer<$r>,
            mode: $crate::resource::Mode,
            api::JsonBody(body): api::JsonBody,
        ) -> Result<$crate::resource::Outcome<$view>, $crate::error::ApiError> {
            $crate::resource::create(&app, writer, mode, body).await
        }}
    };
    (@get $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(get, path = $one, tag = $tag, params(("id" = String, Path)),
            responses((status = 200, description = "The resource.", body = $view, headers(("ETag" = String))), $crate::openapi::Refusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            reader: $crate::resource::Reader<$r>,
            api::Id(id): api::Id<<$r as $crate::resource::Resource>::Id>,
        ) -> Result<api::Versioned<$view>, $crate::error::ApiError> {
            $crate::resource::get(&app, reader, &id).await
        }}
    };
    (@put $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(put, path = $one, tag = $tag, params(("id" = String, Path), ("If-Match" = String, Header), $crate::resource::DryRun), request_body = $input,
            responses((status = 200, description = "Replaced, or would be.", body = $view, headers(("ETag" = String, description = "Absent in a dry run"))), $crate::openapi::WriteRefusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            writer: $crate::resource::Writer<$r>,
            mode: $crate::resource::Mode,
            api::Id(id): api::Id<<$r as $crate::resource::Resource>::Id>,
            condition: api::IfMatch,
            api::JsonBody(body): api::JsonBody,
        ) -> Result<$crate::resource::Outcome<$view>, $crate::error::ApiError> {
            $crate::resource::put(&app, writer, mode, id, condition, body).await
        }}
    };
    (@patch $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(patch, path = $one, tag = $tag, params(("id" = String, Path), ("If-Match" = String, Header), $crate::resource::DryRun),
            request_body(content = $input, content_type = "application/merge-patch+json"),
            responses((status = 200, description = "Changed, or would be.", body = $view, headers(("ETag" = String, description = "Absent in a dry run"))), $crate::openapi::WriteRefusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            writer: $crate::resource::Writer<$r>,
            mode: $crate::resource::Mode,
            api::Id(id): api::Id<<$r as $crate::resource::Resource>::Id>,
            condition: api::IfMatch,
            api::JsonBody(body): api::JsonBody,
        ) -> Result<$crate::resource::Outcome<$view>, $crate::error::ApiError> {
            $crate::resource::patch(&app, writer, mode, id, condition, &body).await
        }}
    };
    (@delete $doc:tt $name:ident, $r:ident, $input:ident, $view:ident, $tag:tt, $all:tt, $one:tt) => {
        $crate::shells::documented! {$doc
        #[utoipa::path(delete, path = $one, tag = $tag, params(("id" = String, Path), ("If-Match" = String, Header)),
            responses((status = 204, description = "Deleted."), $crate::openapi::WriteRefusals))]
        pub(crate) async fn $name(
            axum::extract::State(app): axum::extract::State<$crate::app::App>,
            writer: $crate::resource::Writer<$r>,
            api::Id(id): api::Id<<$r as $crate::resource::Resource>::Id>,
            condition: api::IfMatch,
        ) -> Result<http::StatusCode, $crate::error::ApiError> {
            $crate::resource::delete(&app, writer, id, condition).await
        }}
    };
    ($r:ident: $input:ident => $view:ident, $tag:tt, $all:tt, $one:tt; $($(#[$($doc:tt)*])* $verb:ident $name:ident;)*) => {
        $($crate::shells::shells! {@$verb {$(#[$($doc)*])*} $name, $r, $input, $view, $tag, $all, $one})*

        /// The routes, with their OpenAPI descriptions.
        pub(crate) fn routes() -> utoipa_axum::router::OpenApiRouter<$crate::app::App> {
            utoipa_axum::router::OpenApiRouter::new()$(.routes(utoipa_axum::routes!($name)))*
        }
    };
}

/// An item with its given attributes.
macro_rules! documented {
    ({$(#[$($doc:tt)*])*} $($item:tt)*) => { $(#[$($doc)*])* $($item)* };
}

pub(crate) use {documented, shells};
