#!/bin/sh
# Runs a Docker daemon of its own, for tests: scripts/dockerd-for-tests.sh start DIR [FLAG-OF-DOCKERD…] | stop DIR
#
# start installs the package docker.io when it is missing (without starting its service), runs a containerd and a dockerd
# whose sockets, data and logs are all below DIR, waits until the daemon answers, and prints the value for DOCKER_HOST. A
# daemon of DIR that runs already is left as it is. It has no bridge and touches no firewall; its runtimes are runsc (from
# .build/bin, with a loopback that works) and runc (from .build/bin, else the system's). WITHOUT_RUNSC=1 in the environment
# leaves runsc out. stop ends the daemon, its containerd and what is left of their containers; DIR/data stays, with its
# images. Needs root.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
die() { echo "dockerd-for-tests: $*" >&2; exit 1; }

usage='usage: dockerd-for-tests.sh start DIR [FLAG…] | stop DIR'
command=${1:?$usage}
dir=${2:?$usage}
shift 2
[ "$(id -u)" = 0 ] || die "run it as root"
mkdir -p "$dir"
dir=$(CDPATH='' cd -- "$dir" && pwd -P)
[ "${#dir}" -le 70 ] || die "the path of $dir is too long for the sockets in it: choose a shorter one"
PATH=$PATH:/usr/sbin:/sbin
host=unix://$dir/docker.sock
address=$dir/containerd.sock
# The cgroups of this daemon's containers, apart from those of any other.
cgroup=/vivarium-docker-$(printf '%s' "$dir" | sha256sum | cut -c1-12)

# command_line prints that of a process, and nothing when it is gone.
command_line() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null || true; }

# pid_of prints the process in a pid file if that is still the program of this folder.
pid_of() {
	pid=$(cat "$1" 2>/dev/null) || return 1
	command_line "$pid" | grep -qF -- "$dir/" || return 1
	echo "$pid"
}

# shims prints the processes that hold this daemon's containers.
shims() {
	for entry in /proc/[0-9]*; do
		case "$(command_line "${entry#/proc/}")" in
		*containerd-shim*"-address $address "*) echo "${entry#/proc/}" ;;
		esac
	done
}

# contained prints the processes in this daemon's cgroups.
contained() { grep -lsF -- "$cgroup/" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3 || true; }

# await waits up to so many seconds for a command to succeed.
await() {
	left=$(($1 * 10))
	shift
	until "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.1
	done
}

gone() { ! [ -e "/proc/$1" ] || grep -qs '^State:	Z' "/proc/$1/status"; }

# end ends the process of a pid file, with force when it does not listen.
end() {
	if pid=$(pid_of "$1"); then
		kill -CONT "$pid" 2>/dev/null || true # a test may have stopped it
		kill "$pid" 2>/dev/null || true
		await 15 gone "$pid" || { kill -KILL "$pid" 2>/dev/null || true; await 5 gone "$pid" || die "process $pid does not end"; }
	fi
	rm -f "$1"
}

# clear_remains ends what a killed daemon has left: containers, shims, mounts, cgroups.
clear_remains() {
	for pid in $(contained) $(shims); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	awk -v d="$dir/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do
		umount -l "$mount" 2>/dev/null || true
	done
	for base in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ ! -d "$base$cgroup" ] || find "$base$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
	done
	rm -rf --one-file-system "$dir/exec" "$dir/containerd" "$dir/docker.sock" "$address" "$address.ttrpc"
}

stop() {
	end "$dir/dockerd.pid"
	end "$dir/containerd.pid"
	clear_remains
}

install() {
	if command -v dockerd >/dev/null && command -v containerd >/dev/null; then return 0; fi
	command -v apt-get >/dev/null || die "there is no dockerd, and no apt-get to install it: install the package docker.io"
	# The package would start a daemon of the system's, which nobody asked for. policy-rc.d is how Debian is told not to.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 0755 "$policy"
	fi
	echo "dockerd-for-tests: installs the package docker.io" >&2
	{
		DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 update &&
			DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install --no-install-recommends docker.io
	} >"$dir/install.log" 2>&1 </dev/null || { tail -n 20 "$dir/install.log" >&2; die "the package docker.io cannot be installed"; }
}

configure() {
	mkdir -p "$dir/bin" "$dir/data" "$dir/containerd"
	# Docker has no setting for the program behind the runtime "runc"; the first one on the PATH is it.
	rm -f "$dir/bin/runc"
	if [ -x "$root/.build/bin/runc" ]; then
		ln -s "$root/.build/bin/runc" "$dir/bin/runc"
	else
		echo "dockerd-for-tests: no .build/bin/runc: uses the system's, which may lack fixes of escapes (scripts/build-runc.sh builds a current one)" >&2
	fi
	runtimes=
	if [ -z "${WITHOUT_RUNSC:-}" ]; then
		[ -x "$root/.build/bin/runsc" ] || die "there is no .build/bin/runsc: build it with scripts/build-runsc.sh"
		runtimes="\"runsc\": {\"path\": \"$root/.build/bin/runsc\", \"runtimeArgs\": [\"--network=none\", \"--platform=systrap\", \"--gofer-network-namespace=new\"]}"
	fi
	printf '{"runtimes": {%s}}\n' "$runtimes" >"$dir/daemon.json"
	cat >"$dir/containerd.toml" <<-END
		version = 2
		root = "$dir/data/containerd"
		state = "$dir/containerd"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
		[grpc]
		  address = "$address"
	END
}

answers() { docker_ping >/dev/null 2>&1; }
docker_ping() {
	[ -S "$dir/docker.sock" ] && env -u DOCKER_CONTEXT -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH /usr/bin/docker --host "$host" version
}
answers_or_gone() { answers || gone "$1"; }

start() {
	if pid_of "$dir/dockerd.pid" >/dev/null && answers; then
		echo "$host"
		return
	fi
	install
	end "$dir/dockerd.pid"
	if ! pid_of "$dir/containerd.pid" >/dev/null; then
		clear_remains
		configure
		env PATH="$dir/bin:$PATH" setsid containerd --config "$dir/containerd.toml" >>"$dir/containerd.log" 2>&1 </dev/null 9>&- &
		echo $! >"$dir/containerd.pid"
		await 20 test -S "$address" || { tail -n 20 "$dir/containerd.log" >&2; die "containerd does not start"; }
	else
		configure # containers that a killed daemon left go on
	fi
	rm -f "$dir/docker.sock" "$dir/dockerd-own.pid" # left by one that was killed
	env PATH="$dir/bin:$PATH" setsid dockerd --config-file "$dir/daemon.json" --host "$host" --data-root "$dir/data" \
		--exec-root "$dir/exec" --pidfile "$dir/dockerd-own.pid" --containerd "$address" --cgroup-parent "$cgroup" --group root \
		--exec-opt native.cgroupdriver=cgroupfs --storage-driver overlay2 --bridge none --iptables=false --ip-forward=false \
		--ip-masq=false "$@" >>"$dir/dockerd.log" 2>&1 </dev/null 9>&- &
	daemon=$!
	echo "$daemon" >"$dir/dockerd.pid"
	await 60 answers_or_gone "$daemon" && answers || { tail -n 20 "$dir/dockerd.log" >&2; stop; die "dockerd does not start"; }
	echo "$host"
}

# One start or stop at a time; the daemons themselves do not hold the lock.
exec 9>"$dir/lock"
flock 9
case $command in
start) start "$@" ;;
stop) stop ;;
*) die "$usage" ;;
esac
