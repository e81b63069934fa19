//! What pods and templates may have wherever it is once they have it somewhere: upstream's rules about these came late, and
//! are for new objects (`GetValidationOptionsFromPodSpecAndMeta`).

use keelson_api::status::FieldError;

const SORTS: [fn(&FieldError) -> bool; 3] = [of_huge_pages, of_node_affinity, of_deletion_cost];

/// Drops complaints of a sort that the old object earns somewhere as well.
pub(super) fn forgive(errors: &mut Vec<FieldError>, before: &[FieldError]) {
    for of_sort in SORTS {
        if before.iter().any(of_sort) {
            errors.retain(|error| !of_sort(error));
        }
    }
}

/// Parts of pages.
fn of_huge_pages(error: &FieldError) -> bool {
    error.field.contains("[hugepages-")
        && error
            .message
            .contains("is not positive integer multiple of hugepages-")
}

/// Values that no label of a node can have.
fn of_node_affinity(error: &FieldError) -> bool {
    let required = ".nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.";
    let field = error.field.split_once(required).map(|(_, field)| field);
    field.is_some_and(|field| field.contains("].matchExpressions[") && field.contains("].values["))
}

fn of_deletion_cost(error: &FieldError) -> bool {
    error
        .field
        .ends_with("annotations[controller.kubernetes.io/pod-deletion-cost]")
        && error.message.ends_with("must be a 32bit integer")
}
