//! ComponentStatuses: how scheduler, controllers and store are. Only read, and never stored.

use serde_json::Value;

use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::json::{items, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Status", "string", 0, "Status of the component conditions"),
    ("Message", "string", 0, "Message of the component conditions"),
    ("Error", "string", 0, "Error of the component conditions"),
];

pub(super) fn kind() -> Kind {
    let strategy = Plain::new(|component, _| {
        let healthy = items(component, "/conditions")
            .iter()
            .find(|condition| text(condition, "/type") == "Healthy");
        let status = match healthy.map(|condition| text(condition, "/status")) {
            Some("True") => "Healthy",
            Some(_) => "Unhealthy",
            None => "Unknown",
        };
        let told = |field: &str| Value::from(healthy.map_or("", |condition| text(condition, field)));
        vec![
            cells::name(component),
            Value::from(status),
            told("/message"),
            told("/error"),
        ]
    });
    describe::kind("v1", "ComponentStatus", "componentstatuses", COLUMNS, strategy)
        .cluster()
        .short(&["cs"])
        .verbs(&["get", "list"])
        .done()
}
