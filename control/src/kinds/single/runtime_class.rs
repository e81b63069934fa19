//! RuntimeClasses.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, text};
use crate::kinds::metadata::check_labels;
use crate::kinds::plain::Plain;
use crate::kinds::podspec::{overhead, tolerations};
use crate::kinds::{Kind, cells, go};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Handler",
        "string",
        0,
        "handler specifies the underlying runtime and configuration.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        validate: |class| {
            let handler = text(class, "/handler");
            let complaints = names::dns1123_label(handler);
            let mut errors: Vec<FieldError> =
                FieldError::complaints("handler", handler, complaints).collect();
            overhead(
                &mut errors,
                &class["overhead"]["podFixed"],
                format_args!("overhead"),
            );
            check_labels(
                &mut errors,
                class.pointer("/scheduling/nodeSelector"),
                "scheduling.nodeSelector",
            );
            let scheduling = class.get("scheduling").unwrap_or(&Value::Null);
            // Upstream's path has the field twice.
            tolerations(&mut errors, scheduling, format_args!("scheduling.tolerations"));
            let mut seen = HashSet::new();
            for (index, toleration) in items(scheduling, "/tolerations").iter().enumerate() {
                if !seen.insert(toleration) {
                    let path = format!("scheduling.tolerations[{index}]");
                    errors.push(FieldError::duplicate_shown(path, &go::toleration(toleration), ""));
                }
            }
            errors
        },
        change: |old, new| {
            if old.get("handler") == new.get("handler") {
                return Vec::new();
            }
            vec![FieldError::invalid(
                "handler",
                text(new, "/handler"),
                names::IMMUTABLE,
            )]
        },
        ..Plain::new(|class, now| {
            vec![
                cells::name(class),
                Value::from(text(class, "/handler")),
                cells::age(class, now),
            ]
        })
    };
    describe::kind(
        "node.k8s.io/v1",
        "RuntimeClass",
        "runtimeclasses",
        COLUMNS,
        strategy,
    )
    .cluster()
    .done()
}
