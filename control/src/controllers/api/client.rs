//! JSON requests over a `kube::Client`.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::resource::Resource;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused; the answer's code, reason and message.
    #[error("{method} {path}: {message} ({code} {reason})")]
    Refused {
        /// HTTP method.
        method: String,
        /// Path and query.
        path: String,
        /// HTTP status code.
        code: u16,
        /// `Status.reason`.
        reason: String,
        /// `Status.message`.
        message: String,
    },
    /// The request could not be made or its answer not be read.
    #[error("{path}: {source}")]
    Transport {
        /// Path and query.
        path: String,
        /// Cause.
        #[source]
        source: kube::Error,
    },
    /// The answer is not the JSON that was expected.
    #[error("{path}: unexpected answer: {source}")]
    Decode {
        /// Path and query.
        path: String,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// Somebody else has changed what a decision was made from.
    #[error("{0} has been changed meanwhile")]
    Stale(String),
    /// The request is not valid HTTP (a name with forbidden characters).
    #[error("request: {0}")]
    Build(#[from] http::Error),
}

impl Error {
    /// HTTP status code, if the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// `Status.reason`, empty without an answer.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused { reason, .. } => reason,
            _ => "",
        }
    }

    /// What the server said, for event messages.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Another writer was faster, or a precondition failed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Stale(_)) || self.code() == Some(409) && self.reason() != "AlreadyExists"
    }

    /// The object that was meant is there no more: nothing has its name, or something with another UID.
    pub fn is_gone(&self) -> bool {
        let other_uid = || self.code() == Some(422) && self.message().contains("metadata.uid: ");
        self.is_not_found() || self.is_conflict() || other_uid()
    }

    /// An object of this name exists.
    pub fn is_already_exists(&self) -> bool {
        self.code() == Some(409) && self.reason() == "AlreadyExists"
    }

    /// The namespace is going away, so a create cannot succeed (upstream: cause `NamespaceTerminating`).
    pub fn is_namespace_terminating(&self) -> bool {
        self.code() == Some(403) && self.message().contains("because it is being terminated")
    }
}

/// Patch formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386.
    Merge,
    /// Strategic merge, built-in kinds only.
    Strategic,
    /// RFC 6902.
    Json,
}

/// The API as one identity.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Wraps a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Sends a request and hands out the answer's body, refusals turned into errors.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<Body, Error> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|source| Error::Transport {
                path: path.to_owned(),
                source,
            })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        Err(refusal(
            &method,
            path,
            status,
            &collect(answer.into_body(), path).await?,
        ))
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, Error> {
        let body = self.send(method, path, content_type, JSON, body).await?;
        collect(body, path).await
    }

    /// Any path, decoded.
    pub async fn get_path<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, Error> {
        let body = self.send(Method::GET, path, JSON, accept, Vec::new()).await?;
        decode(path, &collect(body, path).await?)
    }

    /// One object; `None` if it does not exist.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        match self.get_path(&resource.object_path(namespace, name), JSON).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object and returns it as stored. Kind and version are filled in.
    pub async fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Value, Error> {
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.clone().into();
        self.post(&resource.path(namespace), &object).await
    }

    /// Posts to any path, e.g. `pods/x/binding`.
    pub async fn post(&self, path: &str, object: &Value) -> Result<Value, Error> {
        let bytes = self.json(Method::POST, path, JSON, encode(object)).await?;
        decode(path, &bytes)
    }

    /// Replaces an object, or one of its subresources; the object names itself and its revision.
    pub async fn replace(
        &self,
        resource: &Resource,
        subresource: &str,
        object: &Value,
    ) -> Result<Value, Error> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = with_subresource(resource.object_path(namespace, name), subresource);
        let bytes = self.json(Method::PUT, &path, JSON, encode(object)).await?;
        decode(&path, &bytes)
    }

    /// Patches an object or a subresource.
    pub async fn patch(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        format: Patch,
        patch: &Value,
    ) -> Result<Value, Error> {
        let path = with_subresource(resource.object_path(namespace, name), subresource);
        let content_type = match format {
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
            Patch::Json => "application/json-patch+json",
        };
        let bytes = self
            .json(Method::PATCH, &path, content_type, encode(patch))
            .await?;
        decode(&path, &bytes)
    }

    /// Deletes an object, with `DeleteOptions` (an empty object for the defaults). `false` if it did not exist.
    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &Value,
    ) -> Result<bool, Error> {
        let path = resource.object_path(namespace, name);
        match self.json(Method::DELETE, &path, JSON, encode(options)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads an object, lets `change` edit it and writes it back, again on conflict. `change` returns whether there
    /// is anything to write. `None`: the object does not exist or is not the one with this UID any more.
    pub async fn edit(
        &self,
        resource: &Resource,
        (namespace, name, uid): (&str, &str, &str),
        subresource: &str,
        mut change: impl FnMut(&mut Value) -> bool + Send,
    ) -> Result<Option<Value>, Error> {
        let mut attempts = 0;
        loop {
            let Some(mut object) = self.get(resource, namespace, name).await? else {
                return Ok(None);
            };
            if !uid.is_empty() && object["metadata"]["uid"].as_str() != Some(uid) {
                return Ok(None);
            }
            if !change(&mut object) {
                return Ok(Some(object));
            }
            match self.replace(resource, subresource, &object).await {
                Ok(stored) => return Ok(Some(stored)),
                Err(error) if error.is_not_found() => return Ok(None),
                // The caller's work queue backs off after a few lost races.
                Err(error) if error.is_conflict() && attempts < 4 => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The content type of everything but patches.
pub const JSON: &str = "application/json";

fn with_subresource(mut path: String, subresource: &str) -> String {
    if !subresource.is_empty() {
        path.push('/');
        path.push_str(subresource);
    }
    path
}

fn encode(value: &Value) -> Vec<u8> {
    // A `Value` has string keys only, so it always serializes.
    serde_json::to_vec(value).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Decode {
        path: path.to_owned(),
        source,
    })
}

async fn collect(body: Body, path: &str) -> Result<Bytes, Error> {
    body.collect_bytes().await.map_err(|source| Error::Transport {
        path: path.to_owned(),
        source,
    })
}

fn refusal(method: &Method, path: &str, status: StatusCode, body: &[u8]) -> Error {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| parsed[field].as_str().unwrap_or_default().to_owned();
    let message = match text("message") {
        // A proxy or a missing path may answer in plain text.
        empty if empty.is_empty() => String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned(),
        message => message,
    };
    Error::Refused {
        method: method.to_string(),
        path: path.to_owned(),
        code: status.as_u16(),
        reason: text("reason"),
        message,
    }
}
