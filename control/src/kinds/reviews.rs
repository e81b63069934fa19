//! Virtual kinds: they exist only in the answer to their creation.

use serde_json::Value;

use super::describe::{self, ColumnDef, NAME};
use super::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[NAME];

#[derive(Debug)]
struct Review;

impl Strategy for Review {
    fn row(&self, object: &Value, _: i64) -> Vec<Value> {
        vec![cells::name(object)]
    }
}

/// Reviews of tokens and of access, and bindings of pods to nodes.
pub(super) fn kinds() -> Vec<Kind> {
    let review = |group_version, kind, plural| {
        describe::kind(group_version, kind, plural, COLUMNS, Review).verbs(describe::CREATE)
    };
    vec![
        review("v1", "Binding", "bindings").done(),
        review(
            "authentication.k8s.io/v1",
            "SelfSubjectReview",
            "selfsubjectreviews",
        )
        .cluster()
        .done(),
        review("authentication.k8s.io/v1", "TokenReview", "tokenreviews")
            .cluster()
            .done(),
        review(
            "authorization.k8s.io/v1",
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
        )
        .done(),
        review(
            "authorization.k8s.io/v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
        )
        .cluster()
        .done(),
        review(
            "authorization.k8s.io/v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
        )
        .cluster()
        .done(),
        review(
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
            "subjectaccessreviews",
        )
        .cluster()
        .done(),
    ]
}
