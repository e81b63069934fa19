//! The parent of the three daemons: starts them, restarts them, ends them.
//!
//! A daemon that is killed is started again at once; one that keeps failing, with growing pauses. Before the cluster
//! has been ready for the first time, a daemon that gives up by itself ends the whole start with its reason, because
//! then the cause is the machine or the configuration and not bad luck.

mod daemon;
mod group;
mod process;
mod state;

use daemon::supervise;
pub use daemon::{Daemon, Failure, SUPERVISOR};
pub use group::supervise_all;
pub use process::Process;
pub use state::{DaemonState, StateFile};
