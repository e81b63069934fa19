//! Label and field selectors over stored metadata, without decoding objects.

use keelson_api::selector::{FieldSelector, FieldTerm, Selector};
use keelson_api::status::{Status, go_quote};

use super::convert::STAMP;
use super::query::Query;
use crate::kinds::Kind;
use crate::kinds::custom::Custom;
use crate::object::Object;

/// The one name that a field selector asks for, which authorization treats as the request's name.
pub fn exact_name(query: &Query) -> Option<String> {
    let fields = FieldSelector::parse(query.get("fieldSelector")).ok()?;
    fields.exact("metadata.name").map(str::to_owned)
}

/// What a list, watch or deletecollection selects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    labels: Selector,
    fields: FieldSelector,
    /// The custom kind, if fields of its own are asked for.
    custom: Option<Custom>,
}

impl Selection {
    /// From the query parameters; a field that the kind does not index is an error.
    pub fn parse(kind: &Kind, query: &Query) -> Result<Self, Status> {
        let bad = |error: &dyn std::fmt::Display| Status::bad_request(error.to_string());
        let labels = Selector::parse(query.get("labelSelector")).map_err(|error| bad(&error))?;
        let mut fields = FieldSelector::parse(query.get("fieldSelector")).map_err(|error| bad(&error))?;
        let known = kind.strategy.selectable_field_names();
        let mut own = false;
        for term in &fields.terms {
            let field = term.field.as_str();
            // Kinds with fields of their own say all that they have, and what is in no namespace has none.
            let everywhere = field == "metadata.namespace" && (kind.namespaced || known.is_empty());
            if field == "metadata.name" || everywhere {
                continue;
            }
            own = true;
            let custom = kind
                .custom
                .as_ref()
                .is_some_and(|custom| custom.can_select(field));
            if !custom && !known.contains(&field) {
                return Err(Status::bad_request(unsupported(kind, field)));
            }
        }
        for term in &mut fields.terms {
            let stored = kind.strategy.selectable_alias(&term.field);
            if stored != term.field {
                term.field = stored.to_owned();
            }
        }
        let custom = kind.custom.clone().filter(|_| own);
        Ok(Self {
            labels,
            fields,
            custom,
        })
    }

    /// Selects this one name.
    pub fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name")
    }

    /// The same, but only this name.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        self.fields.terms.push(FieldTerm {
            field: "metadata.name".to_owned(),
            value: name.to_owned(),
            negated: false,
        });
        self
    }

    /// Whether it selects every object.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether it selects this object.
    pub fn matches(&self, object: &Object) -> bool {
        // What the definition selects by may have changed since the object was written.
        let read = self.custom.as_ref();
        let read = read
            .filter(|custom| object.fields.get(STAMP) != Some(custom.stamp()))
            .map(|custom| custom.selectable(&object.value()));
        self.labels.matches_with(|label| object.labels.get(label))
            && self.fields.matches(|field| match (field, &read) {
                ("metadata.name", _) => Some(object.name.as_str()),
                ("metadata.namespace", _) => Some(object.namespace.as_str()),
                (field, Some(read)) => read.get(field).map(String::as_str),
                (field, None) => object.fields.get(field),
            })
    }
}

/// Why this field does not select objects of this kind.
fn unsupported(kind: &Kind, field: &str) -> String {
    let quoted = go_quote(field);
    if kind.group == "batch" && kind.plural == "jobs" {
        format!("field label {quoted} not supported for batchv1.Job")
    } else if kind.strategy.selectable_field_names().is_empty() && kind.custom.is_none() {
        format!("{quoted} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {field}")
    }
}
