//! Content negotiation: what the client wants back, and what it has sent. Pure.
//!
//! As upstream (`apiserver/pkg/endpoints/handlers/negotiation`): clauses are tried by their weight, those without
//! wildcards first; the first that can be served is.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use keelson_api::protobuf;
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
    /// Protobuf.
    Protobuf,
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

/// What an endpoint can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// Objects of this version and kind, or lists of them, in any form.
    Objects(&'a str, &'a str),
    /// A watch of these, which YAML has no form for.
    Watch(&'a str, &'a str),
    /// Documents and errors: no other forms.
    Plain,
}

impl Endpoint<'_> {
    /// Whether it can answer so. Of custom resources only the metadata have a protobuf form.
    fn serves(self, encoding: Encoding, form: Form) -> bool {
        match self {
            Self::Objects(version, kind) | Self::Watch(version, kind) => {
                encoding != Encoding::Protobuf
                    || form != Form::Object
                    || protobuf::of_kind(version, kind).is_some()
            }
            Self::Plain => form == Form::Object,
        }
    }
}

/// Media types that can be written, in order of preference.
const WRITABLE: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];
/// Media types that a watch can write.
const WATCHABLE: [&str; 2] = ["application/json;stream=watch", protobuf::WATCH_MEDIA_TYPE];

/// One clause of an Accept header.
#[derive(Debug)]
pub struct Clause {
    /// Media type, in lower case.
    pub media: String,
    parameters: Vec<(String, String)>,
    weight: f32,
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let mut clause = Self {
            media: media.to_ascii_lowercase(),
            parameters: Vec::new(),
            weight: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name == "q" {
                clause.weight = value.parse().unwrap_or(1.0);
            } else {
                clause.parameters.push((name.to_owned(), value.to_owned()));
            }
        }
        Some(clause)
    }

    /// A parameter, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// What it asks for, if that exists; `*` is JSON, which comes first.
    pub fn encoding(&self) -> Option<Encoding> {
        match self.media.as_str() {
            "application/json" | "*/*" | "application/*" => Some(Encoding::Json),
            "application/yaml" => Some(Encoding::Yaml),
            protobuf::MEDIA_TYPE => Some(Encoding::Protobuf),
            _ => None,
        }
    }

    /// The form of objects that it asks for, if that exists.
    fn form(&self) -> Option<Form> {
        let beta = match (self.get("as"), self.get("g"), self.get("v")) {
            ("", "", "") => return Some(Form::Object),
            (_, "meta.k8s.io", "v1") => false,
            (_, "meta.k8s.io", "v1beta1") => true,
            _ => return None,
        };
        match self.get("as") {
            // No protobuf message was ever made for it.
            "Table" if self.encoding() != Some(Encoding::Protobuf) => Some(Form::Table { beta }),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Partial { beta }),
            _ => None,
        }
    }
}

/// The clauses of the Accept headers, best first.
pub fn clauses(headers: &HeaderMap) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Clause::parse)
        .filter(|clause| clause.weight > 0.0)
        .collect();
    let wild = |clause: &Clause| (clause.media.starts_with('*'), clause.media.ends_with('*'));
    // Stable, so that clauses of equal rank stay in the client's order.
    clauses.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(wild(a).cmp(&wild(b))));
    clauses
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

    /// The best clause that can be served; 406 if there is none.
    pub fn negotiate(headers: &HeaderMap, endpoint: Endpoint<'_>) -> Result<Self, Status> {
        let gzip = Self::takes_gzip(headers);
        let found = if headers.get_all(ACCEPT).iter().any(|value| !value.is_empty()) {
            clauses(headers).iter().find_map(|clause| {
                let (encoding, form) = (clause.encoding()?, clause.form()?);
                endpoint.serves(encoding, form).then_some((encoding, form))
            })
        } else {
            Some((Encoding::Json, Form::Object))
        };
        match found {
            Some((Encoding::Yaml, _)) | None if matches!(endpoint, Endpoint::Watch(..)) => {
                Err(Status::not_acceptable(&WATCHABLE))
            }
            Some((encoding, form)) => Ok(Self { form, encoding, gzip }),
            None => Err(Status::not_acceptable(&WRITABLE)),
        }
    }

    /// How to write an error to this client: as it likes, JSON if that cannot be.
    pub fn for_errors(headers: &HeaderMap) -> Encoding {
        Self::negotiate(headers, Endpoint::Plain).map_or(Encoding::Json, |accept| accept.encoding)
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

    fn negotiate_for(endpoint: Endpoint<'_>, accept: &str) -> Option<(Encoding, Form)> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Accept::negotiate(&headers, endpoint)
            .ok()
            .map(|accept| (accept.encoding, accept.form))
    }

    fn negotiate(accept: &str) -> Option<(Encoding, Form)> {
        negotiate_for(Endpoint::Objects("v1", "Pod"), accept)
    }

    #[test]
    fn custom_resources_have_no_protobuf_but_of_their_metadata() {
        let custom = |accept| negotiate_for(Endpoint::Objects("example.com/v1", "Widget"), accept);
        let json = Some((Encoding::Json, Form::Object));
        assert_eq!(custom("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(
            custom("application/vnd.kubernetes.protobuf,application/json"),
            json
        );
        assert_eq!(custom("application/vnd.kubernetes.protobuf, */*"), json);
        assert_eq!(
            custom("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
            Some((Encoding::Protobuf, Form::Partial { beta: false }))
        );
    }

    #[test]
    fn takes_the_first_that_can_be_served() {
        let json = |form| Some((Encoding::Json, form));
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(kubectl), json(Form::Table { beta: false }));
        let protobuf = Some((Encoding::Protobuf, Form::Object));
        assert_eq!(
            negotiate("application/vnd.kubernetes.protobuf,application/json"),
            protobuf
        );
        assert_eq!(negotiate("application/vnd.kubernetes.protobuf, */*"), protobuf);
        assert_eq!(negotiate("*/*, application/vnd.kubernetes.protobuf"), protobuf);
        assert_eq!(negotiate("text/html, application/xml"), None);
        assert_eq!(
            negotiate("application/yaml"),
            Some((Encoding::Yaml, Form::Object))
        );
        assert_eq!(negotiate("*/*"), json(Form::Object));
        assert_eq!(negotiate("application/*"), json(Form::Object));
        assert_eq!(negotiate("application/json;as=Table;v=v9;g=meta.k8s.io"), None);
        assert_eq!(
            negotiate("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            json(Form::Partial { beta: false })
        );
    }

    #[test]
    fn weights_come_first() {
        let chosen = |accept: &str| negotiate(accept).map(|(encoding, _)| encoding);
        assert_eq!(
            chosen("application/vnd.kubernetes.protobuf;q=0.5,application/json"),
            Some(Encoding::Json)
        );
        assert_eq!(
            chosen("application/json;q=0.2, application/yaml;q=0.9, */*;q=0.1"),
            Some(Encoding::Yaml)
        );
        assert_eq!(chosen("application/json;q=0"), None);
        assert_eq!(
            chosen("application/json;q=0.3,application/vnd.kubernetes.protobuf;q=0.300"),
            Some(Encoding::Json)
        );
    }

    #[test]
    fn protobuf_has_no_tables() {
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let table = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1";
        let form = Form::Partial { beta: false };
        assert_eq!(negotiate(partial), Some((Encoding::Protobuf, form)));
        assert_eq!(negotiate(table), None);
        assert_eq!(
            negotiate(&format!("{table},application/json")),
            Some((Encoding::Json, Form::Object))
        );
    }

    #[test]
    fn watches_and_documents_have_fewer_forms() {
        let watch = |accept| negotiate_for(Endpoint::Watch("v1", "Pod"), accept);
        assert_eq!(watch("application/yaml"), None);
        assert_eq!(
            watch("application/vnd.kubernetes.protobuf;stream=watch"),
            Some((Encoding::Protobuf, Form::Object))
        );
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(negotiate_for(Endpoint::Plain, table), None);
        assert_eq!(
            negotiate_for(Endpoint::Plain, &format!("{table},application/yaml")),
            Some((Encoding::Yaml, Form::Object))
        );
        let mut headers = HeaderMap::new();
        assert_eq!(Accept::for_errors(&headers), Encoding::Json);
        headers.insert(ACCEPT, "text/plain".parse().unwrap());
        assert_eq!(Accept::for_errors(&headers), Encoding::Json);
        headers.insert(ACCEPT, "application/vnd.kubernetes.protobuf".parse().unwrap());
        assert_eq!(Accept::for_errors(&headers), Encoding::Protobuf);
    }
}
