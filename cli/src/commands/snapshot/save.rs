//! `keelson snapshot save`: through the API server of a cluster that runs, else from its directory.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures::AsyncReadExt;
use kube::config::{KubeConfigOptions, Kubeconfig};

use keelson_control::server::SNAPSHOT_PATH;
use keelson_control::store::snapshot::{self, Summary};

use super::args::Save;
use super::refuse_etcd;
use super::status::size;
use crate::cluster::Cluster;
use crate::commands::output::print;

/// Saves, and says what was saved. Nothing has the file's name before it is complete, checked and on the disk.
pub fn run(args: &Save) -> Result<()> {
    if args.kubeconfig.is_none() {
        refuse_etcd(
            &args.cluster.data_dir,
            &format!("snapshot save {}", args.file.display()),
        )?;
    }
    let temporary = Temporary::create(&args.file)?;
    if let Some(kubeconfig) = &args.kubeconfig {
        download(kubeconfig, &temporary)?;
    } else if snapshot::save(&args.cluster.data_dir.join("control"), &temporary.file)?.is_none() {
        download(&Cluster::require(&args.cluster.data_dir)?.kubeconfig, &temporary)?;
    }
    let summary = temporary.finish(&args.file)?;
    print(&format!(
        "saved {}: revision {}, {} keys, {}\n",
        args.file.display(),
        summary.revision,
        summary.objects,
        size(summary.bytes)
    ));
    Ok(())
}

/// Fetches the snapshot of a running cluster.
fn download(kubeconfig: &Path, to: &Temporary) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let kubeconfig =
            Kubeconfig::read_from(kubeconfig).with_context(|| format!("reading {}", kubeconfig.display()))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = kube::Client::try_from(config)?;
        let request = http::Request::get(SNAPSHOT_PATH).body(Vec::new())?;
        let answer = client.request_stream(request).await;
        let mut answer = std::pin::pin!(answer.context("asking the API server for a snapshot")?);
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = answer
                .read(&mut piece)
                .await
                .context("reading the snapshot from the API server")?;
            if read == 0 {
                return Ok(());
            }
            (&to.file)
                .write_all(&piece[..read])
                .with_context(|| format!("writing {}", to.path.display()))?;
        }
    })
}

/// The file beside the one that it is to become; removed unless it becomes that.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            bail!("{} is not the name of a file", target.display());
        };
        if target.is_dir() {
            bail!("{} is a directory", target.display());
        }
        let mut part = name.to_owned();
        part.push(format!(".part{}", std::process::id()));
        let path = target.with_file_name(part);
        // Secrets are in it.
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Checks what was written, and gives it its name.
    fn finish(self, target: &Path) -> Result<Summary> {
        let written = || format!("writing {}", self.path.display());
        self.file.sync_all().with_context(written)?;
        let summary = snapshot::verify(BufReader::new(File::open(&self.path).with_context(written)?))?;
        std::fs::rename(&self.path, target).with_context(|| format!("creating {}", target.display()))?;
        let dir = match target.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("writing {}", dir.display()))?;
        Ok(summary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is gone already if it got its name.
        let _ = std::fs::remove_file(&self.path);
    }
}
