//! The order of merged lists: items that the patch names in the patch's order, the others in the server's order, and
//! the two interleaved by the server's order as far as it knows both.

use serde_json::Value;

/// Whether two items are the same: equal keys, or equal values where there is no key.
fn same(a: &Value, b: &Value, key: &str) -> bool {
    if key.is_empty() {
        a == b
    } else {
        a.get(key) == b.get(key)
    }
}

fn index(list: &[Value], item: &Value, key: &str) -> Option<usize> {
    list.iter().position(|other| same(other, item, key))
}

/// Whether the list has the item.
pub(super) fn present(item: &Value, list: &[Value], key: &str) -> bool {
    index(list, item, key).is_some()
}

/// Splits items into those that `list` names and the others.
pub(super) fn partition(items: Vec<Value>, list: &[Value], key: &str) -> (Vec<Value>, Vec<Value>) {
    items.into_iter().partition(|item| present(item, list, key))
}

/// Puts the two kinds of items together.
pub(super) fn in_order(
    mut ours: Vec<Value>,
    mut others: Vec<Value>,
    our_order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| index(list, item, key).unwrap_or(usize::MAX);
    ours.sort_by_cached_key(|item| place(our_order, item));
    others.sort_by_cached_key(|item| place(server_order, item));
    let mut out = Vec::with_capacity(ours.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in ours {
        // Items of the server come first only if the server has both, and has them in this order.
        while let Some(other) = others.peek() {
            match (index(server_order, other, key), index(server_order, &item, key)) {
                (Some(theirs), Some(own)) if theirs < own => out.extend(others.next()),
                _ => break,
            }
        }
        out.push(item);
    }
    out.extend(others);
    out
}
