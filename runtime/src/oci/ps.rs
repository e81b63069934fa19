//! `ps`.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::Error;
use super::arguments::{Global, PsArgs};
use super::state::{Container, find};
use crate::cgroup;

/// Process ids of a container: those in its cgroup, or its first.
pub(super) fn pids(container: &Container) -> Vec<i32> {
    let mut found = container
        .stored
        .own_cgroup()
        .map(cgroup::pids)
        .unwrap_or_default();
    if found.is_empty() {
        found.extend(container.init.map(|(pid, _)| pid));
    }
    found
}

pub(super) fn ps(global: &Global, args: &PsArgs) -> Result<(), Error> {
    let pids = pids(&find(global, &args.id)?);
    if args.json {
        super::say(&json!(pids).to_string());
        return Ok(());
    }
    let default = ["-ef".to_owned()];
    let options = if args.options.is_empty() {
        &default[..]
    } else {
        &args.options[..]
    };
    // The options are those of ps(1), and so is the meaning of its columns.
    let output = match Command::new("ps").args(options).output() {
        Ok(output) => output,
        Err(_) if args.options.is_empty() => {
            plain(&pids);
            return Ok(());
        }
        Err(e) => return Err(Error::io("running ps")(e)),
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Invalid(format!("ps: {words}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    super::say(of_container(&text, &pids)?.trim_end());
    Ok(())
}

/// The header, and the lines of these processes.
fn of_container(text: &str, pids: &[i32]) -> Result<String, Error> {
    let header = text.lines().next().unwrap_or_default();
    let column = header.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Error::Invalid("couldn't find PID field in ps output".to_owned()))?;
    let of_ours = |line: &&str| {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let lines = text.lines().skip(1).filter(of_ours);
    let lines: Vec<&str> = std::iter::once(header).chain(lines).collect();
    Ok(lines.join("\n") + "\n")
}

/// Without ps(1) on the host.
fn plain(pids: &[i32]) {
    println!("{:>8} CMD", "PID");
    for pid in pids {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        println!("{pid:>8} {}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filtered() {
        let text = "UID  PID CMD\nroot 1 init\nroot 12 sh -c 1\nroot 2 x\n";
        let shown = of_container(text, &[12, 2]).unwrap();
        assert_eq!(shown, "UID  PID CMD\nroot 12 sh -c 1\nroot 2 x\n");
        assert!(of_container("COMMAND\nx\n", &[1]).is_err());
    }
}
