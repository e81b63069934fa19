//! Whom a process is.

use anyhow::Result;

use crate::context::{Context, Test, contains};

pub const TESTS: &[Test] = &[("ids_of_pods_and_containers", ids)];

/// What a pod's security context says, and a container's, which counts if both say something.
fn ids(c: &Context) -> Result<()> {
    let pod = |name: &str, of_pod: &str, of_container: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  securityContext: {of_pod}\n  \
             containers: [{{name: c, image: 'busybox:1.36', command: [id], securityContext: {of_container}}}]\n"
        )
    };
    let (wanted, other) = (
        "{runAsUser: 1001, runAsGroup: 2002}",
        "{runAsUser: 1, runAsGroup: 2}",
    );
    c.apply(&pod("of-pod", wanted, "{}"))?;
    c.apply(&pod("of-container", other, wanted))?;
    for name in ["of-pod", "of-container"] {
        c.until(&format!("pod/{name}"), "{.status.phase}", "Succeeded")?;
        contains(&c.kubectl.ok(&["logs", name])?, &["uid=1001", "gid=2002"])?;
    }
    Ok(())
}
