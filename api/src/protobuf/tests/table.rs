//! The table against the schemas: the same fields, of the same types.

use crate::protobuf::table::{self, Field, Kind, Shape};
use crate::schema::{Node, Schema};

const TABLE: &str = include_str!("../../../schema/v1_33.protobuf");

/// `io.k8s.api.core.v1.Pod` as the table names it.
fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match name {
        _ if name.contains(".apis.meta.")
            || name.contains(".apis.api")
            || name.starts_with("io.k8s.api.") =>
        {
            parts[parts.len() - 3..].join(".")
        }
        _ => parts[parts.len() - 2..].join("."),
    }
}

/// Whether a field is of the type that the schema says.
fn agrees(schema: &Schema, node: &Node, shape: Shape, kind: Kind) -> bool {
    match (node, shape) {
        (Node::List(item), Shape::List) => agrees(schema, item, Shape::One, kind),
        (Node::Map(inner), Shape::Map) => agrees(schema, inner, Shape::One, kind),
        (Node::List(item), Shape::One) => **item == Node::String && kind == Kind::Texts,
        (Node::Struct(index), Shape::One) => {
            let name = short(&schema.definition(*index).unwrap().name);
            matches!(kind, Kind::Message(message) if table::message(message).name() == name)
        }
        (plain, Shape::One) => match kind {
            Kind::Text => *plain == Node::String,
            Kind::Bytes => *plain == Node::Bytes,
            Kind::Bool => *plain == Node::Boolean,
            Kind::Integer => matches!(plain, Node::Int32 | Node::Int64),
            Kind::Double => *plain == Node::Number,
            Kind::Time => *plain == Node::Time,
            Kind::MicroTime => *plain == Node::MicroTime,
            Kind::Quantity => *plain == Node::Quantity,
            Kind::IntOrString => *plain == Node::IntOrString,
            Kind::Raw | Kind::SchemaOrBool | Kind::SchemaOrList | Kind::SchemaOrTexts => {
                matches!(plain, Node::Any | Node::Object)
            }
            // An empty struct is an object.
            Kind::Message(message) => *plain == Node::Object && table::message(message).fields().is_empty(),
            Kind::Texts => false,
        },
        _ => false,
    }
}

#[test]
fn every_field_of_every_schema_has_its_number_and_type() {
    let schema = Schema::builtin();
    let mut wrong = Vec::new();
    // What `/version` answers is JSON only.
    let in_protobuf = |name: &str| name != "io.k8s.apimachinery.pkg.version.Info";
    let definitions = schema.definitions().iter().filter(|one| one.alias.is_none());
    for definition in definitions.filter(|one| in_protobuf(&one.name)) {
        let Some(message) = table::find(&short(&definition.name)) else {
            wrong.push(format!("{}: no message", definition.name));
            continue;
        };
        let is_kind = definition.field("apiVersion").is_some() && definition.field("kind").is_some();
        for field in &definition.fields {
            // Of a kind they are in the envelope; elsewhere (ownerReferences) they are fields.
            if is_kind
                && matches!(field.name.as_ref(), "apiVersion" | "kind")
                && message.named(field.name.as_bytes(), &mut 0).is_none()
            {
                continue;
            }
            match message.named(field.name.as_bytes(), &mut 0) {
                None => wrong.push(format!("{}.{}: missing", message.name(), field.name)),
                Some(found) if !agrees(schema, &field.node, found.shape, found.kind) => {
                    wrong.push(format!(
                        "{}.{}: {:?} is {found:?}",
                        message.name(),
                        field.name,
                        field.node
                    ));
                }
                Some(_) => {}
            }
        }
        for field in message.fields() {
            if definition.field(field.name).is_none() {
                wrong.push(format!("{}.{}: not in the schema", message.name(), field.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_line_is_read_whole() {
    let mut fields = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let message = table::find(name).unwrap_or_else(|| panic!("{name}"));
        let written = rest.split(' ').filter(|field| !field.is_empty());
        for text in written {
            let number = text.split(':').next().unwrap().parse().unwrap();
            let embedded = message.embedded.iter().any(|(own, _)| *own == number);
            assert!(embedded || message.numbered(number).is_some(), "{name} {text}");
            fields += 1;
        }
    }
    assert!(fields > 1900, "{fields}");
    assert!(
        table::find("core.v1.Nothing").is_none() && table::find("").is_none() && table::find("zzz").is_none()
    );
}

#[test]
fn names_and_numbers_are_unique() {
    for message in table::all() {
        let own: Vec<&Field> = message.fields().iter().collect();
        for pair in own.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", message.name(), pair[0].name);
        }
    }
}

#[test]
fn kinds_lead_to_messages() {
    for (version, kind) in [
        ("v1", "Pod"),
        ("v1", "PodList"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "DeleteOptions"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleList"),
        ("v1", "DeleteOptions"),
        ("v1", "Status"),
        ("policy/v1", "Eviction"),
        ("autoscaling/v1", "Scale"),
        ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"),
        ("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList"),
        ("meta.k8s.io/v1", "PartialObjectMetadata"),
    ] {
        assert!(table::of_kind(version, kind).is_some(), "{version} {kind}");
    }
    assert!(table::of_kind("example.com/v1", "Widget").is_none());
}
