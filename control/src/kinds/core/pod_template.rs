//! PodTemplates: a pod template by itself.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::{Kind, Strategy, cells, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Containers",
        "string",
        0,
        "Names of each container in the template.",
    ),
    (
        "Images",
        "string",
        0,
        "Images referenced by each container in the template.",
    ),
    ("Pod Labels", "string", 0, "The labels for the pod template."),
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "PodTemplate", "podtemplates", COLUMNS, PodTemplate).done()
}

#[derive(Debug)]
struct PodTemplate;

impl Strategy for PodTemplate {
    fn default(&self, object: &mut Value) {
        if let Some(object) = object.as_object_mut() {
            podspec::default_template_in(object);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::start_generation(new);
    }

    fn prepare_update(&self, _: Option<&str>, old: &Value, new: &mut Value) {
        update::generation_of("template", old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        podspec::validate_template(object.get("template").unwrap_or(&Value::Null), "template")
    }

    fn validate_update(&self, _: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        self.validate_create(new)
    }

    fn row(&self, object: &Value, _: i64) -> Vec<Value> {
        let (names, images) = cells::containers(object.pointer("/template/spec"));
        vec![
            cells::name(object),
            names,
            images,
            cells::labels(object, "/template/metadata/labels"),
        ]
    }
}
