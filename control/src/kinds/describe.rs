//! Builds descriptors briefly, so that the table reads as a table.

use std::borrow::Cow;

use super::{Column, Kind, Strategy, Subresource};

/// Verbs of an ordinary resource.
pub(super) const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Verbs of a resource that cannot be deleted as a collection.
pub(super) const NO_COLLECTION: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
/// Verbs of a resource that exists only in the answer to its creation.
pub(super) const CREATE: &[&str] = &["create"];
const CHANGE: &[&str] = &["get", "patch", "update"];

/// Title, type, priority, help text.
pub(super) type ColumnDef = (&'static str, &'static str, i32, &'static str);

/// The first column of nearly every kind.
pub(super) const NAME: ColumnDef = (
    "Name",
    "string",
    0,
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow \
     a client to request the generation of an appropriate name automatically.",
);
/// The age column.
pub(super) const AGE: ColumnDef = ("Age", "string", 0, CREATED);
/// For kinds whose instances matter less than when they came to be.
pub(super) const CREATED_AT: ColumnDef = ("Created At", "date", 0, CREATED);
const CREATED: &str =
    "CreationTimestamp is a timestamp representing the server time when this object was created.";

/// A kind in the making.
pub(super) struct Describe(Kind);

/// A namespaced kind with all verbs.
pub(super) fn kind(
    group_version: &'static str,
    kind: &'static str,
    plural: &'static str,
    columns: &[ColumnDef],
    strategy: impl Strategy + 'static,
) -> Describe {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    Describe(Kind {
        group: Cow::Borrowed(group),
        version: Cow::Borrowed(version),
        kind: Cow::Borrowed(kind),
        plural: Cow::Borrowed(plural),
        singular: Cow::Owned(kind.to_lowercase()),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        verbs: ALL,
        subresources: Vec::new(),
        storage: None,
        columns: columns.iter().map(column).collect(),
        strategy: Box::new(strategy),
        custom: None,
    })
}

pub(super) fn column(&(name, kind, priority, description): &ColumnDef) -> Column {
    Column {
        name: Cow::Borrowed(name),
        kind: Cow::Borrowed(kind),
        format: Cow::Borrowed(if matches!(name, "Name" | "Attacher") {
            "name"
        } else {
            ""
        }),
        description: Cow::Borrowed(description),
        priority,
    }
}

impl Describe {
    /// Its short names.
    pub(super) fn short(mut self, names: &[&'static str]) -> Self {
        self.0.short_names = names.iter().map(|name| Cow::Borrowed(*name)).collect();
        self
    }

    /// In the category `all`.
    pub(super) fn in_all(mut self) -> Self {
        self.0.categories.push(Cow::Borrowed("all"));
        self
    }

    /// In the category `api-extensions`.
    pub(super) fn extension(mut self) -> Self {
        self.0.categories.push(Cow::Borrowed("api-extensions"));
        self
    }

    /// Outside of namespaces.
    pub(super) fn cluster(mut self) -> Self {
        self.0.namespaced = false;
        self
    }

    /// Other verbs than all.
    pub(super) fn verbs(mut self, verbs: &'static [&'static str]) -> Self {
        self.0.verbs = verbs;
        self
    }

    /// Its objects are those of another resource.
    pub(super) fn stored_as(mut self, group: &'static str, resource: &'static str) -> Self {
        self.0.storage = Some((Cow::Borrowed(group), Cow::Borrowed(resource)));
        self
    }

    /// The `status` subresource.
    pub(super) fn status(self) -> Self {
        self.same("status", CHANGE)
    }

    /// The `scale` subresource.
    pub(super) fn scale(self) -> Self {
        self.sub("scale", "autoscaling/v1", "Scale", CHANGE)
    }

    /// A subresource whose body is the kind itself.
    pub(super) fn same(mut self, name: &'static str, verbs: &'static [&'static str]) -> Self {
        let (kind, group, version) = (self.0.kind.clone(), self.0.group.clone(), self.0.version.clone());
        self.0.subresources.push(Subresource {
            name: Cow::Borrowed(name),
            kind,
            group,
            version,
            verbs,
        });
        self
    }

    /// A subresource with a body of another kind.
    pub(super) fn sub(
        mut self,
        name: &'static str,
        group_version: &'static str,
        kind: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        self.0.subresources.push(Subresource {
            name: Cow::Borrowed(name),
            kind: Cow::Borrowed(kind),
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            verbs,
        });
        self
    }

    /// The descriptor. Subresources are sorted, as discovery lists them.
    pub(super) fn done(mut self) -> Kind {
        self.0.subresources.sort_by(|a, b| a.name.cmp(&b.name));
        self.0
    }
}
