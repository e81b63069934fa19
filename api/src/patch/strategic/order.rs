//! The order of merged lists: items that the patch names in the patch's order, the others in the server's order, and
//! the two interleaved by the server's order as far as it knows both.

use std::collections::HashMap;

use serde_json::Value;

/// What makes items the same: equal keys, or equal values where there is no key. It is the JSON of that, which says of values
/// whether they are equal; nothing, if an item has no key.
pub(super) fn identity(item: &Value, key: &str) -> String {
    let value = if key.is_empty() { Some(item) } else { item.get(key) };
    value.map_or_else(String::new, Value::to_string)
}

/// Where the items of a list are. Comparing each item with each would be minutes for lists as a hostile patch may have them.
#[derive(Debug)]
pub(super) struct Places<'a> {
    key: &'a str,
    first: HashMap<String, usize>,
}

impl<'a> Places<'a> {
    /// In this list, of items with this key.
    pub(super) fn of(list: &[Value], key: &'a str) -> Self {
        let mut first = HashMap::with_capacity(list.len());
        for (at, item) in list.iter().enumerate() {
            first.entry(identity(item, key)).or_insert(at);
        }
        Self { key, first }
    }

    /// Where the first item is that is the same.
    pub(super) fn get(&self, item: &Value) -> Option<usize> {
        self.first.get(&identity(item, self.key)).copied()
    }
}

/// Splits items into those that a list names and the others.
pub(super) fn partition(items: Vec<Value>, list: &Places<'_>) -> (Vec<Value>, Vec<Value>) {
    items.into_iter().partition(|item| list.get(item).is_some())
}

/// Puts the two kinds of items together.
pub(super) fn in_order(
    mut ours: Vec<Value>,
    mut others: Vec<Value>,
    our_order: &Places<'_>,
    server_order: &Places<'_>,
) -> Vec<Value> {
    let place = |list: &Places<'_>, item: &Value| list.get(item).unwrap_or(usize::MAX);
    ours.sort_by_cached_key(|item| place(our_order, item));
    others.sort_by_cached_key(|item| place(server_order, item));
    let mut out = Vec::with_capacity(ours.len() + others.len());
    let others = others.into_iter().map(|item| (server_order.get(&item), item));
    let mut others = others.peekable();
    for item in ours {
        let own = server_order.get(&item);
        // Items of the server come first only if the server has both, and has them in this order.
        while let Some((theirs, _)) = others.peek() {
            match (*theirs, own) {
                (Some(theirs), Some(own)) if theirs < own => out.extend(others.next().map(|(_, item)| item)),
                _ => break,
            }
        }
        out.push(item);
    }
    out.extend(others.map(|(_, item)| item));
    out
}
