//! `$(VAR)` references in command, args, environment values and subPathExpr.

/// Replaces `$(NAME)` by what `lookup` gives; `$$` is a literal `$`, and a reference that cannot be resolved stays
/// as it is. Source: `k8s.io/kubernetes/third_party/forked/golang/expansion`.
pub fn expand(input: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some(end) = rest.strip_prefix('(').and_then(|inner| inner.find(')')) {
            let name = &rest[1..=end];
            if let Some(value) = lookup(name) {
                output.push_str(&value);
            } else {
                output.push_str("$(");
                output.push_str(name);
                output.push(')');
            }
            rest = &rest[end + 2..];
        } else {
            output.push('$');
        }
    }
    output.push_str(rest);
    output
}
