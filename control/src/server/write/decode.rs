//! Request bodies to values: JSON and YAML, checked against the endpoint and the kind's schema.

use keelson_api::depth::{MAX_STRUCTURES, structures};
use keelson_api::protobuf;
use keelson_api::schema::{self, Parsed, Schema, Type};
use keelson_api::status::{Status, json_type};
use serde_json::Value;

use super::{duplicates, metadata};
use crate::kinds::Kind;
use crate::kinds::custom::FitError;
use crate::server::accept::content_type;
use crate::server::call::Call;
use crate::server::registry::api_version;

/// Media types of objects that can be read.
const READABLE: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// Values and bytes of text that aliases may add to a YAML document.
const MOST_OF_ALIASES: usize = 1 << 20;

/// Bytes of a YAML document times open brackets: libyaml looks at all that are open with each token, so three megabytes of
/// `[` would take it hours. The largest body may nest 130 deep, as deep as it is read at all.
const MOST_OF_BRACKETS: usize = 400_000_000;

/// How many brackets of YAML's flow style are open at once, wherever they stand: in a text they mean nothing, but there they
/// are hardly ever so many.
fn deepest(bytes: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in bytes {
        match byte {
            b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Parses a body of any kind.
///
/// A protobuf body that does not say what it is, is of the expected version and kind.
pub fn parse(content_type: &str, bytes: &[u8], version: &str, kind: &str) -> Result<Parsed, Status> {
    let plain = |value| Parsed {
        value,
        duplicates: Vec::new(),
    };
    let outcome = match content_type {
        "" | "application/json" if bytes.is_empty() => {
            Err("couldn't get version/kind; json parse error: unexpected end of JSON input".to_owned())
        }
        "" | "application/json" => schema::parse(bytes)
            .map_err(|error| format!("couldn't get version/kind; json parse error: {error}")),
        "application/yaml" => {
            yaml(bytes).map_err(|error| format!("error converting YAML to JSON: yaml: {error}"))
        }
        protobuf::MEDIA_TYPE if protobuf::of_kind(version, kind).is_some() => {
            protobuf::decode(bytes, (version, kind))
                .map(plain)
                .map_err(|error| error.to_string())
        }
        _ => return Err(Status::unsupported_media_type(&READABLE)),
    };
    outcome.and_then(named).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {error} ({})",
            summary(bytes)
        ))
    })
}

/// The beginning of a body that is not understood: as it is where it may be JSON, else its bytes (upstream's
/// `summarizeData`).
fn summary(bytes: &[u8]) -> String {
    const MOST: usize = 30;
    let start = &bytes[..bytes.len().min(MOST)];
    let more = if bytes.len() > MOST { " ..." } else { "" };
    match start.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(start)),
        Some(_) => {
            let hex = start
                .iter()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            hex + more
        }
    }
}

/// Parses YAML, of which JSON is a part. Duplicates are told in the words of upstream's YAML library, with lines.
pub fn yaml(bytes: &[u8]) -> Result<Parsed, String> {
    let mut parsed = plain_yaml(bytes)?;
    if !parsed.duplicates.is_empty()
        && let Some(text) = std::str::from_utf8(bytes).ok().and_then(duplicates::of)
    {
        parsed.duplicates = vec![text];
    }
    Ok(parsed)
}

fn plain_yaml(bytes: &[u8]) -> Result<Parsed, String> {
    if bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(parsed) = schema::parse(bytes)
    {
        return Ok(parsed);
    }
    if bytes.len().saturating_mul(deepest(bytes)) > MOST_OF_BRACKETS {
        return Err("the document is nested too deeply".to_owned());
    }
    // Aliases may not make much more of a body than its text.
    let deserializer = serde_yaml_ng::Deserializer::from_slice(bytes);
    schema::parse_from(deserializer, 2 * bytes.len() + MOST_OF_ALIASES).map_err(|error| error.to_string())
}

/// Reads the body as an object of this kind; a missing kind or version is the endpoint's. Fields that the schema does
/// not know are dropped, and reported as the request asks: the texts are warnings for the client.
pub fn object(call: &Call, bytes: &[u8]) -> Result<(Value, Vec<String>), Status> {
    let kind = call.kind();
    let (value, complaints) = of_kind(kind, &content_type(&call.headers), bytes)?;
    let warnings = FieldValidation::of(call).warnings(complaints, &kind.kind, &kind.version)?;
    Ok((value, warnings))
}

/// The same without a request: the object, and what does not belong into it.
pub fn of_kind(kind: &Kind, content_type: &str, bytes: &[u8]) -> Result<(Value, Vec<String>), Status> {
    let version = api_version(&kind.group, &kind.version);
    let mut parsed = parse(content_type, bytes, &version, &kind.kind)?;
    identify(&mut parsed.value, &kind.kind, &version)?;
    let complaints = if kind.custom.is_none() && is_json(content_type) {
        let duplicates = std::mem::take(&mut parsed.duplicates);
        schema::in_document_order(bytes, duplicates, conform(&mut parsed, kind)?)
    } else {
        conform(&mut parsed, kind)?
    };
    match kind.strategy.undecodable(&parsed.value) {
        Some(why) => Err(cannot_handle(&kind.kind, &kind.version, &why)),
        None => Ok((parsed.value, complaints)),
    }
}

fn is_json(content_type: &str) -> bool {
    matches!(content_type, "" | "application/json")
}

/// Reads the body as an object of another kind than the resource's, a subresource's, in the request's namespace; and
/// warnings, as [`object`].
pub fn other(call: &Call, bytes: &[u8], kind: &str, version: &str) -> Result<(Value, Vec<String>), Status> {
    other_of(call, bytes, kind, version, &[])
}

/// The same of a kind whose older versions differ in nothing but their name.
pub fn other_of(
    call: &Call,
    bytes: &[u8],
    kind: &str,
    version: &str,
    older: &[&str],
) -> Result<(Value, Vec<String>), Status> {
    let mut parsed = parse(&content_type(&call.headers), bytes, version, kind)?;
    if let Some(found) = parsed.value.get_mut("apiVersion")
        && found.as_str().is_some_and(|found| older.contains(&found))
    {
        *found = version.into();
    }
    identify(&mut parsed.value, kind, version)?;
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let complaints = fit_to(&mut parsed, Schema::builtin().kind(group, short, kind))
        .map_err(|error| of_body(&error, kind, short))?;
    let warnings = FieldValidation::of(call).warnings(complaints, kind, short)?;
    metadata::place(call, &mut parsed.value)?;
    Ok((parsed.value, warnings))
}

/// Makes the value fit its type, if the type is known; returns what does not belong.
pub fn conform(parsed: &mut Parsed, kind: &Kind) -> Result<Vec<String>, Status> {
    fit(parsed, kind).map_err(|error| of_body(&error, &kind.kind, &kind.version))
}

fn of_body(error: &FitError, kind: &str, version: &str) -> Status {
    match error {
        FitError::Type(error) => cannot_handle(kind, version, &error.to_string()),
        FitError::Size(_) | FitError::Structures(_) => Status::too_large(&error.to_string()),
    }
}

/// As [`conform`], for who says in other words why it cannot be.
pub fn fit(parsed: &mut Parsed, kind: &Kind) -> Result<Vec<String>, FitError> {
    // Of a patch; a body with so many is not read at all.
    if structures(&parsed.value) > MAX_STRUCTURES {
        return Err(FitError::Structures(MAX_STRUCTURES));
    }
    let Some(custom) = &kind.custom else {
        return fit_to(parsed, kind.object_type());
    };
    let mut complaints = std::mem::take(&mut parsed.duplicates);
    complaints.extend(custom.fit(&mut parsed.value)?);
    Ok(complaints)
}

/// As [`fit`], to this type.
pub fn fit_to(parsed: &mut Parsed, schema: Option<Type<'_>>) -> Result<Vec<String>, FitError> {
    let mut complaints = std::mem::take(&mut parsed.duplicates);
    if let Some(schema) = schema {
        let conformed = schema.conform(&mut parsed.value)?;
        complaints.extend(conformed.unknown);
    }
    Ok(complaints)
}

/// What does not belong, as an error.
pub fn strict(complaints: &[String]) -> String {
    format!("strict decoding error: {}", complaints.join(", "))
}

fn cannot_handle(kind: &str, version: &str, why: &str) -> Status {
    Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
    ))
}

/// What a body says it is, it says in texts.
fn named(parsed: Parsed) -> Result<Parsed, String> {
    for field in ["apiVersion", "kind"] {
        match parsed.value.get(field) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => {
                return Err(format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{field} of \
                     type string",
                    json_type(other)
                ));
            }
        }
    }
    Ok(parsed)
}

/// Checks `kind` and `apiVersion` against what the endpoint takes, and fills them in where they are missing.
fn identify(value: &mut Value, kind: &str, version: &str) -> Result<(), Status> {
    if value.is_null() {
        // Go's decoder leaves an object as it was made.
        *value = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = value.as_object_mut() else {
        return Err(Status::bad_request(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct",
            json_type(value)
        )));
    };
    for (name, expected) in [("apiVersion", version), ("kind", kind)] {
        match fields.get(name).and_then(Value::as_str) {
            None | Some("") => {
                fields.insert(name.to_owned(), expected.into());
            }
            Some(found) if found == expected => {}
            Some(found) if name == "apiVersion" => {
                return Err(Status::bad_request(format!(
                    "the API version in the data ({found}) does not match the expected API version ({expected})"
                )));
            }
            Some(found) => {
                let found_version = fields
                    .get("apiVersion")
                    .and_then(Value::as_str)
                    .unwrap_or(version);
                return Err(Status::bad_request(format!(
                    "{found} in version {:?} cannot be handled as a {expected}: converting ({found_version}.{found}) to \
                     ({version}.{expected}): unknown conversion",
                    found_version.rsplit('/').next().unwrap_or_default()
                )));
            }
        }
    }
    Ok(())
}

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and warn.
    Warn,
    /// Refuse the request.
    Strict,
}

impl FieldValidation {
    /// The `fieldValidation` parameter, which has been checked (`options`).
    pub fn of(call: &Call) -> Self {
        match call.query.get("fieldValidation") {
            "Ignore" => Self::Ignore,
            "Strict" => Self::Strict,
            _ => Self::Warn,
        }
    }

    /// Warnings about what does not belong into a body of this kind and version.
    fn warnings(self, complaints: Vec<String>, kind: &str, version: &str) -> Result<Vec<String>, Status> {
        match self {
            Self::Ignore => Ok(Vec::new()),
            Self::Strict if !complaints.is_empty() => Err(cannot_handle(kind, version, &strict(&complaints))),
            Self::Warn | Self::Strict => Ok(complaints),
        }
    }
}
