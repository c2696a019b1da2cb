"""Prints a line for everything in a sandbox that is not as it must be, and nothing when all is well.

The argument is the isolation: gvisor or runc.
"""
import ctypes
import errno
import os
import socket
import stat
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
runc = sys.argv[1] == "runc"  # where the kernel is the machine's own


def wrong(text):
    print(text)


def want(name, got, expected):
    if got != expected:
        wrong(f"{name}: want {expected!r}, got {got!r}")


def refused(name, call, *allowed):
    """The call must fail with one of the errors."""
    try:
        call()
    except OSError as e:
        if e.errno not in allowed:
            wrong(f"{name}: failed with {errno.errorcode.get(e.errno, e.errno)}, want one of "
                  f"{[errno.errorcode[a] for a in allowed]}")
    else:
        wrong(f"{name}: allowed")


def syscall(number, *args):
    ctypes.set_errno(0)
    r = libc.syscall(number, *args)
    if r < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return r


status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
want("uids", status["Uid"].split(), ["1000"] * 4)
want("gids", status["Gid"].split(), ["1000"] * 4)
want("groups", os.getgroups(), [1000] if os.getgroups() else [])
for capability in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
    want(capability, int(status.get(capability, "0"), 16), 0)
want("no_new_privs", libc.prctl(39, 0, 0, 0, 0), 1)
want("hostname", socket.gethostname(), "workspace")
want("interfaces", [name for _, name in socket.if_nameindex()], ["lo"])
want("gVisor's kernel", "gvisor" in open("/proc/version").read(), not runc)
if runc:
    want("system calls are filtered", status.get("Seccomp"), "2")
    want("the root is read-only", bool(os.statvfs("/").f_flag & os.ST_RDONLY), True)

# What may be written is what a user needs, and nothing of the system.
writable = {"/workspace", "/home/user", "/tmp", "/var/tmp", "/dev/shm"}
for folder in writable:
    probe = os.path.join(folder, ".posture")
    try:
        with open(probe, "w") as f:
            f.write("x")
        os.unlink(probe)
    except OSError as e:
        wrong(f"{folder}: not writable: {e}")
# find looks at modes alone, which is quick; what it names is looked at below.
find = ["find", "/", "("] + [w for f in sorted(writable | {"/proc", "/sys"}) for w in ("-path", f, "-o")][:-1] + [")", "-prune", "-o"]
suspects = "( -type b -o -perm /6000 -o -not -type l ( -perm -o+w -o -user 1000 -o -group 1000 ) ) -print0"
for path in filter(None, subprocess.run(find + suspects.split(), capture_output=True).stdout.split(b"\0")):
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        continue
    name = os.fsdecode(path)
    if stat.S_ISBLK(mode):
        wrong(f"{name}: a block device")
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        wrong(f"{name}: setuid or setgid")
    if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and os.access(path, os.W_OK):
        wrong(f"{name}: writable")
for path in ("/etc/passwd", "/usr/bin/bash", "/usr/local/bin/vivarium-agent", "/proc/sys/kernel/core_pattern",
             "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"):
    refused(f"writing {path}", lambda: open(path, "w"), errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)
if os.path.isdir("/sys/fs/cgroup"):
    for root, _, files in os.walk("/sys/fs/cgroup"):
        for name in files:
            if os.access(os.path.join(root, name), os.W_OK):
                wrong(f"{root}/{name}: writable")

# What must not be callable. The numbers are x86-64's.
denied = (errno.EPERM, errno.ENOSYS, errno.EACCES)
refused("mount", lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, 0), *denied)
refused("bpf", lambda: syscall(321, 0, 0, 0), *denied)
refused("perf_event_open", lambda: syscall(298, 0, 0, -1, -1, 0), *denied, errno.ENODEV)
refused("userfaultfd", lambda: syscall(323, 0), *denied)
refused("add_key", lambda: syscall(248, b"user", b"k", b"v", 1, -3), *denied)
refused("io_uring_setup", lambda: syscall(425, 8, ctypes.create_string_buffer(256)), *denied)
refused("setns", lambda: syscall(308, os.open("/proc/self/ns/pid", os.O_RDONLY) if os.path.exists("/proc/self/ns/pid") else -1, 0),
        *denied, errno.EINVAL, errno.EBADF)
if runc:
    refused("keyctl", lambda: syscall(250, 0, -3, 1), *denied)
    for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
        refused(f"unshare of a {name} namespace", lambda: syscall(272, flag), *denied)
        refused(f"clone of a {name} namespace", lambda: syscall(56, flag | 17, 0, 0, 0, 0), *denied)
    refused("clone3", lambda: syscall(435, ctypes.create_string_buffer(88), 88), errno.ENOSYS)
    refused("open_by_handle_at", lambda: syscall(304, -1, 0, 0), *denied)
    refused("fsopen", lambda: syscall(430, b"tmpfs", 0), *denied)
    refused("kexec_load", lambda: syscall(246, 0, 0, 0, 0), *denied)
    refused("the kernel's log", lambda: syscall(103, 3, ctypes.create_string_buffer(64), 64), *denied)
    refused("swapon", lambda: syscall(167, b"/tmp/x", 0), *denied)
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list"):
        try:
            if open(path, "rb").read(1):
                wrong(f"{path}: tells of the machine")
        except OSError:
            pass
refused("sethostname", lambda: socket.sethostname("other"), *denied)
refused("init_module", lambda: syscall(175, 0, 0, 0), *denied)
refused("reboot", lambda: syscall(169, 0xfee1dead, 672274793, 0x1234567, 0), *denied)
refused("chroot", lambda: os.chroot("/tmp"), *denied)
refused("setuid 0", lambda: os.setuid(0), *denied)
refused("mknod of a block device", lambda: os.mknod("/tmp/blk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)), *denied)
for name, family, kind in (("AF_VSOCK", 40, socket.SOCK_STREAM), ("AF_ALG", 38, socket.SOCK_SEQPACKET),
                           ("AF_PACKET", 17, socket.SOCK_RAW), ("raw IP", socket.AF_INET, socket.SOCK_RAW)):
    refused(name, lambda: socket.socket(family, kind, 1 if name == "raw IP" else 0), *denied, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT,
            errno.EINVAL, errno.ESOCKTNOSUPPORT)
for address in ("169.254.169.254", "10.0.0.1", "172.17.0.1", "192.0.2.1"):
    s = socket.socket()
    s.settimeout(3)
    refused(f"connecting to {address}", lambda: s.connect((address, 80)), errno.ENETUNREACH, errno.EHOSTUNREACH)
    s.close()

# Loopback works.
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    try:
        server = socket.create_server((address, 0), family=family)
        socket.create_connection(server.getsockname()[:2], timeout=3).close()
    except OSError as e:
        wrong(f"loopback at {address}: {e}")

# The agent can be neither killed nor traced nor read.
for signal in (9, 15, 19):
    refused(f"signal {signal} to the agent", lambda: os.kill(1, signal), errno.EPERM)
refused("tracing the agent", lambda: syscall(101, 16, 1, 0, 0), *denied)
for name in ("mem", "environ", "maps"):
    refused(f"reading the agent's {name}", lambda: open(f"/proc/1/{name}", "rb").read(1), *denied)
refused("the agent's descriptors", lambda: os.listdir("/proc/1/fd"), *denied)
agent = socket.socket(socket.AF_UNIX)
try:
    agent.connect("\0vivarium-agent")
    agent.settimeout(5)
    agent.sendall(b"\0" * 12)
    if agent.recv(1):
        wrong("the agent answers its own user")
except (OSError, TimeoutError) as e:
    if isinstance(e, TimeoutError):
        wrong("the agent holds a connection of its own user")

# Nothing of the server is visible.
allowed = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "COLORTERM", "PWD", "OLDPWD", "SHLVL", "_", "EDITOR", "PAGER",
           "LESS", "COLUMNS", "LINES", "LC_CTYPE", "TMPDIR", "XDG_RUNTIME_DIR", "MPLBACKEND", "PYTHONUNBUFFERED",
           "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_BREAK_SYSTEM_PACKAGES"}
for name in set(os.environ) - allowed:
    wrong(f"environment: {name}")
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        try:
            content = open(f"/proc/{pid}/{name}", "rb").read()
        except OSError:
            continue
        if b"canary" in content:
            wrong(f"/proc/{pid}/{name}: holds the server's secret")
for line in open("/proc/mounts"):
    for word in ("sandboxes", "homes", "rootfs/", "overlay2"):
        if word in line:
            wrong(f"mounts: a path of the machine: {line.strip()}")

# The tools of a data workspace are there.
for command in ("python3 -c 'import pandas, numpy, scipy, matplotlib'", "git --version", "pip --version", "python3 -m venv --without-pip /tmp/venv"):
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        wrong(f"{command}: {done.stderr.strip()[-200:]}")
