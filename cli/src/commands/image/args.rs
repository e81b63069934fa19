//! The command line of `keelson image`, close to podman's and docker's.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use keelson_runtime::image::Platform;

use crate::args::DataDir;

/// `keelson image`.
#[derive(Debug, Args)]
pub struct Image {
    /// What to do
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// The image subcommands.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Import an OCI bundle directory, OCI layout directory, oci-archive or docker-archive tar
    #[command(alias = "load")]
    Import(Import),
    /// Write images into an archive
    #[command(alias = "save")]
    Export(Export),
    /// List images
    #[command(alias = "list")]
    Ls(Ls),
    /// Show all that is known of images, as JSON
    Inspect(Inspect),
    /// Give an image one more name
    Tag(Tag),
    /// Remove names of images, and images with their last name
    #[command(alias = "remove")]
    Rm(Rm),
    /// Fetch an image from its registry
    Pull(Pull),
    /// Send an image to a registry
    Push(Push),
    /// Remove files that neither an image nor a container needs
    #[command(alias = "prune")]
    Gc(Gc),
    /// Read every blob and compare it with its digest
    Check(Check),
}

/// `keelson image import`.
#[derive(Debug, Args)]
pub struct Import {
    /// What to import; `-` is an archive on standard input
    pub path: PathBuf,
    /// Name to give it [default: the names that the archive gives]
    #[arg(
        short,
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub tag: String,
    /// Platform to take from an index, as OS/ARCHITECTURE[/VARIANT] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<Platform>,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// File to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Form of the archive
    #[arg(long, value_enum, default_value = "oci-archive")]
    pub format: ArchiveFormat,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// Forms of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveFormat {
    /// OCI image layout in a tar; digests stay
    OciArchive,
    /// What `docker load` has always read
    DockerArchive,
}

/// `keelson image ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only images with this name, or names of this repository
    pub name: Option<String>,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    pub format: ListFormat,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// `keelson image inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image tag`.
#[derive(Debug, Args)]
pub struct Tag {
    /// Name or id
    pub image: String,
    /// Further name
    pub name: String,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Also images that containers use (their files stay until these are gone); no error for one that is not there
    #[arg(short, long)]
    pub force: bool,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Name, with a tag or digest
    pub image: String,
    /// Platform to take from an index, as OS/ARCHITECTURE[/VARIANT] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<Platform>,
    /// Print only the id
    #[arg(short, long)]
    pub quiet: bool,
    /// The registry
    #[command(flatten)]
    pub registry: Registry,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Name or id
    pub image: String,
    /// Name to send it under [default: IMAGE]
    pub destination: Option<String>,
    /// Print only the digest
    #[arg(short, long)]
    pub quiet: bool,
    /// The registry
    #[command(flatten)]
    pub registry: Registry,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Also images without a name that no container uses
    #[arg(long, conflicts_with = "all")]
    pub dangling: bool,
    /// Also all images that no container uses
    #[arg(short, long)]
    pub all: bool,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// `keelson image check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Fetch what is damaged or missing from a registry that had it, and unpack it again
    #[arg(long)]
    pub repair: bool,
    /// The registry
    #[command(flatten)]
    pub registry: Registry,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
}

/// How a registry is spoken to.
#[derive(Debug, Args)]
pub struct Registry {
    /// Credentials [default: those of the authentication file]
    #[arg(long, value_name = "USER:PASSWORD", conflicts_with_all = ["username", "password_stdin"])]
    pub creds: Option<String>,
    /// User, with --password-stdin
    #[arg(long, value_name = "USER", requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Docker configuration with credentials [default: $REGISTRY_AUTH_FILE, podman's auth.json, docker's config.json]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Whether the registry must have a valid certificate; `false` also does without TLS [default: true, but not on this
    /// machine's loopback addresses]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<bool>,
    /// PEM file with a further authority to trust; may be given several times
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
}
