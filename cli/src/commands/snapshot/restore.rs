//! `keelson snapshot restore`.

use anyhow::{Context, Result, bail};
use keelson_control::store::snapshot;

use super::args::Restore;
use super::refuse_etcd;
use crate::cluster::{create_dir, id_of, run_dir_of};
use crate::commands::output::print;
use crate::supervisor::StateFile;

/// Restores, and says what was restored.
pub fn run(args: &Restore) -> Result<()> {
    // Checked first, so that a file that is no snapshot leaves not even a directory behind.
    let file = std::fs::File::open(&args.file).with_context(|| format!("opening {}", args.file.display()))?;
    snapshot::verify(std::io::BufReader::new(file)).with_context(|| args.file.display().to_string())?;
    let action = "snapshot restore FILE, for each member, while no member and no control plane runs";
    refuse_etcd(&args.cluster.data_dir, action)?;
    let dir = create_dir(&args.cluster.data_dir)?;
    let running = StateFile::read(&run_dir_of(&id_of(&dir))).is_some_and(|state| state.supervisor.alive());
    if running {
        bail!(
            "the cluster in {} is running; stop it with: keelson down --data-dir {0}",
            dir.display()
        );
    }
    let how = snapshot::Restore {
        bump: args.bump_revision,
        force: args.force,
    };
    let (summary, revision) = snapshot::restore(&args.file, &dir.join("control"), &how)
        .with_context(|| args.file.display().to_string())?;
    print(&format!(
        "restored {} keys of revision {} to {}; its revision is {revision}\n",
        summary.objects,
        summary.revision,
        dir.display()
    ));
    Ok(())
}
