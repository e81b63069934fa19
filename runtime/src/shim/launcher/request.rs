//! What the command line asks of the launcher.

use crate::launch::{Plan, Process};
use crate::wire::wire_struct;

wire_struct! {
    /// What to launch, in a memory file whose number is the first argument.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LaunchRequest {
        /// The container; or none, for a process in the one whose first process is `init`.
        pub plan: Option<Plan>,
        /// The process of an exec.
        pub process: Option<Process>,
        /// Process id of the container's first process, for an exec.
        pub init: i32,
        /// Its start time, in clock ticks since boot, which tells it from a later process with its id.
        pub init_started: u64,
        /// Root filesystem directory.
        pub rootfs: String,
        /// The container's state directory.
        pub state: String,
        /// Cgroup directory that the process is born in.
        pub cgroup: Option<String>,
        /// The cgroup has others in it, and stays when the container goes.
        pub cgroup_shared: bool,
        /// The cgroup is systemd's, which removes it when it is empty, and would not notice if we did.
        pub cgroup_of_systemd: bool,
        /// A process that has kept the cgroup alive until now, our child; 0 for none.
        pub placeholder: i32,
        /// Run the program at once, instead of when the state directory's `exec.fifo` is opened.
        pub run: bool,
        /// Keep the container when it has ended.
        pub keep: bool,
        /// Do not wait for the end of the process.
        pub detach: bool,
        /// Write the process id there.
        pub pid_file: Option<String>,
        /// Send the terminal there, instead of relaying it.
        pub console_socket: Option<String>,
        /// Send a pidfd of the process there.
        pub pidfd_socket: Option<String>,
        /// Write errors there.
        pub log: Option<String>,
        /// As JSON.
        pub log_json: bool,
        /// How many descriptors from 3 on the process keeps.
        pub preserve_fds: u32,
        /// The container's state as [`crate::launch::Hooks::state`] has it, for a seccomp agent of an exec.
        pub oci_state: String,
    }
}
