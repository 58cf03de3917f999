//! What a call carries and what it is answered with: JSON, or a form with files; a refusal.

use std::sync::Arc;

use axum::body::{self, Body};
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Json, Multipart, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Hub;
use super::rules::{Draft, LARGEST_UPLOAD, Refusal};
use super::world::File;

/// How large a body may be at all: ten files of the largest size, and the text.
pub(super) const LARGEST_BODY: usize = 10 * LARGEST_UPLOAD + (1 << 16);

pub(super) type Shared = State<Arc<Hub>>;
pub(super) type Answer = Result<Response, Refusal>;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({ "message": self.message, "code": self.code });
        if let Some(errors) = self.errors {
            body["errors"] = errors;
        }
        (self.status, Json(body)).into_response()
    }
}

/// The body of a message.
pub(super) async fn draft(request: Request) -> Result<Draft, Refusal> {
    let (draft, files) = form(request).await?;
    Ok(Draft { files, ..draft })
}

/// A body with files: JSON, or a form with JSON in `payload_json` and files in `files[n]`.
pub(super) async fn form<T: DeserializeOwned + Default>(
    request: Request<Body>,
) -> Result<(T, Vec<File>), Refusal> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        let bytes =
            body::to_bytes(request.into_body(), LARGEST_BODY).await.map_err(|_| Refusal::too_large())?;
        return Ok((parse(&bytes)?, Vec::new()));
    }
    let bad_form = || Refusal::new(StatusCode::BAD_REQUEST, 50035, "Invalid Form Body");
    let refused = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
        _ => bad_form(),
    };
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| bad_form())?;
    let (mut payload, mut files) = (T::default(), Vec::new());
    while let Some(field) = form.next_field().await.map_err(refused)? {
        if field.name() == Some("payload_json") {
            payload = parse(&field.bytes().await.map_err(refused)?)?;
        } else if let Some(name) = field.file_name().map(str::to_owned) {
            let content_type = field.content_type().map(str::to_owned);
            files.push(File { name, content_type, bytes: field.bytes().await.map_err(refused)? });
        }
    }
    Ok((payload, files))
}

pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refusal> {
    let value: Value = serde_json::from_slice(json).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, 50109, "The request body contains invalid JSON.")
    })?;
    parse_value(value)
}

pub(super) fn parse_value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = error.path().to_string().replace('[', ".").replace(']', "");
        Refusal::field(&at, "BASE_TYPE_BAD_TYPE", &error.inner().to_string())
    })
}
