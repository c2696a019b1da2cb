#!/usr/bin/env bash
# Prepares a Debian machine: scripts/bootstrap.sh [run|test|bench]
#
# Installs the Debian packages that are missing, and nothing else outside this folder; what is there already is left as it
# is. Sourced by the other scripts, which then know that as_root works; says nothing when there is nothing to do.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# missing_packages prints those packages that the mode needs and the machine has not.
missing_packages() {
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || echo postgresql
	command -v mmdebstrap >/dev/null || echo mmdebstrap
	command -v mkfs.ext4 >/dev/null || [ -x /sbin/mkfs.ext4 ] || echo e2fsprogs
	[ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
	[ "$1" = run ] && return
	command -v chromium >/dev/null || echo chromium fonts-dejavu-core
	command -v gcc >/dev/null || echo gcc
	[ -e /usr/include/stdlib.h ] || echo libc6-dev
	command -v pkg-config >/dev/null || echo pkg-config
	[ -e /usr/include/seccomp.h ] || echo libseccomp-dev
}

check_tools() {
	command -v apt-get >/dev/null || die "This needs Debian 12 or a system like it: there is no apt-get here."
	command -v go >/dev/null || die "Go is missing. Install Go 1.26 or newer (https://go.dev/dl) and put it on the PATH."
	command -v node >/dev/null && command -v npm >/dev/null || die "Node.js is missing. Install Node.js 20 or newer with npm."
	local major
	major=$(node -p 'process.versions.node.split(".")[0]')
	((major >= 20)) || die "Node.js $(node --version) is too old: install version 20 or newer."
}

# install_packages installs packages without what Debian merely recommends. The package of PostgreSQL's server makes and
# starts a database cluster of its own on port 5432, which nobody asked for: its switch is turned off meanwhile.
install_packages() {
	local switch=/etc/postgresql-common/createcluster.conf
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
	as_root "${apt[@]}" update || return
	case " $* " in
	*" postgresql "*)
		as_root "${apt[@]}" install --no-install-recommends postgresql-common || return
		as_root cp -p "$switch" "$switch.before" || return
		# shellcheck disable=SC2064
		trap "as_root mv '$switch.before' '$switch'" EXIT
		as_root sh -c "echo 'create_main_cluster = false' >>$switch" || return
		;;
	esac
	as_root "${apt[@]}" install --no-install-recommends "$@"
}

# prepare makes the machine ready for a mode, or says what is missing and stops.
prepare() {
	local packages started
	check_tools
	packages=$(missing_packages "$1" | tr '\n' ' ')
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			say "Sandboxes need root, and there is no sudo here: run this as root."
			[ -z "$packages" ] || say "These Debian packages are missing: apt-get install --no-install-recommends $packages"
			exit 1
		fi
		sudo -n true 2>/dev/null || say "Sandboxes and the packages of Debian need root; sudo may ask for your password."
		if ! sudo -v; then
			say "Without root this cannot go on: run it as root, or as somebody who may use sudo."
			[ -z "$packages" ] || say "These Debian packages are missing: apt-get install --no-install-recommends $packages"
			exit 1
		fi
	fi
	[ -n "$packages" ] || return 0
	say "Installs the missing Debian packages: $packages(and what they depend on)"
	started=$(now)
	# shellcheck disable=SC2086
	if ! (install_packages $packages) >"$logs/packages.log" 2>&1; then
		tail -n 30 "$logs/packages.log" >&2
		die "The packages could not be installed; the whole log: $logs/packages.log"
	fi
	say "Debian packages are installed ($(since "$started"))"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	prepare "${1:-run}"
	say "This machine has what it needs."
fi
