//! Cgroups that systemd makes: a container is a transient scope (org.freedesktop.systemd1(5)), asked for over D-Bus. A
//! minimal client of our own: the few calls need neither an async runtime nor a general D-Bus library, whose weight every
//! command would carry.

mod annotations;
mod bus;
mod message;
mod properties;
mod unit;

pub use bus::Bus;
pub use message::Value;
pub use properties::{annotations as annotation_properties, limits as limit_properties};
pub use unit::Unit;

use super::Error;

/// Starts a container's scope with `pid` as its first process, which must live until another one joins. Returns the
/// cgroup's path below the hierarchy's mount point.
pub fn start(
    bus: &mut Bus,
    unit: &Unit,
    id: &str,
    pid: i32,
    extra: Vec<(String, Value)>,
) -> Result<(), Error> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut properties = vec![
        ("Description".to_owned(), text(&format!("keelson container {id}"))),
        ("DefaultDependencies".to_owned(), Value::Bool(false)),
        ("CPUAccounting".to_owned(), Value::Bool(true)),
        ("MemoryAccounting".to_owned(), Value::Bool(true)),
        ("IOAccounting".to_owned(), Value::Bool(true)),
        ("TasksAccounting".to_owned(), Value::Bool(true)),
    ];
    if unit.is_slice() {
        properties.push(("Wants".to_owned(), Value::Texts(vec![unit.slice.clone()])));
    } else {
        properties.push(("Slice".to_owned(), text(&unit.slice)));
        properties.push(("Delegate".to_owned(), Value::Bool(true)));
        properties.push(("PIDs".to_owned(), Value::U32s(vec![pid as u32])));
        // Without this a scope that was killed for want of memory would stay behind, as failed.
        properties.push(("CollectMode".to_owned(), text("inactive-or-failed")));
    }
    properties.extend(extra);
    bus.start_unit(&unit.name, &properties)
}
