//! `state`, `list`.

use nix::unistd::{Uid, User};
use serde_json::json;

use super::Error;
use super::arguments::{Global, LIST};
use super::options::{End, Found};
use super::state::{Container, find, ids};

fn describe(container: &Container) -> serde_json::Value {
    let stored = &container.stored;
    let root = stored
        .spec
        .root()
        .as_ref()
        .map(|root| stored.bundle.join(root.path()));
    json!({
        "ociVersion": crate::plan::OCI_VERSION,
        "id": stored.id,
        "pid": container.init.map_or(0, |(pid, _)| pid),
        "status": container.status.to_string(),
        "bundle": stored.bundle,
        "rootfs": root,
        "created": stored.created,
        "annotations": stored.spec.annotations().clone().unwrap_or_default(),
        "owner": owner(stored.owner),
    })
}

fn owner(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid));
    user.ok()
        .flatten()
        .map_or_else(|| format!("#{uid}"), |user| user.name)
}

pub(super) fn state(global: &Global, id: &str) -> Result<(), Error> {
    let mut state = describe(&find(global, id)?);
    if let Some(fields) = state.as_object_mut() {
        fields.remove("owner"); // a field of the list only, and looked up for it
    }
    super::say(&format!("{state:#}"));
    Ok(())
}

pub(super) fn list(global: &Global, args: &[String]) -> Result<(), Error> {
    let found = Found::parse(args, LIST, End::Open)?;
    let json = found.word("format", &["table", "json"])? == "json";
    let ids = ids(global)?;
    // One that goes while we look is not there any more, and one half made not yet.
    let containers: Vec<Container> = ids.iter().filter_map(|id| find(global, id).ok()).collect();
    if found.is("quiet") {
        for container in &containers {
            super::say(&container.stored.id);
        }
    } else if json {
        super::say(&json!(containers.iter().map(describe).collect::<Vec<_>>()).to_string());
    } else {
        let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
        rows.extend(containers.iter().map(|c| {
            [
                c.stored.id.clone(),
                c.init.map_or(0, |(pid, _)| pid).to_string(),
                c.status.to_string(),
                c.stored.bundle.display().to_string(),
                c.stored.created.clone(),
                owner(c.stored.owner),
            ]
        }));
        super::say(table(&rows).trim_end());
    }
    Ok(())
}

/// Columns at least 12 wide, three blanks apart, as runc's.
fn table(rows: &[[String; 6]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            if index == row.len() - 1 {
                text += cell;
                continue;
            }
            let widest = rows
                .iter()
                .map(|row| row[index].chars().count())
                .max()
                .unwrap_or(0);
            let width = (widest + 3).max(12);
            text.push_str(cell);
            text.extend(std::iter::repeat_n(
                ' ',
                width.saturating_sub(cell.chars().count()),
            ));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let row = |cells: [&str; 6]| cells.map(str::to_owned);
        let text = table(&[
            row(["ID", "PID", "c", "d", "e", "f"]),
            row(["long-identity", "1", "", "", "", "x"]),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find("PID"), Some(16));
        assert_eq!(lines[1].find('1'), Some(16));
        assert_eq!(lines[0].find('f'), lines[1].find('x'));
    }
}
