//! Volumes: emptyDir, configMap, secret, projected, downwardAPI, hostPath, subPath; and their updates.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("volumes_of_every_kind", kinds),
    ("volumes_follow_their_source", updates),
    ("service_account_token", token),
    ("host_path", host_path),
];

const SLEEPER: &str = "image: 'busybox:1.36', command: [sleep, '3600']";

fn kinds(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "configmap",
        "conf",
        "--from-literal=color=blue",
        "--from-literal=size=big",
    ])?;
    c.kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "keys",
        "--from-literal=token=s3cret",
    ])?;
    c.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: box, labels: {{app: x}}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  volumes:\n  \
         - {{name: e, emptyDir: {{}}}}\n  - {{name: m, emptyDir: {{medium: Memory, sizeLimit: 1Mi}}}}\n  - {{name: c, configMap: {{name: conf, items: [{{key: color, path: deep/color}}]}}}}\n  \
         - {{name: s, secret: {{secretName: keys, defaultMode: 256}}}}\n  - {{name: d, downwardAPI: {{items: [{{path: labels, fieldRef: {{fieldPath: metadata.labels}}}}]}}}}\n  \
         - name: p\n    projected: {{sources: [{{configMap: {{name: conf}}}}, {{secret: {{name: keys}}}}, {{downwardAPI: {{items: [{{path: name, fieldRef: {{fieldPath: metadata.name}}}}]}}}}]}}\n  \
         containers:\n  - {{name: c, {SLEEPER}, volumeMounts: [{{name: e, mountPath: /e}}, {{name: m, mountPath: /m}}, {{name: c, mountPath: /c}}, {{name: s, mountPath: /s, readOnly: true}}, \
         {{name: d, mountPath: /d}}, {{name: p, mountPath: /p}}, {{name: c, mountPath: /etc/one, subPath: deep/color}}]}}\n",
    ))?;
    c.ready("box")?;
    let sh = |script: &str| c.kubectl.ok(&["exec", "box", "--", "sh", "-c", script]);
    ensure!(
        sh("cat /c/deep/color /etc/one; ls /c")? == "bluebluedeep\n",
        "{}",
        sh("ls -lR /c /etc/one")?
    );
    ensure!(
        sh("cat /s/token; stat -Lc %a /s/token")? == "s3cret400\n",
        "{}",
        sh("ls -la /s")?
    );
    ensure!(sh("cat /d/labels")?.contains("app=\"x\""), "labels");
    ensure!(
        sh("cat /p/color /p/token /p/name")? == "blues3cretbox",
        "projected"
    );
    ensure!(
        sh("touch /e/x && grep ' /m ' /proc/mounts")?.contains("tmpfs"),
        "memory medium"
    );
    ensure!(
        c.kubectl.run(&["exec", "box", "--", "touch", "/s/x"])?.code != 0,
        "read-only"
    );
    Ok(())
}

fn updates(c: &Context) -> Result<()> {
    c.kubectl
        .ok(&["create", "configmap", "conf", "--from-literal=color=blue"])?;
    c.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: box}}\nspec:\n  terminationGracePeriodSeconds: 1\n  volumes: [{{name: c, configMap: {{name: conf}}}}]\n  \
         containers: [{{name: c, {SLEEPER}, volumeMounts: [{{name: c, mountPath: /c}}]}}]\n"
    ))?;
    c.ready("box")?;
    c.kubectl.ok(&[
        "patch",
        "configmap",
        "conf",
        "-p",
        r#"{"data":{"color":"green","more":"x"}}"#,
    ])?;
    eventually(PATIENCE, || {
        let now = c
            .kubectl
            .ok(&["exec", "box", "--", "sh", "-c", "cat /c/color /c/more"])?;
        ensure!(now == "greenx", "{now}");
        Ok(())
    })
}

fn token(c: &Context) -> Result<()> {
    c.shell("box")?;
    let sh = |script: &str| c.kubectl.ok(&["exec", "box", "--", "sh", "-c", script]);
    let dir = "/var/run/secrets/kubernetes.io/serviceaccount";
    ensure!(
        sh(&format!("cat {dir}/namespace"))? == c.kubectl.current_namespace(),
        "namespace"
    );
    contains(&sh(&format!("cat {dir}/ca.crt"))?, &["BEGIN CERTIFICATE"])?;
    let token = sh(&format!("cat {dir}/token"))?;
    ensure!(token.split('.').count() == 3, "a JWT");
    let account = format!("system:serviceaccount:{}:default", c.kubectl.current_namespace());
    // kubectl prefers the kubeconfig's certificate; a kubeconfig of its own makes sure that the token is what counts.
    let kubeconfig = c.cluster.dir().join("token.kubeconfig");
    let kubeconfig_text = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: k, cluster: {{server: 'https://{}', certificate-authority: {}}}}}]\nusers: [{{name: u, user: {{token: {token}}}}}]\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\ncurrent-context: c\n",
        c.cluster.listen(),
        c.cluster.dir().join("pki/ca.crt").display()
    );
    std::fs::write(&kubeconfig, kubeconfig_text)?;
    let mut command = c.kubectl.command(&["auth", "whoami"]);
    let output = command.env("KUBECONFIG", &kubeconfig).output()?;
    std::fs::remove_file(&kubeconfig)?;
    contains(&String::from_utf8_lossy(&output.stdout), &[&account])?;
    own_tokens(c)
}

/// A pod that wants no token has none; and one that wants it elsewhere and for somebody has it there, for that one.
fn own_tokens(c: &Context) -> Result<()> {
    c.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: without}}\nspec:\n  terminationGracePeriodSeconds: 1\n  automountServiceAccountToken: false\n  \
         volumes: [{{name: t, projected: {{sources: [{{serviceAccountToken: {{path: own-token, audience: somebody, expirationSeconds: 3600}}}}]}}}}]\n  \
         containers: [{{name: c, {SLEEPER}, volumeMounts: [{{name: t, mountPath: /t}}]}}]\n",
    ))?;
    c.ready("without")?;
    let none = c
        .kubectl
        .run(&["exec", "without", "--", "ls", "/var/run/secrets/kubernetes.io"])?;
    ensure!(none.code != 0, "{none:?}");
    // The second part of a JWT is base64url without padding; busybox wants the plain alphabet and the padding.
    let payload = c.kubectl.ok(&[
        "exec",
        "without",
        "--",
        "sh",
        "-c",
        "echo \"$(cut -d. -f2 /t/own-token | tr _- /+)====\" | base64 -d 2>/dev/null || true",
    ])?;
    contains(&payload, &["\"somebody\"", "system:serviceaccount:"])
}

fn host_path(c: &Context) -> Result<()> {
    let dir = c.cluster.dir().join("shared");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("hello"), "from the host")?;
    let pod = |name: &str, kind: &str, path: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  volumes: [{{name: h, hostPath: {{path: '{path}', type: {kind}}}}}]\n  containers: [{{name: c, {SLEEPER}, volumeMounts: [{{name: h, mountPath: /h}}]}}]\n"
        )
    };
    c.apply(&pod("box", "Directory", &dir.display().to_string()))?;
    c.apply(&pod(
        "wrong",
        "Directory",
        &dir.join("hello").display().to_string(),
    ))?;
    c.ready("box")?;
    ensure!(
        c.kubectl.ok(&["exec", "box", "--", "cat", "/h/hello"])? == "from the host",
        "content"
    );
    eventually(PATIENCE, || {
        contains(
            &c.kubectl.ok(&["describe", "pod", "wrong"])?,
            &["FailedMount", "hostPath type check failed"],
        )
    })
}
