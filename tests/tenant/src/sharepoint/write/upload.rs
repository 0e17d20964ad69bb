//! Uploads in chunks: start, continue, finish, cancel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::super::call::Call;
use super::super::error::ApiError;
use super::super::model::{Guid, ItemRef};
use super::super::odata::Literal;
use super::super::resource::Node;
use super::super::{SharePoint, answer};
use super::{fill, show, value};
use crate::content::BodyWriter;

/// Uploads under way at most; one more is refused.
const UPLOADS_MAX: usize = 1000;

#[derive(Debug)]
struct Upload {
    at: ItemRef,
    writer: BodyWriter,
}

/// Uploads under way, by the id the client made.
#[derive(Debug, Default)]
pub(in crate::sharepoint) struct Uploads {
    inner: Mutex<HashMap<Guid, Upload>>,
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<Guid, Upload>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharePoint {
    pub(super) async fn upload(self: &Arc<Self>, call: &Call, body: Body) -> Result<Response, ApiError> {
        let last = call.last()?;
        let id = last.argument("uploadid").and_then(Literal::guid);
        let id = id.ok_or_else(|| ApiError::bad_query("The parameter uploadId is missing or no GUID."))?;
        let Node::File(at) = self.target(call, &call.segments[..call.segments.len() - 1])? else {
            return Err(ApiError::file_missing());
        };
        match last.name.as_str() {
            "startupload" => {
                let length = self.receive(&id, Upload { at, writer: BodyWriter::default() }, body).await?;
                value(call, "StartUpload", &Value::String(length.to_string()))
            }
            "continueupload" => {
                let upload = self.resume(call, &id, &at)?;
                let length = self.receive(&id, upload, body).await?;
                value(call, "ContinueUpload", &Value::String(length.to_string()))
            }
            "finishupload" => {
                let mut upload = self.resume(call, &id, &at)?;
                fill(&mut upload.writer, body).await?;
                let mut world = self.world();
                world.replace_body(&at, upload.writer.finish(), call.actor())?;
                show(call, &world, &Node::File(at), StatusCode::OK)
            }
            _ => {
                self.uploads.lock().remove(&id);
                Ok(answer::empty(StatusCode::OK))
            }
        }
    }

    /// Takes an upload out of the table to go on with it, if the client knows where it stands.
    fn resume(&self, call: &Call, id: &Guid, at: &ItemRef) -> Result<Upload, ApiError> {
        let offset = call.last()?.argument("fileoffset").and_then(Literal::number);
        let offset = offset.ok_or_else(|| ApiError::bad_query("The parameter fileOffset is missing."))?;
        let mut uploads = self.uploads.lock();
        let held = uploads.get(id).filter(|upload| upload.at == *at).map(|upload| upload.writer.length());
        match held {
            Some(length) if i64::try_from(length) == Ok(offset) => {
                uploads.remove(id).ok_or_else(ApiError::broken)
            }
            Some(length) => Err(ApiError::bad_query(format!(
                "The file offset {offset} does not match the expected {length}."
            ))),
            None => Err(ApiError::bad_query("The upload does not exist.")),
        }
    }

    /// Appends a chunk and puts the upload (back) into the table. A chunk that broke off loses the upload.
    async fn receive(&self, id: &Guid, mut upload: Upload, body: Body) -> Result<u64, ApiError> {
        fill(&mut upload.writer, body).await?;
        let length = upload.writer.length();
        let mut uploads = self.uploads.lock();
        if uploads.len() >= UPLOADS_MAX {
            return Err(ApiError::broken());
        }
        uploads.insert(id.clone(), upload);
        Ok(length)
    }
}
