//! The argument vector: pod over image.

use k8s_openapi::api::core::v1::Container;

use crate::spec::expand;

/// What runs. A `command` replaces entry point and cmd of the image, `args` alone only its cmd. Variables are expanded
/// from the container's environment `env`.
pub fn arguments(
    container: &Container,
    entrypoint: &[String],
    cmd: &[String],
    env: &[(String, String)],
) -> Vec<String> {
    let lookup = |name: &str| {
        env.iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let expanded = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|text| expand(text, lookup)).collect()
    };
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    match (command.is_empty(), args.is_empty()) {
        (false, _) => [command, args].concat(),
        (true, false) => [entrypoint, &args].concat(),
        (true, true) => [entrypoint, cmd].concat(),
    }
}
