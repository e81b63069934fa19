//! Logs, exec, attach, cp, run -it.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("logs", logs),
    ("previous_logs", previous),
    ("exec", exec),
    ("exec_with_terminal", terminal),
    ("attach", attach),
    ("cp", cp),
    ("run_interactive", run_interactive),
];

fn logs(c: &Context) -> Result<()> {
    let script = "echo one; echo two >&2; sleep 2; echo three; sleep 3600";
    c.kubectl.ok(&[
        "run",
        "talker",
        "--image=busybox:1.36",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        script,
    ])?;
    c.ready("talker")?;
    let mut follow = c.kubectl.start(&["logs", "-f", "talker"])?;
    follow.line("three", PATIENCE)?;
    ensure!(follow.seen() == ["one", "two", "three"], "{:?}", follow.seen());
    ensure!(
        c.kubectl.ok(&["logs", "talker", "--tail=1"])? == "three\n",
        "tail"
    );
    let stamped = c.kubectl.ok(&["logs", "talker", "--timestamps"])?;
    let (stamp, word) = stamped
        .lines()
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default();
    ensure!(word == "one" && is_rfc3339(stamp), "{stamped}");
    let both = c.kubectl.ok(&["logs", "talker", "--tail=1", "--timestamps"])?;
    ensure!(both.lines().count() == 1 && both.ends_with("Z three\n"), "{both}");
    ensure!(
        c.kubectl.ok(&["logs", "talker", "--since=1h"])?.lines().count() == 3,
        "since"
    );
    // At least two seconds lie between the first two lines and the last one: at most that one is of the last second.
    let last = c.kubectl.ok(&["logs", "talker", "--since=1s"])?;
    ensure!(last.is_empty() || last == "three\n", "since=1s: {last}");
    ensure!(
        c.kubectl.ok(&["logs", "talker", "--limit-bytes=3"])? == "one",
        "limit"
    );
    contains(
        &c.kubectl.fails(&["logs", "nobody"])?,
        &["pods \"nobody\" not found"],
    )?;
    contains(
        &c.kubectl.fails(&["logs", "talker", "-c", "nobody"])?,
        &["container nobody is not valid for pod talker"],
    )
}

/// Whether it is a time as `2006-01-02T15:04:05.999999999Z`, of which the fraction may be missing.
fn is_rfc3339(stamp: &str) -> bool {
    let Some(stamp) = stamp.strip_suffix('Z') else {
        return false;
    };
    let (time, fraction) = stamp.split_once('.').unwrap_or((stamp, "0"));
    let fits = |(found, wanted): (u8, u8)| match wanted {
        b'0' => found.is_ascii_digit(),
        _ => found == wanted,
    };
    let form = b"0000-00-00T00:00:00";
    time.len() == form.len()
        && time.bytes().zip(*form).all(fits)
        && !fraction.is_empty()
        && fraction.bytes().all(|digit| digit.is_ascii_digit())
}

fn previous(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: again}\nspec:\n  terminationGracePeriodSeconds: 1\n  volumes: [{name: v, emptyDir: {}}]\n  \
         containers:\n  - name: c\n    image: busybox:1.36\n    volumeMounts: [{name: v, mountPath: /v}]\n    \
         command: [sh, -c, 'if [ -e /v/x ]; then echo second; sleep 3600; fi; touch /v/x; echo first; exit 3']\n",
    )?;
    c.until("pod/again", "{.status.containerStatuses[0].restartCount}", "1")?;
    c.until(
        "pod/again",
        "{.status.containerStatuses[0].lastState.terminated.exitCode}",
        "3",
    )?;
    c.ready("again")?;
    ensure!(
        c.kubectl.ok(&["logs", "--previous", "again"])? == "first\n",
        "previous"
    );
    ensure!(c.kubectl.ok(&["logs", "again"])? == "second\n", "current");
    Ok(())
}

fn exec(c: &Context) -> Result<()> {
    c.shell("box")?;
    ensure!(
        c.kubectl.ok(&["exec", "box", "--", "hostname"])? == "box\n",
        "stdout"
    );
    let code = c
        .kubectl
        .run(&["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
    ensure!(
        code.code == 7 && code.stdout == "out\n" && code.stderr.contains("err\n"),
        "{code:?}"
    );
    let echoed = c
        .kubectl
        .ok_with_input(&["exec", "-i", "box", "--", "cat"], "through stdin\n")?;
    ensure!(
        echoed == "through stdin\n",
        "stdin is closed at its end, and everything comes back: {echoed:?}"
    );
    let big = "0123456789abcdef".repeat(65_536);
    let sum = c
        .kubectl
        .ok_with_input(&["exec", "-i", "box", "--", "wc", "-c"], &big)?;
    ensure!(sum.trim() == big.len().to_string(), "{sum}");
    let missing = c.kubectl.run(&["exec", "box", "--", "no-such-program"])?;
    ensure!(
        missing.code != 0 && missing.stderr.contains("no-such-program"),
        "{missing:?}"
    );
    contains(
        &c.kubectl.fails(&["exec", "nobody", "--", "true"])?,
        &["pods \"nobody\" not found"],
    )?;
    // The container is there, but has not started.
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: waiting}\nspec:\n  containers:\n  \
         - {name: c, image: 'nobody/has:this', imagePullPolicy: Never}\n",
    )?;
    eventually(PATIENCE, || {
        contains(
            &c.kubectl.fails(&["exec", "waiting", "--", "true"])?,
            &["unable to upgrade connection: container not found (\"c\")"],
        )
    })?;
    // The kubelet was asked in SPDY, whatever kubectl speaks.
    let metrics = c.kubectl.ok(&["get", "--raw", "/metrics"])?;
    contains(
        &metrics,
        &["apiserver_stream_translator_requests_total{code=\"200\"} "],
    )?;
    let environment = c.kubectl.ok(&["exec", "box", "--", "env"])?;
    contains(
        &environment,
        &["KUBERNETES_SERVICE_HOST=10.", "HOSTNAME=box", "PATH="],
    )
}

fn terminal(c: &Context) -> Result<()> {
    c.shell("box")?;
    let kubectl = c
        .kubectl
        .command(&[])
        .get_program()
        .to_string_lossy()
        .into_owned();
    let namespace = c.kubectl.current_namespace();
    // script(1) gives kubectl a terminal, as a person has one.
    let command = format!("{kubectl} -n {namespace} exec -it box -- sh -c 'tty; stty size; echo done'");
    let output = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("KUBECONFIG", c.cluster.dir().join("admin.kubeconfig"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    contains(&text, &["/dev/pts/", "done"])
}

fn attach(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: reader}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: c, image: 'busybox:1.36', stdin: true, command: [sh, -c, 'while read line; do echo \"got $line\"; done']}\n",
    )?;
    c.ready("reader")?;
    let mut session = c.kubectl.start(&["attach", "-i", "reader"])?;
    session.write("hello\n")?;
    session.line("got hello", PATIENCE)?;
    drop(session);
    let mut session = c.kubectl.start(&["attach", "-i", "reader"])?;
    session.write("again\n")?;
    session.line("got again", PATIENCE)?;
    ensure!(
        c.kubectl.ok(&["logs", "reader"])? == "got hello\ngot again\n",
        "attached output is logged too"
    );
    Ok(())
}

fn cp(c: &Context) -> Result<()> {
    c.shell("box")?;
    let dir = tempfile::tempdir()?;
    let here = dir.path().join("file");
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&here, &content)?;
    let here = here.to_str().unwrap_or_default();
    c.kubectl.ok(&["cp", here, "box:/tmp/file"])?;
    let back = format!("{here}.back");
    c.kubectl.ok(&["cp", "box:/tmp/file", &back])?;
    ensure!(
        std::fs::read(&back)? == content,
        "what comes back is what went in"
    );
    Ok(())
}

fn run_interactive(c: &Context) -> Result<()> {
    let output = c.kubectl.run_with_input(
        &[
            "run",
            "once",
            "-i",
            "--rm",
            "--restart=Never",
            "--image=busybox:1.36",
            "--",
            "sh",
            "-c",
            "cat; exit 0",
        ],
        "typed\n",
    )?;
    ensure!(output.code == 0, "{output:?}");
    contains(&output.stdout, &["typed", "pod \"once\" deleted"])?;
    contains(&c.kubectl.fails(&["get", "pod", "once"])?, &["NotFound"])?;
    // A command that has written, and perhaps ended, before kubectl has attached.
    for (name, script) in [
        ("quick", "echo early"),
        ("lingering", "echo early; sleep 2; echo late"),
    ] {
        let image = "--image=busybox:1.36";
        let args = [
            "run",
            name,
            "-i",
            "--rm",
            "--restart=Never",
            image,
            "--",
            "sh",
            "-c",
            script,
        ];
        let output = c.kubectl.run(&args)?;
        ensure!(output.code == 0, "{output:?}");
        contains(&output.stdout, &["early"])?;
    }
    Ok(())
}
