/* Runs a program in a sandbox as containers have it: deny NAME... -- PROGRAM ARGUMENTS...
 * Each NAME is a system call, which then fails with EPERM, or a request to one, which fails as on an older Linux. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct rule {
    const char *name;
    unsigned call, request, error, argument;
};

static const struct rule rules[] = {
    {"ptrace", SYS_ptrace, 0, EPERM},
    {"process_vm_readv", SYS_process_vm_readv, 0, EPERM},
    {"move_pages", SYS_move_pages, 0, EPERM},
    {"perf_event_open", SYS_perf_event_open, 0, EPERM},
    {"pidfd_open", SYS_pidfd_open, 0, EPERM},
    {"SYSCALL_USER_DISPATCH", SYS_prctl, 59, EINVAL, 0},
    {"PAGEMAP_SCAN", SYS_ioctl, 0xc0606610, ENOTTY, 1},
    {"PROCMAP_QUERY", SYS_ioctl, 0xc0686611, ENOTTY, 1},
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

int main(int argc, char **argv) {
    struct sock_filter filter[64];
    unsigned short length = 0;
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        const struct rule *rule = NULL;
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
            if (strcmp(rules[i].name, argv[at]) == 0) rule = &rules[i];
        if (!rule) return fprintf(stderr, "deny: %s is not known\n", argv[at]), 2;
        struct sock_filter test[] = {
            LOAD(nr),
            SKIP_UNLESS(rule->call, rule->request ? 3 : 1),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * rule->argument),
            SKIP_UNLESS(rule->request, 1),
            RETURN(SECCOMP_RET_ERRNO | rule->error),
        };
        for (size_t i = 0; i < sizeof test / sizeof *test; i++)
            if (rule->request || (i != 2 && i != 3)) filter[length++] = test[i];
    }
    filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return perror("deny: seccomp"), 2;
    execvp(argv[at + 1], argv + at + 1);
    return perror(argv[at + 1]), 127;
}
