//! Content negotiation: what the client wants back, and what it has sent. Pure.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use keelson_api::status::Status;

/// Shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The objects themselves.
    Object,
    /// `meta.k8s.io/v1` (or v1beta1) Table.
    Table {
        /// The old version was asked for.
        beta: bool,
    },
    /// Only metadata.
    Partial {
        /// The old version was asked for.
        beta: bool,
    },
}

/// Encoding of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What the client wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// Shape.
    pub form: Form,
    /// Encoding.
    pub encoding: Encoding,
    /// Whether it takes gzip.
    pub gzip: bool,
}

/// Media types that can be written.
const WRITABLE: [&str; 2] = ["application/json", "application/yaml"];

/// The clauses of the Accept headers: media type and parameters.
pub fn clauses(headers: &HeaderMap) -> Vec<(String, Vec<(String, String)>)> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters = parts
                .filter_map(|part| part.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
                .collect();
            (media, parameters)
        })
        .filter(|(media, _)| !media.is_empty())
        .collect()
}

fn encoding_of(media: &str) -> Option<Encoding> {
    match media {
        "application/json" | "*/*" | "application/*" => Some(Encoding::Json),
        "application/yaml" => Some(Encoding::Yaml),
        _ => None,
    }
}

fn form_of(parameters: &[(String, String)]) -> Option<Form> {
    let get = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let beta = match (get("as"), get("g"), get("v")) {
        ("", ..) => return Some(Form::Object),
        (_, "meta.k8s.io", "v1") => false,
        (_, "meta.k8s.io", "v1beta1") => true,
        _ => return None,
    };
    match get("as") {
        "Table" => Some(Form::Table { beta }),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Partial { beta }),
        _ => None,
    }
}

impl Accept {
    /// Whether the client takes gzip.
    pub fn takes_gzip(headers: &HeaderMap) -> bool {
        headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|coding| coding.split(';').next().map(str::trim) == Some("gzip"))
    }

    /// For answers that are not ours to encode.
    pub fn any() -> Self {
        Self {
            form: Form::Object,
            encoding: Encoding::Json,
            gzip: false,
        }
    }

    /// The first clause that can be served.
    pub fn negotiate(headers: &HeaderMap) -> Result<Self, Status> {
        let gzip = Self::takes_gzip(headers);
        let clauses = clauses(headers);
        let found = if clauses.is_empty() {
            Some((Encoding::Json, Form::Object))
        } else {
            clauses
                .iter()
                .find_map(|(media, parameters)| Some((encoding_of(media)?, form_of(parameters)?)))
        };
        found
            .map(|(encoding, form)| Self { form, encoding, gzip })
            .ok_or_else(|| Status::not_acceptable(&WRITABLE))
    }
}

/// The media type of the request's body, without parameters.
pub fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Option<(Encoding, Form)> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Accept::negotiate(&headers)
            .ok()
            .map(|accept| (accept.encoding, accept.form))
    }

    #[test]
    fn takes_the_first_that_can_be_served() {
        let json = |form| Some((Encoding::Json, form));
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(kubectl), json(Form::Table { beta: false }));
        assert_eq!(
            negotiate("application/vnd.kubernetes.protobuf,application/json"),
            json(Form::Object)
        );
        assert_eq!(negotiate("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(
            negotiate("application/yaml"),
            Some((Encoding::Yaml, Form::Object))
        );
        assert_eq!(negotiate("*/*"), json(Form::Object));
        assert_eq!(negotiate("application/json;as=Table;v=v9;g=meta.k8s.io"), None);
        assert_eq!(
            negotiate("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            json(Form::Partial { beta: false })
        );
    }
}
