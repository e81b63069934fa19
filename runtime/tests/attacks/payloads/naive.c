// A runtime with the classic mistakes, for the control experiments: an attack that it withstands proves nothing.
//
//   naive exec PID PROGRAM...        joins a container with its own file as the executable of a process inside, and
//                                    takes its time before it execs
//   naive run ROOTFS CWD PROGRAM...  changes the root, then enters the working directory with whatever descriptors
//                                    are open, and keeps them
//   naive signals PROGRAM...         execs with signals ignored and blocked
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int join(const char *pid, const char *kind, int flag) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/ns/%.8s", pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || setns(fd, flag);
}

int main(int argc, char **argv) {
    if (argc > 3 && !strcmp(argv[1], "exec")) {
        if (join(argv[2], "pid", CLONE_NEWPID) || join(argv[2], "mnt", CLONE_NEWNS)) return 2;
        pid_t child = fork();
        if (child == 0) {
            usleep(30000);
            execv(argv[3], argv + 3);
            _exit(127);
        }
        int status;
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    if (argc > 4 && !strcmp(argv[1], "run")) {
        if (chroot(argv[2]) || chdir("/") || chdir(argv[3])) return 2;
        execv(argv[4], argv + 4);
        return 127;
    }
    if (argc > 2 && !strcmp(argv[1], "signals")) {
        signal(SIGPIPE, SIG_IGN);
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, NULL);
        execv(argv[2], argv + 2);
        return 127;
    }
    return 2;
}
