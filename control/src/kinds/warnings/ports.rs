//! Ports of containers that are there twice, or nearly.

use std::collections::HashMap;
use std::fmt::Arguments;

use serde_json::Value;

use super::MOST;
use crate::kinds::json::{int, items, text};

/// A port of a container.
struct Port<'a> {
    path: String,
    host_ip: &'a str,
    at_host: i64,
}

/// The ports of the containers that were looked at.
#[derive(Default)]
pub(super) struct Ports<'a>(HashMap<(i64, &'a str), Vec<Port<'a>>>);

impl<'a> Ports<'a> {
    /// Of the ports of one more container, at its path.
    pub(super) fn warn(&mut self, warnings: &mut Vec<String>, path: Arguments<'_>, container: &'a Value) {
        for (index, port) in items(container, "/ports").iter().enumerate() {
            let (number, protocol) = (int(port, "/containerPort").unwrap_or(0), text(port, "/protocol"));
            let one = Port {
                path: format!("{path}.ports[{index}]"),
                host_ip: text(port, "/hostIP"),
                at_host: int(port, "/hostPort").unwrap_or(0),
            };
            if !one.host_ip.is_empty() && one.at_host == 0 {
                warnings.push(format!(
                    "{}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{}}}",
                    one.path,
                    text(port, "/name"),
                    one.host_ip
                ));
            }
            let others = self.0.entry((number, protocol)).or_default();
            for other in others.iter() {
                if let Some(what) = one.meets(other) {
                    warnings.push(format!(
                        "{}: {what} port definition with {}",
                        one.path, other.path
                    ));
                }
            }
            // More than that has been warned of, or meets nothing.
            if others.len() < MOST {
                others.push(one);
            }
            if warnings.len() >= MOST {
                return;
            }
        }
    }
}

impl Port<'_> {
    /// In which way it is the same as another one of the same number and protocol.
    fn meets(&self, other: &Self) -> Option<&'static str> {
        if self.host_ip == other.host_ip && self.at_host == other.at_host {
            Some("duplicate")
        } else if self.at_host == 0 || other.at_host == 0 {
            Some("overlapping")
        } else if self.at_host == other.at_host && self.host_ip.is_empty() != other.host_ip.is_empty() {
            Some("dangerously ambiguous")
        } else {
            None
        }
    }
}
