//! Exec, attach and logs over WebSocket: input to its end, exit codes, a terminal that changes its size, bytes in bulk.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt, SinkExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess, DeleteParams, EvictParams, LogParams, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Session, refused, within};
use crate::context::PATIENCE;

const SOON: Duration = Duration::from_secs(10);

pub async fn all(session: Session) -> Result<()> {
    let pods: Api<Pod> = session.api();
    session.pod("box", "exec sleep 3600", false).await?;
    commands(&pods).await?;
    half_close(&pods).await?;
    terminal(&pods).await?;
    attach(&session, &pods).await?;
    logs(&session, &pods).await?;
    let answer = pods.evict("box", &EvictParams::default()).await?;
    ensure!(answer.is_success(), "{answer:?}");
    Ok(())
}

fn piped() -> AttachParams {
    AttachParams::default().stdin(true).stderr(false)
}

/// The rest of the output, and how the command ended.
async fn end(mut process: AttachedProcess) -> Result<(Vec<u8>, Status)> {
    let status = process.take_status().context("status")?;
    let mut output = Vec::new();
    if let Some(mut stdout) = process.stdout() {
        within(PATIENCE, stdout.read_to_end(&mut output)).await??;
    }
    let status = within(SOON, status).await?.context("no status")?;
    within(SOON, process.join()).await??;
    Ok((output, status))
}

fn exit_code(status: &Status) -> Option<&str> {
    let causes = status.details.as_ref()?.causes.as_ref()?;
    causes.first()?.message.as_deref()
}

async fn commands(pods: &Api<Pod>) -> Result<()> {
    let command = ["sh", "-c", "echo out; echo err >&2; exit 7"];
    let mut process = pods.exec("box", command, &AttachParams::default()).await?;
    let mut errors = String::new();
    let mut stderr = process.stderr().context("stderr")?;
    let (output, status) = {
        let reading = async { within(SOON, stderr.read_to_string(&mut errors)).await };
        let (outcome, read) = futures::future::join(end(process), reading).await;
        read??;
        outcome?
    };
    ensure!(output == b"out\n" && errors == "err\n", "{output:?} {errors:?}");
    ensure!(exit_code(&status) == Some("7"), "{status:?}");
    let quiet = AttachParams::default().stderr(false);
    let (_, status) = end(pods.exec("box", ["true"], &quiet).await?).await?;
    ensure!(status.status.as_deref() == Some("Success"), "{status:?}");
    let (_, status) = end(pods.exec("box", ["no-such-program"], &quiet).await?).await?;
    ensure!(status.status.as_deref() == Some("Failure"), "{status:?}");
    let nobody = pods.exec("nobody", ["true"], &quiet).await;
    let message = nobody.err().context("exec into nobody")?.to_string();
    ensure!(message.contains("404"), "{message}");
    Ok(())
}

/// The end of input reaches the command while its output goes on.
async fn half_close(pods: &Api<Pod>) -> Result<()> {
    let data: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut process = pods
        .exec("box", ["sh", "-c", "cat; echo the end"], &piped())
        .await?;
    let mut stdin = process.stdin().context("stdin")?;
    let writing = async {
        stdin.write_all(&data).await?;
        stdin.shutdown().await
    };
    let (written, outcome) = futures::future::join(writing, end(process)).await;
    written?;
    let (output, status) = outcome?;
    let (echo, rest) = output.split_at(data.len().min(output.len()));
    ensure!(
        echo == data && rest == b"the end\n",
        "{} bytes came back",
        output.len()
    );
    ensure!(status.status.as_deref() == Some("Success"), "{status:?}");
    Ok(())
}

async fn terminal(pods: &Api<Pod>) -> Result<()> {
    let mut process = pods.exec("box", ["sh"], &AttachParams::interactive_tty()).await?;
    let mut sizes = process.terminal_size().context("sizes")?;
    let mut stdin = process.stdin().context("stdin")?;
    let mut stdout = process.stdout().context("stdout")?;
    let mut seen = String::new();
    for (height, width) in [(31, 101), (41, 117)] {
        sizes.send(TerminalSize { width, height }).await?;
        let wanted = format!("{height} {width}");
        within(SOON, async {
            let mut buffer = [0; 1024];
            while !seen.contains(&wanted) {
                stdin.write_all(b"stty size\n").await?;
                let count = stdout.read(&mut buffer).await?;
                ensure!(count > 0, "ended: {seen}");
                seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
            Ok(())
        })
        .await
        .with_context(|| format!("{seen:?}"))??;
    }
    let status = process.take_status().context("status")?;
    stdin.write_all(b"exit 3\n").await?;
    let mut rest = Vec::new();
    within(SOON, stdout.read_to_end(&mut rest)).await??;
    let status = within(SOON, status).await?.context("no status")?;
    ensure!(exit_code(&status) == Some("3"), "{status:?}");
    Ok(())
}

async fn attach(session: &Session, pods: &Api<Pod>) -> Result<()> {
    let script = "while read line; do echo \"got $line\"; done";
    session.pod("reader", script, true).await?;
    for word in ["one", "two"] {
        let mut process = pods.attach("reader", &piped()).await?;
        let mut stdin = process.stdin().context("stdin")?;
        let mut stdout = process.stdout().context("stdout")?;
        stdin.write_all(format!("{word}\n").as_bytes()).await?;
        let mut answer = vec![0; word.len() + 5];
        within(SOON, stdout.read_exact(&mut answer)).await??;
        ensure!(answer == format!("got {word}\n").as_bytes(), "{answer:?}");
        // Going away without a word must not end the container's input.
        process.abort();
    }
    let text = pods.logs("reader", &LogParams::default()).await?;
    ensure!(text == "got one\ngot two\n", "{text:?}");
    Ok(())
}

async fn logs(session: &Session, pods: &Api<Pod>) -> Result<()> {
    let script = "for i in 1 2 3; do echo line $i; sleep 0.3; done; exec sleep 3600";
    session.pod("talker", script, false).await?;
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("talker", &follow).await?.lines();
    for wanted in ["line 1", "line 2", "line 3"] {
        let line = within(SOON, lines.try_next()).await??;
        ensure!(line.as_deref() == Some(wanted), "{line:?}");
    }
    pods.delete("talker", &DeleteParams::default()).await?;
    ensure!(
        within(PATIENCE, lines.try_next()).await??.is_none(),
        "the log ends with the container"
    );
    let tail = LogParams {
        tail_lines: Some(1),
        timestamps: true,
        ..LogParams::default()
    };
    let tail = pods.logs("reader", &tail).await?;
    ensure!(
        tail.ends_with("Z got two\n") && tail.lines().count() == 1,
        "{tail:?}"
    );
    refused(pods.logs("nobody", &LogParams::default()).await, 404, "NotFound").map(drop)
}
