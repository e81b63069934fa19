//! The streams of kubectl before 1.30, which speaks SPDY/3.1 only, and of the newest one told to do as its ancestors did.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keelson_tests::{Kubectl, eventually, find_kubectl};

use crate::context::{Context, PATIENCE, Test, contains};
use crate::discovery::http_get;

pub const TESTS: &[Test] = &[
    ("spdy_exec", exec),
    ("spdy_exec_early_ends", early_ends),
    ("spdy_terminal", terminal),
    ("spdy_attach", attach),
    ("spdy_port_forward", forward),
    ("spdy_cp", cp),
];

/// kubectl 1.27 if it is there, and the newest with SPDY.
fn kubectls(c: &Context) -> Vec<(&'static str, Kubectl)> {
    let newest = c
        .kubectl
        .with("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
        .with("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false");
    let mut all = vec![("newest", newest)];
    match find_kubectl("1.27") {
        Some(binary) => all.push(("v127", c.kubectl.binary(&binary))),
        None => println!("skipped: kubectl 1.27 is not beside the kubectl on PATH"),
    }
    all
}

/// Bytes in which every loss, doubling and change of order shows.
fn counted(megabytes: u32) -> Vec<u8> {
    (0..megabytes << 18).flat_map(u32::to_le_bytes).collect()
}

/// Runs to the end with bytes in and bytes out.
fn piped(kubectl: &Kubectl, args: &[&str], input: Vec<u8>) -> Result<(i32, Vec<u8>)> {
    let mut child = kubectl
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    // A command that does not read its input closes the pipe, which is its right.
    let _ = writer.join();
    Ok((output.status.code().unwrap_or(-1), output.stdout))
}

fn exec(c: &Context) -> Result<()> {
    c.shell("box")?;
    for (_, kubectl) in kubectls(c) {
        let shown = kubectl.run(&["-v=9", "exec", "box", "--", "true"])?;
        ensure!(shown.code == 0, "{shown:?}");
        contains(
            &shown.stderr,
            &[
                "X-Stream-Protocol-Version: v4.channel.k8s.io",
                "101 Switching Protocols",
            ],
        )?;
        ensure!(
            !shown.stderr.to_lowercase().contains("websocket"),
            "{}",
            shown.stderr
        );
        let ended = kubectl.run(&["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
        ensure!(
            ended.code == 7 && ended.stdout == "out\n" && ended.stderr.starts_with("err\n"),
            "{ended:?}"
        );
        let missing = kubectl.run(&["exec", "box", "--", "no-such-program"])?;
        ensure!(
            missing.code != 0 && missing.stderr.contains("no-such-program"),
            "{missing:?}"
        );

        // Only half of the connection ends with the input, and all of it comes back.
        let data = counted(8);
        let script = ["exec", "-i", "box", "--", "sh", "-c", "cat; echo the end; exit 3"];
        let (code, output) = piped(&kubectl, &script, data.clone())?;
        let wanted = [&data[..], b"the end\n"].concat();
        ensure!(code == 3 && output == wanted, "{code}, {} bytes", output.len());
        // A command that ends without reading its input takes nothing with it.
        let (code, output) = piped(
            &kubectl,
            &["exec", "-i", "box", "--", "echo", "read nothing"],
            data,
        )?;
        ensure!(code == 0 && output == b"read nothing\n", "{code}, {output:?}");
    }
    Ok(())
}

fn early_ends(c: &Context) -> Result<()> {
    c.shell("box")?;
    let running = |words: &str| -> Result<bool> {
        let list = c.kubectl.ok(&["exec", "box", "--", "ps", "-o", "args"])?;
        Ok(list.lines().any(|line| line == words))
    };
    for (name, kubectl) in kubectls(c) {
        // kubectl is killed while much is under way.
        let endless = format!("yes {name}");
        let mut child = kubectl
            .command(&["exec", "box", "--", "yes", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut some = vec![0; 1 << 20];
        let mut stdout = child.stdout.take().context("stdout")?;
        stdout.read_exact(&mut some)?;
        ensure!(running(&endless)?, "it runs");
        child.kill()?;
        child.wait()?;
        eventually(PATIENCE, || {
            ensure!(!running(&endless)?, "{endless} goes on without its client");
            Ok(())
        })?;
        // A reader that has seen enough.
        let mut child = kubectl
            .command(&["exec", "box", "--", "yes", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut some = [0; 100];
        child.stdout.take().context("stdout")?.read_exact(&mut some)?;
        child.wait()?;
        eventually(PATIENCE, || {
            ensure!(!running(&endless)?, "{endless} goes on without its reader");
            Ok(())
        })?;
        // The container ends under a session.
        c.kubectl.ok(&[
            "run",
            name,
            "--image=busybox:1.36",
            "--restart=Never",
            "--",
            "sleep",
            "3600",
        ])?;
        c.ready(name)?;
        let mut session = kubectl.start(&["exec", name, "--", "sh", "-c", "echo here; sleep 3600"])?;
        session.line("here", PATIENCE)?;
        c.kubectl.ok(&["delete", "pod", name, "--grace-period=1"])?;
        eventually(PATIENCE, || {
            ensure!(!session.alive(), "the session outlives its container");
            Ok(())
        })?;
    }
    Ok(())
}

fn terminal(c: &Context) -> Result<()> {
    c.shell("box")?;
    for (_, kubectl) in kubectls(c) {
        // script(1) gives kubectl a terminal; stty changes its size under it, of which the kernel tells kubectl.
        let kept = kubectl.command(&[
            "exec",
            "-it",
            "box",
            "--",
            "sh",
            "-c",
            "tty; while [ \"$(stty size)\" != \"33 99\" ]; do sleep 0.1; done; echo first; \
             while [ \"$(stty size)\" != \"44 111\" ]; do sleep 0.1; done; echo second; exit 5",
        ]);
        let words: Vec<String> = std::iter::once(kept.get_program())
            .chain(kept.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
            .collect();
        let line = format!(
            "stty rows 33 cols 99; (sleep 2; stty rows 44 cols 111 </dev/tty) & {}",
            words.join(" ")
        );
        let mut script = Command::new("timeout");
        script
            .args(["60", "script", "-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        for (name, value) in kept.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let output = script.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        contains(&text, &["/dev/pts/", "first", "second"])?;
        ensure!(output.status.code() == Some(5), "{:?}: {text}", output.status);
    }
    Ok(())
}

fn attach(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: reader}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: c, image: 'busybox:1.36', stdin: true, command: [sh, -c, 'while read line; do echo \"got $line\"; done']}\n",
    )?;
    c.ready("reader")?;
    for (name, kubectl) in kubectls(c) {
        let mut session = kubectl.start(&["attach", "-i", "reader"])?;
        session.write(&format!("{name}\n"))?;
        session.line(&format!("got {name}"), PATIENCE)?;
        drop(session);
        let mut follow = kubectl.start(&["logs", "-f", "reader"])?;
        follow.line(&format!("got {name}"), PATIENCE)?;
        let args = [
            "run",
            name,
            "-i",
            "--rm",
            "--restart=Never",
            "--image=busybox:1.36",
            "--",
            "sh",
            "-c",
            "cat; exit 4",
        ];
        let output = kubectl.run_with_input(&args, "typed\n")?;
        ensure!(output.code == 4, "{output:?}");
        contains(&output.stdout, &["typed"])?;
    }
    Ok(())
}

fn forward(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: echo}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: echo, image: 'busybox:1.36', command: [nc, -ll, -p, '7000', -e, cat]}\n  \
         - {name: web, image: 'busybox:1.36', command: [sh, -c, 'echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp']}\n",
    )?;
    c.ready("echo")?;
    for (name, kubectl) in kubectls(c) {
        let mut session = kubectl.start(&["port-forward", "pod/echo", ":7000", ":8080", ":9"])?;
        let mut address = |port: &str| -> Result<String> {
            let line = session.line(&format!("-> {port}"), PATIENCE)?;
            let word = line.split_whitespace().nth(2).context("address")?;
            Ok(word.to_owned())
        };
        let (echo, web, nobody) = (address("7000")?, address("8080")?, address("9")?);
        eventually(PATIENCE, || {
            contains(&http_get(&web, "/index.html")?, &["200 OK", "hello"])
        })?;

        // Several at once: all bytes there and back, and the end of one direction before the other's.
        let data = counted(4);
        let connections: Vec<_> = (0..3)
            .map(|_| {
                let (echo, data) = (echo.clone(), data.clone());
                std::thread::spawn(move || echoed(&echo, data))
            })
            .collect();
        for connection in connections {
            let back = connection.join().ok().context("panicked")??;
            ensure!(back == data, "{} of {} bytes came back", back.len(), data.len());
        }
        // Clients that go away leave the others their connections.
        for _ in 0..20 {
            let mut stream = TcpStream::connect(&echo)?;
            // kubectl 1.27 does not throw away what comes for a client that is gone, and waits for ever to hand it on.
            let size = if name == "newest" { 100_000 } else { 1 };
            stream.write_all(&data[..size])?;
        }
        contains(&http_get(&web, "/index.html")?, &["200 OK", "hello"])?;
        // Nobody listens: said, and that connection ends.
        let mut refused = TcpStream::connect(&nobody)?;
        refused.set_read_timeout(Some(Duration::from_secs(20)))?;
        // kubectl may have closed it already.
        let _ = refused.write_all(b"anybody?");
        ensure!(refused.read(&mut [0; 16]).unwrap_or(0) == 0, "somebody answered");
        session.line("onnection refused", PATIENCE)?;
    }
    Ok(())
}

/// Sends all, ends our side, reads all.
fn echoed(address: &str, data: Vec<u8>) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut writer = stream.try_clone()?;
    let writing = std::thread::spawn(move || {
        writer.write_all(&data)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    writing.join().ok().context("panicked")??;
    Ok(back)
}

fn cp(c: &Context) -> Result<()> {
    c.shell("box")?;
    for (name, kubectl) in kubectls(c) {
        let dir = tempfile::tempdir()?;
        let (there, back) = (dir.path().join("there"), dir.path().join("back"));
        std::fs::create_dir_all(there.join("below"))?;
        std::fs::write(there.join("large"), counted(8))?;
        std::fs::write(there.join("below/small"), "small")?;
        std::fs::write(there.join("empty"), "")?;
        let (there, back) = (there.to_str().context("path")?, back.to_str().context("path")?);
        kubectl.ok(&["cp", there, &format!("box:/tmp/{name}")])?;
        kubectl.ok(&["cp", &format!("box:/tmp/{name}"), back])?;
        let compared = Command::new("diff").args(["-r", there, back]).output()?;
        ensure!(compared.status.success(), "{compared:?}");
        let nothing = format!("{back}.nothing");
        kubectl.run(&["cp", "box:/tmp/nothing", &nothing])?;
        ensure!(
            !std::path::Path::new(&nothing).exists(),
            "what is not there is not made"
        );
    }
    Ok(())
}
